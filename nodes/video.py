"""AdaIN Video: ComfyUI's VIDEO in and out, frame by frame."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import folder_paths
import torch
from comfy_api.latest import InputImpl, io
from torch import Tensor

from ..adain.color import ColorMode
from ..adain.errors import VideoError
from ..adain.masks import MaskEdit
from ..adain.temporal import Stability, paint_frames
from .devices import ManagedModel
from .frames import Reporter, explained_lack_of_memory, loaded
from .inputs import color_input, model_input, strength_input
from .masks import mask_edit_inputs, mask_input
from .model import model_of
from .releases import schema
from .sequence import FRAME_ADVICE, MakeTask, tasks_for
from .sockets import (
    CATEGORY,
    ImageOut,
    StabilitySocket,
    StyleLink,
    StyleSocket,
    TimedStyle,
    from_mask,
    linked,
    single_style,
    to_image,
)


class Video(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AdaIN_Video",
            essentials_category="Video Tools",
            display_name="AdaIN Video",
            category=CATEGORY,
            description="Paints a video in a style with less flicker, frame by frame: its length does not matter. Sound is copied.",
            search_aliases=["video style transfer", "stylize video", "video filter", "temporal consistency", "deflicker"],
            inputs=[
                model_input(),
                io.Video.Input("video", tooltip="From Load Video or the like. Its frame rate, timestamps and sound are kept."),
                StyleSocket.Input(
                    "style",
                    tooltip="From Encode Style, Style Preset, Blend Styles, Load Style or AdaIN Keyframes: one style, without regions.",
                ),
                strength_input(),
                color_input(),
                mask_input(),
                StabilitySocket.Input(
                    "stability",
                    optional=True,
                    tooltip="From AdaIN Stability. Not connected (default): radius 8, hold 0.65, without optical flow.",
                ),
                *mask_edit_inputs(),
            ],
            outputs=[io.Video.Output("result", display_name="video", tooltip="The painted video, for Save Video.")],
        )

    @classmethod
    def execute(
        cls,
        video: Any,
        style: StyleLink,
        strength: float,
        color: ColorMode,
        adain_model: ManagedModel | None = None,
        mask: Tensor | None = None,
        stability: Stability | None = None,
        feather: float = 0.0,
        grow: int = 0,
        invert_mask: bool = False,
    ) -> ImageOut:
        video = linked(video, "video", VideoError)
        if not isinstance(style, TimedStyle):
            style = single_style(style, "used for a video").average()
        planes = from_mask(mask, MaskEdit(invert_mask))
        managed = model_of(adain_model)
        make = tasks_for(managed, style, MaskEdit(grow=grow, feather=feather), strength=strength, mask=planes, color=color)
        paint = _in_memory if isinstance(video, InputImpl.VideoFromComponents) else _from_file
        stability = Stability() if stability is None else linked(stability, "stability", VideoError)
        return io.NodeOutput(paint(managed, video, make, stability))


def _in_memory(managed: ManagedModel, video: Any, make: MakeTask, stability: Stability) -> Any:
    """The painted video of one that another node made of images: it is in memory as it is, and encoding it would lose quality."""
    parts = video.get_components()
    frames = parts.images[..., :3].movedim(-1, 1)
    model, chunk = loaded(managed, frames.shape[-2:], len(frames))
    report = Reporter(len(frames))
    painted = parts.images.clone()  # with its transparency, if it has any
    tasks = (make(frames[i : i + 1], i, float(i / parts.frame_rate)) for i in range(len(frames)))
    with explained_lack_of_memory("frame", frames.shape[-2:], FRAME_ADVICE):
        for i, frame in enumerate(paint_frames(model, tasks, stability, chunk=chunk)):
            painted[i, ..., :3] = to_image(frame)[0].to(painted)
            report(i + 1, frame)
    return InputImpl.VideoFromComponents(replace(parts, images=painted))


def _from_file(managed: ManagedModel, video: Any, make: MakeTask, stability: Stability) -> Any:
    """The painted video as a file in ComfyUI's temporary folder, which ComfyUI empties when it starts."""
    from ..adain.media.video_files.convert import Frame, convert, partial_of  # ComfyUI has PyAV, but older ones may lack what this needs

    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    # Save Video writes MP4 and copies what can be in one: sound that cannot is encoded anew here, and subtitles are left out.
    target = folder / f"adain-{uuid.uuid4().hex[:12]}.mp4"
    width, height = video.get_dimensions()
    size = torch.Size((height, width))
    model, chunk = loaded(managed, size, sys.maxsize)
    start, duration = _part(video)
    report: Reporter | None = None
    latest: Tensor | None = None

    def paint(shown: Iterator[Frame]) -> Iterator[Tensor]:
        nonlocal latest
        tasks = (make(frame.image, frame.index, frame.seconds) for frame in shown)
        for frame in paint_frames(model, tasks, stability, chunk=chunk):
            latest = frame
            yield frame

    def progress(done: int, total: int) -> None:
        nonlocal report
        mm.throw_exception_if_processing_interrupted()
        report = report or Reporter(max(1, total))
        if latest is not None:
            report(done, latest)

    try:
        with explained_lack_of_memory("frame", size, FRAME_ADVICE):
            convert(video.get_stream_source(), target, paint, start=start, duration=duration, report=_report, progress=progress)
    except BaseException:
        partial_of(target).unlink(missing_ok=True)
        raise
    return InputImpl.VideoFromFile(os.fspath(target))


def _report(sentence: str) -> None:
    logging.warning("AdaIN Video: %s", sentence)


def _part(video: Any) -> tuple[float, float]:
    """Start and duration in seconds to which the video was trimmed; older versions of ComfyUI cannot trim."""
    window = getattr(video, "get_active_trim_window", None)
    return window() if window else (0.0, 0.0)

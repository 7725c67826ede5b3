"""AdaIN Video: ComfyUI's VIDEO in and out, frame by frame."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import folder_paths
import torch
from comfy_api.latest import InputImpl, Types, io
from torch import Tensor

from ..adain import Region
from ..adain.color import ColorMode
from ..adain.temporal import Stability, Task, paint_frames
from .devices import ManagedModel
from .frames import Reporter
from .sockets import CATEGORY, ImageOut, ModelSocket, StyleLink, StyleSocket, from_mask, single_style, to_image
from .transfer import color_input, mask_input, strength_input


class Video(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_Video",
            display_name="AdaIN Video",
            category=CATEGORY,
            description="Paints a video in a style with less flicker, frame by frame: its length does not matter. Sound is copied.",
            search_aliases=["video style transfer", "stylize video", "video filter", "temporal consistency", "deflicker"],
            inputs=[
                ModelSocket.Input("adain_model", tooltip="From Load AdaIN Model; the one that made the style."),
                io.Video.Input("video", tooltip="From Load Video or the like. Its frame rate, timestamps and sound are kept."),
                StyleSocket.Input(
                    "style", tooltip="From Encode Style, Style Preset, Blend Styles or Load Style: one style, without regions."
                ),
                strength_input(),
                color_input(),
                io.Int.Input(
                    "radius",
                    default=Stability().radius,
                    min=0,
                    max=64,
                    tooltip="Statistics of a frame are averaged over this many frames on either side, never across a cut. 8 by default; "
                    "higher is calmer and needs more memory, 0 takes each frame by itself.",
                    advanced=True,
                ),
                io.Float.Input(
                    "hold",
                    default=Stability().hold,
                    min=0.0,
                    max=0.95,
                    step=0.05,
                    tooltip="How much of the previous painted frame stays where the video did not change. 0.8 by default; higher is "
                    "steadier, 0 paints every frame anew.",
                    advanced=True,
                ),
                io.Boolean.Input(
                    "flow",
                    default=False,
                    tooltip="Follows what moves by optical flow, so that it is held too. Off by default: it takes longer and needs OpenCV "
                    "(pip install opencv-python-headless).",
                    advanced=True,
                ),
                mask_input(),
            ],
            outputs=[io.Video.Output("result", display_name="video", tooltip="The painted video, for Save Video.")],
        )

    @classmethod
    def execute(
        cls,
        adain_model: ManagedModel,
        video: Any,
        style: StyleLink,
        strength: float,
        color: ColorMode,
        radius: int,
        hold: float,
        flow: bool,
        mask: Tensor | None = None,
    ) -> ImageOut:
        stability = Stability(radius, hold, flow)
        one = single_style(style, "used for a video").average()
        adain_model.check(one)
        planes = from_mask(mask)
        region = [Region(one)]

        def task(image: Tensor, index: int) -> Task:
            shown = None if planes is None else planes[min(index, len(planes) - 1)][None].float()
            return Task(image, index, region, strength, shown)

        if isinstance(video, InputImpl.VideoFromComponents):
            return io.NodeOutput(_in_memory(adain_model, video, task, stability, color))
        return io.NodeOutput(_from_file(adain_model, video, task, stability, color))


def _in_memory(managed: ManagedModel, video: Any, task: Any, stability: Stability, color: ColorMode) -> Any:
    """A video that another node made of images: it is in memory as it is, and encoding it would lose quality."""
    parts = video.get_components()
    frames = parts.images[..., :3].movedim(-1, 1)
    model = managed.load(frames.shape[-2] * frames.shape[-1])
    report = Reporter(len(frames))
    painted = torch.empty_like(parts.images[..., :3])
    tasks = (task(frames[i : i + 1], i) for i in range(len(frames)))
    for i, frame in enumerate(paint_frames(model, tasks, stability, color=color)):
        painted[i] = to_image(frame)[0].to(painted)
        report(i + 1, frame)
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=painted, audio=parts.audio, frame_rate=parts.frame_rate))


def _from_file(managed: ManagedModel, video: Any, task: Any, stability: Stability, color: ColorMode) -> Any:
    """Into a file in ComfyUI's temporary folder, which it empties when it starts."""
    from ..adain.video import Frame, convert  # ComfyUI has PyAV, but older ones may lack what this needs

    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    # Save Video copies what has its container already; Matroska takes any sound.
    extension = "mp4" if "mp4" in video.get_container_format() else "mkv"
    target = folder / f"adain-{uuid.uuid4().hex[:12]}.{extension}"
    width, height = video.get_dimensions()
    model = managed.load(width * height)
    start, duration = _part(video)
    report: Reporter | None = None
    latest: Tensor | None = None

    def paint(shown: Iterator[Frame]) -> Iterator[Tensor]:
        nonlocal latest
        tasks = (task(frame.image, frame.index) for frame in shown)
        for frame in paint_frames(model, tasks, stability, color=color):
            latest = frame
            yield frame

    def progress(done: int, total: int) -> None:
        nonlocal report
        mm.throw_exception_if_processing_interrupted()
        report = report or Reporter(max(1, total))
        if latest is not None:
            report(done, latest)

    try:
        convert(video.get_stream_source(), target, paint, start=start, duration=duration, progress=progress)
    except BaseException:
        target.with_name(f"{target.stem}.partial{target.suffix}").unlink(missing_ok=True)
        raise
    return InputImpl.VideoFromFile(os.fspath(target))


def _part(video: Any) -> tuple[float, float]:
    """Start and duration in seconds to which the video was trimmed; older versions of ComfyUI cannot trim."""
    window = getattr(video, "get_active_trim_window", None)
    return window() if window else (0.0, 0.0)

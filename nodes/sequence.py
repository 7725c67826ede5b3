"""Frames painted one after the other, with stability or a style over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor

from ..adain import ImageError, ModelError, Region
from ..adain.checks import check_image, check_mask
from ..adain.color import ColorMode
from ..adain.masks import MaskEdit
from ..adain.resample import resize
from ..adain.temporal import Stability, Task, paint_frames
from .devices import ManagedModel, is_out_of_memory
from .frames import Reporter, count_of, frames_at_once, frames_of, laid_back
from .sockets import StyleLink, TimedStyle, linked, regions_of

MakeTask = Callable[[Tensor, int, float], Task]
"""Takes a frame [1, 3, H, W], its index, and when it is shown in seconds."""


def tasks_for(managed: ManagedModel, style: StyleLink, strength: float, mask: Tensor | None, edit: MaskEdit | None = None) -> MakeTask:
    """How each frame is painted; `mask` [B or 1, 1, h, w], the last of which stands for all frames that follow.

    `edit` is done to it at the size of the frames.
    """
    managed = linked(managed, "adain_model", ModelError)
    regions = () if isinstance(style, TimedStyle) else regions_of(style)
    for one in style.track.styles if isinstance(style, TimedStyle) else [region.style for region in regions]:
        managed.check(one)

    @lru_cache(maxsize=1)  # one mask mostly serves all frames
    def plane_at(i: int, size: torch.Size) -> Tensor | None:
        if mask is None:
            return None
        plane = mask[i][None].float()
        # Of several masks some may come to nothing: those frames stay as they are.
        return plane if edit is None else edit.checked(plane, size) if len(mask) == 1 else edit(plane, size)

    def task(image: Tensor, index: int, seconds: float) -> Task:
        plane = plane_at(0 if mask is None else min(index, len(mask) - 1), image.shape[-2:])
        if isinstance(style, TimedStyle):
            current, share = style.track.at(index, seconds)
            return Task(image, index, [Region(current)], strength * share, plane)
        return Task(image, index, [frames_of(region, slice(index, index + 1)) for region in regions], strength, plane)

    return task


def paint_sequence(
    managed: ManagedModel,
    content: Tensor,
    style: StyleLink,
    stability: Stability,
    *,
    strength: float,
    mask: Tensor | None,
    color: ColorMode,
    scale: float,
    chunk: int,
) -> Tensor:
    """What `frames.paint` gives, for pictures that follow each other in time."""
    content = check_image(content, "image")
    regions = () if isinstance(style, TimedStyle) else regions_of(style)
    content = content.expand(count_of(content, regions), -1, -1, -1)
    for plane in (mask, *(region.mask for region in regions)):
        if plane is not None:
            check_mask(plane, "mask", len(content))
    make = tasks_for(managed, style, strength, mask)
    rate = style.frame_rate if isinstance(style, TimedStyle) else 1.0
    seen = torch.Size(max(1, round(n * scale)) for n in content.shape[-2:])
    chunk = min(len(content), chunk or frames_at_once(seen.numel()))
    model = managed.load(seen.numel() * chunk)
    report = Reporter(len(content))
    out = torch.empty_like(content, memory_format=torch.contiguous_format)
    waiting: deque[Task] = deque()

    def tasks() -> Iterator[Task]:
        for i in range(len(content)):
            waiting.append(make(resize(content[i : i + 1].float(), seen), i, i / rate))
            yield waiting[-1]

    with explained_lack_of_memory(content.shape[-1], content.shape[-2]):
        for i, frame in enumerate(paint_frames(model, tasks(), stability, color=color, chunk=chunk)):
            task = waiting.popleft()
            out[i : i + 1] = laid_back(frame.to(out), content[i : i + 1], task.regions, task.mask, task.strength)
            report(i + 1, out[i : i + 1])
    return out


@contextmanager
def explained_lack_of_memory(width: int, height: int) -> Iterator[None]:
    """Turn what is raised when the memory does not do for one frame into an ImageError."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise ImageError(
            f"The device's memory is too small for one frame of {width} x {height} ({error}). Scale the video down, give Stability a "
            "smaller radius, or start ComfyUI with --cpu."
        ) from error

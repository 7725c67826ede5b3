"""Frames painted one after the other, with stability or a style over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..adain import Look
from ..adain.checks import check_image
from ..adain.masks import MaskEdit
from ..adain.stylize import scaled
from ..adain.temporal import Stability, Task, paint_frames
from .devices import ManagedModel
from .frames import Reporter, checked, explained_lack_of_memory, loaded
from .sockets import StyleLink, TimedStyle, regions_of

FRAME_ADVICE = "Scale the frames down, give Stability a smaller radius"
"""What helps when the memory is too small for one frame and those that wait around it."""

MakeTask = Callable[[Tensor, int, float], Task]
"""Takes a frame [1, 3, H, W], its index, and when it is shown in seconds."""


def tasks_for(managed: ManagedModel, style: StyleLink, edit: MaskEdit | None = None, **rest: Any) -> MakeTask:
    """How each frame is painted; `rest` are the other fields of its Look.

    Of a mask [B or 1, 1, h, w] the last frame stands for all that follow; `edit` is done to it at the size of the frames.
    """
    mask = rest.pop("mask", None)
    look = _look(style, **rest)
    for one in style.track.styles if isinstance(style, TimedStyle) else [region.style for region in look.regions]:
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
            current, strength = style.track.at(index, seconds, look.strength)
            return Task(image, index, Look.of(current, **rest | {"strength": strength, "mask": plane}))
        return Task(image, index, replace(look.rows(slice(index, index + 1)), mask=plane))

    return task


def paint_sequence(
    managed: ManagedModel, content: Tensor, style: StyleLink, stability: Stability, *, chunk: int = 0, **rest: Any
) -> Tensor:
    """What `frames.paint` gives, for pictures that follow each other in time; `rest` are the other fields of a Look."""
    content = check_image(content, "image")
    look = _look(style, **rest)
    make = tasks_for(managed, style, **rest)
    content = content.expand(checked(managed, look, len(content)), -1, -1, -1)
    rate = style.frame_rate if isinstance(style, TimedStyle) else 1.0
    model, chunk = loaded(managed, scaled(content.shape[-2:], look.scale), len(content), chunk)
    report = Reporter(len(content))
    out = torch.empty_like(content, memory_format=torch.contiguous_format)
    tasks = (make(content[i : i + 1].float(), i, i / rate) for i in range(len(content)))
    with explained_lack_of_memory("frame", content.shape[-2:], FRAME_ADVICE):
        for i, frame in enumerate(paint_frames(model, tasks, stability, chunk=chunk)):
            out[i : i + 1] = frame
            report(i + 1, out[i : i + 1])
    return out


def _look(style: StyleLink, **rest: Any) -> Look:
    """What a link and the other fields of a Look ask for; of a style over time, with the first of its styles."""
    return Look.of(style.track.styles[0] if isinstance(style, TimedStyle) else regions_of(style), **rest)

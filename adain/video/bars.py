"""Black bars around a film in its frame: they stand still on the screen while the camera moves, and are no part of the picture."""

from __future__ import annotations

import torch
from torch import Tensor

from ..area import Area

_BLACK = 0.09
"""Of 0..1: black of a video whose range was not widened, and noise of coding."""

_EVEN = 0.02
"""Bars lie on both sides, and differ by this share of the frame at most; a night sky has one side only."""


class Bars:
    """Finds the bars of a clip. Once something was seen in a place, it is never bar again: a dark scene must not look like one."""

    def __init__(self) -> None:
        self._margins: list[int] | None = None

    def __call__(self, image: Tensor) -> Area | None:
        """What is picture in the next frame [1, 3, H, W], floats or 8-bit values; None if that is all of it."""
        black = _BLACK if image.is_floating_point() else round(_BLACK * 255)
        height, width = image.shape[-2:]
        light = image[0].amax(0) > black
        rows, columns = light.any(1), light.any(0)
        if rows.any():
            found = [*_margins(rows), *_margins(columns)]
            known = found if self._margins is None else [min(pair) for pair in zip(self._margins, found, strict=True)]
            self._margins = known
        if self._margins is None:
            return None
        top, bottom, left, right = self._margins
        (top, bottom), (left, right) = _even(top, bottom, height), _even(left, right, width)
        return Area.between(top, left, height - bottom, width - right) if top or left else None


def mask_of(inside: Area, size: torch.Size) -> Tensor:
    """[1, 1, H, W], 1 inside."""
    mask = torch.zeros(1, 1, *size)
    inside.of(mask).fill_(1)
    return mask


def _margins(seen: Tensor) -> tuple[int, int]:
    """How many places at the beginning and at the end of `seen` [n] are not."""
    places = seen.nonzero()
    return int(places[0]), len(seen) - 1 - int(places[-1])


def _even(first: int, last: int, length: int) -> tuple[int, int]:
    return (first, last) if first and last and abs(first - last) <= max(2, _EVEN * length) else (0, 0)

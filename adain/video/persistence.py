"""What is painted stays where the input did not change."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..resample import resample
from .canvas import Canvas
from .motion import flow_motion

_SAME = 0.02
"""RMS difference in colour (0..1) at which the previous picture's share falls to 37 %: above coding noise and small errors of the
motion, below a contour."""

_BLOCK = 4
"""Side of the squares whose mean colours are compared: noise and a tenth of a pixel hardly change those."""

_EDGE = 4
"""Pixels near the edge of an earlier canvas, where `resample` sees what is outside of it."""

_INSIDE = 0.999
"""What sums of weights leave of 1."""


@dataclass(frozen=True)
class Painted:
    """A painted picture, on its canvas."""

    canvas: Canvas
    image: Tensor
    """[1, 3, H, W], what it was painted from."""
    picture: Tensor
    weights: Tensor | None
    """[1, K, H, W], how much of each region is shown where; None for one region everywhere."""


class Persistence:
    """Keeps a `share` of the previous painted frame where it shows the same as this one, on its canvas or where optical `flow` leads."""

    def __init__(self, share: float, flow: bool) -> None:
        self._share = share
        self._flow = flow_motion() if flow and share else None
        self._before: Painted | None = None

    def __call__(self, painted: Painted, *, new: bool) -> Tensor:
        """The picture of `painted` with what can be kept from before, which is nothing if all of it is `new`.

        Where the weights of regions changed nothing is kept either: what was painted there belongs to another style, or to none.
        """
        if not self._share:
            return painted.picture
        picture = painted.picture
        if self._before is not None and not new:
            picture = torch.lerp(picture, *self._kept(painted, self._before))
        self._before = Painted(painted.canvas, painted.image, picture, painted.weights)
        return picture

    def forget(self) -> None:
        """Take all of the next picture for new."""
        self._before = None

    def _kept(self, now: Painted, before: Painted) -> tuple[Tensor, Tensor]:
        """The previous picture and its share at each pixel."""
        masked = now.weights is not None or before.weights is not None
        pictures = [before.image, before.picture, *([_weights(before)] if masked else [])]
        *pictures, inside = now.canvas.brought(before.canvas, *pictures)
        if self._flow:
            grid = self._flow(now.image, pictures[0])
            inside = 1 - F.max_pool2d(1 - inside, 2 * _EDGE + 1, stride=1, padding=_EDGE)
            inside = F.grid_sample(inside, grid, "bilinear", "zeros", align_corners=False).ge(_INSIDE).to(now.image)
            pictures = [resample(picture, grid).clamp_(0, 1) for picture in pictures]
        share = self._share * inside * _sameness(now.image, pictures[0])
        if masked:
            share = share * (1 - (_weights(now) - pictures[2]).abs().sum(1, keepdim=True)).clamp(0, 1)
        return pictures[1], share


def _weights(painted: Painted) -> Tensor:
    return torch.ones_like(painted.image[:, :1]) if painted.weights is None else painted.weights


def _sameness(image: Tensor, other: Tensor) -> Tensor:
    """[B, 1, H, W], 1 where two pictures show the same, falling to 0 where they differ."""
    blocks = F.avg_pool2d(image - other, _BLOCK, ceil_mode=True, count_include_pad=False).square().mean(1, keepdim=True)
    # The largest of the neighbours, so that nothing is kept along the edge of what moves.
    blocks = F.max_pool2d(blocks, 3, stride=1, padding=1)
    return F.interpolate(torch.exp(-blocks / _SAME**2), size=image.shape[-2:], mode="bilinear")

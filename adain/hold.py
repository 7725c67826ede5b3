"""What is painted stays where the input did not change."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .canvas import Canvas
from .motion import flow_motion, inside_of
from .resample import resample

_SAME = 0.02
"""RMS difference in colour (0..1) at which the previous picture's share falls to 37 %: above coding noise and small errors of the
motion, below a contour."""


class Hold:
    """Keeps of the previous painted frame what shows the same as this one, on its canvas, or where optical `flow` leads there."""

    def __init__(self, share: float, flow: bool) -> None:
        self._share = share
        self._flow = flow_motion() if flow and share else None
        self._before: tuple[Canvas, Tensor, Tensor] | None = None

    def __call__(self, canvas: Canvas, image: Tensor, painted: Tensor, *, new: bool) -> Tensor:
        """`painted` [1, 3, H, W], with what can be kept from before; `image` is what it was painted from. Nothing if all is `new`."""
        if not self._share:
            return painted
        if self._before is not None and not new:
            earlier, *pictures = self._before
            old_image, old_painted, inside = canvas.brought(earlier, *pictures)
            if self._flow:
                grid = self._flow(image, old_image)
                inside = inside * inside_of(grid)
                old_image = F.grid_sample(old_image, grid, "bilinear", "border", align_corners=False)
                # Bicubic: repeated bilinear sampling would blur what is kept long.
                old_painted = resample(old_painted, grid)
            painted = torch.lerp(painted, old_painted.clamp(0, 1), self._share * inside * _sameness(image, old_image))
        self._before = canvas, image, painted
        return painted


def _sameness(image: Tensor, other: Tensor) -> Tensor:
    """[B, 1, H, W], 1 where two pictures show the same, falling to 0 where they differ.

    Means of 4 x 4 blocks are compared, which noise and a tenth of a pixel hardly change.
    """
    blocks = F.avg_pool2d(image - other, 4, ceil_mode=True, count_include_pad=False).square().mean(1, keepdim=True)
    # The largest of the neighbours, so that nothing is kept along the edge of what moves.
    blocks = F.max_pool2d(blocks, 3, stride=1, padding=1)
    return F.interpolate(torch.exp(-blocks / _SAME**2), size=image.shape[-2:], mode="bilinear")

"""What is painted stays where the input did not change."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..resample import resample
from .canvas import Canvas
from .motion import flow_motion

_SAME = 0.02
"""RMS difference in colour (0..1) at which the previous picture's share falls to 37 %: above coding noise and small errors of the
motion, below a contour."""


class Hold:
    """Keeps of the previous painted frame what shows the same as this one, on its canvas, or where optical `flow` leads there."""

    def __init__(self, share: float, flow: bool) -> None:
        self._share = share
        self._flow = flow_motion() if flow and share else None
        self._before: tuple[Canvas, Tensor, Tensor, Tensor | None] | None = None

    def __call__(self, canvas: Canvas, image: Tensor, painted: Tensor, weights: Tensor | None, *, new: bool) -> Tensor:
        """`painted` [1, 3, H, W], with what can be kept from before; `image` is what it was painted from. Nothing if all is `new`.

        Nor where the region `weights` [1, K, H, W] changed: what was painted there belongs to another style, or to none.
        """
        if not self._share:
            return painted
        if self._before is not None and not new:
            painted = torch.lerp(painted, *self._kept(canvas, image, weights, *self._before))
        self._before = canvas, image, painted, weights
        return painted

    def forget(self) -> None:
        """All of the next picture is new."""
        self._before = None

    def _kept(
        self,
        canvas: Canvas,
        image: Tensor,
        weights: Tensor | None,
        earlier: Canvas,
        old_image: Tensor,
        old_painted: Tensor,
        old_weights: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The previous painting and its share at each pixel."""
        pictures = [old_image, old_painted, *([] if weights is None or old_weights is None else [old_weights])]
        *pictures, inside = canvas.brought(earlier, *pictures)
        if self._flow:
            grid = self._flow(image, pictures[0])
            # Near the edge of the earlier canvas `resample` sees what is outside of it.
            inside = 1 - F.max_pool2d(1 - inside, 9, stride=1, padding=4)
            inside = F.grid_sample(inside, grid, "bilinear", "zeros", align_corners=False).ge(0.999).to(image)
            pictures = [resample(picture, grid).clamp_(0, 1) for picture in pictures]
        share = self._share * inside * _sameness(image, pictures[0])
        if weights is not None:
            before = pictures[2] if len(pictures) > 2 else torch.zeros_like(weights)
            share = share * (1 - (weights - before).abs().sum(1, keepdim=True)).clamp(0, 1)
        return pictures[1], share


def _sameness(image: Tensor, other: Tensor) -> Tensor:
    """[B, 1, H, W], 1 where two pictures show the same, falling to 0 where they differ.

    Means of 4 x 4 blocks are compared, which noise and a tenth of a pixel hardly change.
    """
    blocks = F.avg_pool2d(image - other, 4, ceil_mode=True, count_include_pad=False).square().mean(1, keepdim=True)
    # The largest of the neighbours, so that nothing is kept along the edge of what moves.
    blocks = F.max_pool2d(blocks, 3, stride=1, padding=1)
    return F.interpolate(torch.exp(-blocks / _SAME**2), size=image.shape[-2:], mode="bilinear")

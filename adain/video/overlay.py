"""What stands still on the screen while the camera moves: subtitles and logos burned into the picture, and who the camera follows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..area import Area
from ..color import luma
from .bars import mask_of
from .canvas import Canvas
from .motion import farthest

_LINES = 180
"""Short side in pixels, about, of the pictures that are compared."""

_STEP = 1.5
"""Pixels of a picture of 360 lines by which a corner moved before the camera counts as elsewhere: nearer, neither way differs enough."""

_MEMORY = 0.5
"""Share of what was seen before in what is known after each comparison."""

_CHANGE = 0.2
"""Difference of luma in place at which what was known fades: a subtitle is gone."""

_FLOOR = 0.05
"""Difference of luma (0..1) that tells anything: above coding noise and what interpolation leaves of fine detail."""

_RATIO = 3.0
"""How many times as much (in squares) must differ along the camera's motion as in place."""

_KEPT = 0.7
"""The same where something was found before."""

_REACH = 4
"""Pixels of the compared pictures around what was found that are kept with it: the inside of letters, the rims of what is blurred."""

_LEAST = 12
"""Pixels of the compared pictures; fewer are nothing to read."""


class Overlays:
    """Finds them: where frames differ less in place than they do along the camera's motion, several times over."""

    def __init__(self) -> None:
        self._seen: tuple[Canvas, Tensor] | None = None
        self._differences: Tensor | None = None
        self._fixed: Tensor | None = None

    def __call__(self, image: Tensor, canvas: Canvas, starts_shot: bool, inside: Area | None = None) -> Tensor | None:
        """[1, 1, h, w], 1 where the next frame [1, 3, H, W] in 0..1 is fixed to the screen, falling to 0 around; None if nowhere.

        Only what is `inside` counts: black bars are seen to elsewhere.
        """
        size = image.shape[-2:]
        pool = max(1, round(min(size) / _LINES))
        counted = torch.ones(1, 1, *size) if inside is None else mask_of(inside, size)
        view, counted = (F.avg_pool2d(picture, pool).cpu() for picture in (luma(image), counted.to(image)))
        if starts_shot or self._seen is None:
            self._seen, self._differences, self._fixed = (canvas, view), None, None
            return None
        earlier, old = self._seen
        motion = canvas.motion_since(earlier)
        if canvas.number != earlier.number or farthest(motion, size) >= _STEP:
            self._seen = canvas, view
            self._compare(view, old, motion, counted)
        return self._fixed

    def _compare(self, view: Tensor, old: Tensor, motion: Tensor, counted: Tensor) -> None:
        grid = F.affine_grid(motion[None, :2].to(view), list(view.shape), align_corners=False)
        along = F.grid_sample(old, grid, "bicubic", "border", align_corners=False)
        # Where both show the picture: 0.99 for what sums of weights leave of 1.
        both = (counted * F.grid_sample(counted, grid, "bilinear", "zeros", align_corners=False)).ge(0.99)
        found = _mean(torch.cat([(view - old).square(), (view - along).square() * both], 1), 3)
        known = torch.lerp(found, torch.zeros_like(found) if self._differences is None else self._differences, _MEMORY)
        known[:, 1:] *= torch.exp(-found[:, :1] / _CHANGE**2)
        self._differences = known
        in_place, along = known.split(1, 1)
        ratio = _RATIO if self._fixed is None else torch.where(self._fixed > 0.5, _KEPT, _RATIO)
        fixed = (along > ratio * in_place + _FLOOR**2).to(view)
        fixed = fixed * (_mean(fixed, 5) >= 0.2)  # single pixels are chance
        if fixed.sum() < _LEAST:
            self._fixed = None
            return
        for kernel, margin in (((1, 2 * _REACH + 1), (0, _REACH)), ((2 * _REACH + 1, 1), (_REACH, 0))):
            fixed = F.max_pool2d(fixed, kernel, stride=1, padding=margin)
        self._fixed = _mean(fixed, 5)


def _mean(x: Tensor, side: int) -> Tensor:
    """Of the squares of `side` pixels around each."""
    return F.avg_pool2d(x, side, stride=1, padding=side // 2, count_include_pad=False)

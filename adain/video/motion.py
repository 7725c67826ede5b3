"""Where the pixels of a frame were in the frame before it: the camera's motion, or each pixel's own by optical flow.

Both say where each pixel of an image was in an old image, in -1..1 from border to border, as `grid_sample` and `affine_grid` with
`align_corners=False` take it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..color import luma
from ..extras import install
from ..resample import doubled

_FINEST = 90
"""Short side in pixels at which the camera is followed, to about a tenth of a pixel of a picture of 360 lines."""

_STEPS = {4: 3, 2: 2, 1: 1}
"""From coarse to fine: how many steps are made at how much less than the finest size."""

_LEAST_SIDE = 8
_LEAST_INSIDE = 0.7
_STILL = 0.05
"""Pixels of a picture of 360 lines; less is a camera that stands still, and resampling would only blur."""


def small_views(image: Tensor) -> list[Tensor]:
    """The luma of `image` [1, 3, H, W] at the sizes at which the camera is followed, from coarse to fine; none of a tiny one."""
    side = min(image.shape[-2:])
    pool = max(1, side // _FINEST)
    finest = luma(F.avg_pool2d(image, pool)).cpu()  # so small that no device is faster, and not all have what follows
    return [_blurred(F.avg_pool2d(finest, factor)) for factor in _STEPS if side >= _LEAST_SIDE * pool * factor]


def camera_motion(views: Sequence[Tensor], old_views: Sequence[Tensor], size: torch.Size) -> Tensor | None:
    """[3, 3], the one affine motion that most of the picture follows: a camera that pans, zooms, turns or shakes. None: it stands still.

    Gauss-Newton from coarse to fine on the `small_views` of two pictures of `size` (Lucas & Kanade 1981; the mean of both gradients as
    by Malis 2004), together with gain and offset of the light. Pixels that do not fit count less (Cauchy weights), so that what
    moves by itself is left out. It is found up to about a twelfth of the picture per frame; beyond that, or if it does not fit
    better, None.
    """
    if not views:
        return None
    motion = still = torch.eye(3).to(views[0])
    steps = [*_STEPS.values()][-len(views) :]
    levels = [_Level(view, old) for view, old in zip(views, old_views, strict=True)]
    for level, count in zip(levels, steps, strict=True):
        for _ in range(count):
            motion = level.improved(motion)
    if not levels[-1].misfit(motion) < levels[-1].misfit(still):
        return None
    return None if farthest(motion, size) < _STILL else motion


def farthest(motion: Tensor, size: torch.Size) -> float:
    """How far the corners of a picture of `size` are moved, the farthest of them, in pixels of a picture of 360 lines."""
    height, width = size
    corners = (motion - torch.eye(3).to(motion))[:2] @ torch.tensor([[-1.0, -1, 1, 1], [-1, 1, -1, 1], [1, 1, 1, 1]]).to(motion)
    return float((corners * torch.tensor([[width / 2], [height / 2]]).to(motion)).abs().max()) / in_lines(size)


def flow_motion() -> Callable[[Tensor, Tensor], Tensor]:
    """Each pixel's own motion by OpenCV's DIS (Kroeger et al. 2016), a grid [1, H, W, 2] for an image and an old image [1, 3, H, W].

    Raises AdaINError without OpenCV.
    """
    try:
        import cv2
    except ImportError as error:
        raise install("Flow", "opencv-python-headless") from error
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def grey(image: Tensor) -> Any:
        return luma(image)[0, 0].mul(255).round().byte().cpu().numpy()

    def motion(image: Tensor, old: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        positions = _positions(height, width)[:2].movedim(0, -1)[None].to(image)
        if min(height, width) < 16:  # less than DIS's patches need
            return positions
        flow = torch.from_numpy(dis.calc(grey(image), grey(old), None)).to(image)
        return positions + flow * torch.tensor([2 / width, 2 / height]).to(flow)

    return motion


class _Level:
    """Two pictures [1, 1, H, W] of one size, the old one in the light of the new one, and how a motion [3, 3] fits them."""

    def __init__(self, image: Tensor, old: Tensor) -> None:
        gain = image.std() / old.std().clamp_min(1e-3)
        self._image, self._old = image, (old - old.mean()) * gain + image.mean()
        # Bilinear interpolation between its own pixels would find motions a tenth too long.
        self._finer = doubled(self._old)
        self._positions = _positions(*image.shape[-2:]).to(image)

    def improved(self, motion: Tensor) -> Tensor:
        """One weighted Gauss-Newton step."""
        height, width = self._image.shape[-2:]
        there, residual, inside = self._compared(motion)
        down, across = torch.gradient((self._image + there)[0, 0] / 2)
        slopes = [self._positions * across * (width / 2), self._positions * down * (height / 2)]
        rows = torch.cat([*slopes, there[0], self._positions[2:]]).flatten(1)  # in the end, light: gain and offset
        scale = 2 * residual.abs().mean() + 1e-3
        weighted = rows * (inside / (1 + (residual / scale).square())).flatten()
        normal = weighted @ rows.T
        ridge = 1e-6 * normal.diagonal().mean() + 1e-9
        step = torch.linalg.solve(normal + ridge * torch.eye(len(normal)).to(normal), weighted @ residual.flatten())
        change = torch.eye(3).to(motion)
        change[:2] += step[:6].view(2, 3)
        return motion @ change

    def misfit(self, motion: Tensor) -> Tensor:
        """Mean robust error, at most 1; 1 where much of one picture lies outside the other."""
        _, residual, inside = self._compared(motion)
        if inside.mean() < _LEAST_INSIDE:
            return torch.ones_like(inside.sum())
        squares = residual.square()
        return ((squares / (squares + 0.02**2)) * inside).sum() / inside.sum().clamp_min(1)

    def _compared(self, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        grid = _moved(motion, self._positions)
        there = F.grid_sample(self._finer, grid, "bilinear", "border", align_corners=False)
        return there, (self._image - there)[0, 0], inside_of(grid)[0, 0]


def in_lines(size: torch.Size) -> float:
    """Pixels of a picture of `size` for one of a picture of 360 lines, or of what is smaller: motion is found no more exactly."""
    return max(1.0, min(size) / (4 * _FINEST))


def inside_of(grid: Tensor) -> Tensor:
    """[1, 1, H, W], 1 where a motion's grid [1, H, W, 2] lies inside the old picture, else 0."""
    return (grid.abs() <= 1).all(-1)[:, None].to(grid)


def _positions(height: int, width: int) -> Tensor:
    """x, y and 1 of each pixel, [3, H, W], in -1..1 from border to border."""
    y = (torch.arange(height) + 0.5) * (2 / height) - 1
    x = (torch.arange(width) + 0.5) * (2 / width) - 1
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width)])


def _moved(motion: Tensor, positions: Tensor) -> Tensor:
    return torch.einsum("ij,jhw->hwi", motion[:2], positions)[None]


def _blurred(image: Tensor) -> Tensor:
    """`image` [1, 1, H, W] without its finest detail: what pooling leaves of that is nothing to follow."""
    kernel = torch.tensor([0.25, 0.5, 0.25]).to(image)
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), (kernel[:, None] * kernel)[None, None])

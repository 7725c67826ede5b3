"""Where the pixels of a frame were in the frame before it: the camera's motion, or each pixel's own by optical flow.

Both say where each pixel of an image was in an old image, in -1..1 from border to border, as `grid_sample` and `affine_grid` with
`align_corners=False` take it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..color import luma
from ..extras import install
from ..moments import matrix_power
from ..resample import doubled

_FINEST = 90
"""Short side in pixels at which the camera is followed, to about a tenth of a pixel of a picture of 360 lines."""

_STEPS = {4: 3, 2: 2, 1: 1}
"""From coarse to fine: how many steps are made at how much less than the finest size."""

_NEAR_STEPS = 3
"""Steps from a camera at rest, at the finest size alone, where the way from coarse to fine is not to be trusted."""

_LEAST_SIDE = 8
"""Pixels that a view must have to be looked at: with fewer, its rim is most of it."""

_RIM = 2
"""Pixels at the border of a view whose slopes are not those of the picture: it was blurred there with what it does not have."""

_LEAST_INSIDE = 0.7
"""Share of a picture that two pictures must have in common; of less, some part always fits."""

_TOLERANCE = 0.02
"""Difference of luma (0..1) from which on pixels count as not fitting: five grey levels, above coding noise at the sizes looked at."""

_STILL = 0.05
"""Pixels of a picture of 360 lines; less is a camera that stands still, and resampling would only blur."""

_CLEARLY = 0.8
"""Share of the misfit at rest below which a motion fits for certain: noise that is interpolated takes off up to a tenth."""

_AT_ALL = 0.98
"""The same below which it fits at all, where noise counts alike on both sides: what six free numbers win by fitting noise is less."""

_SEEN = 0.2
"""Share of what a change of the motion would change in a picture that two pictures must agree on; in noise alone it is up to 0.12."""

_FAINTEST = 0.0005
"""RMS luma that a pixel of motion (of a view) must change: an eighth of a grey level, since coding leaves blocks of less than that."""

_WEAKEST = 0.05
"""Share of what the strongest change of the motion shows; less may be the errors of interpolation and of pixels. A horizon has more."""

_STIFF = 10.0
"""How many times as willingly a camera pans as it turns or zooms, in pixels, where nothing is to be seen of the difference."""


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
    motion = coarse = still = torch.eye(3).to(views[0])
    steps = [*_STEPS.values()][-len(views) :]
    levels = [_Level(view, old) for view, old in zip(views, old_views, strict=True)]
    for level, count in zip(levels, steps, strict=True):
        coarse = motion
        for _ in range(count):
            motion = level.improved(motion)
    if farthest(motion, size) < _STILL:
        return None
    finest, at_rest = levels[-1], levels[-1].misfit(still)
    trusted = finest.misfit(motion) < _CLEARLY * at_rest and finest.misfit(coarse) < at_rest
    if trusted and not any(changes.numel() for changes in finest.unseen(motion)):
        return motion
    motion, *others = _candidates(finest, motion, still)
    fits = finest.fair_misfit(motion)
    for other in others:
        if (misfit := finest.fair_misfit(other)) < _CLEARLY * fits:
            motion, fits = other, misfit
    return motion if fits < _AT_ALL * finest.fair_misfit(still) and farthest(motion, size) >= _STILL else None


def _candidates(level: _Level, found: Tensor, still: Tensor) -> list[Tensor]:
    """What the motion may be of which `found` is one that fits, beginning with that, without what the pictures do not show.

    Of stripes nothing is seen of a motion along them, and patterns fit again a period further, where the coarse views, in which they
    are finer than pixels, may lead. Such motions fit by chance, or by what interpolation does to noise.
    """
    near = still
    for _ in range(_NEAR_STEPS):
        near = level.improved(near)
    candidates = []
    for motion in (found, near):
        unseen, weak = level.unseen(motion)
        seen = _without(motion, unseen)
        candidates.append([seen, _without(seen, weak)])
    (own, own_least), (close, close_least) = candidates
    return [own, own_least, close_least, close]


def _without(motion: Tensor, changes: Tensor) -> Tensor:
    """The least motion [3, 3] that differs from `motion` by `changes` [6, n] alone."""
    if not changes.numel():
        return motion
    cost = changes.T * torch.tensor([_STIFF**2, _STIFF**2, 1] * 2).to(changes)
    numbers = (motion - torch.eye(3).to(motion))[:2].reshape(6, 1).to(changes)
    numbers = numbers - changes @ torch.linalg.solve(cost @ changes, cost @ numbers)
    least = torch.eye(3).to(motion)
    least[:2] += numbers.view(2, 3).to(motion)
    return least


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
        there, residual, inside = self._compared(motion)
        slopes = self._slopes((self._image + there) / 2)
        rows = torch.cat([slopes, there[0], self._positions[2:]]).flatten(1)  # in the end, light: gain and offset
        weighted = rows * _weights(residual, inside).flatten()
        normal = weighted @ rows.T
        ridge = 1e-6 * normal.diagonal().mean() + 1e-9
        step, failed = torch.linalg.solve_ex(normal + ridge * torch.eye(len(normal)).to(normal), weighted @ residual.flatten())
        if failed:  # stripes so clean that float32 loses the ridge
            return motion
        change = torch.eye(3).to(motion)
        change[:2] += step[:6].view(2, 3)
        return motion @ change

    def misfit(self, motion: Tensor) -> Tensor:
        """Mean robust error, at most 1; 1 where much of one picture lies outside the other."""
        _, residual, inside = self._compared(motion)
        if inside.mean() < _LEAST_INSIDE:
            return torch.ones_like(inside.sum())
        return (_errors(residual[None, None]) * inside).sum() / inside.sum().clamp_min(1)

    def fair_misfit(self, motion: Tensor) -> Tensor:
        """The misfit with both pictures moved half the way, so that interpolation takes as much detail and noise from either.

        What only one of them shows counts as it does at rest.
        """
        half = torch.linalg.inv_ex((torch.eye(3).to(motion) + motion) / 2).inverse  # of a wild one NaN, which counts as outside
        here, there = (_moved(way, self._positions) for way in (half, motion @ half))
        inside = (inside_of(here) * inside_of(there))[0, 0]
        if inside.mean() < _LEAST_INSIDE:
            return torch.ones_like(inside.sum())
        errors = _errors(_looked_up(self._finer_image, here) - _looked_up(self._finer, there))
        return torch.lerp(self._errors_at_rest, errors, inside).mean()

    @cached_property
    def _finer_image(self) -> Tensor:
        return doubled(self._image)

    @cached_property
    def _errors_at_rest(self) -> Tensor:
        grid = _moved(torch.eye(3).to(self._image), self._positions)
        return _errors(_looked_up(self._finer_image, grid) - _looked_up(self._finer, grid))

    def unseen(self, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Changes [6, n] of a motion that the two pictures do not show, and those [6, m] that they hardly show beside others.

        They show what changes them alike. Noise has slopes too, but others in each picture, so that the mean product of both pictures'
        slopes is what they show, and that of each one's own is that with noise (as by the eigenvalues of Shi & Tomasi 1994).
        """
        height, width = self._image.shape[-2:]
        there, residual, inside = self._compared(motion)
        inside = F.pad(inside[_RIM:-_RIM, _RIM:-_RIM], (_RIM,) * 4)
        weights = (_weights(residual, inside) / inside.sum().clamp_min(1)).flatten().double()
        here, there = (torch.cat([self._slopes(v), v[0], self._positions[2:]]).flatten(1).double() for v in (self._image, there))

        def product(one: Tensor, other: Tensor) -> Tensor:
            whole = (one * weights) @ other.T
            whole = (whole + whole.T) / 2
            light = torch.linalg.solve(whole[6:, 6:] + 1e-12 * torch.eye(2).to(whole), whole[6:, :6])
            return whole[:6, :6] - whole[:6, 6:] @ light  # without what a change of light does as well

        root = matrix_power((product(here, here) + product(there, there))[None] / 2, -0.5)[0]
        shares, changes = torch.linalg.eigh(root @ product(here, there) @ root)
        changes = root @ changes
        # x and y reach from -1 to 1, and their mean square is a third.
        pixels = torch.tensor([width**2 / 12, width**2 / 12, width**2 / 4, height**2 / 12, height**2 / 12, height**2 / 4]).double()
        shown = shares / (pixels @ changes.square())
        unseen = (shares < _SEEN) | (shown < _FAINTEST**2)
        return changes[:, unseen], changes[:, ~unseen & (shown < _WEAKEST**2 * shown.amax())]

    def _slopes(self, view: Tensor) -> Tensor:
        """[6, h, w]: how `view` [1, 1, h, w] changes with each number of a motion."""
        height, width = view.shape[-2:]
        down, across = torch.gradient(view[0, 0])
        return torch.cat([self._positions * across * (width / 2), self._positions * down * (height / 2)])

    def _compared(self, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        grid = _moved(motion, self._positions)
        there = _looked_up(self._finer, grid)
        return there, (self._image - there)[0, 0], inside_of(grid)[0, 0]


def _weights(residual: Tensor, inside: Tensor) -> Tensor:
    """Cauchy weights: what does not fit counts less."""
    scale = 2 * residual.abs().mean() + 1e-3
    return inside / (1 + (residual / scale).square())


def _errors(residual: Tensor) -> Tensor:
    """Robust errors [h, w] of differences [1, 1, h, w], at most 1."""
    squares = residual[0, 0].square()
    return squares / (squares + _TOLERANCE**2)


def _looked_up(view: Tensor, grid: Tensor) -> Tensor:
    """`view` at the places of a motion's grid."""
    return F.grid_sample(view, grid, "bilinear", "border", align_corners=False)


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

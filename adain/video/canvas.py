"""A canvas that stands still in the scene while the camera moves over it, so that strokes do too.

A network answers to where its grid lies: moved by one pixel, a picture is painted with other strokes (`lite`: RMS 8 of 255, 5 for
half a pixel, nothing for four). So frames are laid onto a canvas by the camera's motion, painted there, and seen through the camera
again. What is painted can be compared, and held, from frame to frame without being moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..area import Area
from ..resample import bicubic, resample, translated
from .motion import camera_motion, in_lines, inside_of, small_views

_GRID = 8
"""Canvases begin and end at multiples of so many pixels: the stride of every architecture."""

_SCALES = 0.8, 1.25
"""Of a frame on its canvas. Beyond them strokes would look too large or too small, and a new canvas begins."""

_LARGEST = 1.6
"""Times the pixels of a frame that a canvas may have before a new one begins: a camera that turns needs room for the corners."""

_TURN = 0.1
"""Pixels (of 360 lines) by which corners move other than the middle, from frame to frame, before a camera counts as turning or zooming."""


@dataclass(frozen=True)
class Canvas:
    """The part of a canvas that shows one frame."""

    frame: torch.Size
    """Height and width of the frame."""
    placing: Tensor
    """[3, 3], float64: from x, y, 1 in the frame to the canvas, in pixels."""
    number: int = 0
    """Which canvas of the clip it is."""
    before: Tensor | None = None
    """[3, 3]: from this canvas to the one before it, if it is new and there was one."""

    @classmethod
    def of(cls, frame: torch.Size) -> Canvas:
        """A new one that lies as the frame does."""
        return cls(frame, torch.eye(3, dtype=torch.float64))

    @property
    def still(self) -> bool:
        """Whether the frame lies on its canvas pixel by pixel, so that nothing is resampled."""
        return torch.equal(self.placing, torch.eye(3).to(self.placing))

    @property
    def window(self) -> Area:
        """The part that holds the frame."""
        height, width = self.frame
        if self.still:
            return Area.whole(self.frame)
        corners = self.placing @ torch.tensor([[0.0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]]).double()
        low, high = corners.amin(1).tolist(), corners.amax(1).tolist()
        left, top = (math.floor(n / _GRID) * _GRID for n in low[:2])
        # One cell of the grid more than the frame is long, wherever it begins: frames of one size have canvases of one size.
        across, down = (math.ceil((b - a) / _GRID + 1) * _GRID for a, b in zip(low[:2], high[:2], strict=True))
        return Area(top, left, down, across)

    @property
    def continued(self) -> Canvas:
        """That of a next frame from the same place."""
        return replace(self, before=None)

    def moved(self, motion: Tensor) -> Canvas:
        """That of the next frame, whose pixels were at `motion` [3, 3] in this one (in -1..1, as `camera_motion` gives it)."""
        height, width = self.frame
        motion = motion.cpu().double()
        turn = (motion[:2, :2] - torch.eye(2).to(motion)).abs().sum(1) * torch.tensor([width / 2, height / 2])
        if turn.amax() < _TURN * in_lines(self.frame):
            motion = torch.eye(3).to(motion).index_copy(1, torch.tensor([2]), motion[:, 2:])
        units = _units(self._area)
        placing = self.placing @ units @ motion @ units.inverse()
        moved = Canvas(self.frame, placing, self.number)
        scales = torch.linalg.svdvals(placing[:2, :2]).tolist()
        small = math.prod(moved.window.size) <= _LARGEST * (width + 2 * _GRID) * (height + 2 * _GRID)
        if _SCALES[0] <= min(scales) and max(scales) <= _SCALES[1] and small and moved._meets(self):
            return moved
        return replace(Canvas.of(self.frame), number=self.number + 1, before=placing)

    def motion_since(self, earlier: Canvas) -> Tensor:
        """[3, 3]: where the pixels of this frame were in that of `earlier`, of this canvas or of the one before it, in -1..1."""
        placing = self.placing
        if self.number != earlier.number:
            assert self.before is not None  # a new canvas knows the last one
            placing = self.before @ placing
        units = _units(self._area)
        return units.inverse() @ earlier.placing.inverse() @ placing @ units

    def lay(self, image: Tensor) -> Tensor:
        """`image` [B, C, height, width] of the frame on the canvas; around it, its reflection."""
        if self.still:
            return image
        if self._turned:  # bicubic is good enough here: what it blurs, painting makes sharp again
            grid = _grid(self.placing.inverse(), self.window, self._area, image)
            return bicubic(image, grid, "reflection")
        window, (x, y) = self.window, self.placing[:2, 2].tolist()
        return translated(image, window.left - x, window.top - y, window.size)

    def seen(self, painted: Tensor) -> Tensor:
        """`painted` [B, C, h, w] on the canvas, as the camera sees it."""
        if self.still:
            return painted
        if self._turned:
            return resample(painted, _grid(self.placing, self._area, self.window, painted))
        x, y = self.placing[:2, 2].tolist()
        return translated(painted, x - self.window.left, y - self.window.top, self.frame)

    def brought(self, earlier: Canvas, *pictures: Tensor) -> tuple[Tensor, ...]:
        """`pictures` [B, C, h, w] in 0..1 on the canvas of the frame before, `earlier`, on this one.

        One more is added at the end: [1, 1, H, W], 1 where they show anything.
        """
        everywhere = pictures[0].new_ones(1, 1, *pictures[0].shape[-2:])
        if self.number == earlier.number:
            window, old = self.window, earlier.window
            edges = (old.left - window.left, window.right - old.right, old.top - window.top, window.bottom - old.bottom)
            return tuple(F.pad(p, edges) if any(edges) else p for p in (*pictures, everywhere))
        assert self.before is not None  # a new canvas knows the last one
        grid = _grid(self.before, self.window, earlier.window, pictures[0])
        return *(resample(p, grid).clamp_(0, 1) for p in pictures), inside_of(grid)

    @property
    def _turned(self) -> bool:
        return not torch.equal(self.placing[:2, :2], torch.eye(2).to(self.placing))

    @property
    def _area(self) -> Area:
        return Area.whole(self.frame)

    def _meets(self, other: Canvas) -> bool:
        return min(self.window.meet(other.window).size) > 0


class Camera:
    """Follows the camera through a clip: gives each frame its canvas."""

    def __init__(self) -> None:
        self._before: tuple[list[Tensor], Area | None, Canvas] | None = None

    def __call__(self, image: Tensor, starts_shot: bool, inside: Area | None = None) -> Canvas:
        """The canvas of the next frame [1, 3, H, W] in 0..1, of which only what is `inside` moves with the camera."""
        seen = image if inside is None else inside.of(image)
        views = small_views(seen)
        if self._before is None or starts_shot:
            canvas = Canvas.of(image.shape[-2:])
        else:
            old_views, old_inside, before = self._before
            motion = camera_motion(views, old_views, seen.shape[-2:]) if inside == old_inside else None
            if motion is not None and inside is not None:
                part, whole = _units(inside), _units(Area.whole(image.shape[-2:]))
                motion = whole.inverse() @ part @ motion.double() @ part.inverse() @ whole
            canvas = before.continued if motion is None else before.moved(motion)
        self._before = views, inside, canvas
        return canvas


def _grid(motion: Tensor, window: Area, area: Area, like: Tensor) -> Tensor:
    """For `grid_sample`: where the pixels of `window` are in `area`, by `motion` [3, 3] from the one to the other in pixels."""
    theta = _units(area).inverse() @ motion @ _units(window)
    return F.affine_grid(theta[None, :2].to(like), [1, 1, *window.size], align_corners=False)


def _units(window: Area) -> Tensor:
    """[3, 3]: from -1..1 across a window to pixels."""
    across, down = window.width / 2, window.height / 2
    return torch.tensor([[across, 0, window.left + across], [0, down, window.top + down], [0, 0, 1]], dtype=torch.float64)

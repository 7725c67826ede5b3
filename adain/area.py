"""Areas of a picture, and how it is cut into them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Area(NamedTuple):
    """A rectangle, in pixels of a picture or in cells of a feature map."""

    top: int
    left: int
    height: int
    width: int

    @staticmethod
    def whole(size: Sequence[int]) -> Area:
        """All of a picture of `size` (height, width)."""
        return Area(0, 0, size[0], size[1])

    @staticmethod
    def between(top: int, left: int, bottom: int, right: int) -> Area:
        """The area from one corner to the other; without pixels, but with a size of 0 or less, where they lie the other way round."""
        return Area(top, left, bottom - top, right - left)

    @property
    def bottom(self) -> int:
        """The row below the last one."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The column behind the last one."""
        return self.left + self.width

    @property
    def size(self) -> torch.Size:
        """Height and width."""
        return torch.Size((self.height, self.width))

    def of(self, x: Tensor) -> Tensor:
        """The view of `x` [..., H, W] that shows this area."""
        return x[..., self.top : self.bottom, self.left : self.right]

    def put(self, out: Tensor, picture: Tensor) -> None:
        """Write `picture` [..., height, width], floats in 0..1, into this area of `out`, which may hold 8-bit values."""
        self.of(out).copy_(picture.mul(255).round_() if out.dtype == torch.uint8 else picture)

    def grown(self, margin: int, size: Sequence[int]) -> Area:
        """This area with `margin` pixels more at each side, as far as a picture of `size` (height, width) reaches."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        return Area.between(top, left, min(size[0], self.bottom + margin), min(size[1], self.right + margin))

    def inside(self, outer: Area) -> Area:
        """Where this area lies in `outer`."""
        return self._replace(top=self.top - outer.top, left=self.left - outer.left)

    def meet(self, other: Area) -> Area:
        """The area common to both, which may be empty."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Area.between(top, left, min(self.bottom, other.bottom), min(self.right, other.right))

    def at(self, stride: int) -> Area:
        """The cells of `stride` pixels that this area touches."""
        return Area.between(self.top // stride, self.left // stride, -(-self.bottom // stride), -(-self.right // stride))


def plan(area: Area, side: int, stride: int) -> list[Area]:
    """Tiles of at most about `side` pixels that cover `area`, row by row, as even as can be; they begin at multiples of `stride`."""
    rows, columns = _spans(area.height, side, stride), _spans(area.width, side, stride)
    return [Area(area.top + top, area.left + left, height, width) for top, height in rows for left, width in columns]


def hull(areas: Sequence[Area]) -> Area:
    """The smallest area that holds all `areas`."""
    corners = [(a.top, a.left, a.bottom, a.right) for a in areas]
    tops, lefts, bottoms, rights = zip(*corners, strict=True)
    return Area.between(min(tops), min(lefts), max(bottoms), max(rights))


def squares(tiles: Sequence[Area], side: int) -> list[list[Area]]:
    """The tiles of a plan in squares of at most `side` pixels, one tile at the least."""
    count = max(1, side // max((max(tile.size) for tile in tiles), default=1))
    tops, lefts = sorted({tile.top for tile in tiles}), sorted({tile.left for tile in tiles})
    groups: dict[tuple[int, int], list[Area]] = {}
    for tile in tiles:
        groups.setdefault((tops.index(tile.top) // count, lefts.index(tile.left) // count), []).append(tile)
    return list(groups.values())


def bands(where: Tensor, stride: int) -> list[Area]:
    """Areas that hold all that is above 0 in `where` [1, 1, H, W], one for each run of rows; they begin at multiples of `stride`."""
    found = F.max_pool2d(where, stride, ceil_mode=True)[0, 0] > 0
    rows = found.any(1).nonzero().flatten().tolist()
    whole = Area.whole(where.shape[-2:])
    areas = []
    for top, bottom in zip((r for r in rows if r - 1 not in rows), (r + 1 for r in rows if r + 1 not in rows), strict=True):
        columns = found[top:bottom].any(0).nonzero()
        corners = (top, int(columns[0]), bottom, int(columns[-1]) + 1)
        areas.append(Area.between(*(n * stride for n in corners)).meet(whole))
    return areas


def _spans(length: int, side: int, stride: int) -> list[tuple[int, int]]:
    count = math.ceil(length / max(side, stride))
    step = math.ceil(length / count / stride) * stride
    return [(start, min(step, length - start)) for start in range(0, length, step)]

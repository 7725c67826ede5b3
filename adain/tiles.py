"""How a picture is cut into tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from .model import StyleTransferModel  # which measures styles in tiles

SMALLEST_TILE = 128
"""Side of the smallest tiles that are tried; below it hardly anything but the halo is computed."""

CPU_TILE = 512
"""On a CPU, tiles bound the memory, stay near the cache, and their buffers are small enough to be used again: docs/lab/performance.md."""

BLOCK = 3 * CPU_TILE
"""Where the features of the whole picture are not kept, those of a square of at most this side are, while its tiles are painted."""

CPU_WHOLE = 1000**2
"""Up to as many pixels are painted in one piece there: the largest buffer of `lite`, 32 bytes a pixel, is just below the 32 MB from which
glibc asks the system for fresh pages each time."""


class Tile(NamedTuple):
    """An area of a picture."""

    rows: slice
    columns: slice

    def grown(self, halo: int, size: torch.Size) -> Tile:
        """With `halo` pixels more at each side, as far as a picture of `size` (height, width) reaches."""
        return Tile(*(slice(max(0, s.start - halo), min(n, s.stop + halo)) for s, n in zip(self, size, strict=True)))

    def within(self, outer: Tile) -> Tile:
        """Where it lies in `outer`."""
        return Tile(*(slice(s.start - o.start, s.stop - o.start) for s, o in zip(self, outer, strict=True)))

    def meet(self, other: Tile) -> Tile:
        """What is common to both, which may be nothing: then it has a size of 0 or less."""
        return Tile(*(slice(max(s.start, o.start), min(s.stop, o.stop)) for s, o in zip(self, other, strict=True)))

    @property
    def size(self) -> torch.Size:
        """Height and width."""
        return torch.Size(s.stop - s.start for s in self)

    def of(self, x: Tensor) -> Tensor:
        """This area of `x` [..., H, W]."""
        return x[..., self.rows, self.columns]


def plan(size: torch.Size, side: int, stride: int) -> list[Tile]:
    """Tiles of at most about `side` pixels that cover a picture of `size` (height, width), row by row, as even as can be."""
    rows, columns = (_spans(n, side, stride) for n in size)
    return [Tile(r, c) for r in rows for c in columns]


def _spans(length: int, side: int, stride: int) -> list[slice]:
    count = math.ceil(length / max(side, stride))
    step = math.ceil(length / count / stride) * stride
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def bands(where: Tensor, stride: int) -> list[Tile]:
    """Areas that hold all that is above 0 in `where` [1, 1, H, W], one for each run of rows; they begin at multiples of `stride`."""
    found = F.max_pool2d(where, stride, ceil_mode=True)[0, 0] > 0
    rows = found.any(1).nonzero().flatten().tolist()
    areas = []
    for top, bottom in zip((r for r in rows if r - 1 not in rows), (r + 1 for r in rows if r + 1 not in rows), strict=True):
        columns = found[top:bottom].any(0).nonzero()
        area = Tile(slice(top, bottom), slice(int(columns[0]), int(columns[-1]) + 1))
        areas.append(Tile(*(slice(s.start * stride, min(s.stop * stride, n)) for s, n in zip(area, where.shape[-2:], strict=True))))
    return areas


def hull(tiles: Sequence[Tile]) -> Tile:
    """The smallest area that holds all `tiles`."""
    return Tile(*(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*tiles, strict=True)))


def blocks(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """The tiles of a plan in squares of at most `BLOCK` pixels, one tile at the least."""
    count = max(1, BLOCK // max((max(tile.size) for tile in tiles), default=1))
    rows, columns = (sorted({tile[axis].start for tile in tiles}) for axis in (0, 1))
    groups: dict[tuple[int, int], list[Tile]] = {}
    for tile in tiles:
        groups.setdefault((rows.index(tile.rows.start) // count, columns.index(tile.columns.start) // count), []).append(tile)
    return list(groups.values())


def choose_side(model: StyleTransferModel, size: torch.Size, memory: int | None = None) -> int:
    """The side of the tiles in which a picture of `size` (height, width) is best painted; one that covers it for in one piece.

    `memory` is what the device has free, in bytes (default: what torch says).
    """
    if model.device.type == "cpu":
        return CPU_TILE if math.prod(size) > CPU_WHOLE else max(size)
    per_pixel = model.values_per_pixel * model.dtype.itemsize
    memory = _free_memory(model.device) if memory is None else memory
    if math.prod(size) * per_pixel <= memory:
        return max(size)
    return max(SMALLEST_TILE, math.isqrt(memory // per_pixel) - 2 * model.halo)


def _free_memory(device: torch.device) -> int:
    if device.type != "cuda":
        return 2**30  # what any accelerator has; torch has no question for it that all of them answer
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)

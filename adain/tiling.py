"""Painting a picture tile by tile, with the result it has in one piece.

AdaIN needs to know only the moments of the whole: they are merged over the tiles, and every tile is painted with them. Around
each tile the network sees as many pixels as it can look at (`StyleTransferModel.halo`), so there are no seams; at the edges of
the picture, and only there, borders are reflected. Tiles begin at multiples of the stride, where the network's grid does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .affine import affine
from .color import ColorMode, apply_color_mode, lay_over
from .kept import part
from .model import StyleTransferModel
from .moments import Moments, color_moments, merge
from .passes import Content, Targets, encode, measure_colors, measure_features, paint

Advance = Callable[[int], None]
"""Called after each tile, with 1 for one that was measured or painted and 0 in the quick passes over colours; raise from it to stop."""

SMALLEST_TILE = 128
"""Side of the smallest tiles that are tried; below it hardly anything but the halo is computed."""

CPU_TILE = 768
"""On a CPU, tiles bound the memory, stay nearer to the cache, and keep the buffers of `lite` below the 32 MB from which glibc asks the
system for fresh pages each time: docs/performance.md."""

CPU_WHOLE = 1024**2
"""Up to as many pixels are painted in one piece there: cut into four, 1024 x 1024 pays more for the halos than it gains."""


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


@torch.inference_mode()
def measure_tiles(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    weights: Tensor | None,
    strength: float,
    tiles: Sequence[Tile],
    advance: Advance,
    kept: list[Tensor] | None = None,
) -> Content:
    """First pass: what `measure` gives for the whole of `images` [B, 3, H, W], floats or 8-bit values, merged in float64.

    The features are left in `kept`, if given, see `feature_maps`.
    """
    size = images.shape[-2:]
    union = _Union()
    for tile in tiles if model.color else ():
        seen, seen_weights = _load(model, images, weights, tile)
        union.add(measure_colors(model, seen, seen_weights))
        advance(0)
    colors = union.of(model, images) if model.color else [[] for _ in targets]
    union = _Union()
    for tile in tiles:
        outer = tile.grown(model.encoder_halo, size)
        inner = tile.within(outer)
        seen, seen_weights = _load(model, images, weights, outer)
        encoded = encode(model, seen, colors, targets, seen_weights, strength)
        measured = measure_features(model, encoded, colors, seen_weights, interior=inner)
        union.add([region[len(color) :] for region, color in zip(measured, colors, strict=True)])
        if kept is not None:
            for whole, own in zip(part(model, kept, tile, size), part(model, encoded.features, inner, seen.shape[-2:]), strict=True):
                whole.copy_(own)
        advance(1)
    features = union.of(model, images)
    return [[*color, *region] for color, region in zip(colors, features, strict=True)]


@torch.inference_mode()
def paint_tiles(
    model: StyleTransferModel,
    images: Tensor,
    out: Tensor,
    content: Content,
    targets: Targets,
    weights: Tensor | None,
    strength: float,
    color: ColorMode,
    tiles: Sequence[Tile],
    advance: Advance,
    kept: list[Tensor] | None = None,
) -> None:
    """Second pass: the `tiles` of `out` [B, 3, H, W], floats or 8-bit values, painted with the moments `content`.

    `kept` are the features that `measure_tiles` left; without them they are made again. With `color` "match" the tiles are not
    finished before `match_tiles`, which looks at all of them.
    """
    for tile in tiles:
        outer = tile.grown(model.halo if kept is None else model.decoder_halo, images.shape[-2:])
        inner = tile.within(outer)
        seen, seen_weights = _load(model, images, weights, outer)
        covered = None if seen_weights is None else inner.of(seen_weights).sum(1, keepdim=True)
        below = inner.of(seen)
        if covered is not None and not covered.any():
            _store(out, tile, below)
        else:
            features = None if kept is None else part(model, kept, outer, images.shape[-2:])
            painted = inner.of(paint(model, seen, content, targets, seen_weights, strength, features)).clamp_(0, 1)
            if color != "match":
                painted = lay_over(below, apply_color_mode(color, below, painted, covered), covered)
            _store(out, tile, painted)
        advance(1)


@torch.inference_mode()
def match_tiles(
    model: StyleTransferModel, images: Tensor, painted: Tensor, out: Tensor, weights: Tensor | None, tiles: Sequence[Tile], advance: Advance
) -> None:
    """Third pass, for the colour mode "match": `painted` moved to the colours of `images`, both [B, 3, H, W], into `out`.

    `out` may be `painted` itself. Colours count where `weights` [B, K, H, W] lie.
    """
    union = _Union()
    for tile in tiles:
        below, covered, above = _pair(model, images, painted, weights, tile)
        union.add([[color_moments(above, covered), color_moments(below, covered)]])
        advance(0)
    ((own, wanted),) = union.of(model, images)
    to_colors = affine(own.statistics(), wanted.statistics())
    for tile in tiles:
        below, covered, above = _pair(model, images, painted, weights, tile)
        _store(out, tile, lay_over(below, to_colors(above).clamp(0, 1), covered))
        advance(0)


def _pair(
    model: StyleTransferModel, images: Tensor, painted: Tensor, weights: Tensor | None, tile: Tile
) -> tuple[Tensor, Tensor | None, Tensor]:
    below, tile_weights = _load(model, images, weights, tile)
    above, _ = _load(model, painted, None, tile)
    return below, None if tile_weights is None else tile_weights.sum(1, keepdim=True), above.to(below)


def _load(model: StyleTransferModel, images: Tensor, weights: Tensor | None, tile: Tile) -> tuple[Tensor, Tensor | None]:
    seen = _values(tile.of(images).to(model.device))
    return seen, None if weights is None else _values(tile.of(weights).to(model.device)).to(seen)


def _values(x: Tensor) -> Tensor:
    """0..1 in float32, or in float64 if `x` is that."""
    if x.dtype == torch.uint8:
        return x.contiguous().float().div_(255)
    return (x if x.dtype == torch.float64 else x.float()).contiguous()


def _store(out: Tensor, tile: Tile, picture: Tensor) -> None:
    if out.dtype == torch.uint8:
        picture = picture.mul(255).round_()
    tile.of(out).copy_(picture)


class _Union:
    """The moments of tiles, merged one by one.

    Kept in a list, such small tensors lie among the large buffers of a tile and hold the heap's pages: 500 tiles took 7 GB.
    """

    def __init__(self) -> None:
        self._whole: list[list[Moments]] | None = None

    def add(self, tile: Content) -> None:
        # On the CPU: not every accelerator has float64.
        own = [[Moments(m.mean.cpu(), m.var.cpu(), m.weight.cpu()) for m in region] for region in tile]
        parts = [own] if self._whole is None else [self._whole, own]
        self._whole = [[merge(level) for level in zip(*region, strict=True)] for region in zip(*parts, strict=True)]

    def of(self, model: StyleTransferModel, images: Tensor) -> list[list[Moments]]:
        """On the model's device, in the precision that a picture in one piece has there."""
        assert self._whole is not None  # there is at least one tile
        dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
        return [[Moments(*(t.to(model.device, dtype) for t in (m.mean, m.var, m.weight))) for m in region] for region in self._whole]

"""Painting a picture tile by tile, with the result it has in one piece.

AdaIN needs to know only the moments of the whole: they are merged over the tiles, and every tile is painted with them. Around
each tile the network sees as many pixels as it can look at (`StyleTransferModel.halo`), so there are no seams; at the edges of
the picture, and only there, borders are reflected. Tiles begin at multiples of the stride, where the network's grid does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..affine import affine
from ..color import ColorMode, apply_color_mode, lay_over
from ..coverage import Coverage
from ..model import StyleTransferModel
from ..moments import color_moments
from ..pipeline import Content, Encoded, Targets, encode, measure_colors, measure_features, paint, prepare, shown
from ..tiles import CPU_TILE, Tile, blocks, hull, plan
from ..union import Union
from .features import cells, feature_maps, part

Advance = Callable[[int], None]
"""Called after each tile, with 1 for one that was measured or painted and 0 in the quick passes over colours; raise from it to stop."""

PREPARE_TILE = 2 * CPU_TILE
"""`StyleTransferModel.prepare` works on buffers a quarter as large."""


@torch.inference_mode()
def measure_tiles(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    coverage: Coverage | None,
    strength: float,
    tiles: Sequence[Tile],
    advance: Advance,
    kept: list[Tensor] | None = None,
) -> Content:
    """First pass: what `measure` gives for the whole of `images` [B, 3, H, W], floats or 8-bit values, merged in float64.

    The features are left in `kept`, if given, of `feature_maps`.
    """
    colors: Content = [[] for _ in targets]
    if model.color:
        union = Union()
        for tile in tiles:
            seen, seen_coverage = _load(model, images, coverage, tile)
            union.add(measure_colors(model, seen, seen_coverage))
            advance(0)
        colors = union.of(model, images)
    return measure_tiles_features(model, images, colors, targets, coverage, strength, tiles, advance, kept)


@torch.inference_mode()
def measure_tiles_features(
    model: StyleTransferModel,
    images: Tensor,
    colors: Content,
    targets: Targets,
    coverage: Coverage | None,
    strength: float,
    tiles: Sequence[Tile],
    advance: Advance,
    kept: list[Tensor] | None = None,
) -> Content:
    """`measure_tiles`, after its `colors`."""
    union = Union()
    for tile in tiles:
        encoded, inner, seen_coverage = _encode_tile(model, images, colors, targets, coverage, strength, tile, kept)
        measured = measure_features(model, encoded, colors, seen_coverage, interior=inner)
        union.add([region[len(color) :] for region, color in zip(measured, colors, strict=True)])
        advance(1)
    features = union.of(model, images)
    return [[*color, *region] for color, region in zip(colors, features, strict=True)]


def _encode_tile(
    model: StyleTransferModel,
    images: Tensor,
    colors: Content,
    targets: Targets,
    coverage: Coverage | None,
    strength: float,
    tile: Tile,
    kept: list[Tensor] | None,
) -> tuple[Encoded, Tile, Coverage | None]:
    """A tile with its surroundings encoded, where it lies in that, and the coverage there; its features are left in `kept`."""
    outer = tile.grown(model.encoder_halo, images.shape[-2:])
    inner = tile.within(outer)
    seen, seen_coverage = _load(model, images, coverage, outer)
    encoded = encode(model, seen, colors, targets, seen_coverage, strength)
    if kept is not None:
        own = part(model, encoded.features, inner, seen.shape[-2:])
        for whole, feature in zip(part(model, kept, tile, images.shape[-2:]), own, strict=True):
            whole.copy_(feature)
    return encoded, inner, seen_coverage


@torch.inference_mode()
def paint_tiles(
    model: StyleTransferModel,
    images: Tensor,
    out: Tensor,
    content: Content,
    targets: Targets,
    coverage: Coverage | None,
    strength: float,
    color: ColorMode,
    tiles: Sequence[Tile],
    advance: Advance,
    kept: list[Tensor] | None = None,
) -> None:
    """Second pass: the `tiles` of `out` [B, 3, H, W], floats or 8-bit values, painted with the moments `content`.

    `kept` are the features that `measure_tiles` left. Without them they are made again, on a CPU block by block. With `color` "match"
    the tiles are not finished before `match_tiles`, which looks at all of them.
    """
    if coverage is not None:
        tiles = _without_unreached(images, out, coverage, tiles, advance)
    if kept is None and model.device.type == "cpu":
        for block in blocks(tiles):
            area = hull(block).grown(model.halo, images.shape[-2:])
            seen, seen_coverage = area.of(images), None if coverage is None else coverage.map(area.of)
            made = feature_maps(model, area.size)
            for tile in plan(area.size, CPU_TILE, model.stride):
                _encode_tile(model, seen, content, targets, seen_coverage, strength, tile, made)
            inner = [tile.within(area) for tile in block]
            paint_tiles(model, seen, area.of(out), content, targets, seen_coverage, strength, color, inner, advance, made)
        return
    if kept is not None and tiles:
        kept = [*kept[:-1], _prepared(model, kept, content, targets, coverage, strength, images)]
    size = images.shape[-2:]
    for tile in tiles:
        outer = tile.grown(model.halo if kept is None else model.finish_halo, size)
        inner = tile.within(outer)
        seen, seen_coverage = _load(model, images, coverage, outer)
        features = None if kept is None else part(model, kept, outer, size)
        painted = inner.of(paint(model, seen, content, targets, seen_coverage, strength, features, prepared=kept is not None)).clamp_(0, 1)
        if color != "match":
            below = inner.of(seen)
            visible = shown(content, targets, None if seen_coverage is None else seen_coverage.map(inner.of), strength)
            painted = lay_over(below, apply_color_mode(color, below, painted, None), visible)
        _store(out, tile, painted)
        advance(1)


def _without_unreached(images: Tensor, out: Tensor, coverage: Coverage, tiles: Sequence[Tile], advance: Advance) -> list[Tile]:
    """The tiles that `coverage` reaches; the others are painted: they stay as they are."""
    reached = []
    for tile in tiles:
        if tile.of(coverage.cover).any():
            reached.append(tile)
        else:
            _store(out, tile, _values(tile.of(images)))
            advance(1)
    return reached


def _prepared(
    model: StyleTransferModel,
    kept: list[Tensor],
    content: Content,
    targets: Targets,
    coverage: Coverage | None,
    strength: float,
    images: Tensor,
) -> Tensor:
    """The coarsest of the features `kept` of `images`, prepared for `finish`."""
    size, dtype = images.shape[-2:], torch.promote_types(images.dtype, torch.float32)
    whole: Tensor | None = None
    for tile in plan(size, PREPARE_TILE, model.stride):
        outer = tile.grown(model.prepare_halo, size)
        seen_coverage = _load_coverage(model, coverage, outer, dtype)
        own = prepare(model, cells(kept[-1], outer, size, model.stride), content, targets, seen_coverage, strength)
        own = cells(own, tile.within(outer), outer.size, model.stride)
        if whole is None:
            shape = (len(own), own.shape[1], *kept[-1].shape[2:])
            whole = torch.empty(shape, dtype=own.dtype, device=own.device, memory_format=torch.channels_last)
        cells(whole, tile, size, model.stride).copy_(own)
    assert whole is not None
    return whole


@torch.inference_mode()
def match_tiles(
    model: StyleTransferModel,
    images: Tensor,
    painted: Tensor,
    out: Tensor,
    content: Content,
    targets: Targets,
    coverage: Coverage | None,
    strength: float,
    tiles: Sequence[Tile],
    advance: Advance,
) -> None:
    """Third pass, for the colour mode "match": `painted` moved to the colours of `images`, both [B, 3, H, W], into `out`.

    `out` may be `painted` itself. Colours count where `coverage` lies. Other arguments as for `paint_tiles`.
    """
    union = Union()
    for tile in tiles:
        below, seen, above = _pair(model, images, painted, coverage, tile)
        counted = None if seen is None else seen.counted
        union.add([[color_moments(above, counted), color_moments(below, counted)]])
        advance(0)
    ((own, wanted),) = union.of(model, images)
    to_colors = affine(own.statistics(), wanted.statistics())
    for tile in tiles:
        below, seen, above = _pair(model, images, painted, coverage, tile)
        _store(out, tile, lay_over(below, to_colors(above).clamp(0, 1), shown(content, targets, seen, strength)))
        advance(0)


def _pair(
    model: StyleTransferModel, images: Tensor, painted: Tensor, coverage: Coverage | None, tile: Tile
) -> tuple[Tensor, Coverage | None, Tensor]:
    below, tile_coverage = _load(model, images, coverage, tile)
    above, _ = _load(model, painted, None, tile)
    return below, tile_coverage, above.to(below)


def _load(model: StyleTransferModel, images: Tensor, coverage: Coverage | None, tile: Tile) -> tuple[Tensor, Coverage | None]:
    seen = _values(tile.of(images).to(model.device))
    return seen, _load_coverage(model, coverage, tile, seen.dtype)


def _load_coverage(model: StyleTransferModel, coverage: Coverage | None, tile: Tile, dtype: torch.dtype) -> Coverage | None:
    return None if coverage is None else coverage.map(lambda t: _values(tile.of(t).to(model.device))).to(model.device, dtype)


def _values(x: Tensor) -> Tensor:
    """0..1 in float32, or in float64 if `x` is that."""
    if x.dtype == torch.uint8:
        return x.contiguous().float().div_(255)
    return (x if x.dtype == torch.float64 else x.float()).contiguous()


def _store(out: Tensor, tile: Tile, picture: Tensor) -> None:
    if out.dtype == torch.uint8:
        picture = picture.mul(255).round_()
    tile.of(out).copy_(picture)

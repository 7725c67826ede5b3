"""Painting a picture tile by tile, with the result it has in one piece.

AdaIN needs to know only the moments of the whole: they are merged over the tiles, and every tile is painted with them. Around
each tile the network sees as many pixels as it can look at (`StyleTransferModel.halo`), so there are no seams; at the edges of
the picture, and only there, borders are reflected. Tiles begin at multiples of the stride, where the network's grid does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..affine import affine
from ..area import Area, hull, plan, squares
from ..color import ColorMode, apply_color_mode, lay_over
from ..content import ContentMoments, Union
from ..features import FeatureMaps
from ..memory import is_out_of_memory, release
from ..moments import color_moments
from ..pipeline import Encoded, Painter
from ..precision import wide, wide_dtype
from ..progress import Steps


class TiledPainter:
    """What a Painter does, over the tiles of one picture.

    `images` is [1, 3, H, W], floats in 0..1 or 8-bit values, on any device, as is the coverage of the painter's aim. The features that
    are measured are left in `maps`, if given, and painted from there. Where memory runs out, what is left to do is done in smaller tiles.
    """

    def __init__(self, painter: Painter, images: Tensor, tiles: Sequence[Area], steps: Steps, maps: FeatureMaps | None = None) -> None:
        self._painter, self._images, self._tiles, self._steps, self._maps = painter, images, tiles, steps, maps
        self._model, self._planned = painter.model, len(tiles)

    @torch.inference_mode()
    def measure(self) -> ContentMoments:
        """First pass: what `Painter.measure` gives for the whole picture, merged in float64."""
        if not self._model.color:
            return self.measure_features(ContentMoments(()))
        union = Union()
        self._all(lambda tile: union.add(self._at(tile).measure_colors(self._seen(tile))), steps=0)
        return self.measure_features(union.of(self._model.device, self._images))

    @torch.inference_mode()
    def measure_features(self, colors: ContentMoments) -> ContentMoments:
        """The end of `measure`, after its `colors`."""
        union = Union()

        def measure(tile: Area) -> None:
            outer, encoded = self._encode(tile, colors)
            measured = self._at(outer).measure_features(encoded, colors, tile.inside(outer))
            union.add(replace(measured, colors=()))

        self._all(measure)
        return replace(colors, features=union.of(self._model.device, self._images).features)

    @torch.inference_mode()
    def paint(self, content: ContentMoments, out: Tensor, color: ColorMode, tiles: Sequence[Area] | None = None) -> None:
        """Second pass: `tiles` (default: all) of `out` [1, 3, H, W], floats or 8-bit values, painted with the moments `content`.

        Features that were not kept are made again, on a CPU square by square. With `color` "match" nothing is finished before `match`,
        which looks at all of it.
        """
        if tiles is None:
            tiles = self._tiles
            self._steps.more(len(tiles) - self._planned)
        tiles = self._reached(out, tiles)
        if self._maps:
            self._paint_kept(content, out, color, tiles)
        elif self._model.device.type != "cpu":
            self._each(tiles, lambda tile: self._finish(tile, content, out, color, None))
        else:
            for square in squares(tiles, self._model.tiling.block):
                area = hull(square).grown(self._model.halo, self._images.shape[-2:])
                parts = plan(Area.whole(area.size), self._model.tiling.side, self._model.stride)
                maps = FeatureMaps.empty(self._model, area.size)
                around = TiledPainter(self._painter.crop(area), area.of(self._images), parts, self._steps, maps)
                for part in parts:
                    around._encode(part, content)
                around._paint_kept(content, area.of(out), color, [tile.inside(area) for tile in square])

    @torch.inference_mode()
    def match(self, content: ContentMoments, painted: Tensor, out: Tensor) -> None:
        """Third pass, for the colour mode "match": `painted` moved to the colours of the picture, into `out`, maybe `painted` itself."""
        union = Union()

        def measure(tile: Area) -> None:
            pictures, counted = (self._seen(tile, painted), self._seen(tile)), self._at(tile).aim.counted
            union.add(ContentMoments(tuple(color_moments(picture, counted) for picture in pictures)))

        def move(tile: Area) -> None:
            moved = to_colors(self._seen(tile, painted)).clamp(0, 1)
            tile.put(out, lay_over(self._seen(tile), moved, self._at(tile).aim.shown(content)))

        self._all(measure, steps=0)
        own, wanted = union.of(self._model.device, self._images).colors
        to_colors = affine(own.statistics(), wanted.statistics())
        self._all(move, steps=0)

    def _at(self, area: Area) -> Painter:
        """The painter of a part, ready for it."""
        return replace(self._painter, aim=self._painter.aim.crop(area).ready(self._model.device, self._images))

    def _seen(self, area: Area, picture: Tensor | None = None) -> Tensor:
        """A part of `picture` (default: of what is painted) as the network takes it."""
        part = area.of(self._images if picture is None else picture).to(self._model.device)
        return wide(part).contiguous().to(wide_dtype(self._images.dtype))

    def _encode(self, tile: Area, content: ContentMoments) -> tuple[Area, Encoded]:
        """A tile with its surroundings encoded; its features are left in the maps."""
        outer = tile.grown(self._model.encoder_halo, self._images.shape[-2:])
        encoded = self._at(outer).encode(self._seen(outer), content)
        if self._maps:
            self._maps.store(tile, encoded.maps.view(tile.inside(outer)))
        return outer, encoded

    def _paint_kept(self, content: ContentMoments, out: Tensor, color: ColorMode, tiles: Sequence[Area]) -> None:
        """Paint `tiles` from the maps."""
        if tiles:
            maps = self._prepared(content)
            self._each(tiles, lambda tile: self._finish(tile, content, out, color, maps))

    def _prepared(self, content: ContentMoments) -> FeatureMaps:
        """The maps with the coarsest of them prepared for `finish`."""
        assert self._maps is not None
        *finer, coarsest = self._maps.maps
        whole: FeatureMaps | None = None
        for tile in plan(Area.whole(self._maps.size), self._model.tiling.prepared, self._model.stride):
            outer = tile.grown(self._model.prepare_halo, self._maps.size)
            seen = self._maps.view(outer)
            own = self._at(outer).prepare(seen.maps[-1], content)
            if whole is None:
                shape = (len(own), own.shape[1], *coarsest.shape[2:])
                empty = torch.empty(shape, dtype=own.dtype, device=own.device, memory_format=torch.channels_last)
                whole = replace(self._maps, maps=[*finer, empty], prepared=True)
            inner = replace(seen, maps=[*seen.maps[:-1], own]).view(tile.inside(outer))
            whole.view(tile).maps[-1].copy_(inner.maps[-1])
        assert whole is not None
        return whole

    def _finish(self, tile: Area, content: ContentMoments, out: Tensor, color: ColorMode, maps: FeatureMaps | None) -> None:
        """Paint one tile of `out`, from `maps` if there are any."""
        outer = tile.grown(self._model.finish_halo if maps else self._model.halo, self._images.shape[-2:])
        inner, seen, painter = tile.inside(outer), self._seen(outer), self._at(outer)
        painted = inner.of(painter.paint(seen, content, maps and maps.view(outer))).clamp_(0, 1)
        if color != "match":
            below = inner.of(seen)
            painted = lay_over(below, apply_color_mode(color, below, painted, None), painter.crop(inner).aim.shown(content))
        tile.put(out, painted)

    def _reached(self, out: Tensor, tiles: Sequence[Area]) -> Sequence[Area]:
        """The tiles that the aim reaches; the others are painted: they stay as they are."""
        coverage = self._painter.aim.coverage
        if coverage is None:
            return tiles
        reached = []
        for tile in tiles:
            if tile.of(coverage.cover).any():
                reached.append(tile)
            else:
                tile.put(out, wide(tile.of(self._images)))
                self._steps()
        return reached

    def _all(self, work: Callable[[Area], None], steps: int = 1) -> None:
        """Do `work` for the whole picture, whose tiles may have become smaller in an earlier pass."""
        self._steps.more(steps * (len(self._tiles) - self._planned))
        self._each(self._tiles, work, steps)

    def _each(self, tiles: Iterable[Area], work: Callable[[Area], None], steps: int = 1) -> None:
        """Do `work` for all tiles; for parts of those that are left once memory runs out."""
        left = list(tiles)[::-1]
        while left:
            side = max(left[-1].size) // 2
            try:
                work(left[-1])
            except Exception as error:
                if not is_out_of_memory(error) or side < self._model.tiling.least:
                    raise
            else:
                left.pop()
                self._steps(steps)
                continue
            release(self._model.device)
            self._tiles, smaller = self._cut(self._tiles, side), self._cut(left[::-1], side)[::-1]
            self._steps.more(steps * (len(smaller) - len(left)))
            left = smaller

    def _cut(self, tiles: Sequence[Area], side: int) -> list[Area]:
        return [part for tile in tiles for part in plan(tile, side, self._model.stride)]

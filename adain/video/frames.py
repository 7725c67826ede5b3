"""Single frames on their way from the task to the picture, and the network's work on several of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor

from ..aim import Aim
from ..area import Area, bands, plan
from ..content import ContentMoments
from ..features import FeatureMaps
from ..look import Look, Region
from ..memory import Portion
from ..model import StyleTransferModel
from ..pipeline import Painter
from ..precision import wide
from ..progress import Steps
from ..style import Style
from ..stylize import at_once
from ..tiling.painter import TiledPainter
from .canvas import Canvas

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Task:
    """A frame and how it is to be painted."""

    image: Tensor
    """[1, 3, H, W], float in 0..1 or uint8."""
    index: int
    style: Style | Sequence[Region] | Look
    """Styles and masks of one row each. Where masks are 0 everywhere the frame stays as it is."""
    painted: bool = True
    """If not, the frame only shows where the camera went, as those long before the first one that a resumed run paints."""

    @cached_property
    def look(self) -> Look:
        """What `style` asks for."""
        return Look.of(self.style)


@dataclass(frozen=True)
class FrameState:
    """What is known so far of a frame that is on its way."""

    task: Task
    image: Tensor
    """[1, 3, H, W] as the network sees it, in the precision of the task: frames wait as they came, in a quarter of the memory."""
    aim: Aim
    canvas: Canvas
    starts_shot: bool = False
    inside: Area | None = None
    """The frame without its black bars, if it has any."""
    fixed: Tensor | None = None
    """[1, 1, h, w], 1 where the frame stands still on the screen while the camera moves; None if nowhere, as without a canvas."""
    laid: Tensor | None = None
    """The image on its canvas; None if that is the image itself."""
    laid_aim: Aim | None = None
    """The aim on the canvas."""
    content: ContentMoments | None = None
    maps: FeatureMaps | None = None
    """Of the image in the colours that `content` says, kept so that they need not be made again: 14 values a pixel of `lite`."""

    @property
    def measured(self) -> ContentMoments:
        """What was measured, of a frame of which something was."""
        assert self.content is not None
        return self.content

    @property
    def on_canvas(self) -> tuple[Tensor, Aim]:
        """The image on its canvas as it came, and the aim there."""
        return (self.image, self.aim) if self.laid is None or self.laid_aim is None else (self.laid, self.laid_aim)

    @property
    def kind(self) -> tuple[tuple[float, ...], bool, int, torch.Size]:
        """What frames that are painted together have in common."""
        look = self.task.look
        return tuple(look.strengths), look.masked, len(look.regions), self.canvas.window.size


class FramePainter:
    """Measures and paints frames, several at once, on their canvases."""

    def __init__(self, model: StyleTransferModel, chunk: int) -> None:
        self.model = model
        self._portion = Portion(chunk, model.tiling.least, model.device)

    def image(self, image: Tensor) -> Tensor:
        """`image` as the network takes it."""
        return wide(image.to(self.model.device)).contiguous()

    def with_colors(self, frame: FrameState) -> FrameState:
        """A frame with the moments of its colours, if the model matches them."""
        image, aim = frame.on_canvas
        return replace(frame, content=Painter(self.model, aim).measure_colors(self.image(image)))

    def with_features(self, stream: Iterable[FrameState], waiting: int) -> Iterator[FrameState]:
        """Frames with the moments of the features, seen through the map of the colours that `stream` brings, and those features.

        They are not kept where those of as many frames as are `waiting` would be too large, nor if none is.
        """

        @torch.inference_mode()
        def measure(group: Sequence[FrameState]) -> list[FrameState]:
            images, painter = self._batch(group)
            colors, size, tiles = ContentMoments.cat([frame.measured for frame in group]), images.shape[-2:], self._tiles(images)
            if len(tiles) > 1:
                maps = FeatureMaps.empty(self.model, size) if waiting and FeatureMaps.are_kept(self.model, size, waiting) else None
                return [replace(group[0], content=TiledPainter(painter, images, tiles, Steps(), maps).measure_features(colors), maps=maps)]
            encoded = painter.encode(images, colors)
            content = painter.measure_features(encoded, colors)
            keep = waiting > 0 and FeatureMaps.fit(self.model, size, waiting)
            rows = [encoded.maps.row(i) if keep else None for i in range(len(group))]
            return [replace(frame, content=content.row(i), maps=rows[i]) for i, frame in enumerate(group)]

        for frames in self._each(stream, measure):
            yield from frames

    def painted(self, stream: Iterable[FrameState]) -> Iterator[tuple[FrameState, Tensor, Tensor]]:
        """Each frame with its image and that image painted everywhere, both on its canvas."""
        for group in self._each(stream, self._paint):
            yield from group

    @torch.inference_mode()
    def in_place(self, frame: FrameState, seen: Tensor, where: Tensor) -> Tensor:
        """`seen` [1, 3, H, W], painted as the frame lies on the screen, not on its canvas, at least `where` [1, 1, H, W] is above 0."""
        image = self.image(frame.image)
        painted = seen.clone()
        for band in bands(where, self.model.stride):
            tiles = [part for tile in self._tiles(image) if min((part := tile.meet(band)).size) > 0]
            # "match" leaves what is painted as it is: colours and what is not covered come later.
            TiledPainter(Painter(self.model, frame.aim), image, tiles, Steps()).paint(frame.measured, painted, "match")
        return painted

    @torch.inference_mode()
    def _paint(self, group: Sequence[FrameState]) -> list[tuple[FrameState, Tensor, Tensor]]:
        images, painter = self._batch(group)
        known = [frame.content for frame in group if frame.content is not None]
        content = ContentMoments.cat(known) if known else None
        kept = [frame.maps for frame in group if frame.maps is not None]
        maps = FeatureMaps.cat(kept) if len(kept) == len(group) else None
        tiles = self._tiles(images)
        if len(tiles) > 1:
            tiled = TiledPainter(painter, images, tiles, Steps(), maps)
            content = content or tiled.measure()
            painted = torch.empty_like(images)
            tiled.paint(content, painted, "match")
        elif content:
            painted = painter.paint(images, content, maps)
        else:
            painted, content = painter.rendered(images)
        if not known:
            group = [replace(frame, content=content.row(i)) for i, frame in enumerate(group)]
        return [*zip(group, images.split(1), painted.clamp_(0, 1).split(1), strict=True)]

    def _each(self, stream: Iterable[FrameState], compute: Callable[[Sequence[FrameState]], _Result]) -> Iterator[_Result]:
        """What `compute` gives for groups of frames, as large as memory allows."""
        stream = iter(stream)
        first = next(stream, None)
        if first is None:
            return
        self._portion.count = self._portion.count or at_once(self.model.device, first.canvas.window.size)
        for group in _groups(chain([first], stream), self._portion.count):
            longest = max(group[0].canvas.window.size)
            side = self.model.tile_side(group[0].canvas.window.size)
            parts = [group] if side >= longest else [[frame] for frame in group]  # what is painted in tiles is painted alone
            for part in parts:
                yield from (result for _, result in self._portion.each(part, side, longest, compute))

    def _batch(self, group: Sequence[FrameState]) -> tuple[Tensor, Painter]:
        images, aims = zip(*(frame.on_canvas for frame in group), strict=True)
        return torch.cat([self.image(image) for image in images]), Painter(self.model, Aim.cat(aims))

    def _tiles(self, images: Tensor) -> list[Area]:
        """The tiles in which images are best painted; one for what is painted in one piece, as are several at once."""
        size = images.shape[-2:]
        side = max(size) if len(images) > 1 else self._portion.side(self.model.tile_side(size))
        return plan(Area.whole(size), side, self.model.stride)


def _groups(stream: Iterable[FrameState], size: int) -> Iterator[list[FrameState]]:
    """Up to `size` frames that can be painted together: of one strength, all with masks or all without, on canvases of one size."""
    group: list[FrameState] = []
    for frame in stream:
        if group and frame.kind != group[0].kind:
            yield group
            group = []
        group.append(frame)
        if len(group) == size:  # at once: a look-ahead is bounded
            yield group
            group = []
    if group:
        yield group

"""Single frames on their way through the stages of `temporal`, and the network's work on groups of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from ..coverage import Coverage, coverage_of
from ..model import StyleTransferModel
from ..moments import Moments, Statistics
from ..pipeline import Content, encode, measure_colors, measure_features, paint, render_measured
from ..style import Region
from ..tiles import Tile, bands, choose_side, plan
from ..tiling.features import feature_maps, fit, keeps
from ..tiling.painter import measure_tiles, measure_tiles_features, paint_tiles
from .bars import Inside
from .canvas import Canvas

_JUMP = 0.1
"""A change of strength or of a style's mean colour from one frame to the next that counts as wanted, not to be held back."""


@dataclass(frozen=True)
class Task:
    """A frame and how it is to be painted."""

    image: Tensor
    """[1, 3, H, W], float in 0..1 or uint8."""
    index: int
    regions: Sequence[Region]
    """Styles of one row each."""
    strength: float = 1.0
    mask: Tensor | None = None
    """[1, 1, h, w] in 0..1; see `stylize`. Where it is 0 everywhere the frame stays as it is."""
    painted: bool = True
    """If not, the frame only shows where the camera went, as those long before the first one that a resumed run paints."""


@dataclass(frozen=True)
class Work:
    """A task on its way through the stages."""

    model: StyleTransferModel
    task: Task
    starts_shot: bool
    targets: Sequence[Sequence[Statistics]]
    canvas: Canvas
    inside: Inside | None = None
    """The frame without its black bars, if it has any."""
    fixed: Tensor | None = None
    """[1, 1, h, w], 1 where the frame stands still on the screen while the camera moves; None if nowhere, as without a canvas."""
    laid: Tensor | None = None
    """The frame on its canvas, in the precision of the task; None if that is the frame itself."""
    content: Content | None = None
    features: Sequence[Tensor] | None = None
    """Of the image in the colours that `content` says, kept so that they need not be made again: 14 values a pixel of `lite`."""

    @property
    def frame(self) -> Tensor:
        """As the network takes it; frames wait as they came, which may be a quarter of that."""
        return self._values(self.task.image)

    @property
    def image(self) -> Tensor:
        """The frame on its canvas."""
        return self.frame if self.laid is None else self._values(self.laid)

    def _values(self, image: Tensor) -> Tensor:
        image = image.to(self.model.device)
        if image.dtype == torch.uint8:
            image = image.float().div_(255)
        return (image if image.dtype == torch.float64 else image.float()).contiguous()

    def coverage(self) -> Coverage | None:
        """Where the regions apply in the frame."""
        coverage = coverage_of(self.task.regions, self.task.mask, self.task.image, blank=True)
        return None if coverage is None else coverage.to(self.model.device, torch.promote_types(self.task.image.dtype, torch.float32))

    def laid_coverage(self) -> Coverage | None:
        """That of the image."""
        coverage = self.coverage()
        return None if coverage is None else coverage.map(self.lay)

    def lay(self, planes: Tensor) -> Tensor:
        """`planes` [B, K, H, W] in 0..1 of the frame on its canvas."""
        return self.canvas.lay(planes).clamp_(0, 1)


def with_colors(work: Work) -> Work:
    """With the moments of level 0, if the model has it."""
    return replace(work, content=measure_colors(work.model, work.image, work.laid_coverage()))


def with_features(model: StyleTransferModel, stream: Iterable[Work], chunks: Chunks, waiting: int) -> Iterator[Work]:
    """With the moments of the features, seen through the map of the colours that `stream` brings, and those features.

    They are not kept where those of as many frames as are `waiting` would be too large (`kept.fit`), nor if none is.
    """

    @torch.inference_mode()
    def measured(group: Sequence[Work]) -> Iterable[Work]:
        images, targets, coverage, strength = _batch(group)
        colors = _stacked([work.content for work in group if work.content is not None])
        tiles, size = _tiles(model, images), images.shape[-2:]
        if len(tiles) > 1:
            kept = feature_maps(model, size) if waiting and keeps(model, size, waiting) else None
            content = measure_tiles_features(model, images, colors, targets, coverage, strength, tiles, _unseen, kept)
            yield replace(group[0], content=content, features=kept)
            return
        encoded = encode(model, images, colors, targets, coverage, strength)
        content = measure_features(model, encoded, colors, coverage)
        keep = waiting > 0 and fit(model, size, waiting)
        for i, work in enumerate(group):
            rows = [level[i : i + 1] for level in encoded.features] if keep else None
            yield replace(work, content=_rows(content, i), features=rows)

    return chunks.each(stream, measured)


@torch.inference_mode()
def painted_groups(model: StyleTransferModel, group: Sequence[Work]) -> Iterable[tuple[Work, Tensor, Tensor]]:
    """Each work with its image and that image painted everywhere, both on its canvas."""
    images, targets, coverage, strength = _batch(group)
    contents = [work.content for work in group if work.content is not None]
    kept = [work.features for work in group if work.features is not None]
    features = [_joined(level) for level in zip(*kept, strict=True)] if len(kept) == len(group) else None
    tiles = _tiles(model, images)
    if len(tiles) > 1:
        content = _stacked(contents) if contents else measure_tiles(model, images, targets, coverage, strength, tiles, _unseen)
        painted = torch.empty_like(images)
        # "match" leaves what is painted as it is: colours and what is not covered come after it was held.
        paint_tiles(model, images, painted, content, targets, coverage, strength, "match", tiles, _unseen, features)
    elif contents:
        content = _stacked(contents)
        painted = paint(model, images, content, targets, coverage, strength, features)
    else:
        painted, content = render_measured(model, images, targets, coverage, strength)
    if not contents:
        group = [replace(work, content=_rows(content, i)) for i, work in enumerate(group)]
    return zip(group, images.split(1), painted.clamp_(0, 1).split(1), strict=True)


@torch.inference_mode()
def painted_in_place(work: Work, seen: Tensor, where: Tensor) -> Tensor:
    """`seen` [1, 3, H, W], painted as the frame lies on the screen, not on its canvas, at least `where` [1, 1, H, W] is above 0."""
    assert work.content is not None  # whatever was painted was measured
    model = work.model
    images, targets, coverage, strength = _batch([replace(work, canvas=Canvas.of(seen.shape[-2:]), laid=None)])
    painted = seen.clone()
    for band in bands(where, model.stride):
        tiles = [part for tile in _tiles(model, images) if min((part := tile.meet(band)).size) > 0]
        paint_tiles(model, images, painted, work.content, targets, coverage, strength, "match", tiles, _unseen)
    return painted


def _tiles(model: StyleTransferModel, images: Tensor) -> list[Tile]:
    """Those in which images are best painted; one for what is painted in one piece, as are several at once."""
    size = images.shape[-2:]
    return plan(size, max(size) if len(images) > 1 else choose_side(model, size), model.stride)


def _unseen(steps: int) -> None:
    """Within a frame nothing is reported."""


_Result = TypeVar("_Result")


class Chunks:
    """How many works are done together: `size`, and half as many from then on whenever the device's memory runs out."""

    def __init__(self, size: int) -> None:
        self._size = size

    def each(self, stream: Iterable[Work], compute: Callable[[Sequence[Work]], Iterable[_Result]]) -> Iterator[_Result]:
        """What `compute` gives for the works of each group, in order."""
        for group in _groups(stream, self._size):
            while group:
                part = group[: self._size]
                try:
                    results = list(compute(part))
                except torch.OutOfMemoryError:
                    if len(part) == 1:
                        raise
                    self._size = len(part) // 2
                    continue
                yield from results
                group = group[len(part) :]


def _groups(stream: Iterable[Work], size: int) -> Iterator[list[Work]]:
    """Up to `size` works that can be painted together: of one strength, all with masks or all without, on canvases of one size."""
    group: list[Work] = []
    for work in stream:
        if group and _kind(work) != _kind(group[0]):
            yield group
            group = []
        group.append(work)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _kind(work: Work) -> tuple[float, bool, int, tuple[int, int]]:
    masked = work.task.mask is not None or any(region.mask is not None for region in work.task.regions)
    return work.task.strength, masked, len(work.task.regions), work.canvas.window[2:]


def _batch(group: Sequence[Work]) -> tuple[Tensor, list[list[Statistics]], Coverage | None, float]:
    """Images, targets, coverage and strength of a group, as the passes take them."""
    images = [work.image for work in group]
    given = [coverage for work in group if (coverage := work.laid_coverage()) is not None]
    targets = [
        [Statistics.cat(level) for level in zip(*region, strict=True)] for region in zip(*(work.targets for work in group), strict=True)
    ]
    return torch.cat(images), targets, Coverage.joined(given) if given else None, group[0].task.strength


def _stacked(contents: Sequence[Content]) -> Content:
    """Moments of single frames as those of a batch."""
    return [
        [
            Moments(torch.cat([m.mean for m in parts]), torch.cat([m.var for m in parts]), torch.cat([m.weight for m in parts]))
            for parts in zip(*regions, strict=True)
        ]
        for regions in zip(*contents, strict=True)
    ]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _rows(content: Content, i: int) -> Content:
    return [[_row(moments, i) for moments in region] for region in content]


def _row(moments: Moments, i: int) -> Moments:
    if len(moments.mean) == 1:
        return moments
    return Moments(moments.mean[i : i + 1], moments.var[i : i + 1], moments.weight[i : i + 1])


def jumps(before: Task, after: Task) -> bool:
    """Whether the style itself changes at once, or is off, so that nothing of the previous frame belongs into this one."""
    if (
        not (before.strength and after.strength)
        or abs(after.strength - before.strength) > _JUMP
        or len(before.regions) != len(after.regions)
    ):
        return True
    pairs = zip(before.regions, after.regions, strict=True)
    return any(float((a.style.levels[0].mean - b.style.levels[0].mean).abs().max()) > _JUMP for a, b in pairs if a.style is not b.style)

"""What is measured of content pictures before they are painted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import moments
from .moments import Moments
from .precision import wide_dtype


@dataclass(frozen=True)
class ContentMoments:
    """The moments of B pictures in each of K regions: of their colours, and of the features of the recoloured pictures at every level."""

    colors: tuple[Moments, ...]
    """[K], or none if the model does not match colours."""
    features: tuple[tuple[Moments, ...], ...] = ()
    """[K][level]; none before they are measured."""

    @property
    def levels(self) -> list[list[Moments]]:
        """[K][level]: colours first, if the model matches them, as in `Style.levels`."""
        count = max(len(self.colors), len(self.features))
        return [[*self.colors[k : k + 1], *(self.features[k] if self.features else ())] for k in range(count)]

    def map(self, function: Callable[[Moments], Moments]) -> ContentMoments:
        """The moments that `function` makes of each of these."""
        return _combined([self], lambda parts: function(parts[0]))

    def row(self, index: int) -> ContentMoments:
        """The moments of one picture of the batch."""
        return self.map(lambda m: m.row(index))

    def to(self, device: torch.device, like: Tensor) -> ContentMoments:
        """The same on `device`, in the precision in which pictures such as `like` are measured."""
        return self.map(lambda m: m.to(device, wide_dtype(like.dtype)))

    @staticmethod
    def cat(parts: Sequence[ContentMoments]) -> ContentMoments:
        """Moments of single pictures as those of a batch."""
        return _combined(parts, Moments.cat)

    @staticmethod
    def merge(parts: Sequence[ContentMoments]) -> ContentMoments:
        """Moments of the union of tiles or frames, in float64 on the CPU (`moments.merge`)."""
        return _combined(parts, moments.merge)


class Union:
    """The moments of tiles merged one by one.

    Kept in a list, such small tensors lie among the large buffers of a tile and hold the heap's pages: 500 tiles took 7 GB.
    """

    def __init__(self) -> None:
        self._whole: ContentMoments | None = None

    def add(self, tile: ContentMoments) -> None:
        """Merge the moments of one more tile."""
        self._whole = ContentMoments.merge([tile] if self._whole is None else [self._whole, tile])

    def of(self, device: torch.device, like: Tensor) -> ContentMoments:
        """The moments of all tiles, as `ContentMoments.to`: on `device`, in the precision that a picture in one piece has there."""
        assert self._whole is not None  # there is at least one tile
        return self._whole.to(device, like)


def _combined(parts: Sequence[ContentMoments], function: Callable[[Sequence[Moments]], Moments]) -> ContentMoments:
    colors = tuple(function(region) for region in zip(*(part.colors for part in parts), strict=True))
    regions = zip(*(part.features for part in parts), strict=True)
    return ContentMoments(colors, tuple(tuple(function(level) for level in zip(*levels, strict=True)) for levels in regions))

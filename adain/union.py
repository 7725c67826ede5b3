"""The moments of a picture, gathered tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .moments import Moments, merge

if TYPE_CHECKING:
    from .model import StyleTransferModel  # which measures styles in tiles


class Union:
    """The moments of tiles, for each region at every level, merged one by one.

    Kept in a list, such small tensors lie among the large buffers of a tile and hold the heap's pages: 500 tiles took 7 GB.
    """

    def __init__(self) -> None:
        self._whole: list[list[Moments]] | None = None

    def add(self, tile: Sequence[Sequence[Moments]]) -> None:
        parts = [tile] if self._whole is None else [self._whole, tile]
        self._whole = [[merge(level) for level in zip(*region, strict=True)] for region in zip(*parts, strict=True)]

    def of(self, model: StyleTransferModel, images: Tensor) -> list[list[Moments]]:
        """On the model's device, in the precision that a picture in one piece has there."""
        assert self._whole is not None  # there is at least one tile
        dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
        return [[m.to(model.device, dtype) for m in region] for region in self._whole]

"""The feature maps of pictures, from when they are made until they are painted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .area import Area
from .model import StyleTransferModel


@dataclass(frozen=True)
class FeatureMaps:
    """What an encoder makes of pictures of one size."""

    size: torch.Size
    """Height and width of the pictures, in pixels."""
    strides: Sequence[int]
    """Pixels for each cell of a map."""
    maps: Sequence[Tensor]
    """From fine to coarse, [B, C, h, w] of the pictures grown to a multiple of the coarsest stride."""
    prepared: bool = False
    """Whether the coarsest is what `StyleTransferModel.prepare` made of it."""

    @staticmethod
    def empty(model: StyleTransferModel, size: torch.Size) -> FeatureMaps:
        """Maps to be filled for one picture of `size` (height, width)."""
        height, width = model.padded(size)
        shapes = [(1, channels, height // s, width // s) for channels, s in zip(model.level_channels, model.level_strides, strict=True)]
        kind = {"dtype": model.dtype, "device": model.device, "memory_format": torch.channels_last}
        return FeatureMaps(size, model.level_strides, [torch.empty(shape, **kind) for shape in shapes])

    @staticmethod
    def are_kept(model: StyleTransferModel, size: torch.Size, count: int = 1) -> bool:
        """Whether the maps of `count` pictures of `size` (height, width) are kept from one pass to the next, if they are painted in tiles.

        Only small ones, and only on a CPU: elsewhere pictures are painted in tiles because memory is short.
        """
        return model.device.type == "cpu" and FeatureMaps.fit(model, size, count)

    @staticmethod
    def fit(model: StyleTransferModel, size: torch.Size, count: int) -> bool:
        """Whether the maps of `count` pictures of `size` (height, width) are small enough to be kept."""
        cells = zip(model.level_channels, model.level_strides, strict=True)
        values = math.prod(model.padded(size)) * sum(channels / stride**2 for channels, stride in cells)
        return count * values * model.dtype.itemsize <= model.tiling.kept_bytes

    @staticmethod
    def cat(parts: Sequence[FeatureMaps]) -> FeatureMaps:
        """Maps of single pictures as those of a batch."""
        if len(parts) == 1:
            return parts[0]
        return replace(parts[0], maps=[torch.cat(level) for level in zip(*(part.maps for part in parts), strict=True)])

    def row(self, index: int) -> FeatureMaps:
        """The maps of one picture of the batch."""
        return replace(self, maps=[level[index : index + 1] for level in self.maps])

    def view(self, area: Area) -> FeatureMaps:
        """Views that show an `area` of multiples of the stride; at the pictures' end with the padding."""
        levels = zip(self.maps, self.strides, strict=True)
        return replace(self, size=area.size, maps=[self._cells(area, stride).of(level) for level, stride in levels])

    def store(self, area: Area, part: FeatureMaps) -> None:
        """Fill an `area` with the maps of a picture of that part."""
        for own, values in zip(self.view(area).maps, part.maps, strict=True):
            own.copy_(values)

    def _cells(self, area: Area, stride: int) -> Area:
        cells, (height, width) = area.at(stride), self.maps[-1].shape[-2:]
        scale = self.strides[-1] // stride
        bottom = height * scale if area.bottom == self.size[0] else cells.bottom
        right = width * scale if area.right == self.size[1] else cells.right
        return Area.between(cells.top, cells.left, bottom, right)

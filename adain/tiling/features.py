"""The feature maps of a picture or of a part of it, kept from when they are made until it is painted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..model import StyleTransferModel
from ..pipeline import Interior

KEPT_BYTES = 2**31
"""Largest feature maps of a whole picture that are kept, 77 megapixels of `lite` in bfloat16: as much again as picture and result take.
Beyond it they are made twice."""


def keeps(model: StyleTransferModel, size: torch.Size, count: int = 1) -> bool:
    """Whether maps of `count` whole pictures of `size` (height, width) are kept from the pass that measures to the one that paints.

    Only on a CPU: elsewhere pictures are painted in tiles because memory is short.
    """
    return model.device.type == "cpu" and fit(model, size, count)


def fit(model: StyleTransferModel, size: torch.Size, count: int) -> bool:
    """Whether the maps of `count` pictures of `size` (height, width) are small enough to be kept."""
    return count * sum(map(math.prod, _shapes(model, size))) * model.dtype.itemsize <= KEPT_BYTES


def feature_maps(model: StyleTransferModel, size: torch.Size) -> list[Tensor]:
    """Maps to be filled for a picture of `size` (height, width)."""
    return [torch.empty(shape, dtype=model.dtype, device=model.device, memory_format=torch.channels_last) for shape in _shapes(model, size)]


def part(model: StyleTransferModel, maps: Sequence[Tensor], area: Interior, size: torch.Size) -> list[Tensor]:
    """The views of `maps`, of a picture of `size`, that show `area`; at the picture's end with the padding."""
    return [cells(m, area, size, stride) for m, stride in zip(maps, model.level_strides, strict=True)]


def cells(feature_map: Tensor, area: Interior, size: torch.Size, stride: int) -> Tensor:
    """`part` of one map, which has a cell for every `stride` pixels."""
    rows, columns = (
        slice(pixels.start // stride, None if pixels.stop == length else pixels.stop // stride)
        for pixels, length in zip(area, size, strict=True)
    )
    return feature_map[:, :, rows, columns]


def _shapes(model: StyleTransferModel, size: torch.Size) -> list[tuple[int, int, int, int]]:
    height, width = model.padded(size)
    return [(1, channels, height // s, width // s) for channels, s in zip(model.level_channels, model.level_strides, strict=True)]

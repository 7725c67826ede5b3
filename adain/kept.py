"""The feature maps of a whole picture, kept from the pass that measures its tiles for the pass that paints them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .model import StyleTransferModel
from .passes import Interior

KEPT_BYTES = 2**31
"""Largest feature maps that are kept, 77 megapixels of `lite` in bfloat16: as much again as picture and result take. Beyond it tiles are
encoded twice."""


def feature_maps(model: StyleTransferModel, size: torch.Size) -> list[Tensor] | None:
    """Maps to be filled for a picture of `size` (height, width); None if they are too large, or not on a CPU.

    Elsewhere pictures are painted in tiles because memory is short.
    """
    if model.device.type != "cpu":
        return None
    small = model.encode(torch.zeros(1, 3, 2 * model.stride, 2 * model.stride))
    height, width = model.padded(size)
    shapes = [(1, f.shape[1], height // s, width // s) for f, s in zip(small, model.level_strides, strict=True)]
    if sum(map(math.prod, shapes)) * model.dtype.itemsize > KEPT_BYTES:
        return None
    return [torch.empty(shape, dtype=model.dtype, memory_format=torch.channels_last) for shape in shapes]


def part(model: StyleTransferModel, maps: Sequence[Tensor], area: Interior, size: torch.Size) -> list[Tensor]:
    """The views of `maps`, of a picture of `size`, that show `area`; at the picture's end with the padding."""

    def cells(pixels: slice, length: int, stride: int) -> slice:
        return slice(pixels.start // stride, None if pixels.stop == length else pixels.stop // stride)

    (rows, columns), (height, width) = area, size
    return [m[:, :, cells(rows, height, s), cells(columns, width, s)] for m, s in zip(maps, model.level_strides, strict=True)]

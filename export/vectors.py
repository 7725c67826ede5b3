"""Several small tensors as one vector, which is how graphs take and give what is known of a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..adain.style import Style

Shape = tuple[int, ...]


def joined(parts: Iterable[Tensor]) -> Tensor:
    """All `parts` [B, ...], one after the other: [B, n]."""
    return torch.cat([part.flatten(1) for part in parts], 1)


def parted(vector: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    """The parts, of `shapes` without the batch, that `joined` made a `vector` of.

    Slices: a GPU in a browser gives no operator as many outputs at once as a split would have.
    """
    ends = itertools.accumulate(size_of(shape) for shape in shapes)
    parts = [vector[:, end - size_of(shape) : end] for shape, end in zip(shapes, ends, strict=True)]
    return [part if len(shape) == 1 else part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]


def size_of(shape: Shape) -> int:
    """How many numbers a tensor of this `shape` has."""
    return math.prod(shape)


def style_vector(style: Style) -> Tensor:
    """A style as a graph takes it: [S, n], float32."""
    return joined(part for level in style.levels for part in level).float().cpu()

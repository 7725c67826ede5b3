"""Histograms of the coordinates of colours, and the curves that make one of the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LEVELS = 4 * 255 + 1
"""Places where values are counted: three between two steps of 8 bits, which have places of their own."""

STEEPEST = 6.0
"""How much contrast grows at most."""


def histogram(shares: Tensor, weight: Tensor | None = None) -> Tensor:
    """How many pixels of `shares` [1, C, H, W] in 0..1 are at each level: [C, LEVELS], float64 on the CPU.

    A value between two levels counts for both of them, by its nearness. `weight` [1, 1, H, W] says how much each pixel counts.
    """
    places = shares.detach().flatten(2)[0].cpu().double().clamp(0, 1) * (LEVELS - 1)
    below = places.floor().clamp_max(LEVELS - 2)
    nearness = places - below
    counted = torch.ones_like(places) if weight is None else weight.flatten().cpu().double().expand_as(places)
    counts = places.new_zeros(len(places), LEVELS)
    counts.scatter_add_(1, below.long(), counted * (1 - nearness))
    return counts.scatter_add_(1, below.long() + 1, counted * nearness)


def transport(own: Tensor, target: Tensor) -> Tensor:
    """The increasing curves [C, LEVELS] that give values counted in `own` the distribution of `target`, both [C, LEVELS].

    A value goes where as large a share of `target` lies below (half of what is at a level counts as below it); so a histogram is left
    as it is by its own curve. What `own` does not hold goes to between its neighbours, and black and white stay where it holds none.
    A curve rises at most `STEEPEST`: where much is of one value, as in clipped shadows, the ones beside it would be torn from it.
    """
    return torch.stack([_gentle(_curve(*pair)) for pair in zip(own, target, strict=True)])


def shifted(shift: Sequence[float]) -> Tensor:
    """The curves [C, LEVELS] that add a number to all values of a channel."""
    return torch.linspace(0, 1, LEVELS, dtype=torch.float64) + torch.tensor(shift, dtype=torch.float64)[:, None]


def bent(curves: Tensor, strength: float) -> Tensor:
    """`curves` [C, LEVELS] taken `strength` times as far from leaving values as they are, but never falling."""
    same = torch.linspace(0, 1, LEVELS, dtype=curves.dtype, device=curves.device)
    return torch.lerp(same.expand_as(curves), curves, strength).cummax(1).values


def read_off(curves: Tensor, shares: Tensor) -> Tensor:
    """`shares` [B, C, H, W] in 0..1 through `curves` [C, LEVELS], which are straight between levels."""
    places = shares.clamp(0, 1) * (LEVELS - 1)
    below = places.floor().clamp_max(LEVELS - 2)
    nearness, index = places - below, below.long()
    curves = curves.to(shares)
    channels = [torch.lerp(curve[i], curve[i + 1], n) for curve, i, n in zip(curves, index.unbind(1), nearness.unbind(1), strict=True)]
    return torch.stack(channels, 1)


def _curve(own: Tensor, target: Tensor) -> Tensor:
    levels = torch.linspace(0, 1, LEVELS, dtype=torch.float64)
    held, wanted = own > 0, target > 0
    knots = _interpolated(_below(own)[held], _below(target)[wanted], levels[wanted])
    ends = levels[held][[0, -1]].tolist()
    places = torch.cat([levels[:1] if ends[0] > 0 else levels[:0], levels[held], levels[-1:] if ends[1] < 1 else levels[:0]])
    values = torch.cat([levels[:1] if ends[0] > 0 else levels[:0], knots, levels[-1:] if ends[1] < 1 else levels[:0]])
    return _interpolated(levels, places, values)


def _gentle(curve: Tensor) -> Tensor:
    """Halfway between the largest curve below `curve` [LEVELS] and the smallest one above it that rise at most `STEEPEST`."""
    line = STEEPEST * torch.linspace(0, 1, LEVELS, dtype=curve.dtype)
    slack = curve - line
    return (slack.cummin(0).values + slack.flip(0).cummax(0).values.flip(0)) / 2 + line


def _below(counts: Tensor) -> Tensor:
    """The share of the whole that lies below each level."""
    return (counts.cumsum(0) - counts / 2) / counts.sum()


def _interpolated(x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """The piecewise linear function through `values` at the rising `places`, constant beyond them, at `x`."""
    if len(places) == 1:
        return values.expand_as(x)
    right = torch.searchsorted(places, x).clamp(1, len(places) - 1)
    left = right - 1
    share = ((x - places[left]) / (places[right] - places[left])).clamp(0, 1)
    return torch.lerp(values[left], values[right], share)


def pooled(histograms: Sequence[Tensor]) -> Tensor:
    """The histogram of all pixels that `histograms` counted."""
    return torch.stack(list(histograms)).sum(0)

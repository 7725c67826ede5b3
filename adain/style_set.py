"""Sets of styles: many as one batch, and new ones like them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .errors import StyleError
from .moments import Statistics, matrix_function
from .style import Style

_SMALLEST = 1e-6
"""Deviations are taken for at least this much before their logarithm."""


def joined(styles: Sequence[Style]) -> Style:
    """The `styles` [S, ...], one batch after the other, as one. Raises StyleError if different models measured them."""
    if not styles:
        raise StyleError("There is no style. Give at least one.")
    first = styles[0]
    for other in styles[1:]:
        other.check_made_for(first.fingerprint, first.architecture)
    levels = tuple(Statistics.cat(level) for level in zip(*(style.levels for style in styles), strict=True))
    return replace(first, levels=levels, name="", others=())


def taken(styles: Style, rows: Sequence[int]) -> Style:
    """The styles at `rows` of a batch, in that order and as often as they are named."""
    index = torch.tensor(rows, device=styles.levels[0].mean.device)
    levels = tuple(Statistics(mean[index], std[index]) for mean, std in styles.levels)
    return replace(styles, levels=levels, others=())


class StyleDistribution:
    """The normal distribution of the statistics of a batch of styles, as style augmentation draws from (Jackson et al. 2019).

    Deviations are positive, so it is their logarithms that are drawn: of a matrix at level 0, the matrix logarithm. The covariance of a few
    styles in hundreds of dimensions is never formed: a weighted sum of their differences from the mean has it.
    """

    def __init__(self, styles: Style) -> None:
        """Raises StyleError for fewer than two `styles`."""
        if len(styles) < 2:
            raise StyleError("A distribution of styles needs two styles or more. Give more, or take the style as it is.")
        self._like = styles
        values = torch.cat([part.flatten(1) for level in styles.levels for part in _free(level)], 1)
        self._mean = values.mean(0)
        self._differences = (values - self._mean) / (len(styles) - 1) ** 0.5

    def sample(self, count: int, generator: torch.Generator | None = None) -> Style:
        """A batch of `count` new styles, drawn by `generator` (default: torch's own, on the CPU)."""
        weights = torch.randn(count, len(self._like), generator=generator).to(self._differences)
        values = self._mean + weights @ self._differences
        parts = iter(values.split([part[0].numel() for level in self._like.levels for part in level], 1))
        levels = tuple(_bound(*(next(parts).unflatten(1, part.shape[1:]) for part in level)) for level in self._like.levels)
        return replace(self._like, levels=levels, name="", others=())


def _free(level: Statistics) -> tuple[Tensor, Tensor]:
    """Mean, and logarithm of the deviation: any number makes sense."""
    if level.std.ndim == 2:
        return level.mean, level.std.clamp_min(_SMALLEST).log()
    return level.mean, matrix_function(level.std, lambda values: values.clamp_min(_SMALLEST).log())


def _bound(mean: Tensor, log: Tensor) -> Statistics:
    """The statistics of which `_free` makes these."""
    if log.ndim == 2:
        return Statistics(mean, log.exp())
    return Statistics(mean, matrix_function(log, torch.Tensor.exp))

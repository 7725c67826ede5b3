"""AdaIN is an affine map: x -> A x + B. This is the one place that computes and applies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .moments import Statistics, matrix_function, matrix_power

MOST_STRENGTH = 2.0
"""How far anything is moved at most: twice as far as to the style."""


class Affine(NamedTuple):
    """`scale` A and `shift` B of one region: both [B, C], or [B, C, C] and [B, C] for a map that mixes channels.

    Both [B, C, H, W] for a map of its own at each pixel.
    """

    scale: Tensor
    shift: Tensor

    def __call__(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """A x + B for `x` [B, C, H, W], in the dtype of `x`; times `weight` [B or 1, 1, H, W] if given."""
        scale, shift = self.scale.to(x.dtype), self.shift.to(x.dtype)
        if shift.ndim == 2:
            shift = shift[:, :, None, None]
        if weight is not None:
            # First of all: pixels that do not belong to a nearly flat region are no match for its large A in half precision.
            x, shift = x * weight, shift * weight
        if scale.ndim == 3:
            return (scale @ x.flatten(2)).add_(shift.flatten(2)).unflatten(2, x.shape[2:])
        return torch.addcmul(shift, x, scale if scale.ndim == 4 else scale[:, :, None, None])


def affine(content: Statistics, target: Statistics) -> Affine:
    """The map that moves values with `content` statistics to `target` statistics.

    Per channel (and pixel, for local moments) it is equation 8 of Huang & Belongie (2017): A = σt/σc, B = μt - A μc. With
    matrix deviations (level 0) it is the linear optimal transport between the two Gaussians (Monge-Kantorovich; Pitié &
    Kokaram 2007): A = Sc^-1 (Sc St^2 Sc)^1/2 Sc^-1.
    """
    if content.std.ndim != 3:
        scale = target.std / content.std
        return Affine(scale, target.mean - scale * content.mean)
    inverse = matrix_power(content.std, -1)
    root = matrix_power(content.std @ target.std @ target.std @ content.std, 0.5)
    scale = inverse @ root @ inverse
    return Affine(scale, target.mean - (scale @ content.mean[..., None])[..., 0])


def extrapolated(move: Affine, mean: Tensor, strength: float) -> Affine:
    """The map x + `strength` (A x + B - x) of a `move` between statistics, `strength` >= 1; `mean` [B, C] is the mean of what is moved.

    Contrast that `move` lowers goes down to nothing at most: below 0 it would turn round, and light become dark.
    """
    if strength == 1:
        return move
    mean = mean.to(move.shift)
    if move.scale.ndim == 3:
        # Symmetric: the linear optimal transport is.
        scale = matrix_function(move.scale, lambda values: (1 + strength * (values - 1)).clamp_min(0))
        reached = (move.scale @ mean[..., None])[..., 0] + move.shift
        return Affine(scale, torch.lerp(mean, reached, strength) - (scale @ mean[..., None])[..., 0])
    scale = (1 + strength * (move.scale - 1)).clamp_min(0)
    return Affine(scale, torch.lerp(mean, move.scale * mean + move.shift, strength) - scale * mean)


class RegionWeights:
    """How K regions share each pixel: [B or 1, K, H, W], sums of 1, at any resolution."""

    def __init__(self, weights: Tensor) -> None:
        self._sizes = {weights.shape[-2:]: weights}
        self._full = weights

    def at(self, size: torch.Size) -> Tensor:
        """The weights averaged down to `size` (height, width), which divides the full size."""
        if size not in self._sizes:
            stride = self._full.shape[-2] // size[0]
            self._sizes[size] = F.avg_pool2d(self._full, stride)
        return self._sizes[size]


@dataclass(frozen=True)
class RegionalAffine:
    """x -> Σk wk (Ak x + Bk): one map per region, mixed by weights that sum to 1."""

    maps: Sequence[Affine]
    weights: RegionWeights | None
    """None: the only map applies everywhere."""

    def __call__(self, x: Tensor) -> Tensor:
        if self.weights is None:
            return self.maps[0](x)
        weights = self.weights.at(x.shape[-2:]).to(x.dtype)
        out = self.maps[0](x, weights[:, :1])
        for k, region in enumerate(self.maps[1:], 1):
            out = out + region(x, weights[:, k : k + 1])
        return out

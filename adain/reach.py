"""How far a style reaches: all the way, unless the picture has next to nothing of its own.

AdaIN divides by the deviation of the content. Of a flat or a black picture that is noise, which would be painted as static in the style's
contrast, and black in the style's mean colour. So contrast grows at most about `_GAIN` times, and brightness at most as much out of the
dark: a fade to black is painted as a fade to black. What has a quarter of the style's contrast and light, as photographs have, is not
touched.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .moments import CHANNEL_EPS, COLOR_EPS, Moments, Statistics

_GAIN = 6.0

_SHOWN = 0.25
"""The strength from which on a picture is the paper's interpolation alone. What a network makes of a picture it is to leave as it is
differs from that picture, so below it the picture itself comes in."""


class Reach(NamedTuple):
    """Shares [B] in 0..1 of a style's strength, at every level."""

    mean: Tensor
    std: Tensor

    @staticmethod
    def of(own: Moments, target: Statistics) -> Reach:
        """From the first level of the content and of the style: the colours, where a model matches them."""
        colors = own.var.ndim == 3
        noise = COLOR_EPS if colors else CHANNEL_EPS
        contrast = _mean_square(own.var)
        wanted = _mean_square(target.std @ target.std if colors else target.std.square())
        std = _share(contrast, wanted, noise)
        if not colors:
            return Reach(torch.ones_like(std), std)  # features have no black
        return Reach(_share(own.light(), wanted + target.mean.square().mean(1), noise), std)

    def toward(self, own: Statistics, target: Statistics, strength: float | Tensor) -> Statistics:
        """`own` blended with `target`, at `strength` where it reaches: the paper's interpolation.

        Beyond 1 features are extrapolated, so that strokes grow; a deviation that falls goes down to 0 at most. Colours, whose deviation
        is a matrix, are at the style's then: any further they leave 0..1 and are cut off.
        """
        if own.std.ndim == 3:
            strength = strength.clamp_max(1) if isinstance(strength, Tensor) else min(strength, 1.0)
        mean, std = (_blended(*parts) for parts in zip(own, target, (strength * share for share in self), strict=True))
        return Statistics(mean, std if std.ndim == 3 else std.clamp_min(0))

    def shown(self, strength: float | Tensor) -> Tensor:
        """[B], how much of what is painted is laid over the picture: nothing at strength 0, all of it from `_SHOWN` on."""
        return 1 - (1 - strength * self.mean / _SHOWN).clamp_min(0).square()


def _mean_square(var: Tensor) -> Tensor:
    return (var.diagonal(dim1=1, dim2=2) if var.ndim == 3 else var).mean(1)


def _share(found: Tensor, wanted: Tensor, noise: float) -> Tensor:
    """How much of a `wanted` variance can be made of the one `found`, most of which may be `noise`: exactly 1 if it is enough."""
    ratio = _GAIN * found / ((found + noise) * wanted.clamp_min(noise)).sqrt()
    bend = (ratio - 0.5).clamp(0, 1)
    return ratio.clamp_max(0.5) + bend - bend.square() / 2


def _blended(own: Tensor, target: Tensor, share: Tensor) -> Tensor:
    share = share.view(-1, *[1] * (own.ndim - 1)).to(own)
    return own * (1 - share) + target * share

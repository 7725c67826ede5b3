"""The pipeline of `adain/pipeline.py` once more, as arithmetic alone: one style, no masks, nothing that depends on what values are.

That is what can be written down as a graph. The statistics, the maps and the networks are those of the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..adain.affine import Affine, RegionalAffine, affine
from ..adain.color import lay_over
from ..adain.model import StyleTransferModel
from ..adain.moments import Moments, Statistics
from ..adain.reach import Reach


class Movement(NamedTuple):
    """How the features of a picture are moved towards a style."""

    levels: Sequence[Affine]
    modulations: Sequence[Affine]
    drawn: Tensor
    """[B]: how much of what the network draws is laid over the recoloured picture."""
    shown: Tensor
    """[B]: how much of the result is laid over the picture."""


def recoloring(colors: Moments, target: Statistics, strength: Tensor) -> Affine:
    """The map of the colours of a picture of moments `colors` to those of a style, as far as it reaches."""
    own = colors.statistics()
    return affine(own, Reach.of(colors, target).toward(own, target, strength))


def recolored(picture: Tensor, move: Affine) -> Tensor:
    """What the network sees of `picture` [B, 3, H, W]."""
    return move(picture).clamp(-0.5, 1.5)


def feature_moments(model: StyleTransferModel, features: Sequence[Tensor], size: Sequence[int]) -> list[Moments]:
    """The moments of padded `features` over the part that shows the picture of `size` (height, width)."""
    moments = []
    for feature, stride in zip(features, model.level_strides, strict=True):
        height, width = (_cells(count, stride) for count in size)
        seen = feature[:, :, :height, :width].float()
        mean = seen.mean((2, 3))
        var = (seen - mean[:, :, None, None]).square().mean((2, 3))
        moments.append(Moments(mean, var, torch.ones_like(mean[:, 0]) * height * width))
    return moments


def movement(model: StyleTransferModel, own: Sequence[Moments], style: Sequence[Statistics], strength: Tensor) -> Movement:
    """The movement of pictures of moments `own` to a `style`, every level of both."""
    reach = Reach.of(own[0], style[0])
    before = [moments.statistics(0 if model.color and not i else model.correction) for i, moments in enumerate(own)]
    after = [reach.toward(mine, target, strength) for mine, target in zip(before, style, strict=True)]
    levels = [affine(mine, target) for mine, target in list(zip(before, after, strict=True))[int(model.color) :]]
    drawn = reach.std if model.color else torch.ones_like(reach.std)
    return Movement(levels, model.modulate(after), drawn, reach.shown(strength))


def decoded(model: StyleTransferModel, seen: Tensor, features: Sequence[Tensor], move: Movement) -> Tensor:
    """The network's picture, not clamped, from the `features` of what it has `seen`."""
    *finer, coarsest = (level(feature) for level, feature in zip(move.levels, features, strict=True))
    modulations = [RegionalAffine([one], None) for one in move.modulations]
    picture = model.finish(seen, [*finer, model.prepare(coarsest, modulations)], modulations)
    return torch.lerp(seen, picture, move.drawn[:, None, None, None])


def laid_over(picture: Tensor, painted: Tensor, move: Movement) -> Tensor:
    """The result, in 0..1, from the network's picture."""
    return lay_over(picture, painted.clamp(0, 1), move.shown[:, None, None, None])


def padded(model: StyleTransferModel, picture: Tensor) -> Tensor:
    """What `FeatureNetwork.pad` gives, for sizes that are not known yet."""
    for axis in (2, 3):
        count = picture.shape[axis]
        places = torch.arange(torch.sym_max(2, _cells(count, model.stride)) * model.stride, device=picture.device)
        picture = picture.index_select(axis, torch.minimum(places, (2 * (count - 1) - places).clamp_min(0)))
    return picture


def _cells(count: int, stride: int) -> int:
    """How many cells of `stride` pixels `count` pixels touch. ONNX divides towards 0, so nothing here may be negative."""
    return (count + stride - 1) // stride

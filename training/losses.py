"""What training has beside the paper's losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adain.affine import affine
from ..adain.moments import Statistics, channel_moments


def adain_target(content: Tensor, style: Statistics) -> Tensor:
    """The tensor t = AdaIN(content, style), the paper's content target, for relu4_1 features [B, C, H, W]; float32."""
    content = content.float()
    return affine(channel_moments(content).statistics(), style)(content)


def covariances(features: Sequence[Tensor]) -> list[Tensor]:
    """How the channels of relu2_1 and relu3_1 vary together, [B, C, C] each: the strokes, which means and deviations hardly see."""
    return [_covariance(feature) for feature in features[1:3]]


def covariance_loss(features: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """The squared distances of the `covariances` from the style's, relative to the size of both, so that no style outweighs another."""
    terms = []
    for got, aim in zip(covariances(features), wanted, strict=True):
        size = (got.detach().square() + aim.square()).sum((1, 2)) + 1e-6
        terms.append(((got - aim).square().sum((1, 2)) / size).mean())
    return torch.stack(terms).sum()


def grid_loss(image: Tensor, side: int = 4, window: int = 8) -> Tensor:
    """The mean squared mean by pixel phase: what repeats every `side` pixels within windows of `side * window`, as upsampling prints it.

    A photograph has none of it; what is smooth is taken off first.
    """
    image = image.float()
    x = image - F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="reflect"), 5, 1)
    phases = F.pixel_unshuffle(x, side)
    means = F.avg_pool2d(phases, window, max(1, window // 2))
    means = means.unflatten(1, (-1, side * side))
    return (means - means.mean(2, keepdim=True)).square().mean()


def _covariance(feature: Tensor) -> Tensor:
    pixels = feature.flatten(2)
    mean = pixels.float().mean(2)
    return (pixels @ pixels.transpose(1, 2)).float() / pixels.shape[2] - mean[:, :, None] * mean[:, None, :]

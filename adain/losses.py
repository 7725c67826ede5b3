"""The paper's losses, and what keeps a picture a picture beside them: what training minimises over networks, and refining over pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .moments import Statistics, channel_moments
from .precision import wide


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """The content loss, equation 12, as mean squared error."""
    return F.mse_loss(wide(features), target)


def style_loss(features: Sequence[Tensor], style: Sequence[Statistics]) -> Tensor:
    """The style loss, equation 13, of the features [B, C, h, w] of every level."""
    return statistics_loss([channel_moments(feature).statistics() for feature in features], style)


def statistics_loss(statistics: Sequence[Statistics], style: Sequence[Statistics]) -> Tensor:
    """The style loss, equation 13: over the levels, mean squared differences of channel means and of standard deviations."""
    terms = []
    for got, wanted in zip(statistics, style, strict=True):
        terms += [F.mse_loss(got.mean, wanted.mean), F.mse_loss(got.std, wanted.std)]
    return torch.stack(terms).sum()


def range_loss(image: Tensor) -> Tensor:
    """The mean squared distance of pixels outside 0..1, where clamping would cut the gradient and the picture."""
    return wide(image - image.clamp(0, 1)).square().mean()


def variation_loss(image: Tensor) -> Tensor:
    """The total variation: mean absolute difference of neighbouring pixels, against noise and grids."""
    image = wide(image)
    return image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()

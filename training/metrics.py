"""What a stylised picture is measured by: style, content, structure, colour and clipping. All images are [1, 3, H, W] in 0..1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adain.color import luma
from ..adain.loss_network import LossNetwork
from ..adain.losses import content_loss, style_loss
from ..adain.moments import Statistics, channel_moments, color_statistics, matrix_power


@dataclass(frozen=True)
class Scores:
    """The scores of one picture, or their mean over several."""

    style: float
    """Style loss over relu1_1 to relu4_1, without a weight; 0 has the style's statistics."""
    content: float
    """Mean squared distance at relu4_1 to the content itself (not to AdaIN's target); 0 is the photograph."""
    ssim: float
    """Structural similarity of luma to the content's; 1 is the photograph."""
    color: float
    """Distance of the mean and covariance of RGB to the style's, see `color_distance`."""
    clipped: float
    """Share of values that are 0 or 1."""


@dataclass(frozen=True)
class Content:
    """A photograph and its features at relu4_1."""

    image: Tensor
    features: Tensor


@dataclass(frozen=True)
class Style:
    """A style picture and its statistics at relu1_1 to relu4_1."""

    image: Tensor
    statistics: list[Statistics]


class Judge:
    """Scores pictures by VGG-19."""

    def __init__(self, network: LossNetwork, device: torch.device | str, dtype: torch.dtype) -> None:
        # torch's annotations lack what its documentation has
        self._network = network.to(device, dtype, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def content(self, image: Tensor) -> Content:
        return Content(image, self._features(image)[-1])

    def style(self, image: Tensor) -> Style:
        return Style(image, [channel_moments(feature).statistics() for feature in self._features(image)])

    def scores(self, picture: Tensor, content: Content, style: Style) -> Scores:
        """The scores of `picture`, which has the size of the content."""
        features = self._features(picture)
        return Scores(
            style_loss(features, style.statistics).item(),
            content_loss(features[-1], content.features).item(),
            ssim(picture, content.image),
            color_distance(picture, style.image),
            clipped_share(picture),
        )

    def _features(self, image: Tensor) -> list[Tensor]:
        return [feature.float() for feature in self._network(image.to(self._network.device))]


def ssim(a: Tensor, b: Tensor) -> float:
    """Mean structural similarity of luma (Wang et al. 2004): Gaussian window of 11 pixels, σ 1.5, without borders."""
    window = torch.exp(-(torch.arange(11) - 5.0).square() / (2 * 1.5**2))
    window = torch.outer(window, window)[None, None] / window.sum().square()

    def smooth(x: Tensor) -> Tensor:
        return F.conv2d(x, window.to(x))

    a, b = luma(a), luma(b)
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a.square(), smooth(b * b) - mean_b.square()
    covariance = smooth(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (likeness / ((mean_a.square() + mean_b.square() + c1) * (var_a + var_b + c2))).mean().item()


def color_distance(a: Tensor, b: Tensor) -> float:
    """2-Wasserstein distance of the Gaussians with the RGB mean and covariance of `a` and `b` (of any size), in units of 0..1."""
    p, q = color_statistics(a.double()), color_statistics(b.double())
    cross = matrix_power(p.std @ q.std @ q.std @ p.std, 0.5)
    trace = (p.std @ p.std + q.std @ q.std - 2 * cross).diagonal(dim1=-2, dim2=-1).sum()
    return ((p.mean - q.mean).square().sum() + trace).clamp_min(0).sqrt().item()


def clipped_share(image: Tensor) -> float:
    return ((image <= 0) | (image >= 1)).float().mean().item()


def eight_bit(image: Tensor) -> Tensor:
    """`image` as it comes back from a file of 8 bits a channel."""
    return image.mul(255).round().div(255)

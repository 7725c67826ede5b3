"""The paper's losses, measured by VGG-19 up to relu4_1."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..adain.affine import affine
from ..adain.architectures import kuko6
from ..adain.architectures.vgg19 import ENCODER, NAOTO_ENCODER, renamed
from ..adain.errors import ModelError, reason
from ..adain.moments import Statistics, channel_moments
from ..weights.checkpoints import read_tensors

LEVEL_WIDTHS = [64, 128, 256, 512]
"""The channels of VGG-19 at relu1_1, relu2_1, relu3_1 and relu4_1."""


class LossNetwork(nn.Module):
    """A frozen VGG-19 to relu4_1: RGB [B, 3, H, W] in 0..1 to the features at relu1_1, relu2_1, relu3_1 and relu4_1.

    Read from a file of VGG-19 as `vgg_normalised.pth` or torchvision names its layers, or with `conv1_1.weight` ..
    `conv4_1.bias` and a first layer that takes RGB in 0..1. Channels with a mean activation of about 1, as in
    `vgg_normalised.pth`, let the four levels weigh alike. A distilled VGG-19 may be narrower if `conv1_1_aux.weight` .. are
    1x1 layers (with ReLU) back to VGG-19's channels (Wang et al. 2020). Borders are zero-padded: the few pixels they change do
    not matter to a loss, and reflecting them can cost more than the convolutions.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        if not Path(path).is_file():
            raise ModelError(f"There is no loss network at {path}. Give a file of VGG-19 with --loss-network, or vgg-normalised.")
        try:
            layers = _layers(read_tensors(Path(path)))
            for name in (name for name in ENCODER if name != "pool"):
                self.add_module(name, _conv(layers[f"{name}.weight"]))
                if f"{name}_aux.weight" in layers:
                    self.add_module(f"{name}_aux", _conv(layers[f"{name}_aux.weight"]))
            self.load_state_dict(layers)
            with torch.no_grad():
                widths = [feature.shape[1] for feature in self(torch.zeros(1, 3, 16, 16))]
            if widths != LEVEL_WIDTHS:
                raise ModelError(f"its levels have {widths} channels in place of {LEVEL_WIDTHS}")
        except (ModelError, KeyError, RuntimeError) as error:
            raise ModelError(f"{path} is not a loss network, VGG-19 from conv1_1 to conv4_1: {reason(error)}.") from error
        self.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> list[Tensor]:
        features = []
        x = image.to(next(self.parameters()).dtype)
        for name in ENCODER:
            if name == "pool":
                x = F.max_pool2d(x, 2)
                continue
            x = F.relu_(self.get_submodule(name)(x))
            if name.endswith("_1"):
                aux = getattr(self, f"{name}_aux", None)
                features.append(x if aux is None else F.relu_(aux(x)))
        return features


def _conv(weight: Tensor) -> nn.Conv2d:
    """A convolution for `weight`, as yet without its values."""
    outputs, inputs, side, _ = weight.shape
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)


def _layers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The layers under VGG's own names, with what a published file expects of its input folded into the first."""
    if "features.0.weight" in state:
        layers = renamed(state, kuko6.SOURCE_ENCODER, "features.")
        mean, std = torch.tensor(kuko6.IMAGENET_MEAN), torch.tensor(kuko6.IMAGENET_STD)
        matrix, offset = torch.diag(1 / std), -mean / std
    elif "0.weight" in state:
        layers = renamed(state, NAOTO_ENCODER)
        matrix, offset = layers.pop("rgb.weight")[:, :, 0, 0], layers.pop("rgb.bias")
    else:
        return dict(state)
    first = layers["conv1_1.weight"]
    layers["conv1_1.weight"] = torch.einsum("ochw,ci->oihw", first, matrix)
    layers["conv1_1.bias"] = layers["conv1_1.bias"] + torch.einsum("ochw,c->o", first, offset)
    return layers


def adain_target(content: Tensor, style: Statistics) -> Tensor:
    """The tensor t = AdaIN(content, style), the paper's content target, for relu4_1 features [B, C, H, W]; float32."""
    content = content.float()
    return affine(channel_moments(content).statistics(), style)(content)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """The content loss, equation 12, as mean squared error."""
    return F.mse_loss(features.float(), target)


def style_loss(features: Sequence[Tensor], style: Sequence[Statistics]) -> Tensor:
    """The style loss, equation 13: over the four levels, mean squared differences of channel means and of standard deviations."""
    terms = []
    for feature, wanted in zip(features, style, strict=True):
        got = channel_moments(feature).statistics()
        terms += [F.mse_loss(got.mean, wanted.mean), F.mse_loss(got.std, wanted.std)]
    return torch.stack(terms).sum()


def range_loss(image: Tensor) -> Tensor:
    """The mean squared distance of pixels outside 0..1, where clamping would cut the gradient and the picture."""
    return (image - image.clamp(0, 1)).float().square().mean()


def variation_loss(image: Tensor) -> Tensor:
    """The total variation: mean absolute difference of neighbouring pixels, against noise and grids."""
    image = image.float()
    return image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()


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

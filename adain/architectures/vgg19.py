"""`vgg19`: the paper's network. VGG-19 to relu4_1, AdaIN there, and a mirrored decoder.

The layer names are VGG's own. The encoder starts with a 1x1 convolution that turns RGB 0..1 into the input its weights
expect, borders are reflected, pooling rounds up, and the standard deviation is the unbiased one, all as in the published
PyTorch weights (naoto0804/pytorch-AdaIN). Its blocks are shared by the other networks around VGG-19.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..affine import RegionalAffine
from ..model import StyleTransferModel
from .architecture import Architecture

Padding = Literal["reflect", "zeros"]

ENCODER = ("conv1_1", "conv1_2", "pool", "conv2_1", "conv2_2", "pool", "conv3_1", "conv3_2", "conv3_3", "conv3_4", "pool", "conv4_1")
"""Layers from the image to relu4_1; the decoder runs them backwards, with upsampling for each pool."""

WIDTHS = {"conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128), "conv2_2": (128, 128), "conv3_1": (128, 256)}
WIDTHS |= {"conv3_2": (256, 256), "conv3_3": (256, 256), "conv3_4": (256, 256), "conv4_1": (256, 512)}

DECODER = tuple("up" if name == "pool" else name for name in reversed(ENCODER))
"""Layers from relu4_1 to the image."""

DECODER_WIDTHS = {name: (outputs, inputs) for name, (inputs, outputs) in WIDTHS.items()}

NAOTO_ENCODER = {0: "rgb", 2: "conv1_1", 5: "conv1_2", 9: "conv2_1", 12: "conv2_2", 16: "conv3_1", 19: "conv3_2"}
NAOTO_ENCODER |= {22: "conv3_3", 25: "conv3_4", 29: "conv4_1"}
"""Indices of the published `vgg_normalised.pth` (naoto0804/pytorch-AdaIN)."""

NAOTO_DECODER = {1: "conv4_1", 5: "conv3_4", 8: "conv3_3", 11: "conv3_2", 14: "conv3_1", 18: "conv2_2"}
NAOTO_DECODER |= {21: "conv2_1", 25: "conv1_2", 28: "conv1_1"}
"""Indices of the `decoder.pth` published with it."""

COMMON_KEYS = {"encoder.conv4_1.weight", "decoder.conv4_1.weight"}
"""Tensors that `vgg19` and `kuko6` have under the same names."""

OWN_KEYS = {"encoder.rgb.weight", "decoder.conv3_4.weight"}
"""Tensors that `kuko6` lacks, which has no others of its own."""


class VGG19(StyleTransferModel):
    architecture = "vgg19"
    stride = 8
    level_strides = (8,)
    level_channels = (512,)
    encoder_halo = 32
    halo = 72
    values_per_pixel = 320
    correction = 1

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder(DECODER, DECODER_WIDTHS)

    def encode(self, image: Tensor) -> list[Tensor]:
        return [self.encoder(image.to(self.dtype))]

    def finish(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder(features[0]).to(image.dtype)


class Encoder(nn.Module):
    """An image [B, 3, H, W] to relu4_1 [B, 512, H/8, W/8].

    `rgb` puts a 1x1 convolution first, `ceil_mode` rounds odd sizes up at each pool, `padding_mode` is that of
    `nn.Conv2d`.
    """

    def __init__(self, rgb: bool = True, ceil_mode: bool = True, padding_mode: Padding = "reflect") -> None:
        super().__init__()
        self.ceil_mode = ceil_mode
        self.rgb = nn.Conv2d(3, 3, 1) if rgb else None
        for name in ENCODER:
            if name != "pool":
                self.add_module(name, _conv(*WIDTHS[name], padding_mode))

    def forward(self, image: Tensor) -> Tensor:
        ((_, features),) = deque(self.layers(image), maxlen=1)
        return features

    def layers(self, image: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The name and the activation of each layer in turn, down to ("conv4_1", relu4_1)."""
        x = image if self.rgb is None else self.rgb(image)
        for name in ENCODER:
            if name == "pool":
                x = F.max_pool2d(x, 2, ceil_mode=self.ceil_mode)
            else:
                x = F.relu(self.get_submodule(name)(x), inplace=True)  # a fresh buffer would cost more than the arithmetic
            yield name, x


class Decoder(nn.Module):
    """Features [B, 512, h, w] to [B, 3, 8h, 8w]: `layers` in order, each a convolution and a ReLU, or "up".

    The last layer has no ReLU; an output activation is the model's own. `widths` gives (inputs, outputs) of each layer.
    """

    def __init__(self, layers: Sequence[str], widths: Mapping[str, tuple[int, int]], padding_mode: Padding = "reflect") -> None:
        super().__init__()
        self.layers = tuple(layers)
        for name in self.layers:
            if name != "up":
                self.add_module(name, _conv(*widths[name], padding_mode))

    def forward(self, x: Tensor) -> Tensor:
        for name in self.layers:
            if name == "up":
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            else:
                x = self.get_submodule(name)(x)
                x = x if name == self.layers[-1] else F.relu(x, inplace=True)
        return x


def _conv(inputs: int, outputs: int, padding_mode: Padding) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=padding_mode)


class VGG19Architecture(Architecture[VGG19]):
    model = VGG19

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        return state.keys() >= COMMON_KEYS and not state.keys().isdisjoint(OWN_KEYS)

    def build(self, state: Mapping[str, Tensor]) -> VGG19:
        return VGG19()


def renamed(state: Mapping[str, Tensor], names: Mapping[int, str], prefix: str = "") -> dict[str, Tensor]:
    """The layers at the indices of a published `nn.Sequential` under our names: `f"{prefix}{index}.weight"` and `.bias`.

    Raises KeyError for a layer that `state` lacks; layers that `names` does not list are left out.
    """
    return {f"{name}.{kind}": state[f"{prefix}{index}.{kind}"] for index, name in names.items() for kind in ("weight", "bias")}

"""`vgg19`: the paper's network. VGG-19 to relu4_1, AdaIN there, and a mirrored decoder.

The layer names are VGG's own. The encoder starts with a 1x1 convolution that turns RGB 0..1 into the input its weights
expect, borders are reflected, and the standard deviation is the unbiased one, all as in the published PyTorch weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..affine import RegionalAffine
from ..model import StyleTransferModel

ENCODER = ("conv1_1", "conv1_2", "pool", "conv2_1", "conv2_2", "pool", "conv3_1", "conv3_2", "conv3_3", "conv3_4", "pool", "conv4_1")
"""Layers from the image to relu4_1; the decoder runs them backwards, with upsampling for each pool."""

WIDTHS = {"conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128), "conv2_2": (128, 128), "conv3_1": (128, 256)}
WIDTHS |= {"conv3_2": (256, 256), "conv3_3": (256, 256), "conv3_4": (256, 256), "conv4_1": (256, 512)}

NAOTO_ENCODER = {0: "rgb", 2: "conv1_1", 5: "conv1_2", 9: "conv2_1", 12: "conv2_2", 16: "conv3_1", 19: "conv3_2", 22: "conv3_3", 25: "conv3_4", 29: "conv4_1"}
"""Indices of the published `vgg_normalised.pth` (naoto0804/pytorch-AdaIN)."""


class VGG19(StyleTransferModel):
    architecture = "vgg19"
    stride = 8
    level_strides = (8,)
    correction = 1

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def encode(self, image: Tensor) -> list[Tensor]:
        return [self.encoder(image)]

    def decode(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder(features[0]).to(image.dtype)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rgb = nn.Conv2d(3, 3, 1)
        for name in ENCODER:
            if name != "pool":
                self.add_module(name, _conv(*WIDTHS[name]))

    def forward(self, image: Tensor) -> Tensor:
        x = self.rgb(image)
        for name in ENCODER:
            x = F.max_pool2d(x, 2, ceil_mode=True) if name == "pool" else F.relu(self.get_submodule(name)(x))
        return x


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ENCODER:
            if name != "pool":
                inputs, outputs = WIDTHS[name]
                self.add_module(name, _conv(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        for name in reversed(ENCODER):
            if name == "pool":
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            else:
                x = self.get_submodule(name)(x)
                x = x if name == "conv1_1" else F.relu(x)
        return x


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


def detect(state: Mapping[str, Tensor]) -> bool:
    return "encoder.conv4_1.weight" in state and "decoder.conv4_1.weight" in state


def from_state(state: Mapping[str, Tensor]) -> VGG19:
    return VGG19()


def load_naoto_encoder(model: VGG19, state: Mapping[str, Tensor]) -> None:
    """Give `model` the encoder of the published `vgg_normalised` layout; layers after relu4_1 are ignored."""
    names = {f"{name}.{kind}": state[f"{index}.{kind}"] for index, name in NAOTO_ENCODER.items() for kind in ("weight", "bias")}
    model.encoder.load_state_dict(names)

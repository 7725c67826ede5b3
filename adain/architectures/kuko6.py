"""`kuko6`: torchvision's VGG-19 to relu4_1 with a decoder of seven layers (kuko6/style-transfer).

The network sees and makes pictures in ImageNet-normalised RGB: its last layer is a tanh in that space. Borders are
reflected, pooling rounds down, and the standard deviation is the population one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..affine import RegionalAffine
from ..model import StyleTransferModel
from .architecture import Architecture
from .vgg19 import COMMON_KEYS, DECODER_WIDTHS, OWN_KEYS, Decoder, Encoder

DECODER = ("up", "conv4_1", "up", "conv3_2", "conv3_1", "up", "conv2_2", "conv2_1", "conv1_2", "conv1_1")
"""Layers from relu4_1 to the image; unlike the paper's, each upsampling comes before the convolution that narrows."""

SOURCE_ENCODER = {0: "conv1_1", 2: "conv1_2", 5: "conv2_1", 7: "conv2_2", 10: "conv3_1", 12: "conv3_2"}
SOURCE_ENCODER |= {14: "conv3_3", 16: "conv3_4", 19: "conv4_1"}
"""Indices of torchvision's `vgg19().features`, which is `encoder` in the published state dict."""

SOURCE_DECODER = {1: "conv4_1", 4: "conv3_2", 6: "conv3_1", 9: "conv2_2", 11: "conv2_1", 13: "conv1_2", 15: "conv1_1"}
"""Indices of `decoder` in the published state dict."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Kuko6(StyleTransferModel):
    architecture = "kuko6"
    stride = 8
    level_strides = (8,)
    level_channels = (512,)
    encoder_halo = 32
    halo = 56
    values_per_pixel = 320

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(rgb=False, ceil_mode=False)
        self.decoder = Decoder(DECODER, DECODER_WIDTHS)

    def encode(self, image: Tensor) -> list[Tensor]:
        normalized = (image - _channels(IMAGENET_MEAN, image)) / _channels(IMAGENET_STD, image)
        return [self.encoder(normalized.to(self.dtype))]

    def finish(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        normalized = self.decoder(features[0]).to(image.dtype).tanh()
        return normalized * _channels(IMAGENET_STD, image) + _channels(IMAGENET_MEAN, image)


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, 3, 1, 1)


class Kuko6Architecture(Architecture[Kuko6]):
    model = Kuko6

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        return state.keys() >= COMMON_KEYS and state.keys().isdisjoint(OWN_KEYS)

    def build(self, state: Mapping[str, Tensor]) -> Kuko6:
        return Kuko6()

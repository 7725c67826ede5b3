"""`keras`: the Keras example (keras-io/AdaIN): Keras' VGG-19 to block4_conv1, fed RGB 0..1 as it is, and a decoder of nine layers.

Borders are zero-padded everywhere, pooling rounds down, the standard deviation is the population one, and the last layer
is a sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ..affine import RegionalAffine
from ..model import StyleTransferModel
from .architecture import Architecture
from .vgg19 import Decoder, Encoder

DECODER = ("first", "up", "second", "third", "fourth", "fifth", "up", "sixth", "seventh", "up", "eighth", "ninth")

DECODER_WIDTHS = {"first": (512, 512), "second": (512, 256), "third": (256, 256), "fourth": (256, 256), "fifth": (256, 256)}
DECODER_WIDTHS |= {"sixth": (256, 128), "seventh": (128, 128), "eighth": (128, 64), "ninth": (64, 3)}


class Keras(StyleTransferModel):
    architecture = "keras"
    stride = 8
    level_strides = (8,)
    level_channels = (512,)
    encoder_halo = 32
    halo = 72
    values_per_pixel = 320

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(rgb=False, ceil_mode=False, padding_mode="zeros")
        self.decoder = Decoder(DECODER, DECODER_WIDTHS, padding_mode="zeros")

    def encode(self, image: Tensor) -> list[Tensor]:
        return [self.encoder(image.to(self.dtype))]

    def finish(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder(features[0]).to(image.dtype).sigmoid()


class KerasArchitecture(Architecture[Keras]):
    model = Keras

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        return {"encoder.conv4_1.weight", "decoder.ninth.weight"} <= state.keys()

    def build(self, state: Mapping[str, Tensor]) -> Keras:
        return Keras()

"""`base`: a wider and deeper sibling of `lite`, one level deeper, that paints with more freedom.

    image --level 0: colours--> y --encoder--> features at 1/2, 1/4, 1/8, 1/16 --AdaIN--> decoder --> y + residual

All convolutions are 3x3 with reflected borders. Enlarging is bilinear and the pixels leave through thin layers at full size, so
that no grid of copied pixels is painted. The decoder's layers are modulated by affine maps that are linear in the target moments,
as in `lite`, through a narrow layer: the moments of four levels by all channels would be most of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..affine import Affine, RegionalAffine
from ..model import StyleTransferModel
from ..moments import Statistics
from .architecture import Architecture
from .lite import Encoder as LiteEncoder
from .lite import Residual, StatisticsLinear, affine_maps, code_length, code_of, conv, leaky, modulation_layer

DEFAULT_WIDTHS = (48, 96, 192, 224)
"""Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution."""

BLOCKS4, BLOCKS8, BLOCKS16 = 3, 2, 1
"""Residual blocks of the decoder at 1/4, 1/8 and 1/16: strokes live there."""

DEFAULT_CODE = 256
"""Width of the layer between the moments and the modulations."""

PIXELS = 8
"""Channels at full size."""


class Base(StyleTransferModel):
    architecture = "base"
    color = True
    stride = 16
    level_strides = (2, 4, 8, 16)
    encoder_halo = 48
    halo = 208
    prepare_halo = 48
    values_per_pixel = 160

    def __init__(self, widths: Sequence[int] = DEFAULT_WIDTHS, code: int = DEFAULT_CODE) -> None:
        super().__init__()
        self.level_channels = tuple(widths)
        self.encoder = Encoder(self.level_channels)
        self.decoder = Decoder(self.level_channels)
        self.code = StatisticsLinear(code_length(self.level_channels), code, bias=False)
        self.modulation = modulation_layer(code, self.decoder.modulated)

    def encode(self, image: Tensor) -> list[Tensor]:
        return self.encoder(image)

    def prepare(self, coarsest: Tensor, modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder.prepare(coarsest, modulations)

    def finish(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder.finish(image, features, modulations).to(image.dtype).add_(image)

    def modulate(self, target: Sequence[Statistics]) -> list[Affine]:
        return affine_maps(self.modulation(self.code(code_of(target))), self.decoder.modulated)


class Encoder(LiteEncoder):
    """The encoder of `lite` and a level more."""

    def __init__(self, widths: Sequence[int]) -> None:
        half, quarter, eighth, sixteenth = widths
        super().__init__(half, quarter, eighth)
        self.down16 = conv(eighth, sixteenth, stride=2)
        self.at16 = conv(sixteenth, sixteenth)

    def forward(self, image: Tensor) -> list[Tensor]:
        features = super().forward(image)
        return [*features, leaky(self.at16(leaky(self.down16(features[-1]))))]


class Decoder(nn.Module):
    """From the coarsest level to the finest: residual blocks at each, then up to the next, whose features are added."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.blocks16 = residuals(sixteenth, BLOCKS16)
        self.up8 = conv(sixteenth, eighth)
        self.blocks8 = residuals(eighth, BLOCKS8)
        self.up4 = conv(eighth, quarter)
        self.at4 = conv(quarter, quarter)
        self.blocks4 = residuals(quarter, BLOCKS4)
        self.up2 = conv(quarter, half)
        self.at2 = conv(half, half)
        self.thin = conv(half, 4 * PIXELS)
        self.pixels = conv(PIXELS + 3, 3)
        # Training starts from the recoloured content.
        for value in self.pixels.parameters():
            nn.init.zeros_(value)
        self.modulated = (
            *(sixteenth,) * BLOCKS16, eighth,
            *(eighth,) * BLOCKS8, quarter,
            quarter, *(quarter,) * BLOCKS4, half,
            half,
        )  # fmt: skip
        """Channels of each modulated layer, in order."""

    def prepare(self, sixteenth: Tensor, modulations: Sequence[RegionalAffine]) -> Tensor:
        """The layers at 1/16: most of the parameters, a small part of the arithmetic, and half of how far the decoder looks."""
        left = iter(modulations)
        x = through(self.blocks16, sixteenth, left)
        return leaky(next(left)(self.up8(x)))

    def finish(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        half, quarter, eighth, prepared = features
        left = iter(modulations[BLOCKS16 + 1 :])
        x = through(self.blocks8, upsample(prepared).add_(eighth), left)
        x = leaky(next(left)(self.up4(x)))
        x = leaky(next(left)(self.at4(upsample(x).add_(quarter))))
        x = through(self.blocks4, x, left)
        x = leaky(next(left)(self.up2(x)))
        x = leaky(next(left)(self.at2(upsample(x).add_(half))))
        pixels = F.pixel_shuffle(leaky(self.thin(x)), 2)
        return self.pixels(torch.cat([pixels, image.to(pixels.dtype)], 1))


def residuals(width: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(Residual(width) for _ in range(count))


def through(blocks: nn.ModuleList, x: Tensor, modulations: Iterator[RegionalAffine]) -> Tensor:
    for block in blocks:
        x = block(x, next(modulations))
    return x


def upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class BaseArchitecture(Architecture[Base]):
    model = Base

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        return {"encoder.down16.weight", "decoder.thin.weight"} <= state.keys()

    def build(self, state: Mapping[str, Tensor]) -> Base:
        widths = [len(state[f"encoder.{name}.weight"]) for name in ("down2", "down4", "down8", "down16")]
        return Base(widths, len(state["code.weight"]))

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
from .lite import Float32Conv2d, Residual, conv, leaky, narrower

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
        self.code = nn.Linear(3 + 9 + 2 * sum(self.level_channels), code, bias=False)
        self.modulation = nn.Linear(code, 2 * sum(self.decoder.modulated))
        # The decoder starts as if it were not modulated.
        nn.init.normal_(self.modulation.weight, std=0.02 * code**-0.5)
        nn.init.zeros_(self.modulation.bias)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.decoder.parameters()).dtype  # not the encoder's, whose first layers may keep float32

    def encode(self, image: Tensor) -> list[Tensor]:
        return self.encoder(image)

    def prepare(self, coarsest: Tensor, modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder.prepare(coarsest, modulations)

    def finish(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder.finish(image, features, modulations).to(image.dtype).add_(image)

    def modulate(self, target: Sequence[Statistics]) -> list[Affine]:
        code = torch.cat([part.flatten(1) for level in target for part in level], 1)
        with torch.autocast(code.device.type, enabled=False):
            narrow = F.linear(code, self.code.weight.to(code))
            flat = F.linear(narrow, self.modulation.weight.to(code), self.modulation.bias.to(code))
        parts = flat.split([n for width in self.decoder.modulated for n in (width, width)], 1)
        return [Affine(1 + scale, shift) for scale, shift in zip(parts[::2], parts[1::2], strict=True)]


class Encoder(nn.Module):
    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.down2 = conv(12, half, kind=Float32Conv2d)
        self.down4 = conv(half, quarter, stride=2, kind=Float32Conv2d)
        self.at4 = conv(quarter, quarter)
        self.down8 = conv(quarter, eighth, stride=2)
        self.at8 = conv(eighth, eighth)
        self.down16 = conv(eighth, sixteenth, stride=2)
        self.at16 = conv(sixteenth, sixteenth)

    def forward(self, image: Tensor) -> list[Tensor]:
        half = leaky(self.down2(F.pixel_unshuffle(image.to(self.down2.weight.dtype), 2)))
        quarter = leaky(self.down4(half))
        half, quarter = (x.to(narrower(x.dtype, self.at4.weight.dtype)) for x in (half, quarter))
        quarter = leaky(self.at4(quarter))
        eighth = leaky(self.at8(leaky(self.down8(quarter))))
        sixteenth = leaky(self.at16(leaky(self.down16(eighth))))
        return [half, quarter, eighth, sixteenth]


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


def detect(state: Mapping[str, Tensor]) -> bool:
    return "encoder.down16.weight" in state and "modulation.weight" in state


def from_state(state: Mapping[str, Tensor]) -> Base:
    widths = [len(state[f"encoder.{name}.weight"]) for name in ("down2", "down4", "down8", "down16")]
    return Base(widths, len(state["code.weight"]))

"""`lite`: a small encoder and decoder trained together, the embedded default.

    image --level 0: colours--> y --encoder--> features at 1/2, 1/4, 1/8 --AdaIN--> decoder --> y + residual

All convolutions are 3x3 with reflected borders. Full resolution is only touched by the colour map and the final addition:
pixels enter and leave as 2x2 blocks. The decoder's layers are modulated by affine maps that are linear in the target
moments, so blending, strength and regions stay exact there too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..affine import Affine, RegionalAffine
from ..model import StyleTransferModel
from ..moments import Statistics
from .architecture import Architecture

DEFAULT_WIDTHS = (32, 64, 128)
"""Channels at 1/2, 1/4 and 1/8 of the resolution."""


class Lite(StyleTransferModel):
    architecture = "lite"
    color = True
    stride = 8
    level_strides = (2, 4, 8)
    encoder_halo = 24
    halo = 88
    prepare_halo = 40
    values_per_pixel = 96

    def __init__(self, widths: Sequence[int] = DEFAULT_WIDTHS) -> None:
        super().__init__()
        half, quarter, eighth = self.level_channels = tuple(widths)
        self.encoder = Encoder(half, quarter, eighth)
        self.decoder = Decoder(half, quarter, eighth)
        self.modulation = modulation_layer(code_length(self.level_channels), self.decoder.modulated)

    def encode(self, image: Tensor) -> list[Tensor]:
        return self.encoder(image)

    def prepare(self, coarsest: Tensor, modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder.prepare(coarsest, modulations)

    def finish(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.decoder.finish(features, modulations).to(image.dtype).add_(image)

    def modulate(self, target: Sequence[Statistics]) -> list[Affine]:
        return affine_maps(self.modulation(code_of(target)), self.decoder.modulated)


class Encoder(nn.Module):
    def __init__(self, half: int, quarter: int, eighth: int) -> None:
        super().__init__()
        self.down2 = conv(12, half, kind=Float32Conv2d)
        self.down4 = conv(half, quarter, stride=2, kind=Float32Conv2d)
        self.at4 = conv(quarter, quarter)
        self.down8 = conv(quarter, eighth, stride=2)
        self.at8 = conv(eighth, eighth)

    def forward(self, image: Tensor) -> list[Tensor]:
        half = leaky(self.down2(F.pixel_unshuffle(image.to(self.down2.weight.dtype), 2)))
        quarter = leaky(self.down4(half))
        half, quarter = (x.to(narrower(x.dtype, self.at4.weight.dtype)) for x in (half, quarter))
        quarter = leaky(self.at4(quarter))
        eighth = leaky(self.at8(leaky(self.down8(quarter))))
        return [half, quarter, eighth]


class Decoder(nn.Module):
    def __init__(self, half: int, quarter: int, eighth: int) -> None:
        super().__init__()
        self.first8 = Residual(eighth)
        self.second8 = Residual(eighth)
        self.up4 = conv(eighth, quarter)
        self.at4 = conv(quarter, quarter)
        self.residual4 = Residual(quarter)
        self.up2 = conv(quarter, half)
        self.at2 = conv(half, half)
        self.pixels = conv(half, 12)
        # Training starts from the recoloured content.
        for value in self.pixels.parameters():
            nn.init.zeros_(value)
        self.modulated = (eighth, eighth, quarter, quarter, quarter, half, half)
        """Channels of each modulated layer, in order."""

    def prepare(self, eighth: Tensor, modulations: Sequence[RegionalAffine]) -> Tensor:
        """The layers at 1/8: half of the decoder's arithmetic, two thirds of how far it looks, a small part of its memory."""
        first8, second8, up4, *_ = modulations
        x = self.second8(self.first8(eighth, first8), second8)
        return leaky(up4(self.up4(x)))

    def finish(self, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        half, quarter, prepared = features
        _, _, _, at4, residual4, up2, at2 = modulations
        x = leaky(at4(self.at4(upsample(prepared).add_(quarter))))
        x = self.residual4(x, residual4)
        x = leaky(up2(self.up2(x)))
        x = leaky(at2(self.at2(upsample(x).add_(half))))
        return F.pixel_shuffle(self.pixels(x), 2)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.second = conv(width, width)

    def forward(self, x: Tensor, modulation: RegionalAffine) -> Tensor:
        return self.second(leaky(modulation(self.first(x)))).add_(x)


def code_length(level_channels: Sequence[int]) -> int:
    """How many numbers `code_of` gives: mean and covariance of the colours, mean and deviation of each channel of each level."""
    return 3 + 9 + 2 * sum(level_channels)


def code_of(target: Sequence[Statistics]) -> Tensor:
    """The target statistics of all levels, one after the other: [B, `code_length`]."""
    return torch.cat([part.flatten(1) for level in target for part in level], 1)


def affine_maps(numbers: Tensor, channels: Sequence[int]) -> list[Affine]:
    """Maps for layers of these `channels`, from [B, 2 * sum(channels)]: each takes its scales, less 1, and then its shifts."""
    parts = numbers.split([n for count in channels for n in (count, count)], 1)
    return [Affine(1 + scale, shift) for scale, shift in zip(parts[::2], parts[1::2], strict=True)]


class StatisticsLinear(nn.Linear):
    """A linear layer for statistics: in their precision, whatever the network's is, and under autocast too."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            return F.linear(input, self.weight.to(input), None if self.bias is None else self.bias.to(input))


def modulation_layer(inputs: int, channels: Sequence[int]) -> StatisticsLinear:
    """The layer that gives the numbers for `affine_maps`; fresh, it leaves the decoder almost as if it were not modulated."""
    layer = StatisticsLinear(inputs, 2 * sum(channels))
    nn.init.normal_(layer.weight, std=0.02 * inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


class Float32Conv2d(nn.Conv2d):
    """A convolution whose weights stay as exact as they are when the network around it is converted to bfloat16.

    In smooth areas AdaIN enlarges what the first layers see, and with it the rounding of bfloat16 (docs/lab/performance.md); float16
    is fine enough. `nn.Module` has no setting for a layer that keeps its dtype, so this one answers where every conversion
    arrives: `.to`, `.bfloat16` and their like of any module around it call `_apply`. Device and memory layout change as asked.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Float32Conv2d:
        def keep(value: Tensor) -> Tensor:
            moved = fn(value)
            return moved.to(value.dtype).copy_(value) if moved.dtype == torch.bfloat16 else moved  # not the rounded values

        return super()._apply(keep, recurse)


def conv(inputs: int, outputs: int, stride: int = 1, kind: type[nn.Conv2d] = nn.Conv2d) -> nn.Conv2d:
    return kind(inputs, outputs, 3, stride, padding=1, padding_mode="reflect")


def narrower(a: torch.dtype, b: torch.dtype) -> torch.dtype:
    """The dtype with fewer bits: that of the values under autocast, of the weights behind layers in float32."""
    return min(a, b, key=lambda dtype: dtype.itemsize)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU: behind plain ones the whole branch at 1/8 died in training, again and again.

    In place, like the additions here: a fresh buffer costs a large picture more in page faults than the arithmetic.
    """
    return F.leaky_relu(x, 0.1, inplace=True)


def upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class LiteArchitecture(Architecture[Lite]):
    model = Lite

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        return {"encoder.down2.weight", "decoder.first8.first.weight"} <= state.keys()

    def build(self, state: Mapping[str, Tensor]) -> Lite:
        return Lite([len(state[f"encoder.{name}.weight"]) for name in ("down2", "down4", "down8")])

"""A `base` model that paints what a trained `lite` model paints, to start from: its channels first, the new ones silent."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..adain.architectures.base import BLOCKS4, BLOCKS8, BLOCKS16, Base
from ..adain.architectures.lite import Lite

NOISE = 0.02
"""The deviation, relative to a fresh layer's, of what the new channels first say to the old ones; none would leave them equal longer."""


@torch.no_grad()
def grow_from_lite(model: Base, lite: Lite) -> None:
    """Write the weights of `lite` into `model`, whose widths must not be smaller. Its pictures differ
    from those of `lite` by the smoother enlarging, and by a little noise."""
    old, new = dict(lite.named_parameters()), dict(model.named_parameters())
    for layer in ("encoder.down2", "encoder.down4", "encoder.at4", "encoder.down8", "encoder.at8"):
        _place(old, layer, new, layer)
    for layer in ("decoder.up4", "decoder.at4", "decoder.up2", "decoder.at2"):
        _place(old, layer, new, layer)
    for block, place in (("first8", "blocks8.0"), ("second8", "blocks8.1"), ("residual4", "blocks4.0")):
        for layer in ("first", "second"):
            _place(old, f"decoder.{block}.{layer}", new, f"decoder.{place}.{layer}")
    _silence(new, "decoder.up8")
    for block in ("blocks16.0", "blocks4.1", "blocks4.2"):
        _silence(new, f"decoder.{block}.second")
    _place_pixels(old, new)
    _place_modulation(lite, model)


Parameters = Mapping[str, Tensor]


def _place(old: Parameters, source: str, new: Parameters, target: str) -> None:
    """Put `source` into the first channels of `target`; these hardly listen to the others, which begin as fresh weights."""
    weight, bias = old[f"{source}.weight"], old[f"{source}.bias"]
    outputs, inputs = weight.shape[:2]
    new[f"{target}.weight"][:outputs] *= NOISE
    new[f"{target}.weight"][:outputs, :inputs] = weight
    new[f"{target}.bias"][:outputs] = bias


def _silence(new: Parameters, layer: str) -> None:
    new[f"{layer}.weight"].mul_(NOISE)
    new[f"{layer}.bias"].zero_()


def _place_pixels(old: Parameters, new: Parameters) -> None:
    """Use x = (leaky(x) - leaky(-x)) / 1.1: the residual passes the activation between the thin layers as two channels a colour."""
    weight, bias = old["decoder.pixels.weight"], old["decoder.pixels.bias"]
    thin, pixels = new["decoder.thin.weight"], new["decoder.pixels.weight"]
    count, width = weight.shape[:2]
    thin[: 2 * count] *= NOISE
    thin[:count, :width], thin[count : 2 * count, :width] = weight, -weight
    new["decoder.thin.bias"][:count], new["decoder.thin.bias"][count : 2 * count] = bias, -bias
    pixels.zero_()
    new["decoder.pixels.bias"].zero_()
    for color in range(3):
        pixels[color, color, 1, 1], pixels[color, 3 + color, 1, 1] = 1 / 1.1, -1 / 1.1


def _place_modulation(lite: Lite, model: Base) -> None:
    """Put in the best approximation of the modulations through the narrow layer; the new inputs begin faint, the new outputs at zero."""
    u, s, v = torch.linalg.svd(lite.modulation.weight, full_matrices=False)
    rank = min(len(model.code.weight), len(s))
    model.modulation.weight.zero_()
    model.modulation.bias.zero_()
    model.code.weight *= NOISE
    rows = _outputs(lite, model)
    root = s[:rank].sqrt()
    model.modulation.weight[rows, :rank] = u[:, :rank] * root
    model.modulation.bias[rows] = lite.modulation.bias
    model.code.weight[:rank, _inputs(lite, model)] = v[:rank] * root[:, None]


def _inputs(lite: Lite, model: Base) -> Tensor:
    """Where each number of lite's code stands in that of `model`."""
    places, start = list(range(12)), 12
    for small, wide in zip(lite.level_channels, model.level_channels, strict=False):
        for part in range(2):
            places += [start + part * wide + i for i in range(small)]
        start += 2 * wide
    return torch.tensor(places)


def _outputs(lite: Lite, model: Base) -> Tensor:
    """Where each number of lite's modulations stands among those of `model`."""
    decoder = model.decoder
    first8 = BLOCKS16 + 1
    up4 = first8 + BLOCKS8
    up2 = up4 + 2 + BLOCKS4
    layers = [first8, first8 + 1, up4, up4 + 1, up4 + 2, up2, up2 + 1]
    places: list[int] = []
    for layer, small in zip(layers, lite.decoder.modulated, strict=True):
        start, wide = 2 * sum(decoder.modulated[:layer]), decoder.modulated[layer]
        places += [start + part * wide + i for part in range(2) for i in range(small)]
    return torch.tensor(places)

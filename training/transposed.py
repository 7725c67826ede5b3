"""A start for the decoder of a frozen VGG-19: the encoder's own layers, transposed."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..adain.architectures.kuko6 import Kuko6
from ..adain.architectures.vgg19 import VGG19

_MEAN, _STD = 0.45, 0.25
"""The mean and deviation of photographs in RGB 0..1."""


@torch.no_grad()
def start_from_encoder(model: VGG19 | Kuko6) -> None:
    """Give each layer of the decoder the transposed weights of the encoder's layer of the same name.

    The transpose of a convolution is its gradient, a rough inverse: after 60 steps of the paper's network the style loss
    was 7.6 from this start and 30 from random weights. Each layer is then scaled to keep a deviation of 1, as LSUV does
    (Mishkin & Matas 2016), on the features of noise that is as smooth as photographs; the last one makes it a picture of
    common brightness and contrast.
    """
    noise = [F.interpolate(torch.randn(4, 3, side, side), size=(64, 64), mode="bicubic") for side in (4, 8, 16, 32, 64)]
    (x,) = model.encode((_MEAN + _STD * torch.stack(noise).mean(0)).clamp(0, 1))
    for name in model.decoder.layers:
        if name == "up":
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            continue
        layer = model.decoder.get_submodule(name)
        weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
        weight.copy_(model.encoder.get_submodule(name).get_parameter("weight").transpose(0, 1).flip(2, 3))
        bias.zero_()
        if name == model.decoder.layers[-1]:
            weight.mul_(_STD / layer(x).std())
            bias.copy_(_MEAN - layer(x).mean((0, 2, 3)))
        else:
            weight.div_(F.relu(layer(x)).std())
            x = F.relu(layer(x))

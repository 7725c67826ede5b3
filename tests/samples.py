"""Small models and pictures that several test files use."""

from __future__ import annotations

from contextlib import ExitStack
from unittest.mock import patch

import torch
from adain_style_transfer.adain.architectures import keras
from adain_style_transfer.adain.architectures.base import Base
from adain_style_transfer.adain.architectures.keras import Keras
from adain_style_transfer.adain.architectures.kuko6 import Kuko6
from adain_style_transfer.adain.architectures.lite import Lite
from adain_style_transfer.adain.architectures.vgg19 import DECODER_WIDTHS, ENCODER, VGG19, WIDTHS
from adain_style_transfer.adain.loss_network import LEVEL_CHANNELS
from adain_style_transfer.adain.media.images import read_picture
from adain_style_transfer.adain.resample import resize
from adain_style_transfer.weights.samples import sample_path
from safetensors.torch import save_file


def randomized(model, seed=0):
    """`model` with weights that keep activations about 1 from layer to layer, sealed and in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            fan_in = value[0].numel()
            scale = (2 / fan_in) ** 0.5 if value.ndim > 1 else 0.1
            value.copy_(torch.randn(value.shape, generator=generator) * scale)
        if isinstance(model, Lite | Base):  # as after training: a residual on the recoloured content, lightly modulated
            model.decoder.pixels.weight *= 0.2
            model.modulation.weight *= 0.3
    model.seal()
    return model.eval().requires_grad_(False)


def small_lite(seed=0):
    return randomized(Lite((4, 6, 8)), seed)


def small_base(seed=0):
    return randomized(Base((4, 6, 8, 8), 16), seed)


def vgg19(seed=0):
    return randomized(VGG19(), seed)


def thin(network):
    """A `network` around VGG-19 with a sixteenth of its channels: as deep, and quick enough to be run often."""
    with ExitStack() as stack:
        for widths in (WIDTHS, DECODER_WIDTHS, keras.DECODER_WIDTHS):
            thinned = {name: tuple(n if n == 3 else n // 16 for n in pair) for name, pair in widths.items()}
            stack.enter_context(patch.dict(widths, thinned))
        model = randomized(network())
    model.level_channels = tuple(n // 16 for n in network.level_channels)
    return model


SMALL = {
    "lite": small_lite,
    "base": small_base,
    "vgg19": lambda: thin(VGG19),
    "kuko6": lambda: thin(Kuko6),
    "keras": lambda: thin(Keras),
}
"""Small networks of every architecture, with random weights."""


def published_kuko6():
    """A model with random weights, and its state dict as its author publishes it."""
    model = randomized(Kuko6())
    features = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7}
    features |= {"conv3_1": 10, "conv3_2": 12, "conv3_3": 14, "conv3_4": 16, "conv4_1": 19}
    decoder = {"conv4_1": 1, "conv3_2": 4, "conv3_1": 6, "conv2_2": 9, "conv2_1": 11, "conv1_2": 13, "conv1_1": 15}
    state = {}
    for key, value in model.state_dict().items():
        part, layer, kind = key.split(".")
        state[f"{part}.{(features if part == 'encoder' else decoder)[layer]}.{kind}"] = value
    return model, state


def picture(height, width, seed=0, batch=1):
    """A picture [batch, 3, height, width] in 0..1: noise on colours that drift over the picture, in other colours for each seed."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.linspace(-1, 1, height).view(1, 1, -1, 1)
    x = torch.linspace(-1, 1, width).view(1, 1, 1, -1)
    base, along, across = (torch.rand(batch, 3, 1, 1, generator=generator) for _ in range(3))
    noise = torch.rand(batch, 3, height, width, generator=generator)
    return (0.2 + 0.6 * base + 0.2 * (along - 0.5) * y + 0.2 * (across - 0.5) * x + 0.3 * (noise - 0.5)).clamp(0, 1)


def photograph(name, height, width):
    """A sample photograph in 8 bits. Unlike noise, it is refined alike where rounding differs a little."""
    return (resize(read_picture(sample_path(name)).rgb, (height, width)) * 255).round() / 255


def soft_mask(height, width, seed=0):
    """A mask [1, 1, height, width] in 0..1, with whole areas of 0 and of 1."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(1, 1, height, width, generator=generator) * 2 - 0.5).clamp(0, 1)


def values(*shape, seed=0, dtype=torch.float64):
    """Feature-like numbers [B, C, H, W], each channel with its own mean and deviation."""
    generator = torch.Generator().manual_seed(seed)
    scale, shift = torch.rand(2, *shape[:2], 1, 1, generator=generator, dtype=torch.float64)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale + 3 * shift).to(dtype)


def loss_network_file(path, seed=0):
    """A random network of the right shapes at `path`, with activations of about 1."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, (inputs, outputs) in WIDTHS.items():
        scale = (1 if name == "conv1_1" else 2 / (9 * inputs)) ** 0.5
        tensors[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * scale
        tensors[f"{name}.bias"] = torch.zeros(outputs)
    save_file(tensors, path)
    return path


def distilled_file(path, seed=0):
    """A loss network of few channels, with layers back to VGG-19's own as distilled ones have, a hundred times as fast."""
    generator = torch.Generator().manual_seed(seed)
    tensors, inputs = {}, 3
    for name in (name for name in ENCODER if name != "pool"):
        level = int(name[4]) - 1
        width = 4 * (level + 1)
        tensors[f"{name}.weight"] = torch.randn(width, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        tensors[f"{name}.bias"] = torch.rand(width, generator=generator) * 0.1
        inputs = width
        if name.endswith("_1"):
            full = LEVEL_CHANNELS[level]
            tensors[f"{name}_aux.weight"] = torch.randn(full, width, 1, 1, generator=generator) * (2 / width) ** 0.5
            tensors[f"{name}_aux.bias"] = torch.zeros(full)
    save_file(tensors, path)
    return path

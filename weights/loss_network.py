"""The loss network from a file of VGG-19, whoever published it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..adain.architectures import kuko6
from ..adain.architectures.vgg19 import NAOTO_ENCODER, renamed
from ..adain.errors import ModelError, reason
from ..adain.loss_network import LossNetwork
from ..adain.media.images import read_picture
from ..adain.resample import resize
from .checkpoints import read_tensors
from .loading import default_device, default_dtype, weights_path
from .samples import sample_names, sample_path

JUDGE = "vgg-normalised"
"""The entry of the catalogue that judges refined pictures, and that the presets were measured with."""

_UNIT = 2.0
"""Channels whose mean activation is within so many times 1, on average over a level, weigh alike already."""

_GLANCE = 128
"""Pixels a side of the picture that is looked at to see whether they do."""


def load_judge(
    name: str | os.PathLike[str] = JUDGE, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> LossNetwork:
    """The loss network that `adain.refine` takes: a file of VGG-19, or an id of `adain models`, downloaded on first use.

    Its channels are scaled to a mean activation of about 1 where its file has them otherwise. `device` and `dtype` as for `load_model`,
    but never float16, whose range gradients leave. Raises ModelError if there is none, or for float16.
    """
    if dtype == torch.float16:
        raise ModelError("The loss network cannot judge in float16, whose range gradients leave. Choose bfloat16 or float32.")
    network = read_loss_network(weights_path(str(name)))
    photographs = [read_picture(sample_path(sample)).rgb for sample in sample_names()]
    with torch.inference_mode():
        levels = [feature.mean() for feature in network(resize(photographs[0], (_GLANCE, _GLANCE)))]
    if any(not 1 / _UNIT < float(level) < _UNIT for level in levels):
        network.normalize(photographs)
    device = torch.device(device) if device is not None else default_device()
    # torch's annotations lack what its documentation has
    return network.to(device, dtype or judging_dtype(device), memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def judging_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device has instructions for it, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return default_dtype(device)


def read_loss_network(path: str | os.PathLike[str]) -> LossNetwork:
    """The loss network in a file of VGG-19, float32 on the CPU.

    The file names its layers as `vgg_normalised.pth` or torchvision do, or has `conv1_1.weight` .. `conv4_1.bias` and a first layer that
    takes RGB in 0..1. Raises ModelError if it is none.
    """
    if not Path(path).is_file():
        raise ModelError(f"There is no loss network at {path}. Give a file of VGG-19, or vgg-normalised.")
    tensors = read_tensors(Path(path))
    try:
        network = LossNetwork(_layers(tensors))
    except (ModelError, KeyError) as error:
        raise ModelError(f"{path} is not a loss network, VGG-19 from conv1_1 to conv4_1: {reason(error)}.") from error
    network.name = Path(path).stem
    return network


def _layers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The layers under VGG's own names, with what a published file expects of its input folded into the first."""
    if "features.0.weight" in state:
        layers = renamed(state, kuko6.SOURCE_ENCODER, "features.")
        mean, std = torch.tensor(kuko6.IMAGENET_MEAN), torch.tensor(kuko6.IMAGENET_STD)
        matrix, offset = torch.diag(1 / std), -mean / std
    elif "0.weight" in state:
        layers = renamed(state, NAOTO_ENCODER)
        matrix, offset = layers.pop("rgb.weight")[:, :, 0, 0], layers.pop("rgb.bias")
    else:
        return dict(state)
    first = layers["conv1_1.weight"]
    layers["conv1_1.weight"] = torch.einsum("ochw,ci->oihw", first, matrix)
    layers["conv1_1.bias"] = layers["conv1_1.bias"] + torch.einsum("ochw,c->o", first, offset)
    return layers

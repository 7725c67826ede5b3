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
from .checkpoints import read_tensors


def read_loss_network(path: str | os.PathLike[str]) -> LossNetwork:
    """The loss network in a file of VGG-19, float32 on the CPU.

    The file names its layers as `vgg_normalised.pth` or torchvision do, or has `conv1_1.weight` .. `conv4_1.bias` and a first layer that
    takes RGB in 0..1. Raises ModelError if it is none.
    """
    if not Path(path).is_file():
        raise ModelError(f"There is no loss network at {path}. Give a file of VGG-19, or vgg-normalised.")
    try:
        network = LossNetwork(_layers(read_tensors(Path(path))))
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

"""Models under ComfyUI's memory manager."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import comfy.model_management as mm
import comfy.model_patcher
import torch
from torch import nn

from ..adain import Style, StyleError, StyleTransferModel
from ..adain.loss_network import LossNetwork
from ..adain.network import FeatureNetwork
from ..weights import read_model
from ..weights.loading import default_dtype
from ..weights.loss_network import judging_dtype, load_judge

PRECISIONS = {"auto": None, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


_Network = TypeVar("_Network", bound=FeatureNetwork)


@dataclass(frozen=True, eq=False)
class Managed(Generic[_Network]):
    """A network that ComfyUI moves between its devices."""

    patcher: Any

    @property
    def model(self) -> _Network:
        return self.patcher.model.network

    def load(self, pixels: int) -> _Network:
        """The network on the compute device, with room for the activations of `pixels` pixels."""
        model = self.model
        estimate = pixels * model.values_per_pixel * model.dtype.itemsize
        # Its layers are torch's own, which cannot be streamed from CPU memory, and small: all or nothing.
        mm.load_models_gpu([self.patcher], memory_required=estimate, force_full_load=True)
        return model


class ManagedModel(Managed[StyleTransferModel]):
    """A model that paints; what ADAIN_MODEL links carry."""

    def check(self, style: Style) -> None:
        """Raise StyleError unless `style` was made by this model's encoder."""
        try:
            style.check_made_for(self.model.fingerprint, self.model.architecture)
        except StyleError as error:
            raise StyleError(
                f"{error} The model connected here is {self.model.name!r}: connect one and the same model to the node that "
                "makes the style and to this one."
            ) from error


class AdaINModel(nn.Module):
    """What ComfyUI manages, and its name in ComfyUI's log.

    ComfyUI sets attributes such as `device` on it, which a FeatureNetwork derives from its weights.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network


def open_model(path: str | os.PathLike[str], precision: str = "auto") -> ManagedModel:
    """The model in the safetensors file at `path`. Raises ModelError if there is none.

    The file is read once as long as it does not change, however many nodes ask for it.
    """
    modified = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
    return _open(str(path), modified, PRECISIONS[precision] or _best_dtype(mm.get_torch_device()))


def open_judge(path: str | os.PathLike[str]) -> Managed[LossNetwork]:
    """The loss network in the file at `path`, read once. Raises ModelError if there is none."""
    return _open_judge(str(path), os.stat(path).st_mtime_ns)


@lru_cache(maxsize=4)
def _open(path: str, modified: int, dtype: torch.dtype) -> ManagedModel:
    # torch's annotations lack what its documentation has
    return ManagedModel(_patched(read_model(path).to(dtype=dtype, memory_format=torch.channels_last)))  # pyright: ignore[reportCallIssue]


@lru_cache(maxsize=1)
def _open_judge(path: str, modified: int) -> Managed[LossNetwork]:
    return Managed(_patched(load_judge(path, "cpu", judging_dtype(mm.get_torch_device()))))


def _patched(network: FeatureNetwork) -> Any:
    # CoreModelPatcher (ComfyUI >= 0.12) is looked up now because start options decide what it is.
    patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    return patcher(AdaINModel(network).eval(), load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device())


def _best_dtype(device: torch.device) -> torch.dtype:
    if mm.is_device_cpu(device):
        return default_dtype(device)
    return torch.float16 if mm.should_use_fp16(device) else torch.float32

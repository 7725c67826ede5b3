"""Reading other people's weight files as a flat mapping of names to tensors. The kind of file is known by its first bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..adain.errors import ModelError
from ..adain.extras import install
from ..adain.media.tensor_files import open_tensors

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TEXT = {b"version https://git-lfs": "a Git LFS pointer, not the file it points to. Download it with its resolve link, or `git lfs pull`"}
_TEXT |= dict.fromkeys((b"<!doctype", b"<!DOCTYPE", b"<html"), "a web page, not a model. Download the file itself")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, a PyTorch pickle (old or new) or a Keras HDF5 file, on the CPU.

    Checkpoints give their model: `model_state` of kuko6's, the averaged weights of ours. No code of a pickle is ever run.
    Raises ModelError for anything else.
    """
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error
    for sign, meaning in _TEXT.items():
        if start.startswith(sign):
            raise ModelError(f"{path} is {meaning}.")
    if start.startswith(_HDF5):
        return _read_keras(path)
    if start[8:9] == b"{":
        return open_tensors(path, ModelError)[0]
    return _unwrapped(_read_pickle(path), path)


def _read_pickle(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what bytes that are no model make of an unpickler is not to be foreseen
        detail = re.split(r"(?<=\.)\s", " ".join(str(error).split()))[-1] if "GLOBAL" not in str(error) else _named(str(error))
        raise ModelError(
            f"{path} is not read: it is damaged, no PyTorch file, or holds more than tensors ({detail}). Nothing in it was run. "
            "Give a file with a state dict, such as its author saved with torch.save(model.state_dict(), ...)."
        ) from error


def _named(message: str) -> str:
    """What a refused pickle wanted to call, from torch's message about it."""
    found = re.search(r"GLOBAL (\S+)", message)
    return f"it calls {found[1]}" if found else "it calls code"


def _unwrapped(loaded: object, path: Path) -> dict[str, Tensor]:
    state: Any = loaded
    if isinstance(state, Mapping) and "model_state" in state:
        state = state["model_state"]
    elif isinstance(state, Mapping) and "average" in state and "recipe" in state:
        state = {key.removeprefix("module."): value for key, value in state["average"].items() if key.startswith("module.")}
    if not isinstance(state, Mapping):
        raise ModelError(f"{path} holds a {type(state).__name__}. Expected a state dict: names and tensors.")
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        names = ", ".join(str(key) for key in list(state)[:3]) or "nothing"
        raise ModelError(f"{path} holds no tensors at its top level, only {names}. Expected a state dict, model_state, or our checkpoint.")
    for key, value in tensors.items():
        if value.layout == torch.strided and value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ModelError(f"{path} is damaged: {key} claims {value.numel()} numbers, of which the file has fewer. Download it again.")
    return tensors


def _read_keras(path: Path) -> dict[str, Tensor]:
    """Convolutions of a Keras file as `block1_conv1.weight` or, for numbered names, `conv2d.0.weight` in their order; OIHW."""
    try:
        import h5py  # optional: only these files need it
    except ImportError as error:
        raise install(f"The Keras file {path}", "h5py", ModelError) from error
    found: dict[str, Tensor] = {}

    def visit(name: str, item: object) -> None:
        layer, _, kind = name.rpartition("/")
        kind = {"kernel": "weight", "bias": "bias"}.get(kind.split(":")[0], "")
        if kind and isinstance(item, h5py.Dataset) and "optimizer" not in name:
            tensor = torch.from_numpy(item[()])
            found[f"{layer.rpartition('/')[2]}.{kind}"] = tensor.permute(3, 2, 0, 1).contiguous() if tensor.ndim == 4 else tensor

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        raise ModelError(f"{path} is a damaged Keras file ({error}). Download it again.") from error
    numbers = sorted({int(number[1] or 0) for key in found if (number := re.match(r"conv2d_?(\d*)\.", key))})
    order = {("conv2d" if n == 0 else f"conv2d_{n}"): f"conv2d.{i}" for i, n in enumerate(numbers)}
    return {".".join([order.get(key.split(".")[0], key.split(".")[0]), key.split(".")[1]]): value for key, value in found.items()}

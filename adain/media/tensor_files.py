"""Safetensors files as this package writes and reads them: with a checksum of the tensors, so that a flipped bit does not pass."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import AdaINError
from .atomic import replacing

_CHECKSUM = "tensors_sha256"
"""Key of the metadata; files of other programs do without."""


def save_tensors(tensors: Mapping[str, Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str]) -> None:
    """Write `tensors` and `metadata` to `path`, whole or not at all. Raises OSError and SafetensorError."""
    contiguous = {key: value.contiguous() for key, value in tensors.items()}
    with replacing(path) as temporary:
        save_file(contiguous, temporary, {**metadata, _CHECKSUM: _checksum(contiguous)})


def open_tensors(path: str | os.PathLike[str], kind: type[AdaINError]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file as they are stored, on the CPU, and its metadata.

    Raises an error of `kind` if it is damaged, or holds a kind of number that torch does not know.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no dict
    except (SafetensorError, OSError, RuntimeError, AttributeError, KeyError, TypeError) as error:
        raise kind(f"{path} is not a readable safetensors file ({error}). Save or download it again.") from error
    if metadata.get(_CHECKSUM, checksum := _checksum(tensors)) != checksum:
        raise kind(f"{path} is damaged: its numbers are not those that were saved. Save or download it again.")
    return tensors, metadata


def metadata_of(path: str | os.PathLike[str]) -> dict[str, str]:
    """What a safetensors file says of itself, without its checksum; nothing for a file of another kind."""
    try:
        with safe_open(Path(path), "pt") as file:
            return {key: value for key, value in (file.metadata() or {}).items() if key != _CHECKSUM}
    except (SafetensorError, OSError):
        return {}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

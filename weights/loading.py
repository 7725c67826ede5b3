"""From the name of a model to the model: embedded, a file, or an entry of the catalogue."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from ..adain.errors import ModelError
from ..adain.model import StyleTransferModel
from .files import read_model

_FOLDER = Path(__file__).parent

EMBEDDED = {"adain-lite": _FOLDER / "adain-lite.safetensors"}
"""Models that ship with this package, by name; the first is the default."""


def load_model(
    name: str | os.PathLike[str] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StyleTransferModel:
    """A model ready to use: an embedded one by name (default: the first), a safetensors file by path, or a catalogue entry by id.

    `device` defaults to the accelerator if there is one, else the CPU; `dtype` to what that device computes fastest
    without visible loss. A catalogue entry is downloaded on first use into `folder` (default: the user's cache), with
    `progress(done, total)` in bytes. Raises ModelError if there is no such model or the file is not one.
    """
    model = read_model(model_path(name, folder=folder, progress=progress))
    device = torch.device(device) if device is not None else default_device()
    # torch's annotations lack what its documentation has
    return model.to(device, dtype or default_dtype(device), memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def model_path(
    name: str | os.PathLike[str] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The file that `load_model` reads, downloaded if need be; arguments as there. Raises ModelError if there is no such model."""
    if name is None:
        name = next(iter(EMBEDDED))
    path = EMBEDDED.get(str(name), Path(name))
    return path if path.is_file() else _from_catalog(str(name), None if folder is None else Path(folder), progress)


def weights_path(name: str) -> Path:
    """The file `name`, or that of the catalogue entry with this id, which is downloaded if it is not there yet."""
    path = Path(name)
    if not name or path.exists():
        return path
    from .catalog import find_entry

    if (entry := find_entry(name)) is None:
        return path
    from .hub import get  # here as in _from_catalog

    return get(entry)


def _from_catalog(name: str, folder: Path | None, progress: Callable[[int, int], None] | None) -> Path:
    # Imported here, with the Hub's client: models that are at hand do without it.
    from .catalog import Source, default_folder, entries

    models = {entry.id: entry for entry in entries(folder) if entry.architecture}
    if name in models:
        from .hub import get

        return get(models[name], folder, progress)
    # A path that is mistyped must not become a question to the Hub: what is named by its place there was fetched before.
    advice = ""
    with suppress(ModelError):  # it is no such place
        source = Source.parse(name)
        path = (folder or default_folder()) / source.file_name
        if path.is_file():
            return path
        advice = f" If it is a file on the Hub, run `adain models get {name}` first."
    raise ModelError(f"There is no model {name!r}. Give a safetensors file or one of: {', '.join(models)}.{advice}")


def default_device() -> torch.device:
    """The accelerator (CUDA, ROCm, XPU, MPS) if torch has one, else the CPU."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def default_dtype(device: torch.device) -> torch.dtype:
    """The fastest precision without visible loss: float16 on a GPU, bfloat16 on a CPU with instructions for it, else float32."""
    if device.type == "cuda":
        return torch.float16
    # A private name, but the only question torch answers about AVX512-BF16; without it float32 is right, only slower.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if device.type == "cpu" and supported() else torch.float32

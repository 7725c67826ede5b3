"""Reading and writing model files. Architectures are recognised by keys and shapes, never by file name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..adain.architectures import ARCHITECTURES
from ..adain.errors import ModelError
from ..adain.files import replacing
from ..adain.model import StyleTransferModel

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
    if name is None:
        name = next(iter(EMBEDDED))
    path = EMBEDDED.get(str(name), Path(name))
    if not path.is_file():
        path = _from_catalog(str(name), None if folder is None else Path(folder), progress)
    model = read_model(path)
    device = torch.device(device) if device is not None else default_device()
    # torch's annotations lack what its documentation has
    return model.to(device, dtype or default_dtype(device), memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _from_catalog(name: str, folder: Path | None, progress: Callable[[int, int], None] | None) -> Path:
    # Imported here: the Hub's client builds on this module, and models that are at hand do without it.
    from .catalog import entries
    from .hub import get

    models = {entry.id: entry for entry in entries(folder) if entry.architecture}
    if name not in models:
        raise ModelError(f"There is no model {name!r}. Give a safetensors file or one of: {', '.join(models)}.")
    return get(models[name], folder, progress)


def default_device() -> torch.device:
    """The accelerator (CUDA, ROCm, XPU, MPS) if torch has one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def default_dtype(device: torch.device) -> torch.dtype:
    """float16 on a GPU; on a CPU bfloat16 where it has instructions for it, else float32."""
    if device.type == "cuda":
        return torch.float16
    # A private name, but the only question torch answers about AVX512-BF16; without it float32 is right, only slower.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if device.type == "cpu" and supported() else torch.float32


def read_model(path: str | os.PathLike[str]) -> StyleTransferModel:
    """The model in a safetensors file, float32 on the CPU, in evaluation mode.

    Raises ModelError if the file is damaged, of no known architecture, or has missing, misshapen or non-finite tensors.
    """
    path = Path(path)
    try:
        with safe_open(path, "pt") as file:
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - safe_open is no dict
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a readable safetensors file ({error}). Download or export it again.") from error
    return model_from_state(state, str(path))


def model_from_state(state: Mapping[str, Tensor], source: str) -> StyleTransferModel:
    """The model whose tensors are `state`; `source` names it in errors."""
    module = next((m for m in ARCHITECTURES.values() if m.detect(state)), None)
    if module is None:
        first = ", ".join(sorted(state)[:3]) or "none"
        raise ModelError(
            f"{source} holds no model of a known architecture ({', '.join(ARCHITECTURES)}). Its first tensors are: {first}. "
            "Give a file exported by adain-train."
        )
    for key, value in state.items():
        if not value.isfinite().all():
            raise ModelError(f"{source} is damaged: the tensor {key} holds NaN or infinite values. Export it again.")
    try:
        with torch.random.fork_rng(devices=[]):  # layers are made with random weights, which must not cost the caller's seed
            model = module.from_state(state)
        model.load_state_dict(dict(state))
    except (RuntimeError, KeyError, IndexError, TypeError) as error:  # torch lists missing and misshapen tensors in a RuntimeError
        detail = " ".join(str(error).split())
        raise ModelError(f"{source} looks like {module.__name__.split('.')[-1]} but does not fit it: {detail}") from error
    model.name = Path(source).stem
    model.seal()
    return model.eval().requires_grad_(False)


def save_model(
    model: StyleTransferModel, path: str | os.PathLike[str], metadata: Mapping[str, str], dtype: torch.dtype = torch.float16
) -> None:
    """Write `model` as safetensors in `dtype`, with `metadata` (licence, data, ...) and its architecture.

    Raises ModelError if it cannot be written.
    """
    tensors = {key: value.detach().to("cpu", dtype).contiguous() for key, value in model.state_dict().items()}
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, {"architecture": model.architecture, **metadata})
    except (SafetensorError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"The model {path} cannot be written ({reason}). Choose another folder.") from error

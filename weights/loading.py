"""Reading and writing model files. Architectures are recognised by keys and shapes, never by file name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..adain.architectures import ARCHITECTURES
from ..adain.errors import AdaINError, ModelError
from ..adain.model import StyleTransferModel
from ..adain.transfer import stylize
from .tensors import open_tensors, save_tensors

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
    # Imported here: the Hub's client builds on this module, and models that are at hand do without it.
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
    return model_from_state(open_tensors(path), str(path))


def model_from_state(state: Mapping[str, Tensor], source: str) -> StyleTransferModel:
    """The model whose tensors are `state`, of any floating-point kind, in float32; `source` names it in errors."""
    module = next((m for m in ARCHITECTURES.values() if m.detect(state)), None)
    if module is None:
        first = ", ".join(sorted(state)[:3]) or "none"
        raise ModelError(
            f"{source} holds no model of a known architecture ({', '.join(ARCHITECTURES)}). Its first tensors are: {first}. "
            "Give a file exported by adain-train."
        )
    for key, value in state.items():
        if not value.is_floating_point() or value.layout != torch.strided:
            raise ModelError(f"{source} has numbers of the kind {value.dtype} in {key}. Expected floating-point numbers. Export it again.")
    try:
        # Without memory or random numbers: what a file claims of its sizes costs nothing until they are found to fit.
        with torch.device("meta"):
            model = module.from_state(state)
        model.load_state_dict({key: value.to("meta") for key, value in state.items()}, assign=True)
    except (RuntimeError, KeyError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:  # a RuntimeError lists all misfits
        detail = " ".join(str(error).split())
        raise ModelError(f"{source} looks like {module.__name__.split('.')[-1]} but does not fit it: {detail}") from error
    for key, value in state.items():
        if not value.float().isfinite().all():
            raise ModelError(f"{source} is damaged: the tensor {key} holds NaN or infinite values. Export it again.")
    # Copies: what is mapped from a file would change, or end the process, when somebody writes over it.
    model.load_state_dict({key: value.to(torch.float32, copy=True) for key, value in state.items()}, assign=True)
    model.name = Path(source).stem
    model.seal()
    model.eval().requires_grad_(False)
    _try_out(model, source)
    return model


@torch.inference_mode()
def _try_out(model: StyleTransferModel, source: str) -> None:
    """Raise ModelError unless a small picture comes out finite: weights can be finite and yet absurd."""
    ramp = torch.linspace(0, 1, 16).expand(1, 3, 16, 16)
    try:
        painted = stylize(model, ramp, model.encode_style(ramp.transpose(2, 3)))
        whole = bool(painted.isfinite().all())
    except (AdaINError, RuntimeError):  # a RuntimeError is what linear algebra on infinite numbers gives
        whole = False
    if not whole:
        key, value = max(model.state_dict().items(), key=lambda item: item[1].abs().max().item())
        largest = f"{value.abs().max().item():.3g}, in {key}"
        raise ModelError(f"{source} is damaged: what it paints is not finite. Its largest value is {largest}. Export it again.")


def save_model(
    model: StyleTransferModel, path: str | os.PathLike[str], metadata: Mapping[str, str], dtype: torch.dtype = torch.float16
) -> None:
    """Write `model` as safetensors in `dtype`, with `metadata` (licence, data, ...) and its architecture.

    Raises ModelError if it cannot be written.
    """
    tensors = {key: value.detach().to("cpu", dtype) for key, value in model.state_dict().items()}
    try:
        save_tensors(tensors, path, {"architecture": model.architecture, **metadata})
    except (SafetensorError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"The model {path} cannot be written ({reason}). Choose another folder.") from error

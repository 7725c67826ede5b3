"""Reading and writing model files. Architectures are recognised by keys and shapes, never by file name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..adain.architectures import ARCHITECTURES, architecture_of
from ..adain.errors import AdaINError, ModelError, reason
from ..adain.media.tensor_files import open_tensors, save_tensors
from ..adain.model import StyleTransferModel
from ..adain.stylize import stylize


def read_model(path: str | os.PathLike[str]) -> StyleTransferModel:
    """The model in a safetensors file, float32 on the CPU, in evaluation mode.

    Raises ModelError if the file is damaged, of no known architecture, or has missing, misshapen or non-finite tensors.
    """
    return model_from_state(open_tensors(path, ModelError)[0], str(path))


def model_from_state(state: Mapping[str, Tensor], source: str) -> StyleTransferModel:
    """The model whose tensors are `state`, of any floating-point kind, in float32; `source` names it in errors."""
    if (architecture := architecture_of(state)) is None:
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
            model = architecture.build(state)
        model.load_state_dict({key: value.to("meta") for key, value in state.items()}, assign=True)
    except (RuntimeError, KeyError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:  # a RuntimeError lists all misfits
        raise ModelError(f"{source} looks like {architecture.name} but does not fit it: {reason(error)}. Export it again.") from error
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
        raise ModelError(f"The model {path} cannot be written ({reason(error)}). Choose another folder.") from error

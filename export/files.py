"""What `adain export` writes: a model and how it measures styles, or the parts that paint tiles, with the presets."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from ..adain.architectures.lite import Float32Conv2d
from ..adain.errors import ModelError, reason
from ..adain.extras import install
from ..adain.media.atomic import replacing
from ..adain.model import StyleTransferModel
from ..adain.style import Style
from ..weights import presets
from .graphs import PARTS, WHOLE, Graph
from .vectors import style_vector


def export_model(
    model: StyleTransferModel, output: str | os.PathLike[str], metadata: Mapping[str, str], dtype: torch.dtype = torch.float32
) -> list[Path]:
    """Write `model` to `output`, computing in `dtype`, and beside it, as NAME-style, the graph that measures a style; the files.

    Raises ModelError if `output` does not end in .onnx, if a package is missing or if a file cannot be written.
    """
    if (suffix := Path(output).suffix) != ".onnx":
        raise ModelError(f"Models are exported as .onnx, not as {suffix or 'a file without extension'}. Choose another name.")
    network = _prepared(model, dtype)
    paths = model_files(output)
    for graph, path in zip(WHOLE.values(), paths, strict=True):
        _write(graph(network), path, _described(model, metadata))
    return paths


def export_parts(model: StyleTransferModel, folder: str | os.PathLike[str], metadata: Mapping[str, str]) -> list[Path]:
    """Write the graphs that paint `model` in tiles, as ONNX, and model.json into `folder`; the files.

    model.json holds what whoever calls the graphs needs to know: strides, halos, how long vectors are, and every preset as a vector if
    the presets are this model's. Raises ModelError for models that do not match colours, and like `export_model`.
    """
    if not model.color:
        raise ModelError(
            f"Parts are there for models that match colours (lite, base); {model.architecture} does not. "
            "Export it in one piece: -o model.onnx."
        )
    network = _prepared(model, torch.float32)
    *graphs, facts = paths = part_files(folder)
    for graph, path in zip(PARTS.values(), graphs, strict=True):
        _write(graph(network), path, _described(model, metadata))
    try:
        with replacing(facts) as temporary:
            temporary.write_text(json.dumps(_facts(model)), encoding="utf-8")
    except OSError as error:
        raise _unwritable(facts, error) from error
    return paths


def model_files(output: str | os.PathLike[str]) -> list[Path]:
    """What `export_model` writes."""
    path = Path(output)
    return [path.with_name(f"{path.stem}{ending}{path.suffix}") for ending in WHOLE]


def part_files(folder: str | os.PathLike[str]) -> list[Path]:
    """What `export_parts` writes."""
    return [*(Path(folder, f"{name}.onnx") for name in PARTS), Path(folder, "model.json")]


def _facts(model: StyleTransferModel) -> dict[str, object]:
    facts = {
        "fingerprint": model.fingerprint,
        "stride": model.stride,
        "levelStrides": model.level_strides,
        "levelChannels": model.level_channels,
        "encoderHalo": model.encoder_halo,
        "halo": model.halo,
    }
    styles = []
    for name, preset in presets.presets().items():
        style = Style.load(presets.preset_path(name))
        if style.fingerprint != model.fingerprint:
            break
        vector = [float(f"{value:.7g}") for value in style_vector(style)[0].tolist()]
        styles.append({"name": name, "title": preset.title, "artist": preset.artist, "kind": preset.kind, "style": vector})
    return {**facts, "presets": styles}


def _prepared(model: StyleTransferModel, dtype: torch.dtype) -> StyleTransferModel:
    # torch's annotations lack what its documentation has; plain layout, because a graph would copy to and fro
    network = copy.deepcopy(model).to("cpu", dtype, memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    # Smooth areas enlarge what these layers round: with them in float16 a photograph in great-wave was 2.3 of 255 away, so it is 0.2.
    for layer, original in zip(network.modules(), model.modules(), strict=True):
        if isinstance(layer, Float32Conv2d):
            layer.float().load_state_dict(original.state_dict())
    return network


def _described(model: StyleTransferModel, metadata: Mapping[str, str]) -> dict[str, str]:
    return {**metadata, "name": model.name, "architecture": model.architecture, "fingerprint": model.fingerprint}


def _write(graph: Graph, path: Path, metadata: Mapping[str, str]) -> None:
    try:
        from .onnx_files import write_onnx  # an extra
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxscript"):
            raise
        raise install("ONNX", "onnx onnxscript", ModelError) from error
    try:
        with torch.no_grad():
            write_onnx(graph.eval(), path, metadata)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"{path} cannot be written ({reason(error)}). Choose another folder.")

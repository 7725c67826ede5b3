"""Load AdaIN Model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..adain import ModelError
from ..weights import EMBEDDED
from . import catalog, folders
from .devices import PRECISIONS, ManagedModel, open_model
from .sockets import CATEGORY, ImageOut, ModelSocket, chosen, linked


class LoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_LoadModel",
            display_name="Load AdaIN Model",
            category=CATEGORY,
            description="Loads a style transfer model. The first one in the list ships with the pack and needs no download; others are "
            "downloaded on first use.",
            search_aliases=["vgg", "style transfer model", "adain", "neural style", "adain loader"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=[*EMBEDDED, *catalog.choices()],
                    default=next(iter(EMBEDDED)),
                    tooltip="The model that paints. First the embedded one (default: small, fast, always there), then the catalogue's, "
                    "downloaded into models/adain on first use, then other .safetensors files in that folder. Styles belong to the "
                    "model that encoded them.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    tooltip="Number format of the network. auto (default) takes what the device computes fastest without visible loss; "
                    "fp32 is exact and slower; fp16 and bf16 halve the memory. Colours are computed in fp32 whatever it is.",
                    advanced=True,
                ),
            ],
            outputs=[
                ModelSocket.Output(
                    "adain_model", display_name="model", tooltip="For Encode Style, Style Preset, AdaIN Transfer and Style Grid."
                )
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, model: str | None = None) -> bool | str:
        try:
            _fingerprint(model)
        except ModelError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, precision: str | None = None) -> str:
        return _fingerprint(model)

    @classmethod
    def execute(cls, model: str, precision: str) -> ImageOut:
        if not _local(model):
            _listed(model)
            _refuse_presets(model, cls.hidden.prompt or {}, cls.hidden.unique_id)
        return io.NodeOutput(open_model(model_path(model), chosen(precision, PRECISIONS, "precision")))


def model_path(name: str) -> Path:
    """The file of an embedded model, of one in models/adain, or of one of the catalogue, which is downloaded if need be.

    Raises ModelError if there is none.
    """
    return _local(name) or _listed(name).path()


def _refuse_presets(model: str, prompt: Mapping[str, Any], node: str) -> None:
    """Raise ModelError if a Style Preset of `prompt` hangs on this `node`, before `model` is downloaded for it."""
    if any(n["class_type"] == "AdaIN_StylePreset" and n["inputs"].get("adain_model") == [node, 0] for n in prompt.values()):
        raise ModelError(
            f"Style Preset works with {' or '.join(EMBEDDED)} alone, and {model!r} is chosen here. Choose that, or put Encode Style with a "
            "picture in the place of Style Preset."
        )


def _fingerprint(name: str | None) -> str:
    """The fingerprint of the model that `model_path` would give, without downloading it; empty for a name that a link will bring."""
    if name is None:
        return ""
    path = _local(name)
    return folders.fingerprint(str(path)) if path else _listed(name).fingerprint


def _local(name: str) -> Path | None:
    path = EMBEDDED[name] if name in EMBEDDED else Path(folders.path_of(folders.MODELS, name) or "")
    return path if path.is_file() else None


def _listed(name: str) -> catalog.Listed:
    found = catalog.find(name) if isinstance(name, str) else None
    if found is None:
        choices = ", ".join([*EMBEDDED, *catalog.choices()])
        raise ModelError(f"There is no AdaIN model {name!r}. Choose one of: {choices}; or put a .safetensors file into models/adain.")
    return found


def model_of(link: ManagedModel | None) -> ManagedModel:
    """The model that a `link` brings; the embedded one where none is connected. Raises ModelError for what is no model."""
    return open_model(model_path(next(iter(EMBEDDED)))) if link is None else linked(link, "adain_model", ModelError)

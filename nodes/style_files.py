"""Save Style and Load Style: styles as files of a few kB in models/adain_styles."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io, ui

from ..adain import Style, StyleError
from . import folders
from .sockets import CATEGORY, ImageOut, StyleLink, StyleSocket, single_style

_NONE = "none saved yet"
"""What Load Style lists when there is nothing to list: the page shows an empty list as "undefined"."""


class SaveStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_SaveStyle",
            display_name="Save Style",
            category=CATEGORY,
            description="Writes a style into models/adain_styles, a file of a few kB that Load Style lists.",
            search_aliases=["store style", "export style", "style file"],
            is_output_node=True,
            inputs=[
                StyleSocket.Input("style", tooltip="The style to keep; blended ones too."),
                io.String.Input(
                    "name",
                    default="my style",
                    tooltip="File name without extension; a / makes a folder. A style saved before under this name is replaced.",
                ),
            ],
            outputs=[
                StyleSocket.Output("saved", display_name="style", tooltip="The same style, so that the node can stand within a link.")
            ],
        )

    @classmethod
    def execute(cls, style: StyleLink, name: str) -> ImageOut:
        single = single_style(style, "saved")
        path = target_path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            single.save(path)
        except OSError as error:
            raise StyleError(
                f"The style cannot be written to {path} ({error.strerror or error}). Make that folder writable, or name another "
                "under adain_styles in extra_model_paths.yaml."
            ) from error
        return io.NodeOutput(single, ui=ui.PreviewText(f"Saved as {path}"))  # web/adain.js shows it


class LoadStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_LoadStyle",
            display_name="Load Style",
            category=CATEGORY,
            description="Reads a style that Save Style or `adain style save` wrote.",
            search_aliases=["style file", "open style", "import style"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=folders.files(folders.STYLES) or [_NONE],
                    tooltip="A file in ComfyUI's models/adain_styles folder; the first is the default. Press R to list new files.",
                ),
            ],
            outputs=[StyleSocket.Output("style", display_name="style", tooltip="For AdaIN Transfer with the model that made it.")],
        )

    @classmethod
    def validate_inputs(cls, name: str | None = None) -> bool | str:
        # None: a link will bring the name.
        return True if name is None or folders.path_of(folders.STYLES, name) else _missing(name)

    @classmethod
    def fingerprint_inputs(cls, name: str | None = None) -> str:
        path = folders.path_of(folders.STYLES, name) if name else None
        return folders.fingerprint(path) if path else ""

    @classmethod
    def execute(cls, name: str) -> ImageOut:
        path = folders.path_of(folders.STYLES, name)
        if path is None:
            raise StyleError(_missing(name))
        return io.NodeOutput(Style.load(path))


def target_path(name: str) -> Path:
    """Where a style called `name` is written. Raises StyleError for a name that leaves the folder or is no file name."""
    return folders.place_in(folders.places(folders.STYLES)[0], name, ".safetensors")


def _missing(name: str) -> str:
    choices = ", ".join(folders.files(folders.STYLES))
    if not choices:
        return "No style is saved in models/adain_styles yet. Make one with Save Style, then press R and choose it here."
    return f"There is no style {name!r} in models/adain_styles. Saved styles: {choices}. Make one with Save Style."

"""Style Preset, and the choice of a preset."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ..adain import Style, StyleError
from ..weights import load_preset, preset_names
from ..weights.presets import FIRST_PRESET, presets
from .devices import ManagedModel
from .inputs import model_input
from .model import model_of
from .sockets import CATEGORY, ImageOut, StyleSocket, chosen


class StylePreset(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_StylePreset",
            display_name="Style Preset",
            category=CATEGORY,
            description="A ready-made style, measured on a public-domain painting. Needs the embedded model and no picture.",
            search_aliases=[
                *["painting styles", "style list", "van gogh", "hokusai", "monet", "klimt", "munch", "kandinsky", "seurat", "artist style"],
                *["oil painting", "impressionist", "expressionist", "woodcut", "ukiyo-e", "ink drawing", "tarot"],
            ],
            inputs=[
                model_input("From Load AdaIN Model, if at all: the presets were measured by the embedded model."),
                preset_input("The painting whose style is used. Click its picture to see all of them."),
            ],
            outputs=[
                StyleSocket.Output("style", display_name="style", tooltip="For AdaIN Transfer, Blend Styles, Style Region, Style Grid.")
            ],
        )

    @classmethod
    def execute(cls, preset: str, adain_model: ManagedModel | None = None) -> ImageOut:
        return io.NodeOutput(preset_style(model_of(adain_model), preset))


def preset_input(tooltip: str, optional: bool = False) -> io.Input:
    """The choice of a preset. What the page needs to show them (`web/presets.js`) goes with it."""
    shown = {name: {"title": preset.title, "artist": preset.artist, "kind": preset.kind} for name, preset in presets().items()}
    return io.Combo.Input(
        "preset", options=preset_names(), default=FIRST_PRESET, optional=optional, tooltip=tooltip, extra_dict={"presets": shown}
    )


def preset_style(managed: ManagedModel, preset: str) -> Style:
    """The preset as a Style. Raises StyleError for a model that did not measure it."""
    chosen(preset, preset_names(), "preset")
    try:
        style = load_preset(managed.model, preset)
    except StyleError as error:
        raise StyleError(
            f"{error} Presets work with the first model in Load AdaIN Model; for {managed.model.name!r} use Encode Style."
        ) from error
    return style if style.name else replace(style, name=preset)

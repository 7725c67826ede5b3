"""Style Grid."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..adain import Look, Region, Style, StyleError
from ..adain.color import ColorMode
from ..adain.media.contact_sheet import contact_sheet
from ..adain.media.lettering import font_for
from ..adain.media.transparency import filled
from .devices import ManagedModel
from .frames import Reporter, paint
from .inputs import color_input, strength_input
from .sockets import CATEGORY, ImageOut, ModelSocket, StyleLink, StyleSocket, from_image, grown, regions_of, to_image

_MAX_STYLES = 16


class StyleGrid(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_StyleGrid",
            display_name="Style Grid",
            category=CATEGORY,
            description="Paints every image in every style and lays them out with labels, to choose by looking.",
            search_aliases=["contact sheet", "compare styles", "xy plot", "style comparison", "grid"],
            inputs=[
                ModelSocket.Input("adain_model", tooltip="From Load AdaIN Model; the one that made the styles."),
                io.Image.Input(
                    "images", tooltip="One row of the grid for each picture of the batch; the first column shows them unpainted."
                ),
                io.Autogrow.Input(
                    "styles",
                    template=io.Autogrow.TemplatePrefix(
                        StyleSocket.Input(
                            "style",
                            tooltip="One column of the grid; a batch of styles gives one for each. A new socket appears with every link.",
                        ),
                        prefix="style_",
                        min=0,  # a first style that is muted must not stop the others
                        max=_MAX_STYLES,
                    ),
                    tooltip="The styles to compare, up to 16 links.",
                ),
                io.Int.Input(
                    "cell",
                    default=256,
                    min=32,
                    max=1024,
                    step=32,
                    tooltip="Longer side of each picture on the sheet in pixels, 256 by default. Higher shows more detail; "
                    "images are painted at full size.",
                ),
                strength_input(),
                color_input(),
            ],
            outputs=[io.Image.Output("sheet", display_name="sheet", tooltip="The labelled contact sheet, one image.")],
        )

    @classmethod
    def execute(
        cls,
        adain_model: ManagedModel,
        images: Tensor,
        cell: int,
        strength: float,
        color: ColorMode,
        styles: Mapping[str, StyleLink | None] | None = None,
        **beyond: Any,
    ) -> ImageOut:
        rgb, alpha = from_image(images, "images")
        rgb = filled(rgb, alpha)
        columns = [column for link in grown(styles, beyond, _MAX_STYLES) for column in _columns(link)]
        if not columns:
            raise StyleError("No style is connected. Connect one or more, from Style Preset or Encode Style.")
        report = Reporter(len(rgb) * len(columns))
        rows = []
        for i in range(len(rgb)):
            content, seen = rgb[i : i + 1].float(), None if alpha is None else alpha[i : i + 1]
            row: list[Tensor | None] = [content]
            for j, regions in enumerate(columns):
                progress = partial(report, before=i * len(columns) + j)
                row.append(paint(adain_model, content, Look.of(regions, strength=strength, color=color), report=progress, alpha=seen))
            rows.append(row)
        labels = ["image", *(_label(regions, number) for number, regions in enumerate(columns, 1))]
        return io.NodeOutput(to_image(contact_sheet(rows, column_labels=labels, cell=cell)))


def _columns(link: StyleLink) -> list[tuple[Region, ...]]:
    """What is painted in one column each: the rows of a batch of styles, or all regions together."""
    return [(Region(link[i]),) for i in range(len(link))] if isinstance(link, Style) else [regions_of(link)]


def _label(regions: tuple[Region, ...], number: int) -> str:
    name = " ".join(" + ".join(region.style.name for region in regions if region.style.name).split())
    return name if name and font_for(name, 16) else f"style {number}"

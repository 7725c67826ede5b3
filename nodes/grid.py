"""Style Grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor

from ..adain import Look, Region, Style, StyleError
from ..adain.color import ColorMode
from ..adain.media.contact_sheet import contact_sheet
from ..adain.media.lettering import font_for
from ..adain.media.transparency import filled
from ..weights import preset_names
from .devices import ManagedModel
from .frames import Reporter, paint
from .inputs import color_input, model_input, strength_input
from .model import model_of
from .presets import preset_style
from .releases import schema
from .results import shown
from .sockets import CATEGORY, ImageOut, StyleLink, StyleSocket, from_image, grown, regions_of, to_image

_MAX_STYLES = 16


class StyleGrid(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AdaIN_StyleGrid",
            has_intermediate_output=True,
            display_name="Style Grid",
            category=CATEGORY,
            description="Paints every image in every style and lays them out with labels, to choose by looking.",
            search_aliases=["contact sheet", "compare styles", "xy plot", "style comparison", "grid"],
            inputs=[
                model_input("From Load AdaIN Model; the one that made the styles."),
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
                io.Int.Input(
                    "columns",
                    default=0,
                    min=0,
                    max=64,
                    optional=True,
                    tooltip="Styles side by side before the next row begins, 4 for instance. 0 (default) puts all of them into one row.",
                ),
                io.Boolean.Input(
                    "all_presets",
                    default=False,
                    optional=True,
                    tooltip="Add every preset after the connected styles, to see the picture in all of them. Off by default.",
                ),
            ],
            outputs=[io.Image.Output("sheet", display_name="sheet", tooltip="The labelled contact sheet, one image.")],
        )

    @classmethod
    def execute(
        cls,
        images: Tensor,
        cell: int,
        strength: float,
        color: ColorMode,
        adain_model: ManagedModel | None = None,
        columns: int = 0,
        all_presets: bool = False,
        styles: Mapping[str, StyleLink | None] | None = None,
        **beyond: Any,
    ) -> ImageOut:
        rgb, alpha = from_image(images, "images")
        rgb = filled(rgb, alpha)
        managed = model_of(adain_model)
        looks = [look for link in grown(styles, beyond, _MAX_STYLES) for look in _looks(link)]
        if all_presets:
            looks += [(Region(preset_style(managed, name)),) for name in preset_names()]
        if not looks:
            raise StyleError("No style is connected. Connect one or more, from Style Preset or Encode Style, or switch all_presets on.")
        report = Reporter(len(rgb) * len(looks))
        rows = []
        for i in range(len(rgb)):
            content, seen = rgb[i : i + 1].float(), None if alpha is None else alpha[i : i + 1]
            row: list[Tensor | None] = [content]
            for j, regions in enumerate(looks):
                progress = partial(report, before=i * len(looks) + j)
                row.append(paint(managed, content, Look.of(regions, strength=strength, color=color), report=progress, alpha=seen))
            rows.append(row)
        labels = ["image", *(_label(regions, number) for number, regions in enumerate(looks, 1))]
        return shown(cls, to_image(_sheet(rows, labels, columns or len(labels), cell)))


def _sheet(rows: Sequence[Sequence[Tensor | None]], labels: Sequence[str], columns: int, cell: int) -> Tensor:
    """The sheet of `rows` of pictures, whose columns have these `labels`, cut into strips of so many columns, one below the other."""
    cuts = [slice(first, first + columns) for first in range(0, len(labels), columns)]
    strips = [contact_sheet([row[cut] for row in rows], column_labels=labels[cut], cell=cell) for cut in cuts]
    return torch.cat([F.pad(strip, (0, strips[0].shape[3] - strip.shape[3]), value=1.0) for strip in strips], 2)


def _looks(link: StyleLink) -> list[tuple[Region, ...]]:
    """What is painted in one column each: the rows of a batch of styles, or all regions together."""
    return [(Region(link[i]),) for i in range(len(link))] if isinstance(link, Style) else [regions_of(link)]


def _label(regions: tuple[Region, ...], number: int) -> str:
    name = " ".join(" + ".join(region.style.name for region in regions if region.style.name).split())
    return name if name and font_for(name, 16) else f"style {number}"

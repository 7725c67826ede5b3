"""Refine: pictures finished by descending on their pixels."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io
from torch import Tensor

from ..adain import Look, StyleError
from ..adain.color import ColorMode
from ..adain.look import Region
from ..adain.masks import MaskEdit
from ..adain.media.images import Picture
from ..adain.media.transparency import filled
from ..adain.refine import Finish, Quality, refine
from ..weights.loss_network import JUDGE
from .catalog import judges
from .frames import Reporter, explained_lack_of_memory
from .inputs import color_input, strength_input, stroke_size_input
from .masks import mask_edit_inputs, mask_input
from .releases import schema
from .results import shown
from .sockets import CATEGORY, ImageOut, StyleLink, StyleSocket, chosen, from_image, from_mask, regions_of, to_image
from .styles import loss_network, measured


class Refine(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AdaIN_Refine",
            essentials_category="Image Tools",
            has_intermediate_output=True,
            display_name="Refine (AdaIN)",
            category=CATEGORY,
            description="Finishes a picture: paints it with the style's own strokes, by small steps from coarse to fine. Slower and better "
            "than AdaIN Transfer: minutes on a CPU.",
            search_aliases=["neural style transfer", "gatys", "optimize style", "finish painting", "high quality style", "style transfer"],
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="What is painted: one picture or a batch of any size, each by itself. For stills: frames "
                    "of a video would flicker. Transparency is kept as it is.",
                ),
                io.Combo.Input(
                    "quality",
                    options=list(get_args(Quality)),
                    default="good",
                    tooltip="How many steps are taken. good (default) is finished for most styles, draft takes less than half as long, "
                    "best twice as long.",
                ),
                io.Float.Input(
                    "style_weight",
                    default=Finish.style_weight,
                    min=0.1,
                    max=30.0,
                    step=0.1,
                    tooltip="How much the style counts against the image's own forms. 4 by default; higher paints more freely, "
                    "lower keeps more.",
                ),
                strength_input(),
                color_input(),
                StyleSocket.Input(
                    "style",
                    optional=True,
                    tooltip="From Style Preset, or from Encode Style with for_refine on; blends and regions too. Not needed where a "
                    "style_image is connected, which goes first.",
                ),
                io.Image.Input("style_image", optional=True, tooltip="The picture whose style is used. A batch becomes one style."),
                stroke_size_input("style_image"),
                io.Image.Input(
                    "start",
                    optional=True,
                    tooltip="The picture to begin with, such as that of AdaIN Transfer, of the same size. Not connected (default): the "
                    "image in the style's colours.",
                ),
                mask_input(),
                io.Combo.Input(
                    "judge",
                    options=judges(),
                    default=JUDGE,
                    optional=True,
                    tooltip="The VGG-19 that says what is near to a style, downloaded into models/adain on first use. "
                    "Presets need the first (default).",
                    advanced=True,
                ),
                *mask_edit_inputs(),
            ],
            outputs=[io.Image.Output("result", display_name="image", tooltip="The finished pictures, in the size of the image.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        quality: Quality,
        style_weight: float,
        strength: float,
        color: ColorMode,
        style: StyleLink | None = None,
        style_image: Tensor | None = None,
        stroke_size: int = 0,
        start: Tensor | None = None,
        mask: Tensor | None = None,
        judge: str = JUDGE,
        feather: float = 0.0,
        grow: int = 0,
        invert_mask: bool = False,
    ) -> ImageOut:
        rgb, alpha = from_image(image)
        planes = from_mask(mask, MaskEdit(invert_mask, grow, feather), rgb.shape[-2:])
        finish = Finish(chosen(quality, get_args(Quality), "quality"), style_weight)
        if style is None and style_image is None:
            raise StyleError("There is no style. Connect style (from Style Preset, or Encode Style with for_refine on) or style_image.")
        managed = loss_network(judge)
        if style_image is None:
            assert style is not None  # one of both is there
            regions = regions_of(style)
        else:
            regions = (Region(measured(managed, style_image, stroke_size=stroke_size, label="style_image").average()),)
        look = Look(regions, strength=strength, mask=planes, color=color)
        begin = None if start is None else from_image(start, "start")[0].float()
        network, finer = managed.load(rgb.shape[-2:].numel()), _Report()
        with explained_lack_of_memory("picture", rgb.shape[-2:], "Scale the image down"):
            painted = refine(
                network, Picture(filled(rgb, alpha).float(), alpha), look, finish, start=begin, progress=finer.progress, show=finer.show
            )
        return shown(cls, to_image(painted, alpha))


class _Report:
    """ComfyUI's progress bar, with the picture as it becomes. A cancel ends the work within an iteration."""

    def __init__(self) -> None:
        self._reporter: Reporter | None = None
        self._picture: Tensor | None = None

    def show(self, picture: Tensor) -> None:
        self._picture = picture

    def progress(self, done: int, total: int) -> None:
        self._reporter = self._reporter or Reporter(total)
        self._reporter(done, self._picture)

"""Making styles: Encode Style, Blend Styles, Style Region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..adain import ImageError, Region, Style, StyleError
from ..adain.loss_network import LossNetwork
from ..adain.masks import MaskEdit
from ..adain.media.images import Picture
from ..adain.media.transparency import filled
from ..weights.loss_network import JUDGE
from .catalog import judge
from .devices import Managed, ManagedModel, open_judge
from .inputs import model_input, strength_input, stroke_size_input
from .masks import grow_input, invert_mask_input
from .model import model_of
from .sockets import (
    CATEGORY,
    ImageOut,
    StyleLink,
    StyleSocket,
    chosen,
    from_image,
    from_mask,
    linked,
    regions_of,
    single_style,
    weight_input,
    weighted,
)

_MAX_STYLES = 16
_BATCHES = ("average", "one per picture")


class EncodeStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_EncodeStyle",
            display_name="Encode Style",
            category=CATEGORY,
            description="Measures the style of a picture: a few numbers per channel, for AdaIN Transfer, to blend, or to save.",
            search_aliases=["style image", "style transfer", "encode style", "extract style", "adain encode"],
            inputs=[
                model_input("From Load AdaIN Model; the same one must go into AdaIN Transfer."),
                io.Image.Input("image", tooltip="The picture whose style is wanted: a painting, a texture, a photo. Any size."),
                io.Combo.Input(
                    "batch",
                    options=list(_BATCHES),
                    default="average",
                    tooltip="What a batch of style pictures means. average (default) mixes them into one style; one per picture keeps them "
                    "apart, to pair with as many images in AdaIN Transfer or to compare in Style Grid.",
                    advanced=True,
                ),
                stroke_size_input("the style picture", advanced=False),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="The part of the picture to take the style from, in white. Not connected (default): all of it. "
                    "Any size; one mask, or one per picture.",
                ),
                io.String.Input(
                    "name",
                    default="",
                    optional=True,
                    tooltip="Label of this style in Style Grid and in messages. Empty by default.",
                    advanced=True,
                ),
                io.Boolean.Input(
                    "for_refine",
                    default=False,
                    optional=True,
                    tooltip="Measure the picture for Refine too, with its loss network, which is downloaded on first use. Off by default.",
                    advanced=True,
                ),
            ],
            outputs=[
                StyleSocket.Output(
                    "style", display_name="style", tooltip="For AdaIN Transfer, Blend Styles, Style Region, Save Style, Style Grid."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        batch: str,
        stroke_size: int,
        adain_model: ManagedModel | None = None,
        mask: Tensor | None = None,
        name: str = "",
        for_refine: bool = False,
    ) -> ImageOut:
        one = chosen(batch, _BATCHES, "batch") == "average"
        style = encode(model_of(adain_model), image, mask, stroke_size, name)
        if for_refine:
            style = replace(style, others=(measured(loss_network(), image, mask, stroke_size, name),))
        return io.NodeOutput(style.average() if one else style)


def encode(
    managed: ManagedModel, image: Tensor, mask: Tensor | None = None, stroke_size: int = 0, name: str = "", label: str = "image"
) -> Style:
    """The Style of an IMAGE [S, H, W, C], one row per picture; transparent parts are no part of it. `label` is the input's name."""
    return measured(managed, image, mask, stroke_size, name, label)


def measured(
    managed: Managed[Any], image: Tensor, mask: Tensor | None = None, stroke_size: int = 0, name: str = "", label: str = "image"
) -> Style:
    """What any network measures of an IMAGE, arguments as for `encode`."""
    rgb, alpha = from_image(image, label)
    picture = Picture(filled(rgb, alpha), alpha)
    height, width = rgb.shape[-2:]
    scale = stroke_size / min(height, width) if stroke_size else 1
    model = managed.load(round(height * width * scale**2))
    return model.encode_style(picture, from_mask(mask), stroke_size, name).to("cpu")


def loss_network(name: str = JUDGE) -> Managed[LossNetwork]:
    """The loss network of this id, downloaded on first use. Raises ModelError."""
    return open_judge(judge(name).path())


class BlendStyles(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_BlendStyles",
            display_name="Blend Styles",
            category=CATEGORY,
            description="Mixes up to 16 styles into one. Drag the weights: only their proportions count.",
            search_aliases=["mix styles", "combine styles", "style interpolation", "style weights", "merge styles"],
            inputs=[
                # Tried in the browser: Autogrow makes every weight a socket, and a text of numbers cannot be dragged.
                io.DynamicCombo.Input(
                    "styles",
                    options=[io.DynamicCombo.Option(str(count), _style_slots(count)) for count in range(2, _MAX_STYLES + 1)],
                    tooltip="How many styles are mixed; each has a socket and a weight. 2 by default.",
                ),
            ],
            outputs=[StyleSocket.Output("style", display_name="style", tooltip="The mix, usable wherever a style is.")],
        )

    @classmethod
    def execute(cls, styles: Mapping[str, Any] | None = None, **beyond: Any) -> ImageOut:
        links, weights = weighted(styles, beyond, 2, _MAX_STYLES)
        return io.NodeOutput(_blend([single_style(link, "blended") for link in links], weights))


def _style_slots(count: int) -> list[io.Input]:
    slots: list[io.Input] = []
    for i in range(1, count + 1):
        slots.append(
            StyleSocket.Input(
                f"style_{i}",
                optional=True,
                tooltip="A style to mix in. All must come from one model; a socket left open takes no part.",
            )
        )
        slots.append(weight_input(i))
    return slots


def _blend(styles: list[Style], weights: list[float]) -> Style:
    lengths = {len(style) for style in styles}
    if len(lengths - {1}) > 1:
        raise StyleError(
            f"The styles come in batches of {', '.join(str(len(s)) for s in styles)}, which cannot be mixed. "
            'Set batch to "average" in Encode Style, or give batches of one length.'
        )
    return Style.blend(styles, weights)


class StyleRegion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_StyleRegion",
            display_name="Style Region",
            category=CATEGORY,
            description="Gives a style to one part of the picture. Chain several through base; a plain style there fills the rest.",
            search_aliases=["style mask", "regional style", "masked style", "sky style", "area style"],
            inputs=[
                StyleSocket.Input("style", tooltip="The style of this region."),
                io.Mask.Input(
                    "mask",
                    tooltip="Where the style applies, in white. Grey mixes with what is underneath. Any size; one mask, or one per frame.",
                ),
                io.Float.Input(
                    "feather",
                    default=0.0,
                    min=0.0,
                    max=1024.0,
                    step=1.0,
                    tooltip="Softens the mask's edge over about this many pixels of the mask. 0 (default) keeps the edge as it is; "
                    "higher makes a wider passage between the styles.",
                ),
                StyleSocket.Input(
                    "base",
                    optional=True,
                    tooltip="What the rest of the picture gets: a style, or another Style Region to which this one is added. "
                    "Not connected (default): the rest of the picture stays as it is. Where regions overlap they share the pixels.",
                ),
                grow_input("mask"),
                invert_mask_input(),
                strength_input(
                    "How much of the style is used in this region, times the strength of the node that paints. 1 (default) is all of it; "
                    "a face stays a face with less, higher makes its strokes bolder.",
                    optional=True,
                ),
            ],
            outputs=[
                StyleSocket.Output("style", display_name="style", tooltip="For AdaIN Transfer, or for the base of another Style Region.")
            ],
        )

    @classmethod
    def execute(
        cls,
        style: StyleLink,
        mask: Tensor,
        feather: float,
        base: StyleLink | None = None,
        grow: int = 0,
        invert_mask: bool = False,
        strength: float = 1.0,
    ) -> ImageOut:
        planes = from_mask(linked(mask, "mask", ImageError), MaskEdit(invert_mask, grow, feather))
        region = Region(single_style(style, "put into a region"), planes, strength)
        return io.NodeOutput((*(() if base is None else regions_of(base)), region))

"""Painting pictures: AdaIN Transfer, and the one-node start Stylize (AdaIN)."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..adain import ImageError, Look
from ..adain.color import ColorMode
from ..adain.masks import MaskEdit
from ..adain.media.transparency import filled
from ..adain.temporal import Stability
from ..weights.presets import FIRST_PRESET
from .devices import ManagedModel
from .frames import paint
from .inputs import color_input, model_input, strength_input, stroke_size_input
from .masks import mask_edit_inputs, mask_input
from .model import model_of
from .presets import preset_input, preset_style
from .releases import schema
from .results import shown
from .sequence import paint_sequence
from .sockets import (
    CATEGORY,
    ImageOut,
    StabilitySocket,
    StyleLink,
    StyleSocket,
    TimedStyle,
    from_image,
    from_mask,
    linked,
    regions_of,
    to_image,
)
from .styles import encode


class Transfer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AdaIN_Transfer",
            essentials_category="Image Tools",
            has_intermediate_output=True,
            display_name="AdaIN Transfer",
            category=CATEGORY,
            description="Paints pictures in a style: photos, frames of a video, or what a diffusion model made.",
            search_aliases=[
                "style transfer",
                "apply style",
                "neural style",
                "stylize",
                "paint",
                "artistic filter",
                "oil painting",
                "gatys",
                "vgg",
                "油画",
                "画風変換",
            ],
            inputs=[
                model_input(),
                io.Image.Input(
                    "image", tooltip="What is painted: one picture or a batch of frames of any size. Transparency is kept as it is."
                ),
                StyleSocket.Input(
                    "style",
                    tooltip="From Encode Style, Style Preset, Blend Styles, Style Region, Load Style or AdaIN Keyframes. A batch of styles "
                    "pairs with as many images.",
                ),
                strength_input(),
                color_input(),
                io.Float.Input(
                    "content_scale",
                    default=1.0,
                    min=0.1,
                    max=4.0,
                    step=0.05,
                    tooltip="Size at which the network sees the image. 1 (default) is as it is; lower paints with broader "
                    "strokes, faster and with "
                    "less detail; higher with finer ones, slower. The result keeps the image's size.",
                    advanced=True,
                ),
                io.Int.Input(
                    "frames_per_chunk",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="Frames painted at once. 0 (default) chooses by their size; higher may be faster on a large GPU, "
                    "lower needs less memory. "
                    "When memory runs out it is halved. It does not change the result.",
                    advanced=True,
                ),
                mask_input(),
                StabilitySocket.Input(
                    "stability",
                    optional=True,
                    tooltip="From AdaIN Stability, for a batch that is frames of a video: holds them together. Not connected (default): "
                    "each picture by itself.",
                ),
                *mask_edit_inputs(),
            ],
            outputs=[io.Image.Output("result", display_name="image", tooltip="The painted pictures, in the size of the image.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        style: StyleLink,
        strength: float,
        color: ColorMode,
        content_scale: float,
        frames_per_chunk: int,
        adain_model: ManagedModel | None = None,
        mask: Tensor | None = None,
        stability: Stability | None = None,
        feather: float = 0.0,
        grow: int = 0,
        invert_mask: bool = False,
    ) -> ImageOut:
        managed, (rgb, alpha) = model_of(adain_model), from_image(image)
        planes = from_mask(mask, MaskEdit(invert_mask, grow, feather), rgb.shape[-2:])
        rest: dict[str, Any] = {"strength": strength, "mask": planes, "color": color, "scale": content_scale}
        if stability is not None or isinstance(style, TimedStyle):
            stability = Stability(0, 0) if stability is None else linked(stability, "stability", ImageError)
            painted = paint_sequence(managed, filled(rgb, alpha), style, stability, chunk=frames_per_chunk, **rest)
        else:
            painted = paint(managed, rgb, Look.of(regions_of(style), **rest), chunk=frames_per_chunk, alpha=alpha)
        return shown(cls, to_image(painted, alpha))


class Stylize(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AdaIN_Stylize",
            essentials_category="Image Tools",
            has_intermediate_output=True,
            display_name="Stylize (AdaIN)",
            category=CATEGORY,
            description="The quick start: paints an image in the style of another, or of a preset, with the embedded model.",
            search_aliases=["style transfer", "neural style transfer", "adain", "paint like", "artistic style", "stylise"],
            inputs=[
                io.Image.Input("image", tooltip="What is painted: one picture or a batch of any size. Transparency is kept as it is."),
                io.Image.Input(
                    "style_image",
                    optional=True,
                    tooltip="The picture whose style is used, of any size. A batch is averaged into one style. Not connected (default): "
                    "`preset` is used.",
                ),
                strength_input(),
                color_input(),
                stroke_size_input("the style image"),
                mask_input(),
                model_input("Another model, from Load AdaIN Model."),
                preset_input(
                    "The painting whose style is used where no style_image is connected. For the embedded model alone. Click its "
                    "picture to see all of them.",
                    optional=True,
                ),
                *mask_edit_inputs(),
            ],
            outputs=[io.Image.Output("result", display_name="image", tooltip="The painted pictures, in the size of the image.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        strength: float,
        color: ColorMode,
        stroke_size: int,
        style_image: Tensor | None = None,
        mask: Tensor | None = None,
        adain_model: ManagedModel | None = None,
        preset: str = FIRST_PRESET,
        feather: float = 0.0,
        grow: int = 0,
        invert_mask: bool = False,
    ) -> ImageOut:
        managed = model_of(adain_model)
        if style_image is None:
            style = preset_style(managed, preset)
        else:
            style = encode(managed, style_image, stroke_size=stroke_size, label="style_image").average()
        rgb, alpha = from_image(image)
        planes = from_mask(mask, MaskEdit(invert_mask, grow, feather), rgb.shape[-2:])
        painted = paint(managed, rgb, Look.of(style, strength=strength, mask=planes, color=color), alpha=alpha)
        return shown(cls, to_image(painted, alpha))

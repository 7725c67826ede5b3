"""Inputs that several nodes have."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from ..adain.affine import MOST_STRENGTH
from ..adain.color import ColorMode
from .sockets import ModelSocket


def model_input(tooltip: str = "From Load AdaIN Model; the one that made the style.") -> io.Input:
    return ModelSocket.Input("adain_model", optional=True, tooltip=f"{tooltip} Not connected (default): the embedded one.")


def strength_input(
    tooltip: str = "How much of the style is used. 1 (default) is all of it; lower stays nearer to the image, 0 is the image itself; "
    "higher makes its strokes bolder.",
    optional: bool = False,
) -> io.Input:
    return io.Float.Input(
        "strength",
        default=1.0,
        min=0.0,
        max=MOST_STRENGTH,
        step=0.01,
        display_mode=io.NumberDisplay.slider,
        optional=optional,
        tooltip=tooltip,
    )


def stroke_size_input(what: str, advanced: bool = True) -> io.Input:
    """`what` is what the node calls the picture."""
    return io.Int.Input(
        "stroke_size",
        default=0,
        min=0,
        max=8192,
        step=32,
        tooltip=f"Short side in pixels to which {what} is scaled first. Lower gives finer strokes and textures, higher broader ones. "
        "0 (default) leaves it as it is.",
        advanced=advanced,
    )


def color_input() -> io.Input:
    return io.Combo.Input(
        "color",
        options=list(get_args(ColorMode)),
        default="style",
        tooltip="Whose colours the result has. style (default): the style's. keep: exactly the image's, with the style's "
        "strokes in the brightness. "
        "match: painted freely, then moved to the image's overall colours.",
    )

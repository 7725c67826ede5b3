"""The inputs on where to paint: a mask, and what is done to it before."""

from __future__ import annotations

from comfy_api.latest import io

from ..adain.masks import MOST_PIXELS


def mask_input() -> io.Input:
    return io.Mask.Input(
        "mask",
        optional=True,
        tooltip="Where to paint, in white; where it is black the image stays bit for bit. Not connected (default): everywhere. "
        "Any size; one mask, or one per frame.",
    )


def mask_edit_inputs() -> list[io.Input]:
    """The inputs that go into a `MaskEdit` for `mask_input`. They are optional: prompts saved before they came have none."""
    feather = io.Float.Input(
        "feather",
        default=0.0,
        min=0.0,
        max=float(MOST_PIXELS),
        step=1.0,
        optional=True,
        tooltip="Softens the edge of the mask over about this many pixels of the image, half of them inside and half outside. 0 (default) "
        "keeps the edge as it is; higher fades from painted to unpainted more gently.",
        advanced=True,
    )
    return [feather, grow_input("image"), invert_mask_input()]


def grow_input(measured_in: str) -> io.Input:
    """How far a mask is grown; `measured_in` says whose pixels are counted."""
    return io.Int.Input(
        "grow",
        default=0,
        min=-MOST_PIXELS,
        max=MOST_PIXELS,
        optional=True,
        tooltip=f"Lets the mask reach this many pixels of the {measured_in} further, before it is feathered. 0 (default) leaves it; "
        "negative shrinks it.",
        advanced=True,
    )


def invert_mask_input() -> io.Input:
    return io.Boolean.Input(
        "invert_mask",
        default=False,
        optional=True,
        tooltip="Paints where the mask is black instead of where it is white. Off by default.",
        advanced=True,
    )

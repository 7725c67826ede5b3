"""What travels along the links, and its conversion between ComfyUI's layout and the core's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import comfy.model_management as mm
import torch
from comfy_api.latest import io
from torch import Tensor

from ..adain import AdaINError, ImageError, Region, Style, StyleError
from ..adain.masks import MaskEdit
from ..adain.video.keyframes import StyleTrack

CATEGORY = "AdaIN"

_TIMED = (
    "A style from AdaIN Keyframes changes over time and cannot be used here. Connect it to AdaIN Transfer or AdaIN Video, and here one of "
    "the styles that go into it."
)

ModelSocket = io.Custom("ADAIN_MODEL")
"""Carries a `devices.ManagedModel`."""

StyleSocket = io.Custom("ADAIN_STYLE")
"""Carries a `StyleLink`."""

StabilitySocket = io.Custom("ADAIN_STABILITY")
"""Carries a `temporal.Stability`."""


@dataclass(frozen=True)
class TimedStyle:
    """A style over time."""

    track: StyleTrack
    frame_rate: float
    """Frames per second where the pictures do not bring their own times."""


StyleLink: TypeAlias = "Style | tuple[Region, ...] | TimedStyle"
"""One Style (of one or more rows), several, each with its region, or one that changes over time."""

_Linked = TypeVar("_Linked")
_Choice = TypeVar("_Choice", bound=str)

ImageOut: TypeAlias = Any
"""An `io.NodeOutput`; comfy_api has no stubs that would say so."""


def linked(value: _Linked, name: str, error: type[AdaINError]) -> _Linked:
    """`value`, if a link brought it. Raises `error` for what a graph written by hand may have in its place, which ComfyUI lets pass."""
    if value is None or isinstance(value, (str, int, float, list, dict)):
        raise error(f"The input {name} is {'not connected' if value is None else repr(value)}. Connect the output of a node to it.")
    return value


def chosen(value: _Choice, options: Iterable[str], name: str) -> _Choice:
    """`value`, if it is one of `options`: ComfyUI checks what is chosen on the page, not what a link brings."""
    if value in options:
        return value
    raise StyleError(f"The input {name} is {value!r}. Choose one of: {', '.join(options)}.")


def grown(links: Mapping[str, StyleLink | None] | None, beyond: Mapping[str, object], most: int) -> list[StyleLink]:
    """The links of a growing list of styles, without gaps. `beyond` is what ComfyUI hands over under names that the list lacks."""
    if beyond:
        raise StyleError(f"There is no input {', '.join(beyond)}. Connect up to {most} styles, to styles.style_0 and on.")
    return [link for link in (links or {}).values() if link is not None]


def weighted(choice: Mapping[str, Any] | None, beyond: Mapping[str, object], fewest: int, most: int) -> tuple[list[Any], list[float]]:
    """What the links bring of a choice of how many styles are mixed, and their weights; a socket left open takes no part.

    `beyond` is what ComfyUI hands over apart from the choice when it does not know the number.
    """
    if not isinstance(choice, Mapping) or beyond:
        raise StyleError(f"The input styles says how many styles are mixed. Choose a number from {fewest} to {most}.")
    numbers = [i for i in range(1, int(choice["styles"]) + 1) if choice.get(f"style_{i}") is not None]
    return [choice[f"style_{i}"] for i in numbers], [choice[f"weight_{i}"] for i in numbers]


def from_image(image: Tensor, name: str = "image") -> tuple[Tensor, Tensor | None]:
    """The RGB [B, 3, H, W] and alpha [B, 1, H, W] (None if there is none) of an IMAGE [B, H, W, 1, 3 or 4]; views, not copies.

    `name` is that of the input.
    """
    image = linked(image, name, ImageError)
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise ImageError(f"The image has the shape {list(image.shape)}. Expected [batch, height, width, 3], or 4 with transparency.")
    planes = image.movedim(-1, 1)
    if planes.shape[1] == 1:
        return planes.expand(-1, 3, -1, -1), None
    return planes[:, :3], planes[:, 3:] if planes.shape[1] == 4 else None


def to_image(rgb: Tensor, alpha: Tensor | None = None) -> Tensor:
    """An IMAGE [B, H, W, 3 or 4] of `rgb` [B, 3, H, W], where and in the dtype in which ComfyUI keeps images.

    `alpha` [B or 1, 1, H, W] comes along unchanged.
    """
    planes = rgb if alpha is None else torch.cat([rgb, alpha.to(rgb).expand(len(rgb), -1, -1, -1)], 1)
    dtype = mm.intermediate_dtype() if hasattr(mm, "intermediate_dtype") else torch.float32  # ComfyUI >= 0.18
    return planes.movedim(1, -1).to(mm.intermediate_device(), dtype).contiguous()


def from_mask(mask: Tensor | None, edit: MaskEdit | None = None, size: torch.Size | None = None) -> Tensor | None:
    """The planes [B, 1, H, W] of a MASK [B, H, W] or [H, W], edited at the `size` (height, width) of the picture (default: its own).

    Raises ImageError if it is black everywhere.
    """
    if mask is None:
        return None
    mask = linked(mask, "mask", ImageError)
    planes = mask.reshape(-1, 1, *mask.shape[-2:])
    if not ((edit and edit.invert) or (planes > 0).any()):
        raise ImageError(
            "The mask is black everywhere, so nothing would be painted. Paint in white where the style applies; "
            "a Load Image without transparency gives a black mask, so disconnect that."
        )
    return edit.checked(planes, size or planes.shape[-2:]) if edit else planes


def single_style(link: StyleLink, purpose: str) -> Style:
    """The Style of a link that must not carry regions."""
    if isinstance(link, Style):
        return link
    if isinstance(link, TimedStyle):
        raise StyleError(_TIMED)
    linked(link, "style", StyleError)
    raise StyleError(
        f"Styles with regions cannot be {purpose}: a region belongs to the masks of one picture. "
        "Connect the style that goes into Style Region instead."
    )


def regions_of(link: StyleLink) -> tuple[Region, ...]:
    """Every region of a link; a plain Style is one without a mask."""
    if isinstance(link, TimedStyle):
        raise StyleError(_TIMED)
    return (Region(link),) if isinstance(link, Style) else linked(link, "style", StyleError)


def weight_input(i: int, note: str = "") -> io.Input:
    """The slider of the i-th style of a blend; `note` ends its tooltip."""
    return io.Float.Input(
        f"weight_{i}",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.01,
        display_mode=io.NumberDisplay.slider,
        tooltip=f"How much style_{i} counts against the others. 1 by default; higher brings it forward, 0 leaves it out.{note}",
    )

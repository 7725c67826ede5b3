"""How pictures are to look: which style applies where, how strongly, and in whose colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from torch import Tensor

from .affine import MOST_STRENGTH
from .color import ColorMode
from .errors import StyleError
from .moments import rows_of
from .style import Style

_JUMP = 0.1
"""A change of strength or of a style's mean colour from one frame to the next that counts as wanted, not to be held back."""


@dataclass(frozen=True, eq=False)
class Region:
    """A style and where it applies.

    `mask` [B or 1, 1, H, W] in 0..1 (any size: it is resized to the content). None makes it the base style:
    it fills what the other regions leave.
    """

    style: Style
    mask: Tensor | None = None
    strength: float = 1.0
    """0..2: how much of this style is used here, times the strength of the whole. Raises StyleError for any other."""

    def __post_init__(self) -> None:
        check_strength(self.strength)

    def rows(self, rows: slice) -> Region:
        """The style and the masks of some pictures of a batch."""
        return replace(self, style=self.style.rows(rows), mask=_rows(self.mask, rows))


@dataclass(frozen=True, eq=False)
class Look:
    """The one request of all that paints: pictures, frames, files and nodes. Raises StyleError for what no picture can look like."""

    regions: Sequence[Region]
    strength: float = 1.0
    """The paper's alpha (equation 14) from 0 to 1; from there to 2 it is extrapolated."""
    mask: Tensor | None = None
    """[B or 1, 1, h, w] in 0..1 limits everything: where it is 0 the content stays bit for bit."""
    color: ColorMode = "style"
    scale: float = 1.0
    """At how many times its size the network sees a picture: lower paints with broader strokes. The result has the picture's size."""

    def __post_init__(self) -> None:
        if not self.regions:
            raise StyleError("No style was given. Pass a Style or at least one Region.")
        check_strength(self.strength)
        if self.color not in get_args(ColorMode):
            raise StyleError(f"The colour mode {self.color!r} is unknown. Choose one of {', '.join(get_args(ColorMode))}.")
        if not 0 < self.scale < float("inf"):
            raise StyleError(f"The scale is {self.scale}. Give a number above 0, or 1 to see pictures as they are.")

    @staticmethod
    def of(style: Style | Region | Sequence[Region] | Look, **rest: Any) -> Look:
        """The Look of one style everywhere, or of regions, with the other fields of a Look in `rest`; a Look with those changed."""
        if isinstance(style, Look):
            return replace(style, **rest)
        return Look([Region(style)] if isinstance(style, Style) else _regions(style), **rest)

    @property
    def strengths(self) -> list[float]:
        """How much of each region's style is used, at most `MOST_STRENGTH`."""
        return [min(MOST_STRENGTH, self.strength * region.strength) for region in self.regions]

    @property
    def masked(self) -> bool:
        """Whether a mask says where anything applies."""
        return self.mask is not None or any(region.mask is not None for region in self.regions)

    def rows(self, rows: slice) -> Look:
        """The Look of some pictures of a batch."""
        return replace(self, regions=[region.rows(rows) for region in self.regions], mask=_rows(self.mask, rows))

    def count(self, pictures: int) -> int:
        """How many pictures come out of so many. Raises StyleError if the styles do not pair with them."""
        counts = {pictures, *(len(region.style) for region in self.regions)} - {1}
        if len(counts) > 1:
            sizes = sorted(counts)
            raise StyleError(f"{pictures} pictures do not pair with styles in batches of {sizes}. Use 1 or as many styles as pictures.")
        return counts.pop() if counts else 1

    def leaps_from(self, before: Look) -> bool:
        """Whether it changes at once from one frame to the next, or is off, so that nothing of the previous frame belongs into this one."""
        if not (before.strength and self.strength) or abs(self.strength - before.strength) > _JUMP:
            return True
        if len(before.regions) != len(self.regions):
            return True
        if any(abs(own.strength - old.strength) > _JUMP for own, old in zip(self.regions, before.regions, strict=True)):
            return True
        pairs = [(own.style, old.style) for own, old in zip(self.regions, before.regions, strict=True) if own.style is not old.style]
        return any(_difference(own, old) > _JUMP for own, old in pairs)


def check_strength(strength: float) -> None:
    """Raises StyleError for a strength that there is not."""
    if not 0 <= strength <= MOST_STRENGTH:
        raise StyleError(
            f"The strength is {strength}. It must lie between 0 (the input image itself) and {MOST_STRENGTH:g} (twice as far as the style, "
            "which is 1)."
        )


def _difference(style: Style, other: Style) -> float:
    """How far the mean colours of two styles are apart; of styles without colours, their finest features, in deviations."""
    (mean, std), (old, _) = style.levels[0], other.levels[0]
    return float(((mean - old) / (1 if std.ndim == 3 else std)).abs().max())


def _regions(style: object) -> list[Region]:
    found = list(style) if isinstance(style, Sequence) and not isinstance(style, str) else [style]
    regions = [region for region in found if isinstance(region, Region)]
    if len(regions) == len(found):
        return regions
    if all(isinstance(one, Style) for one in found):
        raise StyleError("A list of styles does not say where each applies. Mix them with Style.blend, or give a Region for each.")
    raise StyleError(
        f"The style is {style!r:.60}, not a Style. Make one with load_preset(model, name), Style.load(path) or "
        "model.encode_style(read_picture(path))."
    )


def _rows(mask: Tensor | None, rows: slice) -> Tensor | None:
    return None if mask is None else rows_of(mask, rows)

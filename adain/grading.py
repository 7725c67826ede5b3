"""Matching colours: what is measured of pictures, and the grade that moves one of them to the colours of another.

A grade is one map from colour to colour, the same at every pixel, so it can serve one picture, all frames of a clip (which then cannot
flicker), or another program as a table (`media.cube`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from .affine import MOST_STRENGTH, affine, extrapolated
from .color import keep_colors, lay_over
from .color_spaces import ColorSpace, decode, encode, ranges
from .errors import ImageError, StyleError
from .histogram import bent, histogram, pooled, read_off, shifted, transport
from .moments import COLOR_EPS, Moments, Statistics, channel_moments, color_moments, merge
from .precision import wide
from .resample import resize

MatchMethod = Literal["covariance", "channels", "chroma", "histogram"]

_FLAT = 4 * COLOR_EPS
"""The variance from which on contrast is matched all of the way: (5 / 255)^2. Below it is noise, which is not to be stretched."""

_BAND = 2**21
"""Pixels that are looked at together."""


@dataclass(frozen=True)
class Colors:
    """What was measured of pictures, in the coordinates of one `ColorMatch`."""

    moments: Moments
    histogram: Tensor | None = None
    """[3, LEVELS], where the method needs it."""

    @staticmethod
    def pooled(parts: Sequence[Colors]) -> Colors:
        """The colours of several pictures, or of the parts of one, by the pixels that each counted."""
        histograms = [part.histogram for part in parts if part.histogram is not None]
        return Colors(merge([part.moments for part in parts]), pooled(histograms) if histograms else None)

    @property
    def empty(self) -> bool:
        """Whether no pixel counted."""
        return not float(self.moments.weight) > 0


@dataclass(frozen=True)
class ColorMatch:
    """How colours are matched. Raises StyleError for a method, space or strength that there is not."""

    method: MatchMethod = "covariance"
    """`covariance` moves all three coordinates together, by linear optimal transport; `channels` the mean and deviation of each (in Lab
    that of Reinhard et al. 2001); `histogram` the whole distribution of each; `chroma` is `covariance` with the picture's own luma."""
    space: ColorSpace = "rgb"
    """In which they are measured and moved. A `histogram` is the same in linear light: each curve takes in that of the light."""
    strength: float = 1.0
    """0..2. Below 1 the grade is mixed with the picture, above it is extrapolated: x + strength (A x + B - x), but contrast never turns
    round, and colours stay in 0..1."""

    def __post_init__(self) -> None:
        for name, kind in (("method", MatchMethod), ("space", ColorSpace)):
            if getattr(self, name) not in get_args(kind):
                raise StyleError(f"The {name} {getattr(self, name)!r} is unknown. Choose one of {', '.join(get_args(kind))}.")
        if not 0 <= self.strength <= MOST_STRENGTH:
            raise StyleError(
                f"The strength is {self.strength}. It must lie between 0 (the picture itself) and {MOST_STRENGTH:g} (twice as far)."
            )

    @property
    def coordinates(self) -> ColorSpace:
        """The space in which colours are in fact moved."""
        return "rgb" if (self.method, self.space) == ("histogram", "linear") else self.space

    def measure(self, rgb: Tensor, mask: Tensor | None = None) -> Colors:
        """The colours of the one picture `rgb` [1, 3, H, W] in 0..1, its pixels weighed by `mask` [1, 1, h, w] in 0..1."""
        seen = None if mask is None else resize(wide(mask), rgb.shape[-2:])
        parts = [self._measured(wide(rgb[..., rows, :]), None if seen is None else seen[..., rows, :]) for rows in _bands(rgb)]
        return parts[0] if len(parts) == 1 else Colors.pooled(parts)

    def _measured(self, rgb: Tensor, mask: Tensor | None) -> Colors:
        x = encode(rgb, self.coordinates)
        moments = (color_moments if self.method in ("covariance", "chroma") else channel_moments)(x, mask)
        return Colors(moments, histogram(_shares(x, self.coordinates), mask) if self.method == "histogram" else None)

    def grade(self, own: Colors, reference: Colors) -> Grade:
        """The grade from the `own` colours to those of the `reference`.

        Raises ImageError if nothing of the reference counted. Without pixels of its own a picture stays as it is, and one that is flat but
        for noise gets the mean colour alone.
        """
        if reference.empty:
            raise ImageError("Nothing of the reference counts: its mask is black, or all of it transparent. Paint in white what is wanted.")
        if own.empty:
            return Grade(replace(self, strength=0.0), lambda x: x)
        variance = own.moments.var
        contrast = (variance.diagonal(dim1=1, dim2=2) if variance.ndim == 3 else variance).mean()
        share = float((contrast / _FLAT).clamp_max(1).square())
        further = max(1.0, self.strength)
        here, there = own.moments.statistics(), Statistics(*(part.to(own.moments.mean) for part in reference.moments.statistics()))
        if own.histogram is not None and reference.histogram is not None:
            curves = transport(own.histogram, reference.histogram)
            if share < 1:
                shift = [
                    m / (high - low) for m, (low, high) in zip((there.mean - here.mean)[0].tolist(), ranges(self.coordinates), strict=True)
                ]
                curves = torch.lerp(shifted(shift), curves, share)
            return Grade(self, _Curves(bent(curves, further), self.coordinates))
        target = Statistics(there.mean, torch.lerp(here.std, there.std, share))
        return Grade(self, extrapolated(affine(here, target), here.mean, further))


@dataclass(frozen=True)
class Grade:
    """A map from colour to colour: takes pictures [B, 3, H, W] in 0..1 and gives them in 0..1, in float32 or better."""

    match: ColorMatch
    moved: Callable[[Tensor], Tensor]
    """Takes and gives coordinates [B, 3, H, W] in the match's `coordinates`, at strength 1 or more."""

    def __call__(self, rgb: Tensor, mask: Tensor | None = None) -> Tensor:
        """`rgb` graded where `mask` [B or 1, 1, h, w] is 1, and bit for bit as it is where that is 0."""
        rgb = wide(rgb)
        if not self.match.strength:
            return rgb
        out = torch.empty_like(rgb)
        for rows in _bands(rgb):
            out[..., rows, :] = self._graded(rgb[..., rows, :])
        return out if mask is None else lay_over(rgb, out, resize(wide(mask), rgb.shape[-2:]))

    def _graded(self, rgb: Tensor) -> Tensor:
        space = self.match.coordinates
        moved = decode(self.moved(encode(rgb, space)), space)
        if self.match.method == "chroma":
            moved = keep_colors(moved, rgb)
        return torch.lerp(rgb, moved, min(1.0, self.match.strength))


@dataclass(frozen=True)
class _Curves:
    """A curve for each coordinate of `space`."""

    curves: Tensor
    space: ColorSpace

    def __call__(self, x: Tensor) -> Tensor:
        low, span = _extent(x, self.space)
        return read_off(self.curves, _shares(x, self.space)) * span + low


def _shares(x: Tensor, space: ColorSpace) -> Tensor:
    """Where in its range each coordinate lies, 0..1."""
    low, span = _extent(x, space)
    return (x - low) / span


def _extent(x: Tensor, space: ColorSpace) -> tuple[Tensor, Tensor]:
    """The lowest value and the length of the range of each coordinate, [3, 1, 1]."""
    low, high = x.new_tensor(ranges(space)).T[..., None, None]
    return low, high - low


def _bands(rgb: Tensor) -> Iterator[slice]:
    """The rows of pictures of any size, as many at once as need no large buffers."""
    height, width = rgb.shape[-2:]
    step = max(1, _BAND // width)
    for top in range(0, height, step):
        yield slice(top, top + step)

"""Where styles apply in a picture: three questions, each with an answer of its own.

What is *painted* is the whole picture, also where no region reaches: beside painted features the network knows none that were left as
they are, and what it makes of such a cliff glares. What is *shown* of that is up to the masks, in pixels. What is *measured* is what a
region covers, and where that is too little to have statistics, some of the whole picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_mask
from .errors import ImageError, StyleError
from .look import Look
from .resample import resize

LEAST_PIXELS = 128**2
"""A region that covers less than that, and less than LEAST_SHARE of the picture, counts as if the rest were the picture as a whole. The
moments of fewer cells of the coarsest features are chance: thin strokes came out black or as coloured noise."""

LEAST_SHARE = 0.25

_BAND = 2**22
"""Pixels that are added up at once."""


@dataclass(frozen=True)
class Coverage:
    """Where each of K regions applies in B pictures, or in a part of them."""

    cover: Tensor
    """[B or 1, 1, H, W] in 0..1, or in 8 bits: how much of what is painted is laid over the picture."""
    shares: Tensor | None
    """[B or 1, K, H, W], summing to 1 at every pixel: how the regions share what is painted. None if one has it all."""
    lack: Tensor
    """[B or 1, K]: how much every pixel of the picture adds to what is measured of a region; 0 for one that is large enough."""
    alpha: Tensor | None = None
    """[B or 1, 1, H, W] like `cover`: how much of a pixel anybody sees, and so counts."""

    @staticmethod
    def of(cover: Tensor, shares: Tensor | None = None, alpha: Tensor | None = None) -> Coverage:
        """The coverage of whole pictures, where `shares` of `cover` belong to the regions."""
        pixels = torch.tensor(math.prod(cover.shape[2:]), dtype=torch.float64) if alpha is None else _sum(alpha).clamp_min(1)
        lack = ((LEAST_SHARE * pixels).clamp_max(LEAST_PIXELS) - _sum(cover, shares, alpha)).clamp_min(0) / pixels
        return Coverage(cover, shares, lack.float() if cover.dtype == torch.uint8 else lack.to(cover), alpha)

    @staticmethod
    def everywhere(alpha: Tensor) -> Coverage:
        """The coverage of one region in whole pictures with `alpha` [B or 1, 1, H, W]."""
        opaque = 1 if alpha.is_floating_point() else 255
        return Coverage.of(torch.full_like(alpha[:1, :, :1, :1], opaque).expand(1, 1, *alpha.shape[2:]), alpha=alpha)

    @staticmethod
    def joined(parts: Sequence[Coverage]) -> Coverage:
        """The coverage of the pictures of all `parts`, in one batch."""
        shares, alphas = ([t for t in ts if t is not None] for ts in zip(*((part.shares, part.alpha) for part in parts), strict=True))
        return Coverage(
            torch.cat([part.cover for part in parts]),
            torch.cat(shares) if shares else None,
            torch.cat([part.lack for part in parts]),
            torch.cat(alphas) if alphas else None,
        )

    @property
    def weights(self) -> Tensor:
        """[B or 1, K, H, W]: how much each region counts at each pixel."""
        return self.cover if self.shares is None else self.shares * self.cover

    @property
    def measured(self) -> list[Tensor]:
        """For each region [B or 1, 1, H, W]: how much each pixel counts in its moments."""
        weights = self.weights + self.lack[:, :, None, None]
        return [*(weights if self.alpha is None else weights * self.alpha).split(1, 1)]

    @property
    def counted(self) -> Tensor:
        """[B or 1, 1, H, W]: how much each pixel counts in the colours of what is laid over the picture."""
        return self.cover if self.alpha is None else self.cover * self.alpha

    def map(self, function: Callable[[Tensor], Tensor]) -> Coverage:
        """This coverage with `function` applied to what has pixels, such as to look at a part of them."""
        shares, alpha = (None if planes is None else function(planes) for planes in (self.shares, self.alpha))
        return replace(self, cover=function(self.cover), shares=shares, alpha=alpha)

    def to(self, device: torch.device, dtype: torch.dtype) -> Coverage:
        """The same on `device` in `dtype`."""
        return replace(self.map(lambda t: t.to(device, dtype)), lack=self.lack.to(device, dtype))


def coverage_of(look: Look, content: Tensor, alpha: Tensor | None = None) -> Coverage | None:
    """Where the regions of `look` apply in `content` [B, 3, H, W]; None for one region everywhere.

    `alpha` [B or 1, 1, H, W] says how much of a pixel anybody sees; it is no mask.

    Where masks overlap they share the pixel; the base style takes what they leave. Where nothing reaches, what is painted (and not
    shown) is that of the nearest region. Raises ImageError for what is no mask for that many pictures, and StyleError for two base styles.
    """
    batch, size, regions, mask = len(content), content.shape[-2:], look.regions, look.mask
    if sum(region.mask is None for region in regions) > 1:
        raise StyleError("Two regions have no mask. Only one base style can fill what the others leave: give all other regions a mask.")
    if not look.masked:
        return None if alpha is None else Coverage.everywhere(alpha)
    masks = [None if r.mask is None else _at(r.mask, _label(i), batch, size) for i, r in enumerate(regions)]
    given = [m for m in masks if m is not None]
    limit = None if mask is None else _at(mask, _label(), batch, size)
    rows = max(len(m) for m in [*given, limit] if m is not None)
    total = sum((m.expand(rows, -1, -1, -1) for m in given), torch.zeros(rows, 1, *size, dtype=torch.float32))
    based = len(given) < len(masks)
    cover = torch.ones_like(total) if based else total.clamp_max(1)
    parts = [(1 - total).clamp_min(0) if m is None else m.expand(rows, -1, -1, -1) for m in masks]
    shares = _spread(torch.cat(parts, 1)) if len(parts) > 1 else None
    return Coverage.of(cover if limit is None else cover * limit, shares, alpha)


def with_checked_masks(look: Look, pictures: int) -> Look:
    """`look` with its masks as [B or 1, 1, h, w]. Raises ImageError if one is none for so many pictures, or black everywhere."""

    def checked(mask: Tensor | None, label: str) -> Tensor | None:
        shaped = None if mask is None else check_mask(mask, label, pictures)
        if shaped is not None and not shaped.amax() > 0:
            raise ImageError(f"The {label} is black everywhere, so nothing would be painted. Paint in white where the style applies.")
        return shaped

    regions = [replace(region, mask=checked(region.mask, _label(i))) for i, region in enumerate(look.regions)]
    return replace(look, regions=regions, mask=checked(look.mask, _label()))


def _sum(*factors: Tensor | None) -> Tensor:
    """[B or 1, K] in float64: the sum over the pixels of a product of planes, floats or 8-bit values, in bands of rows."""
    planes = [plane for plane in factors if plane is not None]
    height, width = planes[0].shape[2:]
    total = torch.zeros((), dtype=torch.float64)
    for rows in torch.arange(height).split(max(1, _BAND // width)):
        parts = [plane[:, :, rows[0] : rows[-1] + 1] for plane in planes]
        values = [part.float() / 255 if part.dtype == torch.uint8 else part for part in parts]
        total = total + math.prod(values[1:], start=values[0]).sum((2, 3), dtype=torch.float64)
    return total


def _spread(weights: Tensor) -> Tensor:
    """`weights` [B, K, H, W] >= 0 scaled to sum to 1 at every pixel; where all are 0 those around are taken."""
    total = weights.sum(1, keepdim=True)
    shares = weights / total.clamp_min(torch.finfo(weights.dtype).tiny)
    if total.amin() > 0:
        return shares
    if weights.shape[-2:] == (1, 1):
        return torch.where(total > 0, shares, 1 / weights.shape[1])
    # Cells that overlap, so that what lies beside a region is in a cell with it.
    around = F.interpolate(_spread(F.avg_pool2d(weights, 3, 2, padding=1)), size=weights.shape[-2:], mode="bilinear")
    return torch.where(total > 0, shares, around)


def _at(mask: Tensor, label: str, batch: int, size: torch.Size) -> Tensor:
    return resize(check_mask(mask, label, batch).cpu(), size)


def _label(region: int | None = None) -> str:
    return "mask" if region is None else f"mask of region {region + 1}"

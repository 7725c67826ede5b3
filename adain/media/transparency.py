"""What is under transparent pixels: nothing that anybody has seen."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import capable

_CELL = 8
"""Side in pixels of the squares whose mean colours are spread."""

_BAND = 2**22
"""Pixels that are looked at together."""


def fill_hidden(rgb: Tensor, alpha: Tensor) -> None:
    """Give the pixels of `rgb` [B, 3, H, W] whose `alpha` [B, 1, H, W] is 0 colours that continue the visible ones around, in place.

    Both are floats in 0..1 or 8-bit values. Editors leave anything there, black for the most; a network that looks at a pixel's
    surroundings would see it.
    """
    height, width = rgb.shape[-2:]
    rows = max(1, _BAND // (width * _CELL)) * _CELL
    bands = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
    if all(alpha[..., band, :].min() > 0 for band in bands):
        return
    means = [_means(rgb[..., band, :], alpha[..., band, :].float(), _CELL) for band in bands]
    colors, weight = (torch.cat(parts, 2) for parts in zip(*means, strict=True))
    around = F.pad(_spread(colors, weight), (1, 1, 1, 1), mode="replicate")
    for band in bands:
        cells = around[:, :, band.start // _CELL : -(-band.stop // _CELL) + 2]
        smooth = F.interpolate(cells, scale_factor=_CELL, mode="bilinear")[..., _CELL:, _CELL : _CELL + width]
        part = rgb[..., band, :]
        smooth = (smooth if rgb.is_floating_point() else smooth.round()).to(rgb.dtype)
        part.copy_(torch.where(alpha[..., band, :] > 0, part, smooth[:, :, : part.shape[2]]))


def filled(rgb: Tensor, alpha: Tensor | None) -> Tensor:
    """`rgb`, or if pixels are hidden a copy of it after `fill_hidden`. An `alpha` of zeros alone hides nothing: see `usable`."""
    meant = None if alpha is None else usable(alpha)
    if meant is None or meant.amin() > 0:
        return rgb
    copy = capable(rgb).clone()
    fill_hidden(copy, meant.to(copy.device))
    return copy.to(rgb.device)


def usable(alpha: Tensor) -> Tensor | None:
    """`alpha` [B, 1, H, W], floats in 0..1 or 8-bit values, as it is meant; None if all is opaque.

    Opaque pictures are often stored with an alpha of ones, and by mistake with one of zeros.
    """
    opaque = 1 if alpha.is_floating_point() else 255
    blank = alpha.amax((1, 2, 3), keepdim=True) == 0
    if blank.any():
        alpha = torch.where(blank, torch.tensor(opaque).to(alpha), alpha)
    return alpha if alpha.min() < opaque else None


def _spread(colors: Tensor, weight: Tensor) -> Tensor:
    """`colors` [B, 3, h, w] where `weight` [B, 1, h, w] is above 0, and smooth ones between: means over larger and larger squares."""
    if weight.min() > 0 or max(colors.shape[-2:]) == 1:
        return colors
    coarse = F.interpolate(_spread(*_means(colors, weight, 2)), size=colors.shape[-2:], mode="bilinear")
    return torch.where(weight > 0, colors, coarse)


def _means(colors: Tensor, weight: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Mean colours over squares of `side` pixels, and the mean weights by which they were weighted."""
    sums = F.avg_pool2d(torch.cat([colors * weight, weight], 1), side, ceil_mode=True, count_include_pad=False)
    return sums[:, :3] / sums[:, 3:].clamp_min(torch.finfo(sums.dtype).tiny), sums[:, 3:]

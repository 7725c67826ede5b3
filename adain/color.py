"""Keeping the content's colours, and moving pictures to the colours of others."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .affine import affine
from .moments import color_statistics

ColorMode = Literal["style", "keep", "match"]

LUMA = (0.299, 0.587, 0.114)
"""Rec. 601 weights of R, G, B, the luma that 8-bit pictures are stored with."""


def luma(image: Tensor) -> Tensor:
    """Luma [B, 1, H, W] of RGB `image` [B, 3, H, W]."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def keep_colors(content: Tensor, stylized: Tensor) -> Tensor:
    """The luma of `stylized` with the chroma of `content`, both [B, 3, H, W] in 0..1.

    Where the new luma leaves no room for the chroma in 0..1, the chroma is reduced, so that the luma stays right.
    """
    target = luma(stylized)
    chroma = content - luma(content)
    room = torch.where(chroma > 0, 1 - target, target) / chroma.abs().clamp_min(1e-6)
    return target + chroma * room.amin(1, keepdim=True).clamp(0, 1)


def match_colors(image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """`image` moved to the RGB mean and covariance of `reference` by linear optimal transport; [B, 3, H, W] in 0..1.

    `mask` [B, 1, H, W] weighs the pixels of both.
    """
    return affine(color_statistics(image, mask), color_statistics(reference, mask))(image).clamp(0, 1)


def apply_color_mode(mode: ColorMode, content: Tensor, stylized: Tensor, covered: Tensor | None) -> Tensor:
    """`stylized` with the colours that `mode` asks for; `covered` [B, 1, H, W] is where the style applies."""
    if mode == "keep":
        return keep_colors(content, stylized)
    if mode == "match":
        return match_colors(stylized, content, covered)
    return stylized


def lay_over(content: Tensor, stylized: Tensor, covered: Tensor | None) -> Tensor:
    """`stylized` where `covered` [B, 1, H, W] is 1, `content` where it is 0, in 0..1."""
    return (stylized if covered is None else torch.lerp(content, stylized, covered)).clamp(0, 1)

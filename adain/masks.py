"""Masks made to fit: inverted, grown or shrunk, and softened, in pixels of the picture that they lie over."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_mask
from .errors import ImageError
from .resample import resize

MOST_PIXELS = 1024
"""By which masks are grown or over which they are feathered."""


@dataclass(frozen=True)
class MaskEdit:
    """What is done to a mask before it is used, in this order."""

    invert: bool = False
    grow: int = 0
    """Pixels by which it reaches further; negative ones shrink it."""
    feather: float = 0.0
    """Pixels over which its edges are softened, half of them inside and half outside."""

    @property
    def reach(self) -> int:
        """Pixels around an area that its edited mask depends on."""
        return abs(self.grow) + _radius(self.feather)

    def __call__(self, mask: Tensor, size: torch.Size) -> Tensor:
        """`mask` [B, 1, h, w] in 0..1 edited at the `size` (height, width) of the picture; itself if there is nothing to do.

        Raises ImageError for an unusable one.
        """
        if self == MaskEdit():
            return mask
        planes = resize(check_mask(mask, "mask", len(mask)), size)
        return feathered(grown(1 - planes if self.invert else planes, self.grow), self.feather)

    def checked(self, mask: Tensor, size: torch.Size) -> Tensor:
        """The edited `mask`. Raises ImageError if that left nothing of it."""
        edited = self(mask, size)
        if edited is not mask:
            self.check(edited)
        return edited

    def check(self, edited: Tensor) -> None:
        """Raise ImageError if an `edited` mask is black everywhere."""
        if not edited.any():
            shrunk = self.grow < 0
            done = " and ".join(["inverted"] * self.invert + [f"shrunk by {-self.grow} pixels"] * shrunk)
            raise ImageError(
                f"The mask is black everywhere{f' after it was {done}' if done else ''}, so nothing would be painted. "
                f"Paint in {'black' if self.invert else 'white'} where the style applies{', and shrink it less' * shrunk}."
            )


def grown(mask: Tensor, pixels: int) -> Tensor:
    """`mask` [B, 1, H, W] in 0..1 reaching `pixels` further, or less far if they are negative; the brush is an octagon.

    Nothing grows in from outside the picture, and where a mask touches the frame it stays.
    """
    if pixels < 0:
        return 1 - grown(1 - mask, -pixels)
    # A regular octagon is what four strokes make one after the other.
    slanted = min(round(pixels * (1 - math.sqrt(0.5))), max(0, pixels - 1) // 2)
    straight = pixels - 2 * slanted
    mask = F.pad(mask, (slanted,) * 4)  # what one slanted stroke takes out of the picture the other brings back
    for down, right, length in ((0, 1, straight), (1, 0, straight), (1, 1, slanted), (1, -1, slanted)):
        reach = 0
        while reach < length:
            step = min(2 * reach + 1, length - reach)
            there, back = (_shifted(mask, sign * step * down, sign * step * right) for sign in (1, -1))
            mask = mask.maximum(there).maximum(back)
            reach += step
    return F.pad(mask, (-slanted,) * 4)


def feathered(mask: Tensor, width: float) -> Tensor:
    """`mask` [B, 1, H, W] with its edges softened over about `width` pixels by a Gaussian; borders are continued outwards."""
    sigma, radius = width / 4, _radius(width)  # 95 % of a blurred edge's rise takes four deviations
    if not radius:
        return mask
    offsets = torch.arange(-radius, radius + 1, dtype=mask.dtype, device=mask.device)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma**2), 0)
    rows = F.conv2d(F.pad(mask, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(rows, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1)).clamp(0, 1)


def _radius(width: float) -> int:
    """How far the Gaussian of `feathered` looks; below half a pixel its neighbours weigh nothing."""
    return math.ceil(3 * width / 4) if width >= 0.5 else 0


def _shifted(x: Tensor, down: int, right: int) -> Tensor:
    """`x` [..., H, W] moved, with zeros where nothing comes from."""
    height, width = x.shape[-2:]
    down, right = max(-height, min(down, height)), max(-width, min(right, width))
    return F.pad(x, (right, -right, down, -down))

"""Whether tensors are the pictures and masks they are taken for; what they should have been, if not."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from .errors import ImageError, counted

MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 2**27)
"""Larger files are taken for decompression bombs; Pillow's own limit, 179 million pixels."""


def check_image(image: Tensor, label: str) -> Tensor:
    """`image` [B, 3, H, W] clamped to 0..1, itself if it lies there.

    Raises ImageError unless it is floating-point, finite, and pixels of 0..1 that overshoot at most.
    """
    _check_tensor(image, label)
    if image.ndim != 4 or image.shape[1] != 3 or not image.numel():
        raise ImageError(f"The {label} has the shape {list(image.shape)}. Expected [batch, 3, height, width] with at least one pixel.")
    if not image.is_floating_point():
        raise ImageError(f"The {label} holds {image.dtype} values. Expected floats in 0..1: divide 8-bit values by 255.")
    low, high = torch.aminmax(image)
    if not (low.isfinite() and high.isfinite()):
        frame = next(i for i, frame in enumerate(image) if not frame.isfinite().all())
        raise ImageError(
            f"The {label} holds NaN or infinite values in frame {frame} (counting from 0). Fix the node or program that produced it."
        )
    return _clamped(image, float(low), float(high), label)


def _check_tensor(values: object, label: str) -> None:
    if not isinstance(values, Tensor):
        raise ImageError(
            f"The {label} is a {type(values).__name__}. Expected a tensor of floats in 0..1, [batch, channels, height, width]; "
            "read_picture and read_mask make one of a file."
        )


def _clamped(values: Tensor, low: float, high: float, label: str) -> Tensor:
    """`values`, which range from `low` to `high`, within 0..1. Raises ImageError for what is plainly 0..255 or -1..1."""
    if low >= 0 and high <= 1:
        return values
    # Bicubic enlargement reaches -0.45 and 1.45, sharpening and light of HDR go further; then black overshoots no more than
    # white does, and the mean stays that of a picture.
    below, above = -low, high - 1
    if above > 1 and values.mean(dtype=torch.float32) > 2:
        raise ImageError(f"The {label} has values from {low:.3g} to {high:.3g}. Expected 0..1: divide 8-bit values by 255.")
    if below > 0.5 and below > 2 * above:
        raise ImageError(f"The {label} has values from {low:.3g} to {high:.3g}. Expected 0..1: halve values of -1..1 and add 0.5.")
    return values.clamp(0, 1)


def check_mask(mask: Tensor, label: str, batch: int) -> Tensor:
    """`mask` as float32 [B or 1, 1, h, w] in 0..1; [h, w] and [B, h, w] are taken too, and any dtype.

    Raises ImageError unless it is finite, in 0..1 and `batch` or 1 long.
    """
    _check_tensor(mask, label)
    shaped = mask[None, None] if mask.ndim == 2 else mask[:, None] if mask.ndim == 3 else mask
    if shaped.ndim != 4 or shaped.shape[1] != 1 or not shaped.numel():
        raise ImageError(f"The {label} has the shape {list(mask.shape)}. Expected [batch, 1, height, width].")
    shaped = shaped.float()
    if not shaped.isfinite().all():
        raise ImageError(f"The {label} holds NaN or infinite values. Expected 0..1.")
    low, high = torch.aminmax(shaped)
    shaped = _clamped(shaped, float(low), float(high), label)
    if len(shaped) not in (1, batch):
        raise ImageError(f"The {label} has {len(shaped)} frames for {counted(batch, 'picture')}. Give one mask, or one for each picture.")
    return shaped

"""Reading, checking, resizing and writing images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .decoding import MAX_PIXELS, decode
from .devices import capable
from .errors import ImageError, counted, reason
from .files import replacing
from .metadata import Metadata
from .profiles import srgb
from .transparency import fill_hidden

WRITTEN = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
"""The extensions of files that are written."""

OPAQUE = frozenset({".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"})
"""Those of them whose files hold no transparency."""

EXTENSIONS = WRITTEN | {".jfif", ".jpe", ".jp2", ".heic", ".heif", ".avif", ".dib", ".tga", ".qoi"}
"""The extensions of files that are read when a folder is walked."""


@dataclass(frozen=True)
class Picture:
    """Pictures in memory: `rgb` [B, 3, H, W], sRGB, and `alpha` [B, 1, H, W] (None if opaque), float32 0..1, and what is kept of the file.

    Pixels of alpha 0 are seen by nobody: as read from a file they continue what is around them.
    """

    rgb: Tensor
    alpha: Tensor | None = None
    metadata: Metadata = field(default_factory=Metadata)

    @staticmethod
    def batch(pictures: Sequence[Picture]) -> Picture:
        """Pictures of equal size in one; the files' metadata are left out."""
        rgb = torch.cat([picture.rgb for picture in pictures])
        if all(picture.alpha is None for picture in pictures):
            return Picture(rgb)
        return Picture(rgb, torch.cat([torch.ones_like(p.rgb[:, :1]) if p.alpha is None else p.alpha for p in pictures]))

    def resized(self, size: tuple[int, int]) -> Picture:
        """The same at `size` (height, width)."""
        return replace(self, rgb=resize(self.rgb, size), alpha=None if self.alpha is None else resize(self.alpha, size))


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read an image file, upright and in sRGB: grey, palette, 16-bit, CMYK, RGBA, EXIF-rotated, with colour profile.

    HEIC needs the package pillow-heif. Raises ImageError with the reason if it cannot be read whole.
    """
    rgb, alpha, metadata = decode(Path(path))
    if alpha is not None:
        fill_hidden(rgb, alpha)
    return Picture(rgb, alpha, metadata)


def read_mask(path: str | os.PathLike[str]) -> Tensor:
    """A mask [1, 1, H, W] in 0..1: the alpha channel where the file has one that says something, else its brightness."""
    rgb, alpha, _ = decode(Path(path))
    return rgb.mean(1, keepdim=True) if alpha is None else alpha


def to_pil(rgb: Tensor, alpha: Tensor | None = None) -> Image.Image:
    """A Pillow image of `rgb` [1, 3, H, W] and `alpha` [1, 1, H, W] in 0..1."""
    values = rgb if alpha is None else torch.cat([rgb, alpha.to(rgb)], 1)
    return Image.fromarray(values[0].mul(255).round_().clamp_(0, 255).byte().permute(1, 2, 0).cpu().numpy())


def write_picture(
    path: str | os.PathLike[str], rgb: Tensor, alpha: Tensor | None = None, metadata: Metadata | None = None, quality: int = 95
) -> None:
    """Write `rgb` [1, 3, H, W] in 0..1, as sRGB, in the format of the file's extension; a half-written file never stays behind.

    Formats without transparency (OPAQUE) get the picture without `alpha`, and those without metadata without that. `quality`, 1 to 100, is
    for JPEG and WebP. Raises ImageError if it cannot be written.
    """
    if isinstance(path, Tensor):
        raise ImageError("The path of a picture to write is a tensor. Call write_picture(path, rgb).")
    path = Path(path)
    extension = path.suffix.lower()
    if extension not in WRITTEN:
        raise ImageError(f"The extension {extension!r} of {path} is no image format that is written. Use .png, .jpg, .webp or .tif.")
    image = to_pil(rgb, None if extension in OPAQUE else alpha)
    options: dict[str, Any] = {"quality": quality, "subsampling": 0} if extension in (".jpg", ".jpeg", ".webp") else {}
    try:
        with replacing(path) as temporary:
            image.save(temporary, icc_profile=srgb(), **(metadata or Metadata()).options(), **options)
    except (OSError, ValueError) as error:  # ValueError: a picture that the format cannot hold
        raise ImageError(f"{path} cannot be written ({reason(error)}). Choose another folder or format with -o.") from error


def at_short_side(size: torch.Size, short_side: int) -> tuple[int, int]:
    """(height, width) of a picture of `size` scaled to `short_side` pixels, or `size` itself if that is 0.

    Raises ImageError if that is more than any picture may have that is read.
    """
    if not short_side:
        return size[0], size[1]
    scale = short_side / min(size)
    height, width = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"A picture of {size[1]} x {size[0]} scaled to a short side of {short_side} would be {width} x {height}, more than "
            f"{MAX_PIXELS // 10**6} million pixels. Give a smaller size."
        )
    return height, width


def resize(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """`x` [B, C, h, w] at `size` (height, width); bicubic, antialiased when shrinking, within the range of 0..1."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    mode = "bilinear" if x.shape[1] == 1 else "bicubic"  # masks must not ring
    return F.interpolate(capable(x).float(), size=tuple(size), mode=mode, antialias=True).clamp(0, 1).to(x.device)


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
        raise ImageError(f"The {label} holds NaN or infinite values in frame {frame} (counting from 0). Mend what made it.")
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

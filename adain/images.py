"""Reading, checking, resizing and writing images."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .devices import capable
from .errors import ImageError
from .files import replacing

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
"""File names taken for images when a folder is walked, and the formats that are written."""

MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 2**27)
"""Larger files are taken for decompression bombs; Pillow's own limit, 179 million pixels."""


@dataclass(frozen=True)
class Picture:
    """An image file in memory: `rgb` [1, 3, H, W] and `alpha` [1, 1, H, W] (None if opaque), float32 0..1."""

    rgb: Tensor
    alpha: Tensor | None = None


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read any image file that Pillow knows, upright: grey, palette, 16-bit, CMYK, RGBA, EXIF-rotated.

    Raises ImageError with the reason if it cannot be read whole.
    """
    path = Path(path)
    if not path.exists():
        raise ImageError(f"There is no file at {path}. Check the name.")
    if path.is_dir():
        raise ImageError(f"{path} is a folder where an image file was expected.")
    if not path.stat().st_size:
        raise ImageError(f"{path} is empty. Save or download it again.")
    try:
        with warnings.catch_warnings():
            # Pillow warns from half of MAX_PIXELS on, and refuses what exceeds it.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _picture(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not an image that Pillow can read. Expected PNG, JPEG, WebP, TIFF or the like.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path} is too large to read safely ({error}). Scale it down first.") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three for damaged files
        raise ImageError(f"{path} cannot be read as an image ({error}). The file is probably truncated or damaged.") from error


def _picture(image: Image.Image) -> Picture:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float32)
        if not np.isfinite(values).all():
            raise ValueError("it holds NaN or infinite values")
        # 16-bit files give 0..65535; float images are taken as 0..1 unless they exceed it.
        peak = 65535 if image.mode.startswith("I") else max(1.0, float(values.max(initial=0)))
        grey = torch.from_numpy(np.clip(values / peak, 0, 1))[None, None]
        return Picture(grey.repeat(1, 3, 1, 1))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        values = _to_tensor(image.convert("RGBA"))
        return Picture(values[:, :3], values[:, 3:])
    return Picture(_to_tensor(image.convert("RGB")))


def _to_tensor(image: Image.Image) -> Tensor:
    values = torch.from_numpy(np.array(image))
    return values.permute(2, 0, 1)[None].float().div_(255)


def read_mask(path: str | os.PathLike[str]) -> Tensor:
    """A mask [1, 1, H, W] in 0..1: the alpha channel where the file has one, else its brightness."""
    picture = read_picture(path)
    return picture.rgb.mean(1, keepdim=True) if picture.alpha is None else picture.alpha


def to_pil(rgb: Tensor, alpha: Tensor | None = None) -> Image.Image:
    """A Pillow image of `rgb` [1, 3, H, W] and `alpha` [1, 1, H, W] in 0..1."""
    values = rgb if alpha is None else torch.cat([rgb, alpha.to(rgb)], 1)
    return Image.fromarray(values[0].mul(255).round_().clamp_(0, 255).byte().permute(1, 2, 0).cpu().numpy())


def write_picture(path: str | os.PathLike[str], rgb: Tensor, alpha: Tensor | None = None) -> None:
    """Write `rgb` [1, 3, H, W] in 0..1 in the format of the file's extension; a half-written file never stays behind.

    Formats without transparency (JPEG) get the picture without `alpha`. Raises ImageError if it cannot be written.
    """
    path = Path(path)
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        raise ImageError(f"The extension {extension!r} of {path} is no image format that is written. Use .png, .jpg, .webp or .tif.")
    image = to_pil(rgb, None if extension in (".jpg", ".jpeg", ".bmp", ".ppm") else alpha)
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if extension in (".jpg", ".jpeg") else {}
    try:
        with replacing(path) as temporary:
            image.save(temporary, **options)
    except (OSError, ValueError) as error:  # ValueError: a picture that the format cannot hold
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be written ({reason}). Choose another folder or format with -o.") from error


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
    if image.ndim != 4 or image.shape[1] != 3 or not image.numel():
        raise ImageError(f"The {label} has the shape {list(image.shape)}. Expected [batch, 3, height, width] with at least one pixel.")
    if not image.is_floating_point():
        raise ImageError(f"The {label} holds {image.dtype} values. Expected floats in 0..1: divide 8-bit values by 255.")
    low, high = torch.aminmax(image)
    if not (low.isfinite() and high.isfinite()):
        frame = next(i for i, frame in enumerate(image) if not frame.isfinite().all())
        raise ImageError(f"The {label} holds NaN or infinite values in frame {frame} (counting from 0). Mend what made it.")
    return _clamped(image, float(low), float(high), label)


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
    shaped = mask[None, None] if mask.ndim == 2 else mask[:, None] if mask.ndim == 3 else mask
    if shaped.ndim != 4 or shaped.shape[1] != 1 or not shaped.numel():
        raise ImageError(f"The {label} has the shape {list(mask.shape)}. Expected [batch, 1, height, width].")
    shaped = shaped.float()
    if not shaped.isfinite().all():
        raise ImageError(f"The {label} holds NaN or infinite values. Expected 0..1.")
    low, high = torch.aminmax(shaped)
    shaped = _clamped(shaped, float(low), float(high), label)
    if len(shaped) not in (1, batch):
        pictures = "1 picture" if batch == 1 else f"{batch} pictures"
        raise ImageError(f"The {label} has {len(shaped)} frames for {pictures}. Give one mask, or one for each picture.")
    return shaped

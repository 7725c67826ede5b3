"""Pictures in memory, read from image files and written to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import ImageError, reason
from ..precision import to_bytes
from ..resample import resize
from .atomic import replacing
from .decoding import Encoded, decode
from .metadata import Metadata
from .profiles import srgb
from .transparency import fill_hidden

WRITTEN = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
"""The extensions of files that are written."""

OPAQUE = frozenset({".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"})
"""The extensions among them whose files hold no transparency."""

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
        """The pictures scaled to `size` (height, width)."""
        return replace(self, rgb=resize(self.rgb, size), alpha=None if self.alpha is None else resize(self.alpha, size))


def read_picture(path: str | os.PathLike[str] | Encoded) -> Picture:
    """Read an image file, or its bytes, upright and in sRGB: grey, palette, 16-bit, CMYK, RGBA, EXIF-rotated, with colour profile.

    HEIC needs the package pillow-heif. Raises ImageError with the reason if it cannot be read whole.
    """
    rgb, alpha, metadata = decode(path if isinstance(path, Encoded) else Path(path))
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
    return Image.fromarray(to_bytes(values[0]).permute(1, 2, 0).cpu().numpy())


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

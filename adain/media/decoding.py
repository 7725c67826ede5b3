"""What the pixels of an image file mean: sRGB in 0..1, upright, with alpha. Decided here for everything that reads pictures.

`tiling.large` says the same to libvips.
"""

from __future__ import annotations

import functools
import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError
from torch import Tensor

from ..checks import MAX_PIXELS
from ..errors import ImageError, reason
from .input_file import check_file
from .metadata import Metadata, exif_of, metadata_of, orientation_of
from .profiles import to_srgb
from .transparency import fill_hidden, usable

_FORMATS = [
    *("PNG", "JPEG", "MPO", "WEBP", "TIFF", "GIF", "BMP", "DIB", "PPM"),
    *("AVIF", "HEIF", "JPEG2000", "TGA", "QOI", "ICO", "PSD", "SGI", "PCX", "DDS"),
]
"""Pillow knows more, and some of those start other programs on what they are given (EPS)."""

_MODERN = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC")
_NEEDS = {"AVIF": "Pillow 11.3 or later (`pip install -U pillow`)", "HEIC": "pillow-heif (`pip install pillow-heif`)"}

_VIDEO_BRANDS = (b"iso", b"mp4", b"avc", b"qt ", b"M4V", b"3gp", b"3g2", b"MSN", b"das")
"""How the brands of MP4 and QuickTime files begin; others of their kind are raw photographs and sound."""

_GREY_AND_ALPHA = "LA;16B"
_LOW_BYTES = {f"{mode};16{order}": f"{mode};16{'L' if order == 'B' else 'B'}" for mode in ("RGB", "RGBA") for order in "BLN"}
_LOW_BYTES[_GREY_AND_ALPHA] = "RGBA"  # both bytes of both
"""Pillow keeps the high bytes of 16-bit colours. Read in the other byte order, a file gives the low ones."""

_STRAIGHT = {"La": "LA", "RGBa": "RGBA"}
"""What colours are called that were multiplied by alpha, and are to be divided by it."""

_BAND = 2**22
"""Pixels that are converted at once."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Encoded:
    """The bytes of an image file that lies in no folder but in an archive or a table, and its name for messages."""

    data: bytes = field(repr=False)
    name: str

    def __str__(self) -> str:
        return self.name


def decode(path: Path | Encoded) -> tuple[Tensor, Tensor | None, Metadata]:
    """RGB [1, 3, H, W] and alpha [1, 1, H, W] (None if the file has none) of the file at `path`, float32, and what is to be kept.

    Raises ImageError if it cannot be read whole.
    """
    with _errors(path):
        pixels = _load(path)
        width, height = pixels.image.size
        planes = torch.empty(1, 4 if pixels.transparent else 3, height, width)
        step = max(1, _BAND // width)
        for top in range(0, height, step):
            values = pixels.rows(top, min(top + step, height))
            planes[:, :, top : top + step] = _planes(values)
        return planes[:, :3], usable(planes[:, 3:]) if pixels.transparent else None, pixels.metadata


def decode_bytes(path: Path | Encoded) -> Image.Image:
    """`decode` as an 8-bit RGB image of Pillow's, in a fraction of the time for most files; for training, which reads thousands."""
    with _errors(path):
        pixels = _load(path)
        if pixels.image.mode == "RGB" and not (pixels.transparent or pixels.transform):
            return pixels.image
        values = pixels.rows(0, pixels.image.height)
        if pixels.transparent and (alpha := usable(_planes(values[..., 3:]))) is not None:
            fill_hidden(_planes(values[..., :3]), alpha)
        return _image_of(values[..., :3])


def count_frames(path: Path) -> int:
    """The frames of an animation or the pages of a document, of which `decode` reads the first; 1 if that cannot be told."""
    try:
        with _quiet(), Image.open(path, formats=_formats()) as image:
            return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # phones hide other views in there
    except Exception:  # of every kind, in damaged files
        return 1


def is_known(path: Path) -> bool:
    """Whether the file at `path` begins as one of a promised format does, of any size."""
    if not os.path.isfile(path):  # a pipe would be waited for, and drained
        return False
    try:
        with _quiet(), Image.open(path, formats=_formats()):
            return True
    except Image.DecompressionBombError:
        return True
    except Exception:  # of every kind, in damaged files
        return False


def _planes(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).movedim(-1, 0)[None]


def _image_of(colors: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(colors * 255).astype(np.uint8))


def _floats_of(image: Image.Image) -> np.ndarray:
    """8-bit values as float32 in 0..1, [H, W, C]."""
    return np.asarray(image, dtype=np.float32) / 255


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Pillow warns of: pictures from half of MAX_PIXELS on, and damaged EXIF, some of which it reads on opening."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _errors(path: Path | Encoded) -> Iterator[None]:
    """Raise whatever goes wrong inside as an ImageError about the file at `path`."""
    try:
        if isinstance(path, Path):
            check_file(path, "an image file", ImageError)
        elif not path.data:
            raise ImageError(f"{path} is empty. Save or download it again.")
        with _quiet():
            yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} {_what_is_wrong(path)}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path} is too large to read safely ({error}). Scale it down first.") from error
    except MemoryError as error:
        raise ImageError(f"{path} needs more memory than there is. Scale it down first, or close other programs.") from error
    except Exception as error:  # decoders raise every kind of exception on damaged files
        if isinstance(error, OSError) and error.errno:
            raise ImageError(f"{path} cannot be opened ({error.strerror}). Check that it may be read and its disk is there.") from error
        raise ImageError(f"{path} cannot be read as an image ({reason(error)}). The file is probably truncated or damaged.") from error


def _what_is_wrong(path: Path | Encoded) -> str:
    if isinstance(path, Path):
        with path.open("rb") as file:
            head = file.read(12)
    else:
        head = path.data[:12]
    modern = _MODERN.get(head[8:12]) if head[4:8] == b"ftyp" else None
    if modern and {"AVIF": "AVIF", "HEIC": "HEIF"}[modern] in _formats():
        return f"cannot be read as an image. The {modern} file is probably truncated or damaged."
    if modern:
        return f"is an {modern} picture, which needs {_NEEDS[modern]}."
    if path.name.rpartition("/")[2].startswith("._"):
        return "is not an image but what macOS notes about one on foreign disks. Leave it out."
    if (head[4:8] == b"ftyp" and head[8:11] in _VIDEO_BRANDS) or head.startswith(b"\x1a\x45\xdf\xa3") or head[8:12] == b"AVI ":
        return "is a video, not an image. `adain video` and the node AdaIN Video take those."
    return "is not an image that can be read here. Expected PNG, JPEG, WebP, TIFF, HEIC, AVIF or the like."


@functools.cache
def _formats() -> list[str]:
    """The promised formats that this Pillow and its plugins know."""
    with suppress(ImportError):
        import pillow_heif  # an extra

        pillow_heif.register_heif_opener()
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


@dataclass(frozen=True)
class _Pixels:
    """A decoded file, upright."""

    image: Image.Image
    stored: str
    """How the file stores its pixels, in Pillow's words."""
    low: Image.Image | None
    """The low bytes of 16-bit colours; of grey with alpha the high and the low ones."""
    transform: ImageCms.ImageCmsTransform | None
    """The way from 8-bit colours, as the file's profile means them, to sRGB; None if they are shown as they are."""
    metadata: Metadata

    @property
    def transparent(self) -> bool:
        bands, palette = self.image.getbands(), self.image.palette
        return "A" in bands or "a" in bands or "transparency" in self.image.info or bool(palette and palette.mode.endswith("A"))

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """RGB or RGBA of some rows, float32 [rows, W, 3 or 4] in 0..1."""
        box = (0, top, self.image.width, bottom)
        band = self.image.crop(box)
        if self.low is not None:
            colors, alpha = self._deep(band, self.low.crop(box))
        elif _is_deep_grey(band):
            colors, alpha = self._deep_grey(band)
        else:
            band = band.convert(_STRAIGHT.get(band.mode, band.mode))
            colors = _floats_of(self._rgb(band))
            alpha = _floats_of(band.convert("RGBA").getchannel("A"))[..., None] if self.transparent else None
        return colors if alpha is None else np.concatenate([colors, alpha], 2)

    def _deep(self, high: Image.Image, low: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
        """Colours and alpha of both bytes of the colours."""
        if self.stored == _GREY_AND_ALPHA:
            values = np.asarray(low).view(">u2").astype(np.uint16)[..., [0, 0, 0, 1]]
        else:
            values = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
        shares = values / np.float32(65535)
        return self._in_srgb(shares[..., :3]), shares[..., 3:] if values.shape[2] == 4 else self._visible(values)

    def _deep_grey(self, band: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
        values = np.asarray(band, dtype=np.float32)[..., None]
        if not np.isfinite(values).all():
            raise ValueError("it holds NaN or infinite values")
        # 16-bit files give 0..65535; float images are taken as 0..1 unless they exceed it.
        extrema: Any = self.image.getextrema()
        shares = np.clip(values / max(1.0 if self.image.mode == "F" else 65535.0, extrema[1]), 0, 1)
        return self._in_srgb(shares.repeat(3, 2)), self._visible(values)

    def _visible(self, values: np.ndarray) -> np.ndarray | None:
        """float32 [rows, W, 1]: 0 where `values` [rows, W, C] are the colour that the file calls transparent; None if it calls none so."""
        hidden = self.image.info.get("transparency")
        return None if hidden is None else (values != np.asarray(hidden)).any(2, keepdims=True).astype(np.float32)

    def _in_srgb(self, colors: np.ndarray) -> np.ndarray:
        """Deep `colors` as `transform` makes them: littleCMS is reached through 8 bits only."""
        return _floats_of(self._rgb(_image_of(colors))) if self.transform else colors

    def _rgb(self, band: Image.Image) -> Image.Image:
        if self.transform is None:
            return band.convert("RGB")
        mode = self.transform.input_mode
        return self.transform.apply(band if band.mode == mode else band.convert(mode))


def _load(path: Path | Encoded) -> _Pixels:
    try:
        return _pixels(path if isinstance(path, Path) else path.data)
    except ValueError as error:
        if "MAX_TEXT" not in str(error):
            raise
    # Workflows of a megabyte and more are written into PNG files; nothing here reads them.
    return _pixels(_without_text(path.read_bytes() if isinstance(path, Path) else path.data))


def _pixels(source: Path | bytes) -> _Pixels:
    image = _open(source)
    stored = _stored(image)
    image.load()
    low = None
    if stored in _LOW_BYTES:
        low = _open(source)
        low.tile = [_stored_as(tile, _LOW_BYTES[stored]) for tile in low.tile]
        low.load()
    orientation = orientation_of(exif_of(image))
    metadata = metadata_of(exif_of(image), image.info.get("dpi"), turned=orientation >= 5)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
        low = low and low.transpose(_TURNS[orientation])
    return _Pixels(image, stored, low, _transform(image), metadata)


def _open(source: Path | bytes) -> ImageFile.ImageFile:
    image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats())
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS // 10**6} million")
    return image


def _transform(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        return to_srgb(b"", "LAB")
    if not isinstance(profile, bytes) or not profile:
        return None
    grey = image.mode in ("1", "L", "LA", "La") or _is_deep_grey(image)
    mode = image.mode if image.mode == "CMYK" else "L" if grey else "RGB"
    return to_srgb(profile, mode) or (to_srgb(profile, "RGB") if grey else None)


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


# 16 bits


def _stored(image: ImageFile.ImageFile) -> str:
    """How the file stores its pixels, in Pillow's words."""
    arguments = image.tile[0][3] if image.tile else ""
    return str(arguments if isinstance(arguments, str) or not arguments else arguments[0])


def _stored_as(tile: Any, mode: str) -> Any:
    *place, arguments = tile
    return (*place, mode if isinstance(arguments, str) else (mode, *arguments[1:]))


# PNG


def _without_text(data: bytes) -> bytes:
    """A PNG file without its texts."""
    kept, start = [data[:8]], 8
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big") + 12
        if data[start + 4 : start + 8] not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(data[start : start + length])
        start += length
    return b"".join(kept)

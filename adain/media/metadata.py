"""What a photographer wants to find again in a painted file: when, where, by whom and with what, and the resolution in print."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image

_EXIF_LIMIT = 65_000
"""Bytes; a segment of a JPEG holds 65,533."""

_BASE = ExifTags.Base
_TAGS = (
    *(_BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.Software, _BASE.DateTime, _BASE.Artist, _BASE.HostComputer, _BASE.Copyright),
    0x4746,  # rating in stars
    *range(0x9C9B, 0x9CA0),  # title, comment, author, keywords and subject as Windows writes them
)
"""What is kept of a TIFF's first directory, whose rest describes its pixels; numbers for what the oldest Pillows call otherwise."""

_DROPPED = (
    0x927C,  # the maker's own notes, full of offsets into the old file
    0xA001,  # colour space
    0xA002,  # width
    0xA003,  # height
    0xA005,  # interoperability: says Adobe RGB
)
"""What is left out of the directories of the camera and of the place."""


@dataclass(frozen=True)
class Metadata:
    """The resolution `dpi` in x and y, and `exif` ready to be written: without orientation, thumbnail and what describes the old pixels."""

    dpi: tuple[float, float] | None = None
    exif: bytes = field(default=b"", repr=False)

    def options(self) -> dict[str, Any]:
        """Keywords for `Image.save`, in any format."""
        return {key: value for key, value in (("dpi", self.dpi), ("exif", self.exif)) if value}


def exif_of(source: Image.Image | bytes) -> Image.Exif:
    """The EXIF of an opened image, or stored in bytes; empty if it cannot be read: the picture is whole."""
    try:
        if isinstance(source, Image.Image):
            return source.getexif()
        exif = Image.Exif()
        exif.load(source)
        return exif
    except Exception:  # of every kind, in damaged EXIF
        return Image.Exif()


def orientation_of(exif: Image.Exif) -> int:
    """The orientation that EXIF tells, 1 to 8; 1 where there is none or it makes no sense."""
    try:
        value = exif.get(_BASE.Orientation, 1)
    except Exception:  # values are read when they are asked for
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def metadata_of(exif: Image.Exif, dpi: Any, *, turned: bool) -> Metadata:
    """The metadata that are kept of a file; `turned` if width and height change places. Whatever is damaged is left out."""
    resolution = _dpi(dpi)
    return Metadata((resolution[1], resolution[0]) if resolution and turned else resolution, _kept(exif))


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return (x, y) if all(math.isfinite(v) and 1 <= v <= 30_000 for v in (x, y)) else None


def _kept(found: Image.Exif) -> bytes:
    kept = Image.Exif()
    try:
        kept.update(_writable(found, _TAGS))
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            inside = found.get_ifd(directory)
            if made := _writable(inside, inside.keys() - set(_DROPPED)):
                kept[directory] = made
        data = kept.tobytes() if kept else b""
    except Exception:  # of every kind, in damaged EXIF
        return b""
    return data if len(data) <= _EXIF_LIMIT else b""


def _writable(source: Any, tags: Iterable[int]) -> dict[int, Any]:
    """The values of `source` at `tags`, as far as there are any and they can be written again."""
    found: dict[int, Any] = {}
    for tag in tags:
        if (value := source.get(tag)) is None:
            continue
        alone = Image.Exif()
        alone[tag] = value
        with suppress(struct.error, TypeError, ValueError, AttributeError, ZeroDivisionError, OverflowError):
            alone.tobytes()
            found[tag] = value
    return found

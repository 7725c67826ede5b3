"""What painted pictures are called: as their sources, and no two alike."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from ..adain.media.file_names import told_apart
from ..adain.media.images import EXTENSIONS

FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
}  # fmt: skip
"""The extensions that painted pictures may have, with Pillow's names."""

_OTHERWISE = ".jpg"
"""The extension where pictures keep their format and it is not one of those."""


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def targets(names: Sequence[str], form: str) -> list[str]:
    """The names of painted pictures, in their folders, with the extension `form` (empty: their own); no two alike on any file system.

    Where only extensions differ, the whole name is kept (a.jpg, a.png: a.jpg.webp, a.png.webp); where only case does, a hash is added.
    """
    return told_apart([_candidates(name, form) for name in names])


def _candidates(name: str, form: str) -> list[str]:
    stem, extension = os.path.splitext(name)
    chosen = form or (extension if extension.lower() in FORMATS else _OTHERWISE)
    digest = hashlib.sha256(encoded(name)).hexdigest()[:8]
    return [stem + chosen, name + chosen, f"{name}~{digest}{chosen}"]


def numbered(name: str, version: int, versions: int) -> str:
    """The name of one of several versions of a picture: of `a.jpg` that is `a__2.jpg`. The name itself if there is only one."""
    stem, extension = os.path.splitext(name)
    return name if versions == 1 else f"{stem}__{version + 1}{extension}"


def encoded(name: str) -> bytes:
    """The bytes of a name, also of one that is no UTF-8."""
    return name.encode("utf-8", "surrogateescape")


def printable(name: str) -> str:
    """A name that any table can hold: what is no UTF-8 is written as `\\xe9`."""
    return encoded(name).decode("utf-8", "backslashreplace")

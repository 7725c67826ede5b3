"""Which pictures are meant by the names that were given: files, folders that are walked, patterns."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..adain.errors import ImageError
from ..adain.media.images import EXTENSIONS
from .messages import tell


class Found(NamedTuple):
    """A picture, and its folder as seen from the one that was walked (`.` for a file given by name)."""

    path: Path
    folder: Path


class Walk(NamedTuple):
    """Pictures, and the number of folders that could not be looked into."""

    pictures: list[Found]
    closed: int


def find_images(names: Sequence[str], output: Path | None = None) -> Walk:
    """The pictures at `names`: files as they are, patterns (`*.jpg`, which Windows leaves to the program) matched, folders walked.

    What is hidden, and the folder `output` inside of a folder that is walked, is passed over; what else is left out is told. Raises
    ImageError if a folder holds no image or is `output` itself, or a pattern matches nothing.
    """
    found: dict[str, Found] = {}  # by absolute path: what is named twice is one picture
    closed = 0
    for name in [expanded for given in names for expanded in _expand(given)]:
        walk = _walk(Path(name), output) if os.path.isdir(name) else Walk([Found(Path(name), Path())], 0)
        closed += walk.closed
        for picture in walk.pictures:
            found.setdefault(os.path.abspath(picture.path), picture)
    return Walk(list(found.values()), closed)


def _expand(name: str) -> list[str]:
    if name == "-":
        raise ImageError("Pictures are not read from standard input. Give files or folders (./- for one that is called -).")
    if os.path.lexists(name) or not glob.has_magic(name):
        return [name]
    matches = sorted(glob.glob(name, recursive=True))
    if not matches:
        raise ImageError(f"There is no file at {name}, and none that matches it as a pattern. Check the name.")
    return matches


def _walk(root: Path, output: Path | None) -> Walk:
    pictures: list[Found] = []
    others: Counter[str] = Counter()
    closed: list[OSError] = []

    def is_output(folder: Path) -> bool:
        return output is not None and output.is_dir() and os.path.samefile(folder, output)

    if is_output(root):
        raise ImageError(
            f"The output folder {root} is the one that is walked, so that the next run would paint the results of this one. "
            f"Give another with -o, such as {root / 'painted'}."
        )
    for parent, folders, files in os.walk(root, onerror=closed.append):
        here = Path(parent)
        for folder in [name for name in folders if name.startswith(".") or is_output(here / name)]:
            folders.remove(folder)
            if not folder.startswith("."):
                tell(f"{here / folder} is left out: it is the output folder.")
        folders.sort()
        for name in sorted(files):
            path = here / name
            if name.startswith("."):  # ._photo.png of macOS, and temporary files
                continue
            if path.suffix.lower() in EXTENSIONS and path.is_file():
                pictures.append(Found(path, here.relative_to(root)))
            else:
                others[path.suffix.lower() or name] += 1
    for error in closed:
        tell(f"The folder {error.filename} cannot be looked into ({error.strerror}). Its pictures are left out.")
    if others:
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        tell(f"In {root} only pictures are taken; left out: {listed}.")
    if not pictures and not closed:
        raise ImageError(f"The folder {root} holds no images ({', '.join(sorted(EXTENSIONS))}).")
    return Walk(pictures, len(closed))

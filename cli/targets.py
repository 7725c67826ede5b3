"""Where each painted picture goes: all targets of a run are known, and found to be free, before the first one is painted."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..adain.errors import ImageError
from ..adain.images import EXTENSIONS
from .inputs import Found

_LONGEST = 200
"""Bytes of a name. File systems take 255, or 143 if they encrypt; the rest is for what is written beside it for a while."""


class Target(NamedTuple):
    """One picture to paint: `content` in the style at the index `style`."""

    content: Path
    style: int
    output: Path


def names_a_file(output: str) -> bool:
    """Whether OUT is an image file rather than a folder. Raises ImageError for a file of another kind."""
    path = Path(output)
    if output == "-":
        raise ImageError("Pictures are not written to standard output. Give a file or a folder with -o (./- for one that is called -).")
    if not path.suffix or os.path.isdir(path) or output.endswith(("/", os.sep)):
        return False
    check_extension(path, EXTENSIONS, " For a folder of that name, put a / at its end.")
    return True


def check_extension(output: Path, known: Collection[str] = EXTENSIONS, otherwise: str = "") -> None:
    if output.suffix.lower() not in known:
        raise ImageError(f"{output} does not end with {' or '.join(sorted(known))}. Choose another name with -o.{otherwise}")


def plan(contents: Sequence[Found], styles: Sequence[Sequence[str]], output: str, extension: str) -> list[Target]:
    """A target for every content in every style; each style is a blend of the images, files or presets that are named.

    In a folder they are called CONTENT__STYLE with `extension`, in the sub-folders of the contents. Equal stems are told apart by the
    contents' and styles' own extensions, and names that are too long are cut and end with a hash of the whole. Raises ImageError
    if `output` is one file for several pictures, or two would still get the same name.
    """
    path = Path(output)
    if names_a_file(output):
        if len(contents) * len(styles) > 1:
            raise ImageError(f"{path} is one file, but there are {len(contents) * len(styles)} pictures to make. Give a folder with -o.")
        return [Target(content.path, 0, path) for content in contents]
    content_labels = _labels([content.path for content in contents], [content.folder for content in contents])
    parts = [Path(name) for style in styles for name in style]
    label_of = dict(zip(parts, _labels(parts, [Path()] * len(parts)), strict=True))
    style_labels = [" + ".join(label_of[Path(name)] for name in style) for style in styles]
    targets = [
        Target(content.path, i, path / content.folder / (_fitting(f"{label}__{style}", _LONGEST) + extension))
        for content, label in zip(contents, content_labels, strict=True)
        for i, style in enumerate(style_labels)
    ]
    _check_distinct(targets, styles)
    return targets


def _labels(paths: Sequence[Path], folders: Sequence[Path]) -> list[str]:
    """The stem of each of `paths`, or the whole name where others in the same of `folders` have that stem."""
    keys = [_folded(folder / path.stem) for path, folder in zip(paths, folders, strict=True)]
    distinct = {(key, path) for key, path in zip(keys, paths, strict=True)}
    counts = Counter(key for key, _ in distinct)
    return [path.stem if counts[key] == 1 else path.name for key, path in zip(keys, paths, strict=True)]


def _folded(path: Path) -> str:
    """Equal for names that are the same file on macOS or Windows."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _fitting(name: str, longest: int) -> str:
    encoded = os.fsencode(name)
    if len(encoded) <= longest:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    kept = name
    while len(os.fsencode(kept)) > longest - len(digest) - 1:
        kept = kept[:-1]
    return f"{kept}~{digest}"


def _check_distinct(targets: Sequence[Target], styles: Sequence[Sequence[str]]) -> None:
    taken: dict[str, Target] = {}
    for target in targets:
        other = taken.setdefault(_folded(target.output), target)
        if other is target:
            continue
        if other.content != target.content:
            raise ImageError(
                f"{other.content} and {target.content} would both be painted into {target.output}. Give the folder that holds both, "
                "whose sub-folders are kept, or paint them one after the other with another -o."
            )
        raise ImageError(
            f"The styles {' + '.join(styles[other.style])} and {' + '.join(styles[target.style])} would both be painted into "
            f"{target.output}. Rename one of them, or paint them one after the other with another -o."
        )


def choose(targets: Sequence[Target], inputs: Iterable[str], *, overwrite: bool, skip_existing: bool) -> list[Target]:
    """Those of `targets` that are to be painted: all of them, or with `skip_existing` those that are not there yet.

    Raises ImageError if one is there already and may neither be overwritten nor skipped, or is one of the `inputs`, which no option
    allows to overwrite.
    """
    there = set(_existing([target.output for target in targets], inputs))
    if there and not (overwrite or skip_existing):
        _refuse(there, " --skip-existing to paint only what is missing,")
    return [target for target in targets if not (skip_existing and target.output in there)]


def check_new(output: Path, overwrite: bool, inputs: Iterable[str] = ()) -> None:
    """Raise ImageError if `output` is there already and may not be overwritten, or is one of `inputs`."""
    if (there := _existing([output], inputs)) and not overwrite:
        _refuse(there)


def _refuse(there: Collection[Path], otherwise: str = "") -> None:
    more = f", and so are {len(there) - 1} more of the files to write" if len(there) > 1 else ""
    raise ImageError(f"{min(there)} is there already{more}. Give --overwrite to replace what is there,{otherwise} or another name with -o.")


def _existing(outputs: Sequence[Path], inputs: Iterable[str]) -> list[Path]:
    read = {_identity(Path(name)) for name in inputs} - {None}
    there: list[Path] = []
    for output in outputs:
        identity = _identity(output)
        if identity is None:
            continue
        if identity in read:
            raise ImageError(f"{output} is one of the files to read, and would be lost. Choose another name with -o.")
        if os.path.isdir(output):
            raise ImageError(f"{output} is a folder, where a file is to be written. Choose another name with -o.")
        there.append(output)
    return there


def _identity(path: Path) -> tuple[int, int] | None:
    """The device and number of the file at `path`; None if there is none. Raises ImageError if none can be."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ImageError(f"{path} cannot be used ({error.strerror}). Check the name and its folder.") from error
    return status.st_dev, status.st_ino

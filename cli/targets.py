"""Where each painted picture goes: all targets of a run are known, and found to be free, before the first one is painted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..adain.errors import ImageError
from ..adain.media.file_names import told_apart
from ..adain.media.images import WRITTEN
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
    check_extension(path, WRITTEN, " For a folder of that name, put a / at its end.")
    return True


def check_extension(output: Path, known: Collection[str] = WRITTEN, otherwise: str = "", option: str = "-o") -> None:
    if output.suffix.lower() not in known:
        raise ImageError(f"{output} does not end with {' or '.join(sorted(known))}. Choose another name with {option}.{otherwise}")


def plan(contents: Sequence[Found], styles: Sequence[Sequence[str]], output: str, extension: str) -> list[Target]:
    """A target for every content in every style; each style is a blend of the images, files or presets that are named.

    In a folder they are called PICTURE__STYLE with `extension`, in the sub-folders of the contents, all of them different. Raises
    ImageError if `output` is one file for several pictures.
    """
    path = Path(output)
    if names_a_file(output):
        if len(contents) * len(styles) > 1:
            raise ImageError(f"{path} is one file, but there are {len(contents) * len(styles)} pictures to make. Give a folder with -o.")
        return [Target(content.path, 0, path) for content in contents]
    content_labels = _labels(contents, str)
    parts = list(dict.fromkeys(name for style in styles for name in style))
    label_of = dict(zip(parts, _labels([Found(Path(name), Path()) for name in parts], lambda label: "-".join(label.parts)), strict=True))
    style_labels = [" + ".join(label_of[name] for name in style) for style in styles]
    return [
        Target(content.path, i, _fitting(path / f"{label}__{style}", extension))
        for content, label in zip(contents, content_labels, strict=True)
        for i, style in enumerate(style_labels)
    ]


def _labels(pictures: Sequence[Found], form: Callable[[Path], str]) -> list[str]:
    """What each of `pictures` is called in the names of outputs, with `form`; no two alike.

    That is its stem, below the folder that it was found in. The whole name where stems are equal (a.jpg, a.png), below the folder that was
    walked where those are, too (2019/a.jpg, 2020/a.jpg); with a hash where only the case of letters differs.
    """
    return told_apart([[form(candidate) for candidate in _candidates(picture)] for picture in pictures])


def _candidates(picture: Found) -> list[Path]:
    path, folder = picture
    root = path.absolute().parents[len(folder.parts)].name
    hashed = f"{path.name}~{_digest(str(path.absolute()))}"
    return [*(Path(start, folder, name) for start in ("", root) for name in (path.stem, path.name)), folder / hashed]


def _fitting(path: Path, extension: str) -> Path:
    """`path` with `extension`, its name cut if it is too long, and then with a hash of the whole."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        ending = f"~{_digest(name)}"
        while len(os.fsencode(name)) > _LONGEST - len(ending):
            name = name[:-1]
        name += ending
    return path.with_name(name + extension)


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


def choose(targets: Sequence[Target], inputs: Iterable[str], *, overwrite: bool, skip_existing: bool) -> list[Target]:
    """The `targets` that are to be painted: all of them, or with `skip_existing` those that are not there yet.

    Raises ImageError if one is there already and may neither be overwritten nor skipped, or is one of the `inputs`, which no option
    allows to overwrite.
    """
    there = set(_existing([target.output for target in targets], inputs))
    if there and not (overwrite or skip_existing):
        _refuse(there, " --skip-existing to paint only what is missing,")
    return [target for target in targets if not (skip_existing and target.output in there)]


def check_new(output: Path, overwrite: bool, inputs: Iterable[str] = (), option: str = "-o") -> None:
    """Raise ImageError if `output`, which `option` names, is there already and may not be overwritten, or is one of `inputs`."""
    if (there := _existing([output], inputs, option)) and not overwrite:
        _refuse(there, option=option)


def _refuse(there: Collection[Path], otherwise: str = "", option: str = "-o") -> None:
    more = f", and so are {len(there) - 1} more of the files to write" if len(there) > 1 else ""
    raise ImageError(
        f"{min(there)} is there already{more}. Give --overwrite to replace what is there,{otherwise} or another name with {option}."
    )


def _existing(outputs: Sequence[Path], inputs: Iterable[str], option: str = "-o") -> list[Path]:
    read = set[tuple[int, int] | None]()
    for name in inputs:
        with suppress(ImageError):  # told when it is read, and the others are painted
            read.add(_identity(Path(name)))
    there: list[Path] = []
    for output in outputs:
        if (identity := _identity(output)) is None:
            continue
        if identity in read:
            raise ImageError(f"{output} is one of the files to read, and would be lost. Choose another name with {option}.")
        if os.path.isdir(output):
            raise ImageError(f"{output} is a folder, where a file is to be written. Choose another name with {option}.")
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

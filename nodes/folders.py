"""The pack's folders under ComfyUI's models/, the files in them, and names for files to write."""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path

import folder_paths

from ..adain import StyleError

MODELS = "adain"
STYLES = "adain_styles"

_EXTENSION = ".safetensors"

_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')
"""Characters that some file system refuses; backslashes too, since they separate folders on one and not on others."""


def register() -> None:
    """Make both folders known to ComfyUI, beside those that extra_model_paths.yaml may have named."""
    for name in (MODELS, STYLES):
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))
        # An empty set, which a new folder has, would list files of every kind.
        folder_paths.folder_names_and_paths[name][1].add(_EXTENSION)


def files(folder: str) -> list[str]:
    """Names of the safetensors files in `folder`; none if it is missing or cannot be read."""
    try:
        names = folder_paths.get_filename_list(folder)
    except FileNotFoundError:  # ComfyUI looks for sub-folders that it has seen and that are gone
        folder_paths.filename_list_cache.pop(folder, None)
        names = folder_paths.get_filename_list(folder)
    # Another pack or extra_model_paths.yaml may have added extensions that hold pickles.
    return [name for name in names if name.endswith(_EXTENSION)]


def places(folder: str) -> list[Path]:
    """The folders on disk that make up `folder`; new files go into the first."""
    return [Path(place) for place in folder_paths.get_folder_paths(folder)]


def path_of(folder: str, name: str) -> str | None:
    """Where the file `name` of `folder` is, None if it is not there or what a link brought is no name."""
    return folder_paths.get_full_path(folder, name) if isinstance(name, str) else None


def place_in(folder: Path, name: str, extension: str) -> Path:
    """Where in `folder` a file that a user calls `name` is written; a / in it makes folders.

    Raises StyleError for a name that leaves the folder or is no file name.
    """
    name = name.strip().removesuffix(extension)
    parts = name.split("/")
    if not all(part.strip(" .") for part in parts) or _FORBIDDEN.search(name):
        raise StyleError(f'{name!r} cannot be a file name. Use letters, digits, spaces, "-" and "_", with / between folder and file.')
    return Path(folder, *parts[:-1], f"{parts[-1]}{extension}")


def fingerprint(path: str) -> str:
    """A text that changes whenever the file does, and when it is written anew."""
    status = os.stat(path)
    return f"{status.st_mtime_ns}-{_digest(path, status.st_mtime_ns, status.st_size)}"


@lru_cache(maxsize=64)
def _digest(path: str, modified: int, size: int) -> str:
    # `modified` and `size` are part of the key: a file is hashed once for every change.
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()

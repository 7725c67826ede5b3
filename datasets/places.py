"""Places of many files: folders on a disk, and what fsspec reaches as if it were one (s3://, gs://, hf://)."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from ..adain.errors import reason
from ..adain.extras import install
from ..adain.media.atomic import TEMPORARY, replacing
from .errors import DatasetError


class Place:
    """A folder at a path or URL. Its files go by names relative to it, with `/` between folders."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __repr__(self) -> str:
        return f"Place({self.url!r})"

    @property
    def path(self) -> Path | None:
        """The folder, if it is one on a disk of this machine."""
        if "://" not in self.url:
            return Path(self.url).absolute()
        return Path(self.url.removeprefix("file://")).absolute() if self.url.startswith("file://") else None

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        """The file system of fsspec, and the folder in its words."""
        import fsspec  # with what is installed for each protocol, seconds to import

        try:
            system, root = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            raise install(self.url, _package(error), DatasetError) from error
        except ValueError as error:
            raise DatasetError(
                f"{self.url} cannot be used ({reason(error)}). Give a folder or a URL such as s3://bucket/folder."
            ) from error
        return system, root.rstrip("/")

    def _full(self, name: str) -> str:
        return f"{self._remote[1]}/{name}" if name else self._remote[1]

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}

    def check_folder(self) -> None:
        """Raise DatasetError if it is on this machine, and no folder."""
        if self.path is None or self.path.is_dir():
            return
        if self.path.exists():
            raise DatasetError(f"{self.url} is a file. Give the folder that it lies in: all files of one kind in there are taken.")
        raise DatasetError(f"There is no folder at {self.url}. Check the name.")

    def names(self) -> list[str]:
        """The names of all files, sorted; hidden ones are left out. Raises DatasetError if there is no such place."""
        if (root := self.path) is None:
            system, base = self._remote
            try:
                found = [name[len(base) :].lstrip("/") for name in system.find(base)]
            except Exception as error:  # every file system has its own
                raise DatasetError(f"{self.url} cannot be listed ({reason(error)}). Check the name and your access to it.") from error
            return sorted(name for name in found if not any(part.startswith(".") for part in name.split("/")))
        self.check_folder()
        found = []
        for parent, folders, files in os.walk(root, onerror=_closed, followlinks=True):
            folders[:] = sorted(folder for folder in folders if not folder.startswith(".") and not _leads_back(parent, folder))
            here = Path(parent).relative_to(root).as_posix()
            found += [name if here == "." else f"{here}/{name}" for name in files if not name.startswith(".")]
        return sorted(found)

    def exists(self, name: str) -> bool:
        """Whether there is a file `name`."""
        return self._remote[0].exists(self._full(name)) if self.path is None else (self.path / name).exists()

    def listed(self, folder: str) -> list[str]:
        """The names of what lies in a `folder` of it, without the folder; none if there is no such."""
        if self.path is None:
            with suppress(FileNotFoundError):
                return sorted(name.rpartition("/")[2] for name in self._remote[0].ls(self._full(folder), detail=False, refresh=True))
            return []
        return sorted(os.listdir(self.path / folder)) if (self.path / folder).is_dir() else []

    def open(self, name: str) -> IO[bytes]:
        """The file `name`, to be read from anywhere in it."""
        return self._remote[0].open(self._full(name), "rb") if self.path is None else (self.path / name).open("rb")

    def read(self, name: str) -> bytes:
        """The bytes of the file `name`."""
        with self.open(name) as file:
            return file.read()

    @contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        """A file to write that has its `name` only when it is whole: on any exception nothing is left."""
        if self.path is not None:
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary, temporary.open("wb") as file:
                yield file
            return
        system, temporary = self._remote[0], self._full(f"{TEMPORARY}{secrets.token_hex(4)}")
        try:
            with system.open(temporary, "wb") as file:
                yield file
            system.cp_file(temporary, self._full(name))
        finally:
            with suppress(FileNotFoundError):
                system.rm_file(temporary)

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        with self.replacing(name) as file:
            file.write(data)

    def remove(self, folder: str) -> None:
        """Remove a `folder` of it with all that is inside."""
        if self.path is None:
            with suppress(FileNotFoundError):
                self._remote[0].rm(self._full(folder), recursive=True)
        else:
            shutil.rmtree(self.path / folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what killed workers have left half-written; only for who knows that no worker is alive."""
        if self.path is None:
            return  # lies in the folder itself, under names that no reader takes
        for left in self.path.rglob(f"{TEMPORARY}*"):
            left.unlink(missing_ok=True)


def _leads_back(parent: str, folder: str) -> bool:
    """Whether a `folder` is a link to one that it is in, which would be walked for ever."""
    path = os.path.join(parent, folder)
    return os.path.islink(path) and Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(path))


def _closed(error: OSError) -> None:
    raise DatasetError(
        f"The folder {error.filename} cannot be looked into ({error.strerror}). Make it readable, or leave it out."
    ) from error


def _package(error: ImportError) -> str:
    """The package that fsspec asks for, from its sentence `Install s3fs to access S3`."""
    words = str(error).replace("`", " ").split()
    return next((word for before, word in pairwise(words) if before.lower() in ("install", "requires")), "fsspec")

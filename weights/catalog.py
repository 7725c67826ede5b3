"""The catalogue: models that can be had by name, ours and those that users add to their models folder."""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..adain.errors import ModelError
from .checksums import find_by_hash, sha256_of
from .toml import read_toml

NAME = "catalog.toml"

_PACKAGE = Path(__file__).parent
_PREFIXES = {"model": "", "space": "spaces/", "dataset": "datasets/"}
_ENTRY_KEYS = {"title": str, "architecture": str, "license": str, "notes": str, "tensors": list, "files": list}
_SOURCE_KEYS = {"repo_id": str, "repo_type": str, "revision": str}
_FILE_KEYS = {"path": str, "bytes": int, "sha256": str, "url": str, "mirrors": list, "embedded": bool}


def default_folder() -> Path:
    """Where the command line and the library keep models: `$ADAIN_MODELS`, else `adain` in the user's cache."""
    folder = Path(os.environ.get("ADAIN_MODELS") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "adain")
    try:
        return folder.expanduser()  # where no shell has read it: .env files, systemd, containers
    except RuntimeError as error:
        raise ModelError(f"There is no home folder for {folder} ({error}) Set ADAIN_MODELS to the folder for models.") from error


class State(enum.Enum):
    """Where a catalogue entry's weights are; the value is a word to show."""

    EMBEDDED = "embedded"
    """The weights are in this package, whole."""
    DOWNLOADED = "downloaded"
    """The weights are in the models folder, downloaded or placed by hand."""
    AVAILABLE = "available"
    """The weights are on the Hub."""
    MANUAL = "one file by hand"
    """At least one file has to be placed in the models folder by hand."""


@dataclass(frozen=True)
class Source:
    """A file on the Hub."""

    repo_id: str
    path: str
    repo_type: str = "model"
    revision: str = "main"

    @staticmethod
    def parse(text: str) -> Source:
        """`owner/name/path[@revision]`, with `spaces/` or `datasets/` before it for those. Raises ModelError for anything else."""
        location, _, revision = text.partition("@")
        repo_type = next((kind for kind, prefix in _PREFIXES.items() if prefix and location.startswith(prefix)), "model")
        owner, _, rest = location.removeprefix(_PREFIXES[repo_type]).partition("/")
        name, _, path = rest.partition("/")
        if not path or not name or (text.endswith("@")):
            raise ModelError(f"{text!r} names no file on the Hub. Expected owner/name/path/to/file, with @revision if not main.")
        return Source(f"{owner}/{name}", path, repo_type, revision or "main").checked(text)

    def checked(self, where: str) -> Source:
        """This source. Raises ModelError, naming `where`, if a part of it could lead out of a folder or to another address."""
        if self.repo_type not in _PREFIXES:
            raise ModelError(f"{where}: repo_type is {self.repo_type!r}. Expected one of {', '.join(_PREFIXES)}.")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", self.repo_id, re.ASCII):
            raise ModelError(f"{where}: repo_id is {self.repo_id!r}. Expected owner/name in letters, digits, ., - and _.")
        if not re.fullmatch(r"[\w./-]+", self.revision, re.ASCII) or ".." in self.revision:
            raise ModelError(f"{where}: the revision is {self.revision!r}. Expected a branch, a tag or a commit.")
        check_path(self.path, where)
        return self

    @property
    def name(self) -> str:
        """The file's own name, without its folders."""
        return PurePosixPath(self.path).name

    @property
    def file_name(self) -> str:
        """The name in the models folder of a file that is in no catalogue, unlike that of any other."""
        stem, dot, suffix = "--".join([*self.repo_id.split("/"), *self.path.split("/")]).rpartition(".")
        if self.repo_type != "model":
            stem = f"{self.repo_type}--{stem}"
        if self.revision != "main":
            stem += "@" + self.revision.replace("/", "-")
        return f"{stem}{dot}{suffix}"

    @staticmethod
    def of_file(name: str) -> Source | None:
        """The source whose `file_name` is `name`; None for the name of another file."""
        stem, dot, suffix = name.rpartition(".")
        stem, _, revision = stem.partition("@")
        kind, _, rest = stem.partition("--")
        repo_type, rest = (kind, rest) if kind in ("space", "dataset") else ("model", stem)
        try:
            owner, repo, *path = rest.split("--")
            return Source(f"{owner}/{repo}", "/".join(path) + dot + suffix, repo_type, revision or "main").checked(name) if path else None
        except (ValueError, ModelError):
            return None

    def __str__(self) -> str:
        return f"{_PREFIXES[self.repo_type]}{self.repo_id}/{self.path}"


def check_path(path: str, where: str) -> None:
    """Raise ModelError, naming `where`, unless `path` is a plain relative path on every system."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or re.search(r'[\\:<>"|?*\x00-\x1f]', path):
        raise ModelError(f"{where}: the file name {path!r} is not safe. Expected a/b/c without .., drives or backslashes.")


@dataclass(frozen=True)
class File:
    """One file of an entry."""

    path: str
    bytes: int = 0
    """The size; 0 for a file of which only some tensors are read."""
    sha256: str = ""
    source: Source | None = None
    """The place on the Hub; None if it ships with this package or has to be placed by hand."""
    mirrors: tuple[Source, ...] = ()
    """Other places on the Hub with the very same file."""
    url: str = ""
    """Where a person finds a file that the Hub does not have."""
    embedded: bool = False

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def digest(self) -> str:
        """The sha256 that the file must have; of an embedded one, that it has. Raises ModelError if that is missing."""
        if not self.embedded:
            return self.sha256
        path = _PACKAGE / self.path
        if not path.is_file():
            raise ModelError(f"{self.path} is missing from this installation: it should be at {path}. Install the package again.")
        return sha256_of(path)

    def find(self, folder: Path) -> Path | None:
        """This file in the package or, under any name, in `folder`; None if it is in neither."""
        if self.embedded:
            path = _PACKAGE / self.path
            return path if path.is_file() else None
        return find_by_hash(folder, self.bytes, self.sha256) if self.bytes else None


@dataclass(frozen=True)
class Entry:
    """A model, or weights to train one with, that can be had by its `id`."""

    id: str
    title: str
    architecture: str
    """The name of the architecture, empty for weights that are no model by themselves."""
    license: str
    notes: str
    files: tuple[File, ...]
    tensors: tuple[str, ...] = ()
    """The only layers to keep; of a safetensors file nothing else is downloaded."""

    @property
    def bytes(self) -> int:
        """Size of everything that `get` downloads at most; 0 where the catalogue does not say."""
        return sum(file.bytes for file in self.files if not file.embedded)

    @property
    def ready_made(self) -> bool:
        """Whether its one file is loaded as it is, without conversion."""
        return len(self.files) == 1 and not self.tensors and self.files[0].path.endswith(".safetensors")

    def output(self, folder: Path) -> Path:
        """The safetensors file in `folder` that `get` makes or downloads."""
        return folder / f"{self.id}.safetensors"

    def state(self, folder: Path) -> State:
        """Where the weights are, without asking the network."""
        found = [file.find(folder) is not None for file in self.files]
        if all(found) and all(file.embedded for file in self.files):
            return State.EMBEDDED
        if all(found) or (not self.ready_made and self.output(folder).is_file()):
            return State.DOWNLOADED
        missing = [file for file, here in zip(self.files, found, strict=True) if not here]
        return State.AVAILABLE if all(file.source for file in missing) else State.MANUAL


def entries(folder: Path | None = None) -> list[Entry]:
    """The catalogue of this package, then the user's own in `folder`. Raises ModelError for a user's file that is wrong."""
    found = _read(_PACKAGE / NAME)
    own = (folder or default_folder()) / NAME
    if own.is_file():
        added = _read(own)
        if again := sorted(found.keys() & added.keys()):
            raise ModelError(f"{own} has entries with the names of ours: {', '.join(again)}. Give them other names.")
        found |= added
    return list(found.values())


def fetched(folder: Path) -> list[Source]:
    """The files in `folder` that were downloaded by their place on the Hub."""
    if not folder.is_dir():
        return []
    found = (Source.of_file(path.name) for path in sorted(folder.iterdir()) if path.is_file())
    return [source for source in found if source is not None]


def find_entry(name: str, folder: Path | None = None) -> Entry | None:
    """The entry with this id, or None."""
    return next((entry for entry in entries(folder) if entry.id == name), None)


def _read(path: Path) -> dict[str, Entry]:
    try:
        table = read_toml(path)
        return {name: _entry(name, values, f"{path}, [{name}]") for name, values in table.items()}
    except (OSError, UnicodeDecodeError, MemoryError) as error:
        raise ModelError(f"The catalogue {path} cannot be read ({error}). Make it readable, or move it away.") from error
    except (ValueError, RecursionError) as error:  # besides syntax: numbers of thousands of digits, brackets nested as deep
        raise ModelError(f"The catalogue {path} is not valid TOML: {error}. Correct it, or move it away.") from error


def _entry(name: str, values: object, where: str) -> Entry:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
        raise ModelError(f"{where}: the id names a file. Expected letters, digits, dots, dashes and underscores.")
    table = _checked(values, _ENTRY_KEYS | _SOURCE_KEYS, where)
    if not table.get("files"):
        raise ModelError(f"{where} lists no files. Add [[{name}.files]] with path, bytes and sha256.")
    tensors = table.get("tensors", [])
    if not all(isinstance(tensor, str) for tensor in tensors):
        raise ModelError(f"{where} gives tensors = {tensors!r}. Expected a list of layer names.")
    defaults = {key: table[key] for key in _SOURCE_KEYS if key in table}
    files = tuple(_file(file, defaults, bool(tensors), f"{where}, file {i + 1}") for i, file in enumerate(table["files"]))
    texts = {key: table.get(key, "") for key in ("architecture", "license", "notes")}
    return Entry(name, table.get("title", name), files=files, tensors=tuple(tensors), **texts)


def _file(values: object, defaults: Mapping[str, Any], partial: bool, where: str) -> File:
    table = _checked(values, _FILE_KEYS | _SOURCE_KEYS, where)
    path, size, sha256 = table.get("path", ""), table.get("bytes", 0), table.get("sha256", "").lower()
    check_path(path, where)
    if table.get("embedded"):
        return File(path, embedded=True)
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ModelError(f"{where}: sha256 is {sha256!r}. Expected 64 hexadecimal digits; `sha256sum FILE` prints them.")
    if not (0 if partial else 1) <= size < 2**63:
        raise ModelError(f"{where}: bytes is {size}. Expected the size of the file.")
    place = {**defaults, **{key: table[key] for key in _SOURCE_KEYS if key in table}}
    source = Source(path=path, **place).checked(where) if "repo_id" in place and "url" not in table else None
    mirrors = tuple(Source.parse(str(mirror)) for mirror in table.get("mirrors", []))
    return File(path, size, sha256, source, mirrors, table.get("url", ""))


def _checked(values: object, kinds: Mapping[str, type], where: str) -> dict[str, Any]:
    """`values` as a table that has only keys of `kinds`, each of its type."""
    if not isinstance(values, dict):
        raise ModelError(f"{where} is {values!r}. Expected a table of {', '.join(kinds)}.")
    for key, value in values.items():
        if key not in kinds:
            raise ModelError(f"{where} has an unknown key {key!r}. Known keys: {', '.join(kinds)}.")
        if not isinstance(value, kinds[key]) or (kinds[key] is int and isinstance(value, bool)):
            raise ModelError(f"{where} gives {key} = {value!r}. Expected {kinds[key].__name__}.")
    return values

"""What the layouts of datasets have in common: pictures with what belongs to them, read in order, and written painted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from .places import Place
from .settings import Settings


@dataclass(frozen=True)
class Item:
    """A picture to paint."""

    name: str
    """Its own name, which draws its styles."""
    target: str
    """What it is called when it is painted; its extension is the format."""
    data: bytes = b""
    error: str = ""
    """Why there is no `data`."""


@dataclass(frozen=True)
class Record:
    """Pictures that belong together, and whatever else belongs to them: a file, a sample of a shard, a row of a table."""

    source: str
    """The file that it is in."""
    items: Sequence[Item]
    rest: Any = None


Versions = Sequence[Sequence[bytes]]
"""The painted files of each item of a record, every version of them."""


class Writer(Protocol):
    """The target of a part."""

    def write(self, record: Record, painted: Versions | None) -> None:
        """Write a record and its `painted` pictures; None if one of them is broken, and the record is left out."""
        ...


@dataclass(frozen=True)
class Part:
    """Files of the source that one worker paints at a time: their names, and what they are called in the target."""

    number: int
    names: Sequence[str]
    targets: Sequence[str]


class Layout(Protocol):
    """How pictures lie in a source, and in the target of it."""

    def records(self, source: Place, part: Part, settings: Settings) -> Iterator[Record]:
        """The records of a part, in order. Files that cannot be read are records of one item with an error."""
        ...

    def called(self, name: str, version: int, versions: int) -> str:
        """The name of one of several versions of the picture `name`; the name itself if there is only one."""
        ...

    def writer(self, target: Place, part: Part, settings: Settings, source: Place) -> AbstractContextManager[Writer]:
        """Where they are written to; files of it are there as a whole or not at all."""
        ...

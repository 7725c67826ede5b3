"""Folder trees of image files: classes, splits and names stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..adain.errors import reason
from .names import numbered as called
from .places import Place
from .records import Item, Part, Record, Versions
from .settings import Settings


def records(source: Place, part: Part, settings: Settings) -> Iterator[Record]:
    """The files of a part, each a record."""
    for name, target in zip(part.names, part.targets, strict=True):
        try:
            item = Item(name, target, source.read(name))
        except Exception as error:  # every file system has its own
            item = Item(name, target, error=f"{name} cannot be read ({reason(error)}).")
        yield Record(name, [item])


class _Folder:
    def __init__(self, target: Place) -> None:
        self._target = target

    def write(self, record: Record, painted: Versions | None) -> None:
        for item, versions in zip(record.items, painted or (), strict=False):  # none of a broken picture
            for version, data in enumerate(versions):
                self._target.write(called(item.target, version, len(versions)), data)


@contextmanager
def writer(target: Place, part: Part, settings: Settings, source: Place) -> Iterator[_Folder]:
    """A folder in which each picture is a file."""
    yield _Folder(target)

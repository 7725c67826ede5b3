"""WebDataset shards: tar files in which members of one name up to its first dot are one sample."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from itertools import groupby

from ..adain.errors import reason
from .names import is_picture, targets
from .places import Place
from .records import Item, Part, Record, Versions
from .settings import Settings

Members = list[tuple[tarfile.TarInfo, bytes]]


def key_of(name: str) -> str:
    """The name of the sample that the member `name` belongs to: its name up to the first dot after the last slash."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def called(name: str, version: int, versions: int) -> str:
    """The name of one of several versions of the member `name`: of `000.jpg` that is `000__2.jpg`, a sample of its own."""
    key = key_of(name)
    return name if versions == 1 else f"{key}__{version + 1}{name.removeprefix(key)}"


def samples(source: Place, name: str) -> Iterator[Members]:
    """The samples of the shard `name`: its members and their bytes, in order. Raises tarfile.TarError or OSError for a damaged one."""
    with source.open(name) as file, tarfile.open(fileobj=file, mode="r:") as shard:
        for _, members in groupby(shard, lambda member: key_of(member.name)):
            read: Members = []
            for member in members:
                content = shard.extractfile(member) if member.isfile() else None
                read.append((member, b"" if content is None else content.read()))
                if content is not None and len(read[-1][1]) < member.size:
                    raise tarfile.ReadError(f"{member.name} ends too early")
            shard.members = []  # type: ignore[attr-defined] # tarfile keeps all that it has passed, and forgets when told so
            yield read


def records(source: Place, part: Part, settings: Settings) -> Iterator[Record]:
    """The samples of a shard, each a record."""
    for name in part.names:
        pictures, others = 0, set[str]()
        try:
            for members in samples(source, name):
                own = [(member.name, data) for member, data in members if member.isfile() and is_picture(member.name)]
                pictures += len(own)
                others |= {member.name.rpartition(".")[2] for member, _ in members if not is_picture(member.name)}
                called = targets([member for member, _ in own], settings.extension)
                items = [Item(member, target, data) for (member, data), target in zip(own, called, strict=True)]
                yield Record(name, items, members)
        except (tarfile.TarError, OSError, EOFError) as error:
            yield Record(name, [Item(name, name, error=f"The shard {name} cannot be read to its end ({reason(error)}).")])
        else:
            if not pictures:
                held = f"members of the kinds {', '.join(sorted(others)[:8])}" if others else "nothing"
                yield Record(name, [Item(name, name, error=f"The shard {name} holds no pictures but {held}.")])


class _Shard:
    def __init__(self, shard: tarfile.TarFile, per_image: int) -> None:
        self._shard = shard
        self._per_image = per_image

    def write(self, record: Record, painted: Versions | None) -> None:
        if painted is None:
            return
        made = {item.name: (item.target, versions) for item, versions in zip(record.items, painted, strict=True)}
        for version in range(self._per_image if made else 1):
            for member, data in record.rest:
                name, content = member.name, data
                if name in made:
                    name, content = made[name][0], made[name][1][version]
                if made:
                    name = called(name, version, self._per_image)
                header = copy(member)
                header.pax_headers = {key: value for key, value in member.pax_headers.items() if key not in ("path", "size")}
                header.name, header.size = name, len(content)
                self._shard.addfile(header, io.BytesIO(content) if member.isfile() else None)


@contextmanager
def writer(target: Place, part: Part, settings: Settings, source: Place) -> Iterator[_Shard]:
    """A shard that takes the samples one after the other."""
    (name,) = part.targets
    with target.replacing(name) as file, tarfile.open(fileobj=file, mode="w") as shard:
        yield _Shard(shard, settings.per_image)

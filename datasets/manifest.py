"""The manifest of a run: a row for every painted picture, and for every one that could not be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from .names import printable
from .places import Place

NAME = "manifest.parquet"

STATE = ".adain-run"
"""The folder in a target where a run keeps what it needs to be resumed; removed when it is complete."""

_KEY = b"adain"
"""Of the settings in the metadata of the manifest."""

_PIECES = f"{STATE}/manifest"

_SCHEMA = pa.schema(
    [
        pa.field("picture", pa.string(), False),
        pa.field("source", pa.string(), False),
        pa.field("target", pa.string()),
        pa.field("style", pa.string()),
        pa.field("strength", pa.float32()),
        pa.field("sha256", pa.string()),
        pa.field("error", pa.string()),
    ]
)


class Row(NamedTuple):
    """A picture: its own name and the file that it is in, then either what became of it or the error."""

    picture: str
    source: str
    target: str | None = None
    style: str | None = None
    strength: float | None = None
    sha256: str | None = None
    error: str | None = None


class Count(NamedTuple):
    """How many pictures were painted, how many could not be, and the sentence about the first of those."""

    painted: int = 0
    broken: int = 0
    first: str = ""

    def plus(self, other: Count) -> Count:
        return Count(self.painted + other.painted, self.broken + other.broken, self.first or other.first)


def count(rows: Iterable[Row]) -> Count:
    """The count of some rows."""
    total = Count()
    for row in rows:
        total = total.plus(Count(0, 1, row.error) if row.error else Count(1))
    return total


def write_piece(target: Place, number: int, rows: Sequence[Row]) -> None:
    """Record that a part is complete, and its rows."""
    columns = [
        pa.array([printable(v) if isinstance(v, str) else v for v in values], field.type)
        for field, values in zip(_SCHEMA, zip(*rows, strict=True) if rows else [()] * len(_SCHEMA), strict=True)
    ]
    with target.replacing(f"{_PIECES}/{number:08d}.parquet") as file:
        pq.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA), file)


def complete(target: Place) -> dict[int, Count]:
    """The counts of the parts that are complete, by number."""
    found = {}
    for name in target.listed(_PIECES):
        if name.endswith(".parquet") and not name.startswith("."):
            with target.open(f"{_PIECES}/{name}") as file:
                errors = pq.read_table(file, columns=["error"]).column("error")
            broken = errors.drop_null()
            found[int(name[:8])] = Count(errors.null_count, len(broken), broken[0].as_py() if len(broken) else "")
    return found


def merge(target: Place, settings: str) -> None:
    """Write the manifest of the whole run from its pieces, in the order of the source, with the run's `settings` in its metadata."""
    schema = _SCHEMA.with_metadata({_KEY: settings})
    with target.replacing(NAME) as file, pq.ParquetWriter(file, schema) as writer:
        for name in target.listed(_PIECES):
            if name.endswith(".parquet") and not name.startswith("."):
                with target.open(f"{_PIECES}/{name}") as piece:
                    writer.write_table(pq.read_table(piece).replace_schema_metadata(schema.metadata))


def settings_of(target: Place) -> str | None:
    """The settings of the complete run that the target holds; None if it holds none."""
    if not target.exists(NAME):
        return None
    with target.open(NAME) as file:
        metadata = pq.read_schema(file).metadata or {}
    return metadata[_KEY].decode() if _KEY in metadata else None

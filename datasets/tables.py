"""Parquet files with a column of pictures: their bytes, or Hugging Face's {"bytes", "path"}; all other columns stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..adain.errors import reason
from .errors import DatasetError
from .names import numbered as called
from .names import targets
from .places import Place
from .records import Item, Part, Record, Versions
from .settings import Settings

_ROWS = 64
"""Rows that are read at a time."""

_GROUP = 2**26
"""Bytes of pictures after which a row group is written."""

_MAGIC = {b"\x89PNG": ".png", b"RIFF": ".webp"}


def column_of(schema: pa.Schema, wanted: str, name: str) -> str:
    """The column of pictures in a file `name`, the `wanted` one if that is not empty. Raises DatasetError if it cannot be told."""
    fitting = [field.name for field in schema if _is_bytes(field.type) or (_is_struct(field.type) and wanted in ("", field.name))]
    if wanted:
        if wanted not in fitting:
            raise DatasetError(f'{name} has no column {wanted!r} of bytes or {{"bytes", "path"}}. Its columns: {", ".join(schema.names)}.')
        return wanted
    best = [column for column in fitting if _is_struct(schema.field(column).type)] or fitting
    if len(best) != 1:
        found = f"several columns of bytes ({', '.join(best)})" if best else f"no column of bytes, only {', '.join(schema.names)}"
        raise DatasetError(f"{name} has {found}. Say with --image-column where the pictures are.")
    return best[0]


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_struct(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(kind.field(i).name == "bytes" and _is_bytes(kind.field(i).type) for i in range(kind.num_fields))


def records(source: Place, part: Part, settings: Settings) -> Iterator[Record]:
    """The rows of a table, each a record."""
    for name in part.names:
        try:
            with source.open(name) as file:
                table = pq.ParquetFile(file)
                column = column_of(table.schema_arrow, settings.column, name)
                number = 0
                for batch in table.iter_batches(_ROWS):
                    for row, cell in enumerate(batch.column(column)):
                        yield Record(name, [_item(name, number, cell.as_py(), settings)], (batch, row))
                        number += 1
        except (pa.ArrowException, OSError, DatasetError) as error:
            yield Record(name, [Item(name, name, error=f"{name} cannot be read as a table of pictures ({reason(error)}).")])


def _item(file: str, number: int, cell: Any, settings: Settings) -> Item:
    data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    name = path or f"{file}#{number}"
    if not data:
        return Item(name, name, error=f"{name} has no bytes in row {number} of {file}.")
    sniffed = _MAGIC.get(data[:4], ".jpg")
    (target,) = targets([name if path else f"{number}{sniffed}"], settings.extension)
    return Item(name, target, data)


class _Table:
    def __init__(self, file: Any, schema: pa.Schema, column: str) -> None:
        self._writer = pq.ParquetWriter(file, schema)
        self._column, self._schema = column, schema
        self._rows: list[pa.RecordBatch] = []
        self._bytes = 0

    def write(self, record: Record, painted: Versions | None) -> None:
        if painted is None:
            return
        (item,), (versions,) = record.items, painted
        batch, row = record.rest
        index = self._schema.get_field_index(self._column)
        kind = self._schema.field(index).type
        for version, data in enumerate(versions):
            cell = data
            if _is_struct(kind):
                old = batch.column(index)[row].as_py()
                path = old.get("path")
                cell = old | {"bytes": data} | ({"path": called(item.target, version, len(versions))} if path else {})
            self._rows.append(batch.slice(row, 1).set_column(index, self._schema.field(index), pa.array([cell], kind)))
            self._bytes += len(data)
        if self._bytes > _GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._rows, self._schema).combine_chunks())
        self._rows, self._bytes = [], 0

    def close(self) -> None:
        self._writer.close()


@contextmanager
def writer(target: Place, part: Part, settings: Settings, source: Place) -> Iterator[Any]:
    """A table that takes the rows one after the other; nothing if the source is none."""
    (name,) = part.targets
    try:
        with source.open(part.names[0]) as file:
            schema = pq.ParquetFile(file).schema_arrow
        column = column_of(schema, settings.column, name)
    except (pa.ArrowException, OSError, DatasetError):
        yield _Nowhere()  # `records` tells
        return
    with target.replacing(name) as file:
        table = _Table(file, schema, column)
        yield table
        table.flush()
        table.close()


class _Nowhere:
    def write(self, record: Record, painted: Versions | None) -> None:
        pass

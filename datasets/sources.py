"""What a source holds, cut into parts: the plan of a run, which a resumed run keeps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from . import folders, shards
from .errors import DatasetError
from .names import is_picture, targets
from .places import Place
from .records import Layout, Part

_PICTURES = 32
"""Image files in a part: a few seconds of work, which a killed worker does again."""

_PARTS = 4000
"""Parts of the largest trees; more would be more to keep in mind than there is to gain."""


WORDS = {"folders": "image files", "shards": "tar shards", "tables": "Parquet files"}
"""The kinds of datasets, and what they consist of."""


def layout_of(kind: str) -> Layout:
    """The module that reads and writes a kind of dataset."""
    if kind == "tables":
        from . import tables  # with pyarrow

        return tables
    return folders if kind == "folders" else shards


def kind_of(name: str) -> str:
    """The kind of dataset that a file of this name makes; empty if none."""
    lower = name.lower()
    return "shards" if lower.endswith(".tar") else "tables" if lower.endswith(".parquet") else "folders" if is_picture(name) else ""


class Plan:
    """The parts of a run, and the kind of its files."""

    def __init__(self, kind: str, parts: Sequence[Part], left_out: str = "") -> None:
        self.kind, self.parts, self.left_out = kind, parts, left_out

    @staticmethod
    def of(source: Place, extension: str) -> Plan:
        """The plan for a source; `left_out` says what of it is not taken. Raises DatasetError if it is empty or of several kinds."""
        names = source.names()
        kinds: dict[str, list[str]] = {}
        for name in names:
            kinds.setdefault(kind_of(name), []).append(name)
        others = kinds.pop("", [])
        if not kinds:
            held = f"{len(others)} other files" if others else "no files"
            raise DatasetError(f"{source.url} holds no pictures, tar shards or Parquet files ({held}). Check the name.")
        if len(kinds) > 1:
            counts = " and ".join(f"{len(found)} {WORDS[kind]}" for kind, found in sorted(kinds.items()))
            raise DatasetError(f"{source.url} holds {counts}. Give a folder with one kind of them.")
        ((kind, files),) = kinds.items()
        called = targets(files, extension) if kind == "folders" else files
        step = max(_PICTURES, -(-len(files) // _PARTS)) if kind == "folders" else 1
        parts = [Part(i, files[i * step : (i + 1) * step], called[i * step : (i + 1) * step]) for i in range(-(-len(files) // step))]
        kinds_left = Counter(name.rpartition("/")[2].rpartition(".")[2] for name in others)
        return Plan(kind, parts, ", ".join(f"{count} {ending}" for ending, count in sorted(kinds_left.items())))

    def to_json(self) -> str:
        """The text of which `from_json` makes the plan."""
        return json.dumps({"kind": self.kind, "parts": [[part.names, part.targets] for part in self.parts]})

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan that `to_json` wrote."""
        read = json.loads(text)
        return Plan(read["kind"], [Part(i, *part) for i, part in enumerate(read["parts"])])

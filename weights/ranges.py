"""Some tensors of a safetensors file on the Hub, without downloading the rest of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from ..adain.media.tensor_files import save_tensors
from .catalog import Source
from .download import HubError, Progress, Task, ask, disk_errors, patiently, read_range, reporter

_FIRST_READ = 2**16
"""Bytes that hold the whole header of most files."""

_LONGEST_HEADER = 2**26


def fetch_tensors(
    source: Source, sha256: str, layers: Sequence[str], target: Path, metadata: Mapping[str, str], progress: Progress | None = None
) -> None:
    """Write to `target` the tensors `layer.weight` and `layer.bias` of `layers`, read by range requests.

    `sha256` is that of the whole file; the Hub must say that it still has it. `progress` is called in bytes of tensors.
    Raises HubError, and what `progress` raises.
    """
    by_hand = f"get it on another machine and copy {target.name} from there to {target.parent}."
    task = Task(source, f"{target.name}, a part of {source},", target.parent, by_hand, progress)
    with disk_errors(task.what, target.parent, None):
        target.parent.mkdir(parents=True, exist_ok=True)
        etag = patiently(task, lambda: ask(source)).etag
        if etag != sha256:
            raise HubError(f"{source} on the Hub is now another file: its hash is {etag}, expected {sha256}. Look for a newer catalogue.")
        begin, header = patiently(task, lambda: _header(source))
        wanted = _choose(source, header, layers)
        total = sum(stop - start for start, stop in (header[name]["data_offsets"] for name in wanted))
        report = reporter(progress, total)

        data = io.BytesIO()
        for start, stop in _runs(header[name]["data_offsets"] for name in wanted):

            def read(start: int = start, stop: int = stop, here: int = data.tell()) -> None:
                data.seek(here)
                data.truncate()
                read_range(source, data, begin + start, begin + stop, report)

            patiently(task, read)
        try:
            tensors = load(_assembled(header, wanted, data.getvalue()))
        except SafetensorError as error:
            raise HubError(f"What arrived of {source} is no safetensors data ({error}). Try again, or another network.") from error
        if broken := next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None):
            raise HubError(f"What arrived of {source} is damaged: {broken} holds NaN or infinite values. Try again.")
        save_tensors(tensors, target, metadata)


def _header(source: Source) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and the header that describes them."""
    data = io.BytesIO()
    read_range(source, data, 0, _FIRST_READ)
    length = int.from_bytes(data.getvalue()[:8], "little")
    if length > _LONGEST_HEADER:
        raise HubError(f"{source} does not begin like a safetensors file: a header of {length} bytes. Check the file's name.")
    if 8 + length > _FIRST_READ:
        read_range(source, data, _FIRST_READ, 8 + length)
    try:
        header = json.loads(data.getvalue()[8 : 8 + length])
    except ValueError as error:
        raise HubError(f"{source} does not begin like a safetensors file ({error}). Check the file's name.") from error
    return 8 + length, header


def _choose(source: Source, header: Mapping[str, Any], layers: Sequence[str]) -> list[str]:
    """The tensors of `layers` in the order of their data."""
    wanted = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    if missing := [name for name in wanted if name not in header]:
        first = ", ".join(sorted(header)[:3])
        raise HubError(f"{source} lacks {', '.join(missing[:3])}. Its first tensors are {first}. Check the file's name and the catalogue.")
    return sorted(wanted, key=lambda name: header[name]["data_offsets"][0])


def _runs(spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Adjacent spans joined, so that each costs one request."""
    runs: list[tuple[int, int]] = []
    for start, stop in spans:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((start, stop))
    return runs


def _assembled(header: Mapping[str, Any], wanted: Sequence[str], data: bytes) -> bytes:
    """A safetensors file of the `wanted` tensors, whose data follow each other in `data`."""
    own, position = {}, 0
    for name in wanted:
        start, stop = header[name]["data_offsets"]
        own[name] = {**header[name], "data_offsets": [position, position + stop - start]}
        position += stop - start
    text = json.dumps(own).encode()
    return len(text).to_bytes(8, "little") + text + data

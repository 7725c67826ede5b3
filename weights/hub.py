"""Models by name: from the package, from the models folder, else from the Hub."""

from __future__ import annotations

import os
from pathlib import Path

from ..adain.errors import ModelError
from .catalog import Entry, File, Source, default_folder, entries, find_entry
from .convert import convert, extract, made_from
from .download import HubError, Progress, download
from .ranges import fetch_tensors


def get(model: str | Entry, folder: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Path:
    """The file of a catalogue entry, or of `owner/name/path[@revision]` on the Hub, downloaded into `folder` if it is not there.

    An entry gives a safetensors file: its parts are converted once they are verified. A file named by its place is left
    as it is. No network is used for what is there. `progress(done, total)` counts bytes of one file at a time; raise from
    it to stop. Raises ModelError (HubError for what the Hub and the disk refuse).
    """
    place = Path(folder).expanduser() if folder is not None else default_folder()
    if isinstance(model, str):
        found = find_entry(model, place)
        if found is None and "/" not in model:
            names = ", ".join(entry.id for entry in entries(place))
            raise ModelError(f"There is no model {model!r} in the catalogue. Give one of {names}, or owner/name/file of the Hub.")
        if found is None:
            source = Source.parse(model)
            target = place / source.file_name
            if not target.is_file():
                download(source, target, progress=progress)
            return target
        model = found
    return _get_entry(model, place, progress)


def _get_entry(entry: Entry, folder: Path, progress: Progress | None) -> Path:
    output = entry.output(folder)
    hashes = [file.digest for file in entry.files]
    if not entry.ready_made and output.is_file() and made_from(output, hashes):
        return output
    metadata = {"title": entry.title, "license": entry.license}
    only = entry.files[0]
    if entry.tensors and only.source and only.path.endswith(".safetensors"):
        metadata |= {"source": str(only.source), "source_sha256": only.sha256}
        fetch_tensors(only.source, only.sha256, entry.tensors, output, metadata, progress)
        return output
    # Before anything is downloaded in vain.
    if by_hand := next((file for file in entry.files if not (file.embedded or file.source or file.find(folder))), None):
        raise HubError(
            f"{entry.id} needs {by_hand.name} ({by_hand.bytes} bytes, sha256 {by_hand.sha256}), which is not on the Hub. "
            f"Download it from {by_hand.url or 'its author'} and put it in {folder} (any name will do, the file is known by its hash)."
        )
    parts = [_get_file(file, entry, folder, progress) for file in entry.files]
    if entry.ready_made:
        return parts[0]
    try:
        if entry.tensors:
            extract(parts[0], entry.tensors, output, metadata)
        else:
            convert(parts, output, metadata)
    except OSError as error:
        raise HubError(f"{output} cannot be written ({error.strerror}). Make the folder writable, or free some space.") from error
    return output


def _get_file(file: File, entry: Entry, folder: Path, progress: Progress | None) -> Path:
    found = file.find(folder)
    if found:
        return found
    assert file.source is not None  # what has to be placed by hand was asked for before
    target = entry.output(folder) if entry.ready_made else folder / f"{entry.id}-{file.name}"
    if target.exists():
        if file.find(folder):  # another process has just finished
            return target
        raise HubError(f"{target} is not the file of {entry.id}: its size or hash differs. Move it away and run the same again.")
    failure: HubError | None = None
    for source in (file.source, *file.mirrors):
        try:
            download(source, target, file.bytes, file.sha256, progress)
            return target
        except HubError as error:
            failure = failure or error  # what the first place said matters most
    assert failure is not None
    raise failure

"""The catalogue in ComfyUI: its models as choices of a list, and their download with a progress bar."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import comfy.model_management as mm
from comfy.utils import ProgressBar

from ..adain import ModelError
from ..weights.catalog import Entry, State, entries, find_entry
from ..weights.loss_network import JUDGE
from . import folders

_logger = logging.getLogger(__name__)

_SAID = {State.AVAILABLE: "download", State.DOWNLOADED: "downloaded", State.MANUAL: "one file must be downloaded by hand"}


class Listed(NamedTuple):
    """A model of the catalogue and the folder that has its files or will get them."""

    entry: Entry
    folder: Path

    @property
    def choice(self) -> str:
        """How the model is listed: its id, then its state and size, which `find` does not look at."""
        size = f", {self.entry.bytes / 1e6:.0f} MB" if self.entry.bytes else ""
        return f"{self.entry.id} ({_SAID[self.entry.state(self.folder)]}{size})"

    @property
    def fingerprint(self) -> str:
        """A text that changes when the catalogue names other files, not when they are downloaded."""
        return " ".join(file.digest for file in self.entry.files)

    def path(self) -> Path:
        """The model's file, downloaded if it is not there; stops when the prompt is cancelled. Raises ModelError."""
        from ..weights.hub import get  # the Hub's client: graphs with models that are here do without

        bar = ProgressBar(1)

        def report(done: int, total: int) -> None:
            mm.throw_exception_if_processing_interrupted()
            bar.update_absolute(done, total)

        return get(self.entry, self.folder, report)


def judges() -> list[str]:
    """The ids of the catalogue's networks that do not paint; the presets are measured by the first."""
    try:
        found = [entry.id for folder in folders.places(folders.MODELS) for entry in entries(folder) if not entry.architecture]
    except ModelError:  # `choices` tells of it
        found = []
    return list(dict.fromkeys([JUDGE, *found]))


def judge(name: str) -> Listed:
    """The loss network of this id, in the folder that has it, else in the first one. Raises ModelError if there is none."""
    places = [Listed(entry, folder) for folder in folders.places(folders.MODELS) if (entry := find_entry(name, folder))]
    if not places:
        raise ModelError(f"There is no loss network {name!r} in the catalogue. Choose one of: {', '.join(judges())}.")
    return next((place for place in places if place.entry.state(place.folder) is State.DOWNLOADED), places[0])


def find(choice: str) -> Listed | None:
    """The model that a choice of the list means, whatever it says of its state, or None. Raises ModelError like `listed`."""
    return next((model for model in listed() if model.entry.id == choice.partition(" (")[0]), None)


def listed() -> list[Listed]:
    """The models of the catalogue that do not ship whole, each in the folder that has it, else in the first one.

    Raises ModelError for a user's catalogue with mistakes.
    """
    found: dict[str, Listed] = {}
    for folder in folders.places(folders.MODELS):
        for entry in entries(folder):
            state = entry.state(folder)
            if entry.architecture and state is not State.EMBEDDED and (entry.id not in found or state is State.DOWNLOADED):
                found[entry.id] = Listed(entry, folder)
    return list(found.values())


def choices() -> list[str]:
    """What can be chosen beside the embedded models: the catalogue's, then the other files in models/adain."""
    files = folders.files(folders.MODELS)
    try:
        models = listed()
        made = {entry.output(Path()).name for folder in folders.places(folders.MODELS) for entry in entries(folder)}
    except ModelError as error:  # a mistake in a user's catalogue must not hide the node
        _logger.warning("%s", error)
        return files
    return [*(model.choice for model in models), *(name for name in files if name not in made)]

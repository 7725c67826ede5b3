"""`adain models`: what can be given as --model by name; `adain models get` downloads it."""

from __future__ import annotations

import argparse
from pathlib import Path

from .messages import say
from .options import path
from .subcommands import add_command

# The Hub's client is imported inside the commands: painting needs neither it nor the time to load it.


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_list)
    command.add_argument("--folder", type=path, help="the models folder (default: $ADAIN_MODELS, else the user's cache)")
    commands = command.add_subparsers(metavar="[get]")
    get = add_command(commands, "get", _get, "download a model")
    get.add_argument("model", type=path, metavar="MODEL", help="an id of the list, or owner/name/file[@revision] on the Hub")
    get.add_argument("--folder", type=path, help="where to put it")


def _list(options: argparse.Namespace) -> int:
    from ..weights.catalog import State, default_folder, entries, fetched

    folder = Path(options.folder) if options.folder else default_folder()
    for entry in entries(folder):
        size = f"{entry.bytes / 1e6:.0f} MB" if entry.bytes else ""
        say(f"{entry.id:24s} {entry.state(folder).value:16s} {size:>7s}  {entry.title} ({entry.license})")
    for source in fetched(folder):
        place = f"{source}@{source.revision}" if source.revision != "main" else str(source)
        size = f"{(folder / source.file_name).stat().st_size / 1e6:.0f} MB"
        say(f"{place:24s} {State.DOWNLOADED.value:16s} {size:>7s}  from the Hub, by its place there")
    return 0


def _get(options: argparse.Namespace) -> int:
    from ..weights.hub import get

    found = get(options.model, Path(options.folder) if options.folder else None)  # huggingface_hub draws its own progress bar
    say(found.resolve())
    return 0

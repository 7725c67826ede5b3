"""The commands on models: `adain models`, `adain convert`, `adain publish`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..adain.errors import ModelError


class AddCommand(Protocol):
    """How `cli` adds one command to its sub-parsers."""

    def __call__(self, commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser: ...


# The Hub's client is imported inside the commands: painting needs neither it nor the time to load it.


def _list(options: argparse.Namespace) -> int:
    from ..weights.catalog import default_folder, entries

    folder = options.folder or default_folder()
    for entry in entries(folder):
        size = f"{entry.bytes / 1e6:.0f} MB" if entry.bytes else ""
        print(f"{entry.id:24s} {entry.state(folder).value:11s} {size:>7s}  {entry.title} ({entry.license})")
    return 0


def _get(options: argparse.Namespace) -> int:
    from ..weights.hub import get

    path = get(options.model, options.folder)  # huggingface_hub draws its own progress bar on a terminal
    print(path.resolve())
    return 0


def _convert(options: argparse.Namespace) -> int:
    from ..weights.convert import convert, extract_decoder

    if options.decoder and len(options.files) == 1:
        print(extract_decoder(Path(options.files[0]), Path(options.output)))
    elif options.decoder:
        raise ModelError(f"--decoder takes the decoder out of one model, but {len(options.files)} files were given.")
    else:
        print(convert(options.files, options.output))
    return 0


def _publish(options: argparse.Namespace) -> int:
    from ..weights.publish import publish

    entry = publish(options.file, options.repo_id, license=options.license, pictures=options.picture, private=options.private)
    print(f"# Published. For a catalogue (catalog.toml in the models folder):\n{entry}", end="")
    return 0


def add_commands(commands: Any, add: AddCommand) -> None:
    """Add the commands on models to `commands`."""
    models = add(commands, "models", _list, "list the models: embedded, downloaded, available")
    models.add_argument("--folder", type=Path, help="the models folder (default: $ADAIN_MODELS, else the user's cache)")
    inner = models.add_subparsers(metavar="get")
    command = add(inner, "get", _get, "download a model")
    command.add_argument("model", metavar="MODEL", help="an id of the list, or owner/name/file[@revision] on the Hub")
    command.add_argument("--folder", type=Path, help="where to put it")

    command = add(commands, "convert", _convert, "convert a published AdaIN checkpoint to safetensors")
    command.add_argument("files", nargs="+", metavar="FILE", help="a whole model, or its encoder and its decoder")
    command.add_argument("-o", "--output", required=True, metavar="OUT.safetensors")
    command.add_argument("--decoder", action="store_true", help="keep only the decoder, for an encoder that everyone can get")

    command = add(commands, "publish", _publish, "upload a model with its card to the Hugging Face Hub")
    command.add_argument("file", metavar="FILE.safetensors")
    command.add_argument("--repo-id", required=True, metavar="OWNER/NAME")
    command.add_argument("--license", default="", help="licence id (default: what the file says)")
    command.add_argument("--picture", action="append", default=list[str](), help="an example to show on the card; may be repeated")
    command.add_argument("--private", action="store_true", help="only for its owner to see")

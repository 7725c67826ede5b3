"""`adain styles`: what can be given as --style by name, and what was saved."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..adain.errors import StyleError
from ..adain.style import Style
from ..weights.presets import presets
from .messages import say, tell
from .options import path


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_list)
    command.add_argument(
        "folder", nargs="?", type=path, metavar="FOLDER", help="a folder with saved styles, to be listed after the presets"
    )


def _list(options: argparse.Namespace) -> int:
    for name, preset in presets().items():
        say(f"{name:24s} {preset.artist}: {preset.title}")
    if options.folder is None:
        return 0
    folder = Path(options.folder)
    if not folder.is_dir():
        raise StyleError(f"There is no folder at {folder}. Give one that holds saved styles (.safetensors).")
    failures = 0
    for file in sorted(file for file in folder.iterdir() if file.suffix == ".safetensors"):
        try:
            style = Style.load(file)
        except StyleError as error:
            failures += 1
            tell(error)
        else:
            say(f"{file}  {style.name or 'unnamed'}, for the {style.architecture} encoder {style.fingerprint[:12]}")
    return 1 if failures else 0

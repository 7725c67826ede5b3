"""Commands of a command, such as `adain style save`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add_command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """Add the command `name` to the sub-parsers `commands`; `text` describes it in a few words."""
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(run=run)
    add_debug(command)
    return command


def add_debug(command: argparse.ArgumentParser) -> None:
    # Without a default of its own: that of an inner command would undo what was said to the outer one.
    command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error")

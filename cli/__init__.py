"""The command line `adain`: a door beside the nodes and the app. Nothing below imports from here.

A command is the module of its name: `add_arguments(parser)` says what it takes and, with `set_defaults(run=...)`, what it does. Only the
module of the command that was given is imported, so that `adain --help` needs neither torch nor time.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from .messages import tell
from .subcommands import add_debug

COMMANDS = {
    "stylize": "paint pictures in a style",
    "refine": "finish pictures: a style's own strokes, in minutes on a CPU",
    "video": "paint a video with less flicker; sound is copied",
    "dataset": "paint a whole dataset, on this machine or a cluster",
    "colors": "give pictures or a video the colours of another picture",
    "demo": "paint sample pictures in embedded styles, offline",
    "app": "serve the demo app to a browser",
    "styles": "list the presets, and the saved styles of a folder",
    "style": "save and show styles",
    "models": "list the models: embedded, downloaded, available",
    "convert": "convert a published AdaIN checkpoint to safetensors",
    "export": "write a model for other runtimes: ONNX, and tile by tile for browsers and phones",
    "publish": "upload a model with its card to the Hugging Face Hub",
}

_EXAMPLES = """\
examples:
  adain demo
  adain stylize photo.jpg --style great-wave -o painted.png
  adain stylize photos/ --style painting.jpg -o painted/
  adain COMMAND --help"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if all went well, 1 if something could not be done, 2 (from argparse) for wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(next((argument for argument in arguments if argument in COMMANDS), "")).parse_args(arguments)
    try:
        with _terminated_as_interrupted():
            return options.run(options)
    except KeyboardInterrupt:
        tell("stopped")
    except Exception as error:
        if options.debug:
            raise
        tell(error)
    return 1


class _Parser(argparse.ArgumentParser):
    """A parser that tells wrong usage in a line: the usage of a command with twenty options would hide what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See `{self.prog} --help`.\n")


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Every command by name, with the arguments of the one that was `chosen`."""
    parser = _Parser(
        prog="adain",
        description="Paint any picture in the style of any other.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.set_defaults(run=lambda _: parser.print_help() or 0, debug=False)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            importlib.import_module(f".{name}", __name__).add_arguments(command)
            add_debug(command)
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"adain {version('adain-style-transfer')}"
    except PackageNotFoundError:  # run from a checkout
        return "adain, not installed"


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """End a command as Ctrl-C does, temporary files removed, on what a shutdown, a job scheduler or a closed terminal sends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [number for number in signals if signal.getsignal(number) == signal.SIG_DFL]  # nohup ignores SIGHUP
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)

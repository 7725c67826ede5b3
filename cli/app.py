"""`adain app`: the demo app, served to a browser."""

from __future__ import annotations

import argparse

from ..adain.extras import install
from .options import port


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_app)
    command.add_argument("--host", default="127.0.0.1", help="address to serve at (default: 127.0.0.1, this machine alone)")
    command.add_argument("--port", type=port, default=7860, help="default: 7860")


def _app(options: argparse.Namespace) -> int:
    try:
        from ..app import launch  # an extra, and seconds to load
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise install("The app", "gradio") from error
    launch(options.host, options.port)
    return 0

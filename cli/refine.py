"""`adain refine`: `adain stylize --refine good`, under its own name."""

from __future__ import annotations

import argparse

from . import stylize

_EXAMPLES = """\
examples:
  adain refine photo.jpg --style great-wave -o finished.png
  adain refine photo.jpg --style painting.jpg --refine best --style-weight 5 -o finished.png
  adain refine photo.jpg --style painting.jpg --start painted.png -o finished.png"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    stylize.add_arguments(command, refine="good")
    command.epilog = _EXAMPLES

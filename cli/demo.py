"""`adain demo`: sample pictures in embedded styles on one sheet."""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from ..adain.media.contact_sheet import contact_sheet
from ..adain.media.images import read_picture, write_picture
from ..adain.stylize import stylize
from ..weights import presets
from ..weights.presets import FIRST_PRESET
from ..weights.samples import sample_names, sample_path
from .messages import say
from .options import add_model_options, add_overwrite, load_model, make_folder, path
from .targets import check_extension, check_new

_PRESETS = (FIRST_PRESET, "kuniyoshi", "cafe-terrace", "the-star", "the-scream")
_SHEET = "adain-demo.png"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_demo)
    command.add_argument("-o", "--output", type=path, default=_SHEET, metavar="SHEET", help=f"default: {_SHEET}, painted anew each time")
    add_overwrite(command)
    add_model_options(command)


def _demo(options: argparse.Namespace) -> int:
    output = Path(options.output)
    check_extension(output)
    check_new(output, options.overwrite or options.output == _SHEET)
    model = load_model(options)
    make_folder(output.parent)
    contents = [read_picture(sample_path(name)).rgb for name in sample_names()]
    styles = [presets.load_preset(model, name) for name in _PRESETS]
    rows = []
    with tqdm(total=len(contents) * len(styles), unit="picture", disable=None) as bar:
        for content in contents:
            row: list[Tensor | None] = [content]
            for style in styles:
                row.append(stylize(model, content, style))
                bar.update()
            rows.append(row)
    write_picture(output, contact_sheet(rows, column_labels=["photograph", *_PRESETS], cell=320))
    say(output.resolve())
    return 0

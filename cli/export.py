"""`adain export`: a model for other runtimes."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..adain.errors import ModelError
from .messages import say
from .options import add_overwrite, make_folder, path
from .targets import check_new


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_export)
    command.add_argument("model", nargs="?", type=path, metavar="MODEL", help="a file or an id of `adain models` (default: embedded)")
    command.add_argument("-o", "--output", type=path, required=True, metavar="OUT", help="model.onnx; a folder for --parts")
    command.add_argument("--parts", action="store_true", help="the graphs that paint tile by tile, and the presets, into a folder")
    command.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="precision of the network (default: float32)")
    add_overwrite(command)


def _export(options: argparse.Namespace) -> int:
    import torch

    from ..adain.media.tensor_files import metadata_of
    from ..export import export_model, export_parts, model_files, part_files
    from ..weights.files import read_model
    from ..weights.loading import model_path

    if options.parts and options.dtype != "float32":
        raise ModelError("The parts compute in float32. Leave out --dtype.")
    output, source = Path(options.output), model_path(options.model)
    for file in part_files(output) if options.parts else model_files(output):
        check_new(file, options.overwrite, [str(source)])
    make_folder(output if options.parts else output.parent)
    model, metadata = read_model(source), metadata_of(source)
    if options.parts:
        written = export_parts(model, output, metadata)
    else:
        written = export_model(model, output, metadata, getattr(torch, options.dtype))
    for file in written:
        say(file.resolve())
    return 0

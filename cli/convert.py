"""`adain convert`: published checkpoints as safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..adain.errors import ModelError
from .messages import say
from .options import add_overwrite, path
from .targets import check_new


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_convert)
    command.add_argument("files", nargs="+", type=path, metavar="FILE", help="a whole model, or its encoder and its decoder")
    command.add_argument("-o", "--output", type=path, required=True, metavar="OUT.safetensors")
    command.add_argument("--decoder", action="store_true", help="keep only the decoder, for an encoder that everyone can get")
    add_overwrite(command)


def _convert(options: argparse.Namespace) -> int:
    from ..weights.convert import convert, extract_decoder

    if options.decoder and len(options.files) > 1:
        raise ModelError(f"--decoder takes the decoder out of one model, but {len(options.files)} files were given.")
    output = Path(options.output)
    check_new(output, options.overwrite, options.files)
    say(extract_decoder(Path(options.files[0]), output) if options.decoder else convert(options.files, output))
    return 0

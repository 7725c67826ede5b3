"""`adain style save` and `adain style show`: styles as files of a few kB."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..adain.media.images import read_mask, read_picture
from ..adain.network import encode_by
from ..adain.style import Style
from ..weights.loss_network import JUDGE, load_judge
from .messages import say
from .options import add_model_options, add_overwrite, add_style_size, load_model, make_folder, path, wanted_dtype
from .subcommands import add_command
from .targets import check_extension, check_new


def add_arguments(command: argparse.ArgumentParser) -> None:
    commands = command.add_subparsers(required=True, metavar="COMMAND")
    save = add_command(commands, "save", _save, "save the style of an image as a small file")
    save.add_argument("image", type=path, metavar="IMAGE")
    save.add_argument("-o", "--output", type=path, required=True, metavar="OUT.safetensors")
    save.add_argument("--mask", type=path, metavar="FILE", help="white on the part of the image that is the style")
    save.add_argument(
        "--judge", type=path, nargs="?", const=JUDGE, metavar="FILE_OR_ID", help=f"measure it for `adain refine` too (default {JUDGE})"
    )
    add_style_size(save)
    add_overwrite(save)
    add_model_options(save)
    show = add_command(commands, "show", _show, "describe a saved style")
    show.add_argument("style", type=path, metavar="STYLE.safetensors")


def _save(options: argparse.Namespace) -> int:
    output = Path(options.output)
    check_extension(output, {".safetensors"})
    check_new(output, options.overwrite, list(filter(None, [options.model, options.judge])))
    model = load_model(options)
    mask = read_mask(options.mask) if options.mask else None
    networks = [model, load_judge(options.judge, options.device, wanted_dtype(options))] if options.judge else [model]
    style = encode_by(networks, read_picture(options.image), mask, options.style_size, Path(options.image).stem)
    make_folder(output.parent)
    style.save(output)
    say(output.resolve())
    return 0


def _show(options: argparse.Namespace) -> int:
    style = Style.load(options.style)
    for own in (style, *style.others):
        say(f"{style.name or 'unnamed'}: {len(own)} style for the {own.architecture} encoder {own.fingerprint[:12]}")
        _describe(own)
    return 0


def _describe(style: Style) -> None:
    for level in style.levels:
        matrix = level.std.ndim == 3
        deviation = level.std.diagonal(dim1=-2, dim2=-1) if matrix else level.std
        kind = "colours" if matrix else f"{level.mean.shape[1]} channels"
        say(f"{kind}: mean {level.mean.mean():.4f}, deviation {deviation.mean():.4f}")

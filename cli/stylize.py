"""The command line: `adain stylize`, `adain demo`, `adain style`, and the commands on models of `models`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import torch
from torch import Tensor
from tqdm import tqdm

from .. import weights as weight_files
from ..adain.color import ColorMode
from ..adain.errors import AdaINError, ImageError, StyleError
from ..adain.images import EXTENSIONS, at_short_side, read_mask, read_picture, resize, write_picture
from ..adain.large import Request, is_large, stylize_file
from ..adain.model import StyleTransferModel
from ..adain.sheet import contact_sheet
from ..adain.style import Style
from ..adain.transfer import stylize
from ..weights import presets
from . import models, video
from .options import (
    add_model_options,
    add_style_size,
    count,
    expand_styles,
    find_images,
    load_model,
    make_folder,
    numbers,
    read_style,
    share,
    size,
)

_SAMPLES = Path(weight_files.__file__).parent / "samples"
_DEMO_PRESETS = ("great-wave", "the-scream", "venice", "the-star", "schiele")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if all went well, 1 if something could not be done, 2 (from argparse) for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except AdaINError as error:
        if options.debug:
            raise
        _complain(str(error))
    except KeyboardInterrupt:
        _complain("stopped")
    except Exception as error:
        if options.debug:
            raise
        text = " ".join(str(error).split())
        _complain(f"this failed in an unforeseen way ({type(error).__name__}: {text}). Run it with --debug to see where.")
    return 1


def _complain(sentence: str) -> None:
    print(f"adain: {sentence}", file=sys.stderr)


# Commands


def _stylize(options: argparse.Namespace) -> int:
    contents = find_images(options.content)
    output = Path(options.output)
    into_file = _names_a_file(options.output)
    if into_file and len(contents) * (len(options.style) if options.pairs else 1) > 1:
        raise ImageError(f"{output} is one file, but there are {len(contents)} pictures to make. Give a folder with -o.")
    if options.pairs and options.weights:
        raise StyleError("--weights blends styles into one, --pairs keeps them apart. Leave one of them out.")
    # Everything that can be wrong with the request is found out before the first picture is painted.
    huge = [path for path in contents if not options.size and is_large(path)]  # what is scaled down is read whole first
    contents = [path for path in contents if path not in huge]
    mask = read_mask(options.mask) if options.mask and contents else None
    model = load_model(options)
    styles = _styles(options, model)
    make_folder(output.parent if into_file else output)

    def target(content: Path, style: Style) -> Path:
        return output if into_file else output / f"{content.stem}__{style.name}.png"

    failures = 0
    for path in huge:
        failures += sum(not _stylize_large(options, model, path, style, target(path, style)) for style in styles)
    with tqdm(total=len(contents) * len(styles), unit="picture", disable=None) as bar:
        for outcome in _batches(contents, options.size, options.batch):
            if isinstance(outcome, AdaINError):
                failures += 1
                bar.update(len(styles))
                tqdm.write(f"adain: {outcome}", file=sys.stderr)
                continue
            for style in styles:
                rgb = stylize(
                    model,
                    torch.cat([loaded.rgb for loaded in outcome]),
                    style,
                    strength=options.strength,
                    mask=mask,
                    color=options.color,
                    chunk=options.batch,
                )
                for loaded, picture in zip(outcome, rgb, strict=True):
                    write_picture(target(loaded.path, style), picture[None], loaded.alpha)
                bar.update(len(outcome))
    return 1 if failures else 0


def _stylize_large(options: argparse.Namespace, model: StyleTransferModel, path: Path, style: Style, output: Path) -> bool:
    """Whether it could be painted; if not, the reason was told."""
    request = Request(style, options.strength, options.color, Path(options.mask) if options.mask else None)
    with tqdm(desc=path.name, unit="tile", disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            stylize_file(model, path, output, request, options.resume, progress)
        except AdaINError as error:
            tqdm.write(f"adain: {error}", file=sys.stderr)
            return False
        except KeyboardInterrupt:
            tqdm.write("adain: to go on from here later, give the same command with --resume", file=sys.stderr)
            raise
    return True


def _demo(options: argparse.Namespace) -> int:
    model = load_model(options)
    output = Path(options.output)
    _check_extension(output, EXTENSIONS)
    make_folder(output.parent)
    contents = [read_picture(path).rgb for path in sorted(_SAMPLES.glob("*.jpg"))]
    styles = [presets.load_preset(model, name) for name in _DEMO_PRESETS]
    rows = []
    with tqdm(total=len(contents) * len(styles), unit="picture", disable=None) as bar:
        for content in contents:
            row: list[Tensor | None] = [content]
            for style in styles:
                row.append(stylize(model, content, style))
                bar.update()
            rows.append(row)
    sheet = contact_sheet(rows, column_labels=["photograph", *_DEMO_PRESETS], cell=320)
    write_picture(output, sheet)
    print(output.resolve())
    return 0


def _app(options: argparse.Namespace) -> int:
    try:
        from ..app import launch  # an extra, and seconds to load
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise AdaINError("The app needs gradio. Run `pip install gradio`, or install this package with the extra `app`.") from error
    launch(options.host, options.port)
    return 0


def _style_save(options: argparse.Namespace) -> int:
    output = Path(options.output)
    _check_extension(output, {".safetensors"})
    model = load_model(options)
    mask = read_mask(options.mask) if options.mask else None
    style = model.encode_style(read_picture(options.image).rgb, mask, options.style_size, Path(options.image).stem)
    make_folder(output.parent)
    style.save(output)
    print(output.resolve())
    return 0


def _style_show(options: argparse.Namespace) -> int:
    style = Style.load(options.style)
    print(f"{style.name or 'unnamed'}: {len(style)} style for the {style.architecture} encoder {style.fingerprint[:12]}")
    for i, level in enumerate(style.levels):
        matrix = level.std.ndim == 3
        deviation = level.std.diagonal(dim1=-2, dim2=-1) if matrix else level.std
        kind = "colours" if matrix else f"{level.mean.shape[1]} channels"
        print(f"level {i}: {kind}, mean {level.mean.mean():.4f}, deviation {deviation.mean():.4f}")
    return 0


# Inputs


class _Loaded(NamedTuple):
    path: Path
    rgb: Tensor
    alpha: Tensor | None


def _batches(paths: Sequence[Path], size: int, batch: int) -> Iterator[list[_Loaded] | AdaINError]:
    """Pictures of equal size in groups of up to `batch`, or the error for one that cannot be read."""
    group: list[_Loaded] = []
    for path in paths:
        try:
            loaded = _load(path, size)
        except AdaINError as error:
            yield error
            continue
        if group and (len(group) == batch or group[0].rgb.shape != loaded.rgb.shape):
            yield group
            group = []
        group.append(loaded)
    if group:
        yield group


def _load(path: Path, size: int) -> _Loaded:
    picture = read_picture(path)
    rgb, alpha = picture.rgb, picture.alpha
    target = at_short_side(rgb.shape[-2:], size)
    rgb, alpha = resize(rgb, target), None if alpha is None else resize(alpha, target)
    return _Loaded(path, rgb, alpha)


def _styles(options: argparse.Namespace, model: StyleTransferModel) -> list[Style]:
    """All styles named by --style; blended into one unless --pairs."""
    styles = [read_style(name, model, options.style_size) for name in expand_styles(options.style)]
    if options.pairs:
        return styles
    if len(styles) == 1 and not options.weights:
        return styles
    return [Style.blend(styles, options.weights)]


def _names_a_file(output: str) -> bool:
    """Whether OUT is an image file rather than a folder. Raises ImageError for a file of another kind."""
    path = Path(output)
    if not path.suffix or path.is_dir() or output.endswith(("/", os.sep)):
        return False
    _check_extension(path, EXTENSIONS, " For a folder of that name, put a / at its end.")
    return True


def _check_extension(output: Path, known: Collection[str], otherwise: str = "") -> None:
    if output.suffix.lower() not in known:
        raise ImageError(f"{output} does not end with {' or '.join(sorted(known))}. Choose another name with -o.{otherwise}")


# Options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="adain", description="Paint any picture in the style of any other.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(commands, "stylize", _stylize, "paint pictures in a style")
    command.add_argument("content", nargs="+", metavar="CONTENT", help="image files, or folders to walk")
    command.add_argument(
        "--style", action="append", required=True, help="an image, a folder, a saved style or a preset; several are blended, or see --pairs"
    )
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="a file, or a folder for CONTENT__STYLE.png")
    command.add_argument("--weights", type=numbers, metavar="W,W,...", help="weights of the blended styles (default: equal)")
    command.add_argument("--pairs", action="store_true", help="paint every content in every style instead of blending the styles")
    command.add_argument("--strength", type=share, default=1.0, help="0 (content) to 1 (full style), default 1")
    command.add_argument(
        "--color", choices=get_args(ColorMode), default="style", help="whose colours: the style's, or the content's kept or matched"
    )
    command.add_argument("--mask", metavar="FILE", help="white where the style applies; elsewhere pictures stay as they are")
    command.add_argument("--size", type=size, default=0, help="scale contents to this short side in pixels first (0: as they are)")
    command.add_argument("--batch", type=count, default=1, help="pictures of equal size painted together (default 1)")
    command.add_argument("--resume", action="store_true", help="go on with a very large picture that was interrupted")
    add_style_size(command)
    add_model_options(command)

    command = _command(commands, "demo", _demo, "paint sample pictures in embedded styles, offline")
    command.add_argument("-o", "--output", default="adain-demo.png", metavar="SHEET", help="default: adain-demo.png")
    add_model_options(command)

    command = _command(commands, "app", _app, "serve the demo app to a browser")
    command.add_argument("--host", default="127.0.0.1", help="address to serve at (default: 127.0.0.1, this machine alone)")
    command.add_argument("--port", type=count, default=7860, help="default: 7860")

    models.add_commands(commands, _command)
    video.add_commands(commands, _command)

    style = commands.add_parser("style", help="save and show styles").add_subparsers(required=True, metavar="COMMAND")
    command = _command(style, "save", _style_save, "save the style of an image as a small file")
    command.add_argument("image", metavar="IMAGE")
    command.add_argument("-o", "--output", required=True, metavar="OUT.safetensors")
    command.add_argument("--mask", metavar="FILE", help="white on the part of the image that is the style")
    add_style_size(command)
    add_model_options(command)
    command = _command(style, "show", _style_show, "describe a saved style")
    command.add_argument("style", metavar="STYLE.safetensors")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(run=run)
    return command

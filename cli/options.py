"""What the commands have in common: options on models and styles, the types of their values, and what they name."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .. import weights as weight_files
from ..adain.affine import MOST_STRENGTH
from ..adain.errors import AdaINError, ImageError, StyleError
from ..adain.look import Look
from ..adain.loss_network import LossNetwork
from ..adain.masks import MOST_PIXELS, MaskEdit
from ..adain.media.images import read_picture
from ..adain.model import StyleTransferModel
from ..adain.network import encode_by
from ..adain.refine import judged_by
from ..adain.style import Style, normalized_weights
from ..weights import presets
from .inputs import find_images

DTYPES = ("auto", "float32", "bfloat16", "float16")


def expand_styles(names: Sequence[str], output: Path | None = None) -> list[str]:
    """The names of styles, with those of the images inside where a folder is named; see `find_images`."""
    return [str(found.path) for name in names for found in find_images([name], output).pictures]


def read_style(name: str, model: StyleTransferModel, size: int, judge: LossNetwork | None = None) -> Style:
    """A style from an image, a saved style file, or the name of a preset; one that `judge` has measured too, if there is one.

    Raises StyleError if it did not.
    """
    style = _read_style(name, model, size, judge)
    if judge is not None:
        judged_by(judge, Look.of(style))
    return style


def _read_style(name: str, model: StyleTransferModel, size: int, judge: LossNetwork | None) -> Style:
    file = Path(name)
    if file.suffix == ".safetensors":
        style = Style.load(file)
        if judge is None:  # which alone looks at the style where pictures are refined
            model.check_style(style)
        return style
    if not os.path.exists(file) and not file.suffix:
        return presets.load_preset(model, name)
    return encode_by([model] if judge is None else [model, judge], read_picture(file), size=size, name=file.stem)


def load_model(options: argparse.Namespace) -> StyleTransferModel:
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.device:
        _check_device(options.device)
    return weight_files.load_model(options.model, options.device, wanted_dtype(options))


def wanted_dtype(options: argparse.Namespace) -> torch.dtype | None:
    """The precision that --dtype names; None for the device's fastest."""
    return None if options.dtype == "auto" else getattr(torch, options.dtype)


def _check_device(device: str) -> None:
    try:
        torch.ones(1, device=device).cpu()  # meta takes what is written to it, and gives nothing back
    except (RuntimeError, AssertionError, ImportError) as error:  # torch: unknown, not there, not compiled in, no plug-in for it
        # Torch goes on about its backends, and lists them all, those of other makers too, for a name that it does not know.
        reason = "no such device" if "at start of device string" in str(error) else str(error).splitlines()[0].split(". ")[0]
        raise AdaINError(f"The device {device!r} cannot be used ({reason}). Try --device cpu.") from error


def make_folder(folder: Path, option: str = "-o") -> None:
    """Make `folder`, which `option` names, and see that files can be written there before work is spent on them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ImageError(
            f"The output folder {folder} cannot be made or written ({error.strerror}). Choose another with {option}."
        ) from error


def add_mask(command: argparse.ArgumentParser, text: str) -> None:
    """`--mask`, which `text` explains, and what is done to it; see `mask_edit`."""
    command.add_argument("--mask", type=path, metavar="FILE", help=text)
    command.add_argument("--invert-mask", action="store_true", help="paint where the mask is black instead")
    command.add_argument("--grow", type=grow, default=0, metavar="PX", help="let the mask reach so many pixels further (-PX: less far)")
    command.add_argument("--feather", type=feather, default=0.0, metavar="PX", help="soften the mask's edges over so many pixels")


def mask_edit(options: argparse.Namespace) -> MaskEdit:
    """Raises ImageError if there is something to do and no mask."""
    edit = MaskEdit(options.invert_mask, options.grow, options.feather)
    if edit != MaskEdit() and not options.mask:
        raise ImageError("--invert-mask, --grow and --feather change a mask, but there is none. Give one with --mask.")
    return edit


def add_style_size(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--style-size", type=size, default=0, help="scale styles to this short side in pixels first: smaller gives finer strokes"
    )


def add_overwrite(command: Any) -> None:
    command.add_argument("--overwrite", action="store_true", help="replace what is there already under the output's name")


def add_model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=path, default=None, help="a model file or an id of `adain models` (default: the embedded model)")
    command.add_argument("--device", default=None, help="cpu, cuda, mps, ... (default: what is there)")
    command.add_argument("--dtype", choices=DTYPES, default="auto", help="precision of the network (default: the device's fastest)")
    command.add_argument("--threads", type=count, default=0, help="CPU threads to use (default: one for each core)")


def path(text: str) -> str:
    """A name with `~` for the home of whoever asks. The empty one, which an unset variable of a script leaves, is none."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; give a file or a folder (`.` is the current one)")
    return os.path.expanduser(text)


def port(text: str) -> int:
    return _checked(text, int, lambda v: 1 <= v <= 65535, "a port from 1 to 65535")


def numbers(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
        normalized_weights(values, len(values))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,0.5") from error
    except StyleError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return values


def share(text: str) -> float:
    return _checked(text, float, lambda v: 0 <= v <= 1, "a number from 0 to 1")


def above_zero(text: str) -> float:
    return _checked(text, float, lambda v: 0 < v < float("inf"), "a number above 0")


def double_share(text: str) -> float:
    return _checked(text, float, lambda v: 0 <= v <= MOST_STRENGTH, f"a number from 0 to {MOST_STRENGTH:g}")


def index(text: str) -> int:
    return _checked(text, int, lambda v: v >= 0, "a number counted from 0")


def size(text: str) -> int:
    return _checked(text, int, lambda v: v >= 0, "a number of pixels, or 0")


def feather(text: str) -> float:
    return _checked(text, float, lambda v: 0 <= v <= MOST_PIXELS, f"a number of pixels from 0 to {MOST_PIXELS}")


def grow(text: str) -> int:
    return _checked(text, int, lambda v: abs(v) <= MOST_PIXELS, f"a whole number of pixels from -{MOST_PIXELS} to {MOST_PIXELS}")


def count(text: str) -> int:
    return _checked(text, int, lambda v: v >= 1, "a whole number of at least 1")


def percent(text: str) -> int:
    return _checked(text, int, lambda v: 1 <= v <= 100, "a whole number from 1 to 100")


def _checked(text, kind, holds, expected):  # noqa: ANN001, ANN202 - generic in int and float, typed by its callers
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not holds(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return value

"""What the commands have in common: options on models and styles, the types of their values, and what they name."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from .. import weights as weight_files
from ..adain.errors import AdaINError, ImageError, StyleError
from ..adain.images import EXTENSIONS, read_picture
from ..adain.model import StyleTransferModel
from ..adain.style import Style, normalized_weights
from ..weights import presets

DTYPES = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def find_images(names: Sequence[str]) -> list[Path]:
    """Files as they are, folders walked for images."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
            if not inside:
                raise ImageError(f"The folder {path} holds no images ({', '.join(sorted(EXTENSIONS))}).")
            found += inside
        else:
            found.append(path)
    return found


def expand_styles(names: Sequence[str]) -> list[str]:
    return [str(path) for name in names for path in (find_images([name]) if Path(name).is_dir() else [name])]


def read_style(name: str, model: StyleTransferModel, size: int) -> Style:
    """A style from an image, a saved style file, or the name of a preset."""
    path = Path(name)
    if path.suffix == ".safetensors":
        style = Style.load(path)
        style.check_made_for(model.fingerprint, model.architecture)
        return style
    if not path.exists() and not path.suffix:
        return presets.load_preset(model, name)
    return model.encode_style(read_picture(path).rgb, size=size, name=path.stem)


def load_model(options: argparse.Namespace) -> StyleTransferModel:
    try:
        return weight_files.load_model(options.model, options.device, DTYPES[options.dtype])
    except RuntimeError as error:  # torch: an unknown device, or one that is not there
        raise AdaINError(f"The device {options.device!r} cannot be used ({str(error).splitlines()[0]}). Try --device cpu.") from error


def make_folder(folder: Path) -> None:
    """Make `folder`, and see that files can be written there before work is spent on them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ImageError(f"The output folder {folder} cannot be made or written ({error.strerror}). Choose another with -o.") from error


def add_style_size(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--style-size", type=size, default=0, help="scale styles to this short side in pixels first: smaller gives finer strokes"
    )


def add_model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default=None, help="a model file or an id of `adain models` (default: the embedded model)")
    command.add_argument("--device", default=None, help="cpu, cuda, mps, ... (default: what is there)")
    command.add_argument("--dtype", choices=DTYPES, default="auto", help="precision of the network (default: the device's fastest)")


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


def size(text: str) -> int:
    return _checked(text, int, lambda v: v >= 0, "a number of pixels, or 0")


def count(text: str) -> int:
    return _checked(text, int, lambda v: v >= 1, "a whole number of at least 1")


def _checked(text, kind, holds, expected):  # noqa: ANN001, ANN202 - generic in int and float, typed by its three callers
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not holds(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return value

"""`adain dataset`: a whole dataset painted, on this machine or a cluster, once, whatever happens in between."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from ..adain.color import ColorMode
from ..adain.errors import AdaINError, StyleError, counted
from ..adain.model import StyleTransferModel
from ..adain.style import Style
from ..adain.style_set import joined
from ..datasets.cluster import Pool
from ..datasets.manifest import NAME, Count
from ..datasets.painter import Job
from ..datasets.places import Place
from ..datasets.run import Options, paint_dataset
from ..datasets.settings import Settings
from ..datasets.style_files import Named
from ..weights.presets import preset_names
from .messages import say, tell
from .options import (
    add_model_options,
    add_style_size,
    count,
    double_share,
    expand_styles,
    load_model,
    path,
    percent,
    read_style,
    size,
)

_EXAMPLES = """\
examples:
  adain dataset imagenet/train stylized/train --styles paintings/ --size 256
  adain dataset shards/ s3://bucket/painted/ --styles presets --per-image 3 --strength 0.3,1
  adain dataset photos/ painted/ --styles great-wave venice --resume"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_dataset)
    command.epilog = _EXAMPLES
    command.add_argument("source", type=path, metavar="SOURCE", help="a folder or URL: a tree of images, WebDataset tar shards, or Parquet")
    command.add_argument("target", type=path, metavar="TARGET", help="a new folder or URL, which is filled in the same layout")
    command.add_argument(
        "--styles",
        type=path,
        nargs="+",
        required=True,
        metavar="STYLE",
        help="folders, images, saved styles, presets, or `presets` for all of these; each picture gets one that its name and the seed draw",
    )
    command.add_argument(
        "--per-image", type=count, default=1, metavar="N", help="versions of each picture, in different styles (default 1)"
    )
    command.add_argument("--seed", type=int, default=0, help="another number draws other styles (default 0)")
    command.add_argument("--strength", type=_range, default=(1.0, 1.0), metavar="S", help="0 to 2, or a range such as 0.3,1 (default 1)")
    command.add_argument("--color", choices=get_args(ColorMode), default="style", help="whose colours: the style's, or the picture's")
    command.add_argument("--size", type=size, default=0, help="scale pictures to this short side in pixels first (0: as they are)")
    command.add_argument("--crop", type=size, default=0, help="then cut a square of this side from their middle (0: all of them)")
    command.add_argument(
        "--format", choices=("same", "jpg", "png", "webp"), default="same", help="of painted pictures (default: their own)"
    )
    command.add_argument("--quality", type=percent, default=95, help="1 to 100, of JPEG and WebP (default 95)")
    command.add_argument("--image-column", default="", metavar="NAME", help="where the pictures are in Parquet files (default: found)")
    command.add_argument("--resume", action="store_true", help="go on with a run that was interrupted")
    command.add_argument(
        "--max-errors", type=_whole, metavar="N", help="stop when more pictures than these cannot be painted (default: never)"
    )
    command.add_argument(
        "--workers", type=_workers, default=(0, 0), metavar="N", help="workers, or a range such as 2-8 (default: all that fit)"
    )
    command.add_argument("--gpus", type=float, metavar="G", help="GPUs of each worker, such as 0.5 (default: 1 if painted on GPUs)")
    command.add_argument(
        "--batch", type=count, metavar="N", help="pictures of equal size and strength painted together (default: 8 on a GPU)"
    )
    command.add_argument("--address", help="of a Ray cluster, such as auto or 10.0.0.1:6379 (default: this machine)")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    add_style_size(command)
    add_model_options(command)


def _dataset(options: argparse.Namespace) -> int:
    names = expand_styles([name for given in options.styles for name in (preset_names() if given == "presets" else [given])])
    model = load_model(options)
    broken: list[str] = []
    target = Place(options.target)
    job = Job(
        Place(options.source),
        target,
        "",
        _settings(options, model, names),
        options.model,
        _device(model, options.address),
        str(model.dtype).removeprefix("torch."),
        options.batch or (1 if model.device.type == "cpu" else 8),
        options.threads or 1,
    )
    gpus = options.gpus if options.gpus is not None else float(model.device.type == "cuda")
    least, most = options.workers
    run = Options(options.resume, options.max_errors, Pool(least, most, options.threads or 1, gpus), options.address)
    with tqdm(unit="picture", disable=options.quiet or None) as bar:

        def progress(done: Count, pictures: int) -> None:
            bar.total = pictures or None
            bar.update(done.painted + done.broken - bar.n)

        try:
            total = paint_dataset(job, lambda: _measured(names, model, options.style_size, broken), run, progress, tell)
        except KeyboardInterrupt:
            tell("to go on from here later, give the same command with --resume")
            raise
    if total.broken:
        tell(f"{counted(total.broken, 'picture')} could not be painted; {NAME} says why. The first: {total.first}")
    say(target.url if target.path is None else target.path.resolve())
    return 1 if total.broken or broken else 0


def _settings(options: argparse.Namespace, model: StyleTransferModel, styles: Sequence[str]) -> Settings:
    source = Place(options.source)
    return Settings(
        source=source.url if source.path is None else os.path.realpath(source.path),
        styles=_digest(styles, options.style_size),
        model=f"{options.model or 'embedded'} {model.fingerprint[:12]} {model.dtype}",
        seed=options.seed,
        per_image=options.per_image,
        strength=options.strength,
        color=options.color,
        size=options.size,
        crop=options.crop,
        extension="" if options.format == "same" else f".{options.format}",
        quality=options.quality,
        column=options.image_column,
    )


def _device(model: StyleTransferModel, address: str | None) -> str:
    # Each worker of Ray sees the GPUs that it was given, the first of which is its own.
    return model.device.type if address or model.device.type == "cuda" else str(model.device)


def _measured(names: Sequence[str], model: StyleTransferModel, size: int, broken: list[str]) -> Named:
    """All styles; `broken` gets the names of those that cannot be read, which is told. Raises StyleError if none can."""
    read: list[Style] = []
    called: list[str] = []
    for name in tqdm(names, unit="style", disable=None if len(names) > 50 else True):
        try:
            style = read_style(name, model, size)
        except AdaINError as error:
            if len(names) == 1:
                raise
            broken.append(name)
            tell(error)
            continue
        read.append(style.to("cpu"))
        own = style.name or Path(name).stem
        called += [own] if len(style) == 1 else [f"{own}#{i}" for i in range(len(style))]
    if not read:
        raise StyleError(f"None of the {len(names)} styles can be read. Give others with --styles.")
    return Named(joined(read), called)


def _digest(names: Sequence[str], size: int) -> str:
    """What tells the styles of one run from those of another: their names and the sizes of their files, which are quickly found out."""
    files = [(Path(name).name, os.path.getsize(name) if os.path.isfile(name) else 0) for name in names]
    return hashlib.sha256(repr((size, files)).encode("utf-8", "surrogateescape")).hexdigest()


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(",")
    values = double_share(low), double_share(high or low)
    if values[0] > values[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is no range: give the lower number first")
    return values


def _workers(text: str) -> tuple[int, int]:
    least, _, most = text.partition("-")
    values = count(least), count(most or least)
    if values[0] > values[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is no range: give the lower number first")
    return values


def _whole(text: str) -> int:
    return size(text)

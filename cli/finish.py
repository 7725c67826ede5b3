"""`--refine`: pictures finished by descending on their pixels."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor
from tqdm import tqdm

from ..adain.errors import ImageError
from ..adain.look import Look
from ..adain.loss_network import LossNetwork
from ..adain.media.images import Picture, read_picture
from ..adain.refine import Finish, Quality, refine
from ..adain.resample import resize
from ..weights.loss_network import JUDGE, load_judge
from .options import above_zero, path


def add_finish(command: argparse.ArgumentParser, quality: str | None = None) -> None:
    """The options that `finish_of` and `load_judge_of` look at; pictures are refined to `quality` if nothing is said (None: not at all)."""
    group = command.add_argument_group("refining", "finish each picture by descending on its pixels: better strokes, minutes each on a CPU")
    group.add_argument("--refine", choices=get_args(Quality), default=quality, help=f"how far (default: {quality or 'not at all'})")
    group.add_argument(
        "--style-weight", type=above_zero, default=Finish.style_weight, help="how much the style counts against the picture (default 4)"
    )
    group.add_argument("--start", type=path, metavar="FILE", help="what to begin with (default: the picture in the style's colours)")
    group.add_argument("--judge", type=path, default=JUDGE, help=f"VGG-19, a file or an id of `adain models` (default {JUDGE})")


def load_judge_of(options: argparse.Namespace) -> LossNetwork | None:
    """The loss network, downloaded on first use; None if nothing is refined. Raises ImageError for options that say nothing then."""
    if not options.refine:
        if options.start:
            raise ImageError("--start is where refining begins, but nothing is refined. Add --refine, or use `adain refine`.")
        return None
    return load_judge(options.judge, options.device, None if options.dtype == "auto" else getattr(torch, options.dtype))


def refined(judge: LossNetwork, options: argparse.Namespace, content: Picture, look: Look) -> Tensor:
    """`content` refined as the options say, with a bar of its own."""
    start = None if options.start is None else resize(read_picture(Path(options.start)).rgb, content.rgb.shape[-2:])
    with tqdm(desc="refining", unit="step", leave=False, disable=options.quiet or None) as bar:
        return refine(judge, content, look, Finish(options.refine, options.style_weight), start=start, progress=_onto(bar))


def _onto(bar: tqdm) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return progress

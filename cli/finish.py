"""`--refine`: pictures finished by descending on their pixels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import get_args

from torch import Tensor
from tqdm import tqdm

from ..adain.errors import ImageError
from ..adain.look import Look
from ..adain.media.images import Picture, read_picture
from ..adain.refine import Finish, Quality, refine
from ..adain.resample import resize
from ..weights.loss_network import JUDGE, load_judge
from .messages import onto
from .options import above_zero, path, wanted_dtype


def add_finish(command: argparse.ArgumentParser, quality: str | None = None) -> None:
    """The options that a `Finisher` looks at; pictures are refined to `quality` if nothing is said (None: not at all)."""
    group = command.add_argument_group("refining", "finish each picture by descending on its pixels: better strokes, minutes each on a CPU")
    group.add_argument("--refine", choices=get_args(Quality), default=quality, help=f"how far (default: {quality or 'not at all'})")
    group.add_argument(
        "--style-weight", type=above_zero, help=f"how much the style counts against the picture (default {Finish.style_weight:g})"
    )
    group.add_argument("--start", type=path, metavar="FILE", help="what to begin with (default: the picture in the style's colours)")
    group.add_argument("--judge", type=path, help=f"VGG-19, a file or an id of `adain models` (default {JUDGE})")


class Finisher:
    """The loss network, downloaded on first use, and how pictures are refined by it."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Raises ImageError for a start that cannot be read."""
        self.judge = load_judge(options.judge or JUDGE, options.device, wanted_dtype(options))
        self._finish = Finish(options.refine, options.style_weight or Finish.style_weight)
        self._start, self._name = None if options.start is None else read_picture(options.start).rgb, options.start
        self._quiet = options.quiet

    @staticmethod
    def of(options: argparse.Namespace) -> Finisher | None:
        """None if nothing is refined. Raises ImageError for options that say nothing then, or nothing about what is refined."""
        if options.refine:
            if options.resume:
                raise ImageError("--resume goes on with very large pictures, and those cannot be refined. Leave it out.")
            return Finisher(options)
        if given := [f"--{name}" for name in ("style-weight", "start", "judge") if getattr(options, name.replace("-", "_"))]:
            belong = f"{' and '.join(given)} {'belongs' if len(given) == 1 else 'belong'} to refining"
            raise ImageError(f"{belong}, but nothing is refined. Add --refine, or use `adain refine`.")
        return None

    def __call__(self, content: Picture, look: Look) -> Tensor:
        """`content` refined, with a bar of its own. Raises ImageError if the start has another shape."""
        size = content.rgb.shape[-2:]
        if self._start is not None and not _alike(self._start.shape[-2:], size):
            (height, width), (rows, columns) = self._start.shape[-2:], size
            raise ImageError(
                f"{self._name} has {width} x {height} pixels and would be stretched to begin a picture of {columns} x {rows}. "
                "Give a --start of the picture's own shape."
            )
        start = None if self._start is None else resize(self._start, size)
        with tqdm(desc="refining", unit="step", leave=False, disable=self._quiet or None) as bar:
            return refine(self.judge, content, look, self._finish, start=start, progress=onto(bar))


def _alike(size: Sequence[int], other: Sequence[int]) -> bool:
    """Whether pictures of these sizes (height, width) have one shape, but for a pixel of rounding."""
    scale = min(b / a for a, b in zip(size, other, strict=True))
    return all(abs(a * scale - b) <= max(1.0, scale) for a, b in zip(size, other, strict=True))

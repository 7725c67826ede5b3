"""A video in the colours of a picture: one and the same change in every frame, unless each is asked for, so that nothing flickers."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor
from tqdm import tqdm

from ..adain.errors import ImageError, StyleError, VideoError, counted
from ..adain.grading import ColorMatch, Colors
from .clips import ENCODING, asked_to_stop, check_clip, write_clip
from .grading import Request
from .options import make_folder

if TYPE_CHECKING:
    from ..adain.media.video_files.convert import Frame

# PyAV is imported inside: it is an extra.


def grade_clip(request: Request) -> int:
    """Write the one video that is given in the colours of the reference; the exit code."""
    options = argparse.Namespace(**vars(request.options), input=request.options.content[0])
    each = options.statistics == "each"
    if options.skip_existing:
        raise ImageError(f"--skip-existing is for pictures, and {options.input} is a video. Leave it out.")
    if options.lut and each:
        raise StyleError("--lut holds one change of colours, but each frame gets its own. Give --statistics all or one.")
    check_clip(options)
    make_folder(Path(options.output).parent)
    mask: Tensor | None = None

    def seen(frame: Frame) -> Tensor | None:
        nonlocal mask
        if mask is None and request.mask is not None:  # now the size is known
            mask = request.where(frame.image.shape[-2:])
        return frame.visible(mask)

    def paint(shown: Iterator[Frame]) -> Iterator[Tensor]:
        for frame in shown:
            where = seen(frame)
            grade = shared or request.grade(request.match.measure(frame.image, where))
            yield grade(frame.image, where)

    with asked_to_stop() as stopped:
        shared = None if each else request.grade(_measured(options, request.match, seen, stopped))
        if shared:
            request.save_lut(shared)
        return write_clip(options, paint, _settings(options), stopped)


def _measured(clip: argparse.Namespace, match: ColorMatch, seen: Callable[[Frame], Tensor | None], stopped: threading.Event) -> Colors:
    """The colours of all frames together, or with --statistics one of that one."""
    from ..adain.media.video_files.convert import frames

    only = (clip.frame or 0) if clip.statistics == "one" else None
    found: Colors | None = None
    count = 0
    with tqdm(desc="measuring", unit="frame", disable=None) as bar:
        for frame in frames(clip.input):
            bar.update()
            count += 1
            if stopped.is_set():
                raise KeyboardInterrupt
            if only in (None, frame.index):
                own = match.measure(frame.image, seen(frame))
                found = own if found is None else Colors.pooled([found, own])
            if frame.index == only:
                break
    if found is None:
        raise VideoError(f"There is no frame {only}: {clip.input} has {counted(count, 'frame')}, counted from 0. Choose one with --frame.")
    return found


def _settings(clip: argparse.Namespace) -> str:
    """All that the pictures and their encoding depend on: what a resumed run must have in common with the one before."""
    names = ("reference", "method", "space", "strength", "statistics", "frame", "reference_mask")
    masks = ("mask", "invert_mask", "grow", "feather")
    return json.dumps({name: getattr(clip, name) for name in (*names, *masks, *ENCODING)}, sort_keys=True)

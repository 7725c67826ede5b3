"""What the commands that write videos have in common: their encoding, what they must not write over, and Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..adain.errors import VideoError
from .messages import say, tell
from .options import add_overwrite
from .targets import check_new

if TYPE_CHECKING:
    from ..adain.media.video_files.convert import Paint

# PyAV is imported inside: it is an extra.

ENCODING = ("codec", "crf", "preset", "pixel_format")
"""The options that make an `Encoding`, in its order."""


def add_clip_options(command: argparse.ArgumentParser) -> None:
    """How a video is encoded, and what is done about files that are there already."""
    group = command.add_argument_group("encoding")
    group.add_argument(
        "--codec", default="", help="an encoder of FFmpeg: libx264, libx265, libvpx-vp9, libsvtav1, ffv1, ... (default: by OUT)"
    )
    group.add_argument("--crf", type=float, help="constant rate factor: lower is better and larger (default: visually lossless)")
    group.add_argument("--preset", default="", help="the encoder's speed, such as fast or slow (default for libx264: veryfast)")
    group.add_argument("--pixel-format", default="", help="such as yuv420p or yuv444p10le (default: the video's)")
    command.add_argument("--resume", action="store_true", help="go on with what an interrupted run has left")
    add_overwrite(command)


def check_clip(options: argparse.Namespace) -> None:
    """Raise an error unless OUT says what to write, and nothing that is there already is written over without being asked for."""
    from ..adain.media.video_files.convert import partial_of

    output = Path(options.output)
    partial = partial_of(output)
    if not output.suffix:
        raise VideoError(f"{output} has no extension that would say what to write. Give a name that ends in .mp4, .mkv, .mov or .webm.")
    if options.overwrite and options.resume:
        raise VideoError("--overwrite begins anew, --resume goes on. Leave one of them out.")
    check_new(output, options.overwrite, [options.input])
    if os.path.exists(partial) and not (options.resume or options.overwrite):
        raise VideoError(f"An interrupted run has left {partial}. Give --resume to go on with it, or --overwrite to begin anew.")


def write_clip(options: argparse.Namespace, paint: Paint, settings: str, stopped: threading.Event, warmup: int = 0) -> int:
    """Write the video IN, its frames painted, to OUT; the exit code. The rest is as for `convert`, until `stopped` is set."""
    from ..adain.media.video_files.convert import Encoding, convert, partial_of

    output, finished = Path(options.output), 0
    with tqdm(unit="frame", disable=None) as bar:

        def progress(done: int, total: int) -> None:
            nonlocal finished
            finished = done  # a bar that is not shown does not count
            if bar.total is None:
                bar.total, bar.n, bar.initial = total or None, done, done  # after --resume only the rest counts for the rate
            bar.update(done - bar.n)
            if stopped.is_set():
                raise KeyboardInterrupt

        try:
            convert(
                options.input,
                output,
                paint,
                encoding=Encoding(*(getattr(options, name) for name in ENCODING)),
                settings=settings,
                resume=options.resume,
                warmup=warmup,
                report=tell,
                progress=progress,
            )
        except KeyboardInterrupt:
            kept = f"; they can be played in {partial_of(output)}, and --resume goes on from there" if finished else ""
            tell(f"stopped after {finished} frames{kept}")
            return 1
    say(output.resolve())
    return 0


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that the frame at hand is finished; the second one interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)

"""The command on video: `adain video`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from torch import Tensor
from tqdm import tqdm

from ..adain.color import ColorMode
from ..adain.errors import ImageError, KeyframeError, StyleError, VideoError, reason
from ..adain.look import Look
from ..adain.media.images import read_mask
from ..adain.style import Style
from ..adain.temporal import Shots, Stability, Task, measure_shots, paint_frames
from ..adain.video.keyframes import Keyframes, StyleTrack
from .clips import ENCODING, add_clip_options, asked_to_stop, check_clip, write_clip
from .options import (
    add_mask,
    add_model_options,
    add_style_size,
    double_share,
    expand_styles,
    load_model,
    make_folder,
    mask_edit,
    numbers,
    path,
    read_style,
    share,
    size,
)

if TYPE_CHECKING:
    from ..adain.media.video_files.convert import Frame

# PyAV is imported inside the command: it is an extra.


def _video(options: argparse.Namespace) -> int:
    from ..adain.media.video_files.convert import frames

    output = Path(options.output)
    check_clip(options)
    stability = _stability(options)
    keyframes = _keyframes(options.keyframes) if options.keyframes else None
    if keyframes and keyframes.weights and options.weights:
        raise StyleError("Both --weights and the keyframes give weights. Leave one of them out.")
    mask, edit = read_mask(options.mask) if options.mask else None, mask_edit(options)
    if mask is not None and not (mask.any() or edit.invert):
        raise ImageError(f"{options.mask} is black everywhere, so nothing would be painted. Paint in white where the style applies.")
    model = load_model(options)
    styles = [read_style(name, model, options.style_size).to(model.device) for name in expand_styles(options.style)]
    track = StyleTrack(styles, keyframes) if keyframes else None
    fixed = Style.blend(styles, options.weights) if len(styles) > 1 else styles[0]
    make_folder(output.parent)

    def tasks(shown: Iterable[Frame]) -> Iterator[Task]:
        plane: Tensor | None = None
        for frame in shown:
            if mask is not None and plane is None:  # now the size is known
                plane = edit.checked(mask, frame.image.shape[-2:])
            style, strength = track.at(frame.index, frame.seconds, options.strength) if track else (fixed, options.strength)
            look = Look.of(style, strength=strength, mask=frame.visible(plane), color=options.color)
            yield Task(frame.image, frame.index, look, frame.painted)

    by_shot = options.moments == "shot"
    with asked_to_stop() as stopped:

        def measured() -> Shots:
            with tqdm(desc="measuring", unit="frame", disable=None) as measuring:

                def counted() -> Iterator[Task]:
                    for task in tasks(frames(options.input)):
                        measuring.update()
                        if stopped.is_set():
                            raise KeyboardInterrupt
                        yield task

                return measure_shots(model, counted, chunk=options.batch)

        def paint(shown: Iterator[Frame]) -> Iterator[Tensor]:
            shots = measured() if by_shot else None  # here, so that what cannot be done is found out before
            yield from paint_frames(model, tasks(shown), stability, chunk=options.batch, shots=shots)

        return write_clip(options, paint, _settings(options, model.fingerprint), stopped, stability.warmup)


def _stability(options: argparse.Namespace) -> Stability:
    """How frames are held together. Raises VideoError for options that would change nothing; fills in what was not given."""
    unused = {"window": (), "shot": ("radius",), "frame": ("radius", "hold", "flow")}[options.moments]
    if given := [f"--{name}" for name in unused if getattr(options, name)]:
        raise VideoError(f"--moments {options.moments} makes no use of {' and '.join(given)}. Leave one or the other out.")
    defaults = Stability()
    options.radius = defaults.radius if options.radius is None else options.radius
    options.hold = defaults.hold if options.hold is None else options.hold
    if options.moments == "frame":
        return Stability(0, 0)
    return Stability(0 if options.moments == "shot" else options.radius, options.hold, options.flow)


def _keyframes(path: str) -> Keyframes:
    try:
        return Keyframes.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise KeyframeError(f"The keyframes {path} cannot be read ({reason(error)}). Give a text file with one keyframe a line.") from error
    except KeyframeError as error:
        raise KeyframeError(f"{path}: {error}") from error


def _settings(options: argparse.Namespace, fingerprint: str) -> str:
    """All that the pictures and their encoding depend on: what a resumed run must have in common with the one before."""
    names = ("style", "weights", "strength", "color", "style_size", "dtype", "moments", "radius", "hold", "flow")
    masks = ("mask", "invert_mask", "grow", "feather")
    values: dict[str, Any] = {name: getattr(options, name) for name in (*names, *masks, *ENCODING)}
    values["keyframes"] = Path(options.keyframes).read_text(encoding="utf-8") if options.keyframes else None
    return json.dumps({**values, "model": fingerprint[:12]}, sort_keys=True)


class _Refused(argparse.Action):
    """An option of stills."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.error("--refine is for pictures: every refined frame finds strokes of its own, so a video would flicker; leave it out")


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_video)
    command.add_argument("input", type=path, metavar="IN", help="a video file")
    command.add_argument(
        "-o", "--output", type=path, required=True, metavar="OUT", help="a file that ends in .mp4, .mkv, .mov, .webm or the like"
    )
    command.add_argument(
        "--style", type=path, action="append", required=True, help="an image, a folder, a saved style or a preset; several are blended"
    )
    command.add_argument("--weights", type=numbers, metavar="W,W,...", help="weights of the blended styles (default: equal)")
    command.add_argument(
        "--strength", type=double_share, default=1.0, help="0 (the video itself) to 1 (full style, default) to 2 (bolder strokes)"
    )
    command.add_argument(
        "--keyframes",
        type=path,
        metavar="FILE",
        help="strength and weights over time: lines such as `2s strength=1 weights=1,0 smooth` (see docs)",
    )
    command.add_argument("--color", choices=get_args(ColorMode), default="style", help="whose colours, as for stylize")
    command.add_argument("--refine", nargs="?", action=_Refused, help=argparse.SUPPRESS)
    add_mask(command, "white where the style applies, in every frame")
    add_style_size(command)
    group = command.add_argument_group("stability")
    group.add_argument(
        "--moments",
        choices=("window", "shot", "frame"),
        default="window",
        help="the statistics of a frame, its colours and contrasts: averaged with those of its neighbours (default), shared by all frames "
        "between two cuts (reads the video three times), or each frame's own, without any stability",
    )
    defaults = Stability()
    group.add_argument("--radius", type=size, help=f"frames on either side of the window, default {defaults.radius}")
    group.add_argument(
        "--hold",
        type=share,
        help=f"how much of the previous frame stays where nothing changes, default {defaults.hold}",
    )
    group.add_argument("--flow", action="store_true", help="hold what moves as well, by optical flow (needs opencv-python-headless)")
    add_clip_options(command)
    command.add_argument("--batch", type=size, default=0, help="frames painted together (default: 1 on a CPU, else by their size)")
    add_model_options(command)

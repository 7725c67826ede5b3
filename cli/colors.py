"""`adain colors`: the colours of one picture for others, for a clip without flicker, and as a .cube file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from torch import Tensor

from ..adain.color_spaces import ColorSpace
from ..adain.errors import ImageError, StyleError
from ..adain.grading import ColorMatch, MatchMethod
from ..adain.media.decoding import count_frames, is_known
from ..adain.media.images import EXTENSIONS, WRITTEN, read_mask, read_picture
from .clips import add_clip_options
from .graded_clip import grade_clip
from .graded_pictures import grade_pictures
from .grading import Request, seen
from .options import add_mask, double_share, index, make_folder, mask_edit, path, percent
from .targets import check_extension, check_new

_ANIMATED = frozenset({".gif", ".webp", ".png"})
"""Extensions of image files that may hold a clip."""

_EXAMPLES = """\
examples:
  adain colors photo.jpg --reference painting.jpg -o graded.png
  adain colors photos/ --reference painting.jpg --statistics all -o graded/ --lut look.cube
  adain colors clip.mp4 --reference painting.jpg --space lab -o graded.mp4
  ffmpeg -i clip.mp4 -vf lut3d=look.cube graded.mp4"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_colors)
    command.epilog = _EXAMPLES
    command.add_argument("content", nargs="+", type=path, metavar="IN", help="image files, patterns or folders to walk; or one video")
    command.add_argument("--reference", type=path, required=True, metavar="PICTURE", help="the image whose colours are wanted")
    command.add_argument(
        "-o", "--output", type=path, required=True, metavar="OUT", help="a file, or a folder for IN__PICTURE.png; sub-folders are kept"
    )
    command.add_argument(
        "--method",
        choices=get_args(MatchMethod),
        default="covariance",
        help="covariance (default): hues turn too; channels: milder; chroma: light and dark stay; histogram: the whole distribution",
    )
    command.add_argument(
        "--space", choices=get_args(ColorSpace), default="rgb", help="in what colours are measured and moved (default rgb)"
    )
    command.add_argument(
        "--strength", type=double_share, default=1.0, help="0 (the picture itself) to 1 (the reference's colours, default) to 2 (beyond)"
    )
    command.add_argument(
        "--statistics",
        choices=("each", "all", "one"),
        help="what is measured: each picture or frame by itself (default for pictures), all together, which makes one and the same change "
        "everywhere (default for videos: no flicker), or the one that --frame names",
    )
    command.add_argument("--frame", type=index, metavar="N", help="the picture or frame of --statistics one, counted from 0 (default 0)")
    add_mask(command, "white on what is measured and changed; elsewhere pictures stay as they are")
    command.add_argument("--reference-mask", type=path, metavar="FILE", help="white on the part of the reference whose colours are wanted")
    command.add_argument("--lut", type=path, metavar="FILE.cube", help="write the change of colours for FFmpeg, DaVinci Resolve and others")
    group = command.add_argument_group("pictures")
    group.add_argument("--skip-existing", action="store_true", help="make only what is not there yet")
    group.add_argument(
        "--format", choices=("png", "jpg", "webp", "tif", "bmp"), default="png", help="of what goes to a folder (default png)"
    )
    group.add_argument("--quality", type=percent, default=95, help="1 to 100, of JPEG and WebP (default 95)")
    add_clip_options(command)


def _colors(options: argparse.Namespace) -> int:
    if options.frame is not None and options.statistics != "one":
        raise StyleError("--frame names the one that is measured, but more are. Give --statistics one too, or leave it out.")
    match = ColorMatch(options.method, options.space, options.strength)
    edit = mask_edit(options)
    _check_lut(options)
    picture = read_picture(options.reference)
    reference = match.measure(picture.rgb, seen(picture, _mask(options.reference_mask)))
    if reference.empty:
        raise ImageError(
            f"Nothing of {options.reference} counts: its mask is black, or all of it transparent. Paint in white what is wanted."
        )
    mask = _mask(options.mask)
    if mask is not None and not (mask.any() or edit.invert):
        raise ImageError(f"{options.mask} is black everywhere, so nothing would change. Paint in white where colours are to change.")
    request = Request(options, match, reference, mask, edit)
    clips = [name for name in options.content if _is_clip(Path(name), Path(options.output))]
    if clips and len(options.content) > 1:
        raise ImageError(f"{clips[0]} is a video, and videos are graded one at a time. Give it alone.")
    return grade_clip(request) if clips else grade_pictures(request)


def _mask(name: str | None) -> Tensor | None:
    return read_mask(name) if name else None


def _check_lut(options: argparse.Namespace) -> None:
    if options.lut:
        lut = Path(options.lut)
        check_extension(lut, {".cube"}, option="--lut")
        check_new(lut, options.overwrite, option="--lut")
        make_folder(lut.parent, "--lut")


def _is_clip(source: Path, output: Path) -> bool:
    """Whether `source` is a video, or an animation that `output` can hold."""
    kind = source.suffix.lower()
    if not source.exists():
        return bool(kind) and kind not in EXTENSIONS and output.suffix.lower() not in WRITTEN
    if kind in _ANIMATED and source.is_file():
        holds = output.suffix.lower() in (".gif", ".webp") or output.suffix.lower() not in ("", *WRITTEN)
        return holds and count_frames(source) > 1
    return source.is_file() and kind not in EXTENSIONS and not is_known(source)

"""Pictures in the colours of another, from files to files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from ..adain.errors import ImageError, StyleError, counted
from ..adain.grading import Colors
from ..adain.media.decoding import count_frames
from ..adain.media.images import OPAQUE, Picture, read_picture, write_picture
from .clips import ENCODING
from .failures import Failures
from .grading import Request, seen
from .inputs import Walk, find_images
from .messages import say, tell
from .options import make_folder
from .targets import Target, choose, names_a_file, plan


def grade_pictures(request: Request) -> int:
    """Write every picture in the colours of the reference; the exit code. One that fails does not end the run."""
    options = request.options
    found, targets = _planned(request)
    failures = Failures(found.closed, options.debug)
    make_folder(Path(options.output).parent if names_a_file(options.output) else Path(options.output))
    shared = None
    if options.statistics in ("all", "one") or options.lut:
        shared = request.grade(_measured(request, [picture.path for picture in found.pictures]))
        request.save_lut(shared)
    with tqdm(total=len(targets), unit="picture", disable=None) as bar:
        for target in targets:
            with failures.counted(1):
                picture = read_picture(target.content)
                if (frames := count_frames(target.content)) > 1:
                    tell(f"{target.content} has {frames} frames or pages, of which the first is taken")
                where = request.where(picture.rgb.shape[-2:])
                grade = shared or request.grade(request.match.measure(picture.rgb, seen(picture, where)))
                # What was free when the run began may have been made by another process.
                if choose([target], (), overwrite=options.overwrite, skip_existing=options.skip_existing):
                    _write(target, picture, grade(picture.rgb, where), options.quality)
                    bar.update()
    return 1 if failures.count else 0


def _planned(request: Request) -> tuple[Walk, list[Target]]:
    """The pictures, and those of them to make. Raises an error for what cannot be done, before anything is."""
    options = request.options
    given = [f"--{name.replace('_', '-')}" for name in (*ENCODING, "resume") if getattr(options, name)]
    if given:
        raise ImageError(f"{options.content[0]} is no video, for which {' and '.join(given)} would be. Leave that out.")
    output = Path(options.output)
    found = find_images(options.content, output.parent if names_a_file(options.output) else output)
    count = len(found.pictures)
    if options.lut and options.statistics not in ("all", "one") and count > 1:
        raise StyleError(f"--lut holds one change of colours, but each of {count} pictures gets its own. Give --statistics all or one.")
    if options.statistics == "one" and (options.frame or 0) >= count:
        raise ImageError(
            f"There is no picture {options.frame}: {counted(count, 'picture')} given, counted from 0. Choose one with --frame."
        )
    named = [options.reference, *filter(None, [options.mask, options.reference_mask])]
    targets = plan(found.pictures, [[options.reference]], options.output, f".{options.format}")
    inputs = [*(str(picture.path) for picture in found.pictures), *named]
    return found, choose(targets, inputs, overwrite=options.overwrite, skip_existing=options.skip_existing)


def _measured(request: Request, paths: list[Path]) -> Colors:
    """The colours of the pictures at `paths` together, but for those that cannot be read; with --statistics one of that one."""
    if request.options.statistics == "one":
        return _colors_of(request, paths[request.options.frame or 0])
    parts: list[Colors] = []
    for path in paths:
        with suppress(ImageError):  # told when its turn has come
            parts.append(_colors_of(request, path))
    if not parts:
        raise ImageError(f"Of {counted(len(paths), 'picture')} none can be read, so there is nothing to measure. Try them one by one.")
    return Colors.pooled(parts) if len(parts) > 1 else parts[0]


def _colors_of(request: Request, path: Path) -> Colors:
    picture = read_picture(path)
    return request.match.measure(picture.rgb, seen(picture, request.where(picture.rgb.shape[-2:])))


def _write(target: Target, picture: Picture, rgb: Tensor, quality: int) -> None:
    make_folder(target.output.parent)
    write_picture(target.output, rgb, picture.alpha, picture.metadata, quality)
    if picture.alpha is not None and target.output.suffix.lower() in OPAQUE:
        tell(f"{target.output} is opaque, unlike {target.content}: {target.output.suffix} files hold no transparency")
    say(target.output.resolve())

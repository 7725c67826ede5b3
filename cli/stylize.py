"""`adain stylize`: pictures in a style, from files to files."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, get_args

from torch import Tensor
from tqdm import tqdm

from ..adain.color import ColorMode
from ..adain.errors import ImageError, StyleError
from ..adain.look import Look
from ..adain.loss_network import LossNetwork
from ..adain.media.decoding import count_frames
from ..adain.media.images import OPAQUE, Picture, read_mask, read_picture, write_picture
from ..adain.model import StyleTransferModel
from ..adain.resample import at_short_side
from ..adain.style import Style
from ..adain.stylize import stylize
from ..adain.tiling.large import Request, check_format, is_large, stylize_file
from ..adain.tiling.workspace import left_over
from .failures import Failures
from .finish import Finisher, add_finish
from .inputs import find_images
from .messages import onto, say, tell
from .options import (
    add_mask,
    add_model_options,
    add_overwrite,
    add_style_size,
    count,
    double_share,
    expand_styles,
    load_model,
    make_folder,
    mask_edit,
    numbers,
    path,
    percent,
    read_style,
    size,
)
from .targets import Target, choose, names_a_file, plan

_EXAMPLES = """\
examples:
  adain stylize photo.jpg --style great-wave -o painted.png
  adain stylize photos/ --style painting.jpg -o painted/ --skip-existing
  adain stylize photo.jpg --style a.jpg --style b.jpg --weights 1,0.5 --strength 0.7 -o blend.png
  adain stylize photo.jpg --style great-wave --refine good -o finished.png
  adain stylize photos/ --style paintings/ --pairs --format jpg --quality 90 -o painted/
  adain stylize --style venice -o painted.png -- -a-name-with-a-dash.jpg"""


def add_arguments(command: argparse.ArgumentParser, refine: str | None = None) -> None:
    """`refine` is how far pictures are refined if nothing is said."""
    command.set_defaults(run=_stylize)
    command.epilog = _EXAMPLES
    command.add_argument("content", nargs="+", type=path, metavar="PICTURE", help="image files, patterns, or folders to walk")
    command.add_argument(
        "--style",
        type=path,
        action="append",
        required=True,
        help="an image, a folder, a saved style or a preset (`adain styles` lists them); several are blended, or see --pairs",
    )
    command.add_argument(
        "-o", "--output", type=path, required=True, metavar="OUT", help="a file, or a folder for PICTURE__STYLE.png; sub-folders are kept"
    )
    existing = command.add_mutually_exclusive_group()
    add_overwrite(existing)
    existing.add_argument("--skip-existing", action="store_true", help="paint only what is not there yet")
    command.add_argument(
        "--format", choices=("png", "jpg", "webp", "tif", "bmp"), default="png", help="of what goes to a folder (default png)"
    )
    command.add_argument("--weights", type=numbers, metavar="W,W,...", help="weights of the blended styles (default: equal)")
    command.add_argument("--pairs", action="store_true", help="paint every picture in every style instead of blending the styles")
    command.add_argument(
        "--strength", type=double_share, default=1.0, help="0 (the picture itself) to 1 (full style, default) to 2 (bolder strokes)"
    )
    command.add_argument(
        "--color", choices=get_args(ColorMode), default="style", help="whose colours: the style's, or the picture's, kept or matched"
    )
    add_mask(command, "white where the style applies; elsewhere pictures stay as they are")
    command.add_argument("--size", type=size, default=0, help="scale pictures to this short side in pixels first (0: as they are)")
    command.add_argument("--batch", type=count, default=1, help="pictures of equal size painted together (default 1)")
    command.add_argument("--resume", action="store_true", help="go on with a very large picture that was interrupted")
    command.add_argument("--quality", type=percent, default=95, help="1 to 100, of JPEG and WebP (default 95)")
    command.add_argument("--quiet", action="store_true", help="no progress bar, and no names of what was painted")
    add_style_size(command)
    add_model_options(command)
    add_finish(command, refine)


def _stylize(options: argparse.Namespace) -> int:
    if options.pairs and options.weights:
        raise StyleError("--weights blends styles into one, --pairs keeps them apart. Leave one of them out.")
    # Everything that can be wrong with the request is found out before the first picture is painted.
    output = Path(options.output)
    folder = output.parent if names_a_file(options.output) else output
    contents, closed = find_images(options.content, folder)
    names = expand_styles(options.style, folder)
    blends = [[name] for name in names] if options.pairs else [names]
    targets = plan(contents, blends, options.output, f".{options.format}")
    inputs = [*(str(content.path) for content in contents), *names, *filter(None, [options.mask, options.start])]
    targets = choose(targets, inputs, overwrite=options.overwrite, skip_existing=options.skip_existing)
    failures = Failures(closed, options.debug)
    huge = set[Path]()
    if not options.size:  # what is scaled down is read whole first
        huge = {path for path in dict.fromkeys(target.content for target in targets) if is_large(path)}
    large = [target for target in targets if target.content in huge]
    small = [target for target in targets if target.content not in huge]
    _check_large(large, options)
    mask, edit = read_mask(options.mask) if options.mask and small else None, mask_edit(options)
    model, finish = load_model(options), Finisher.of(options)
    styles = _read_styles(names, options, (model, finish and finish.judge), targets, failures)
    if styles:
        make_folder(folder)

    for target in large:
        if target.style in styles:
            with failures.counted(1):
                if _is_free(target, options):
                    _stylize_large(options, model, target, styles[target.style])
    with tqdm(total=len(small), unit="picture", disable=options.quiet or None) as bar:
        for group in _batches([target for target in small if target.style in styles], options, failures):
            for index in sorted({target.style for loaded in group for target in loaded.targets}):
                wanted = [(loaded, target) for loaded in group for target in loaded.targets if target.style == index]
                painted: Iterable[Tensor] = ()
                with failures.counted(len(wanted)):
                    contents = Picture.batch([loaded.picture for loaded, _ in wanted])
                    where = None if mask is None else edit.checked(mask, contents.rgb.shape[-2:])
                    look = {"strength": options.strength, "mask": where, "color": options.color}
                    if finish is None:
                        painted = stylize(model, contents, styles[index], chunk=options.batch, **look)
                    else:
                        painted = finish(contents, Look.of(styles[index], **look))
                for (loaded, target), rgb in zip(wanted, painted, strict=False):  # none at all if that failed
                    with failures.counted(1):
                        if not _is_free(target, options):
                            continue
                        make_folder(target.output.parent)
                        write_picture(target.output, rgb[None], loaded.picture.alpha, loaded.picture.metadata, options.quality)
                        if loaded.picture.alpha is not None and target.output.suffix.lower() in OPAQUE:
                            tell(f"{target.output} is opaque, unlike {target.content}: {target.output.suffix} files hold no transparency")
                        _announce(options, target)
                        bar.update()
    return 1 if failures.count else 0


def _check_large(targets: Sequence[Target], options: argparse.Namespace) -> None:
    for target in targets:
        if options.refine:
            raise ImageError(f"{target.content} is too large to be refined. Scale it down with --size, or paint it without --refine.")
        check_format(target.content, target.output)
        if left_over(target.output) and not (options.resume or options.overwrite):
            raise ImageError(
                f"A painting of {target.output} was interrupted. Give --resume to go on with it, or --overwrite to begin anew."
            )


def _is_free(target: Target, options: argparse.Namespace) -> bool:
    """Whether `target`, which was to be painted when the run began, still is. Raises ImageError if another process was quicker."""
    return bool(choose([target], (), overwrite=options.overwrite, skip_existing=options.skip_existing))


def _stylize_large(options: argparse.Namespace, model: StyleTransferModel, target: Target, style: Style) -> None:
    look = Look.of(style, strength=options.strength, color=options.color)
    request = Request(look, Path(options.mask) if options.mask else None, options.quality, mask_edit(options))
    make_folder(target.output.parent)
    with tqdm(desc=target.content.name, unit="tile", disable=options.quiet or None) as bar:
        try:
            stylize_file(model, target.content, target.output, request, options.resume, onto(bar))
        except KeyboardInterrupt:
            tell("to go on from here later, give the same command with --resume")
            raise
    _announce(options, target)


def _announce(options: argparse.Namespace, target: Target) -> None:
    if not options.quiet:
        say(target.output.resolve())


# Inputs


_Networks: TypeAlias = tuple[StyleTransferModel, LossNetwork | None]
"""The model that paints and, if pictures are refined, the network that judges."""


class _Loaded(NamedTuple):
    targets: Sequence[Target]
    picture: Picture


def _batches(targets: Sequence[Target], options: argparse.Namespace, failures: Failures) -> Iterator[list[_Loaded]]:
    """The contents of `targets` in groups of up to --batch of equal size."""
    of_content: dict[Path, list[Target]] = {}
    for target in targets:
        of_content.setdefault(target.content, []).append(target)
    group: list[_Loaded] = []
    for own in of_content.values():
        loaded = None
        with failures.counted(len(own)):
            loaded = _load(own, options.size)
        if loaded is None:
            continue
        if group and (len(group) == options.batch or group[0].picture.rgb.shape != loaded.picture.rgb.shape):
            yield group
            group = []
        group.append(loaded)
    if group:
        yield group


def _load(targets: Sequence[Target], size: int) -> _Loaded:
    path = targets[0].content
    picture = read_picture(path)
    if (frames := count_frames(path)) > 1:
        tell(f"{path} has {frames} frames or pages, of which the first is painted (`adain video` takes animations)")
    return _Loaded(targets, picture.resized(at_short_side(picture.rgb.shape[-2:], size)))


def _read_styles(
    names: Sequence[str], options: argparse.Namespace, networks: _Networks, targets: Sequence[Target], failures: Failures
) -> dict[int, Style]:
    """The styles by the index that targets have: one blend of all, or with --pairs each of `names` that can be read."""
    model, judge = networks
    if not options.pairs:
        styles = [read_style(name, model, options.style_size, judge) for name in names]
        return {0: styles[0] if len(styles) == 1 and not options.weights else Style.blend(styles, options.weights)}
    found: dict[int, Style] = {}
    for i, name in enumerate(names):
        if wanted := sum(target.style == i for target in targets):
            with failures.counted(wanted):
                found[i] = read_style(name, model, options.style_size, judge)
    return found

"""Score a model, or a folder of pictures that another made, by the paper's losses and more.

    adain-evaluate MODEL --content PHOTOS --style ARTWORKS --loss-network vgg-normalised [--sizes 256 512 1024] [--out FOLDER]
    adain-evaluate FOLDER ...                   of pictures named CONTENT__STYLE.png, as `adain stylize --pairs` writes them

Every content is painted in every style, both scaled to each of the sizes, and scored at 512 pixels: a model that works
only at the size of its training shows. Contents and styles are files or folders. With --out the folder gets scores.json
and a contact sheet for each size.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from ..adain.errors import AdaINError, ImageError
from ..adain.media.contact_sheet import contact_sheet
from ..adain.media.images import read_picture, write_picture
from ..adain.model import StyleTransferModel
from ..adain.resample import resize
from ..adain.stylize import stylize
from ..weights import load_model
from ..weights.loading import weights_path
from ..weights.loss_network import read_loss_network
from .data import find_images
from .flicker import film
from .metrics import Judge, Scores, eight_bit

SCORED = 512
"""The short side in pixels at which pictures are scored; contents are scaled to it, styles are scored as they are."""

Painter = Callable[[Tensor], Callable[[Tensor], Tensor]]
"""Takes a style picture [1, 3, h, w] and returns what paints contents [1, 3, H, W] in it; all in 0..1."""


class Pair(NamedTuple):
    content: str
    style: str
    scores: Scores


class Report(NamedTuple):
    """What came of one size."""

    pairs: list[Pair]
    flicker: dict[str, float]
    """Temporal consistency by style, see `Clip.flicker`; empty for a folder of pictures."""
    sheet: Tensor

    def table(self) -> list[tuple[str, dict[str, float]]]:
        """Mean scores of each style, and of all."""
        styles = {pair.style: [p.scores for p in self.pairs if p.style == pair.style] for pair in self.pairs}
        rows = [(name, mean(scores) | self._flicker([name])) for name, scores in styles.items()]
        return [*rows, (f"all {len(self.pairs)}", mean([pair.scores for pair in self.pairs]) | self._flicker(list(styles)))]

    def _flicker(self, styles: Sequence[str]) -> dict[str, float]:
        values = [self.flicker[name] for name in styles if name in self.flicker]
        return {"flicker": sum(values) / len(values)} if values else {}


class Evaluation:
    """Contents and styles, measured once by `judge`, against which pictures are scored."""

    def __init__(self, judge: Judge, contents: Sequence[Path], styles: Sequence[Path], cell: int = 160) -> None:
        self._judge, self._cell = judge, cell
        self._files = {"content": _by_name(contents), "style": _by_name(styles)}
        self._contents = {name: judge.content(_read(path, SCORED)) for name, path in self._files["content"].items()}
        self._styles = {name: judge.style(_read(path)) for name, path in self._files["style"].items()}

    def of_painter(self, painter: Painter, size: int = SCORED, clip: Path | None = None) -> Report:
        """The report on what `painter` makes of contents with a short side of `size`, and of styles scaled likewise.

        `clip` is the photograph that is filmed for temporal consistency (default: the first content).
        """
        contents, styles = self._files["content"], self._files["style"]

        def painting(style: Path) -> Callable[[Tensor], Tensor]:
            return painter(_scaled(_read(style), size / SCORED))

        def pictures() -> Iterator[tuple[str, str, Tensor]]:
            for style, style_file in styles.items():
                paint = painting(style_file)
                for content, content_file in contents.items():
                    yield content, style, paint(_read(content_file, size))

        moving = film(_read(clip or next(iter(contents.values()))), size)
        flicker = {name: moving.flicker(painting(path)) for name, path in tqdm(styles.items(), unit="clip", disable=None)}
        return self._report(pictures(), len(contents) * len(styles), flicker)

    def of_folder(self, folder: Path) -> Report:
        """The report on the files CONTENT__STYLE.png in `folder`. Raises ImageError for names that are no content or style."""
        files = [path for path in find_images(folder) if "__" in path.stem]
        if not files:
            raise ImageError(f"No picture below {folder} is named CONTENT__STYLE.png. Make them with `adain stylize --pairs`.")

        def pictures() -> Iterator[tuple[str, str, Tensor]]:
            for path in files:
                content, _, style = path.stem.partition("__")
                for kind, name in (("content", content), ("style", style)):
                    if name not in self._files[kind]:
                        raise ImageError(f"{path} is of the {kind} {name!r}, which is none of: {', '.join(self._files[kind])}.")
                yield content, style, _read(path)

        return self._report(pictures(), len(files), {})

    def _report(self, pictures: Iterable[tuple[str, str, Tensor]], total: int, flicker: dict[str, float]) -> Report:
        pairs: list[Pair] = []
        thumbnails: dict[tuple[str, str], Tensor] = {}
        for content, style, picture in tqdm(pictures, total=total, unit="picture", disable=None):
            wanted = self._contents[content]
            scored = eight_bit(resize(eight_bit(picture), wanted.image.shape[-2:]))
            pairs.append(Pair(content, style, self._judge.scores(scored, wanted, self._styles[style])))
            thumbnails[content, style] = _scaled(scored, self._cell / max(scored.shape[-2:]))
        return Report(pairs, flicker, self._sheet(thumbnails))

    def _sheet(self, pictures: dict[tuple[str, str], Tensor]) -> Tensor:
        contents = {name: self._contents[name].image for name in self._contents if any(name == content for content, _ in pictures)}
        rows: list[list[Tensor | None]] = [[None, *contents.values()]]
        for name, style in self._styles.items():
            if any(name == painted for _, painted in pictures):
                rows.append([style.image, *(pictures.get((content, name)) for content in contents)])
        return contact_sheet(rows, cell=self._cell)


def model_painter(model: StyleTransferModel) -> Painter:
    def painter(style_picture: Tensor) -> Callable[[Tensor], Tensor]:
        style = model.encode_style(style_picture)
        return lambda content: stylize(model, content, style)

    return painter


def mean(scores: Sequence[Scores]) -> dict[str, float]:
    rows = [dataclasses.asdict(s) for s in scores]
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def _by_name(paths: Sequence[Path]) -> dict[str, Path]:
    """The files by stem, which names pairs. Raises ImageError if two are called the same."""
    named = {path.stem: path for path in paths}
    for path in paths:
        if named[path.stem] != path:
            raise ImageError(f"{path} and {named[path.stem]} have the same name, by which scores are told apart. Rename one.")
    return named


def _read(path: Path, size: int = 0) -> Tensor:
    """The picture at `path`, [1, 3, H, W], with a short side of `size` pixels if given."""
    image = read_picture(path).rgb
    return _scaled(image, size / min(image.shape[-2:])) if size else image


def _scaled(image: Tensor, factor: float) -> Tensor:
    height, width = (max(1, round(n * factor)) for n in image.shape[-2:])
    return resize(image, (height, width))


def _images(names: Sequence[str]) -> list[Path]:
    return [path for name in names for path in (find_images(name) if Path(name).is_dir() else [Path(name)])]


def _print_table(title: str, report: Report) -> None:
    table = report.table()
    columns = list(table[-1][1])
    width = max(len(title), *(len(name) for name, _ in table))
    print(title.ljust(width), *(column.rjust(8) for column in columns))
    for name, values in table:
        print(name.ljust(width), *(f"{values[column]:8.4f}" for column in columns))
    print()


def _as_json(report: Report) -> dict[str, Any]:
    *styles, (_, total) = report.table()
    pairs = [{"content": pair.content, "style": pair.style, **dataclasses.asdict(pair.scores)} for pair in report.pairs]
    return {"all": total, "styles": dict(styles), "pairs": pairs}


def _device(name: str) -> torch.device:
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch: an unknown device, or one that is not there
        raise AdaINError(f"The device {name!r} cannot be used ({str(error).splitlines()[0]}). Try --device cpu.") from error


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) < 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of pixels of at least 16")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    device = _device(options.device)
    judge = Judge(read_loss_network(weights_path(options.loss_network)), device, getattr(torch, options.judge_dtype))
    evaluation = Evaluation(judge, _images(options.content), _images(options.style), options.cell)
    out = Path(options.out) if options.out else None
    if out:
        out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    if options.model and Path(options.model).is_dir():
        reports = iter([("pictures", evaluation.of_folder(Path(options.model)))])
    else:
        painter = model_painter(load_model(options.model, device, torch.float32))
        reports = ((str(size), evaluation.of_painter(painter, size, options.clip)) for size in options.sizes)
    for title, report in reports:
        _print_table(title, report)
        results[title] = _as_json(report)
        if out:
            write_picture(out / f"sheet-{title}.jpg", report.sheet)
            # After each size: the next may take long.
            (out / "scores.json").write_text(json.dumps({"model": options.model or "embedded", "sizes": results}, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="adain-evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "model", nargs="?", help="a model file, an id of `adain models`, or a folder of pictures (default: the embedded model)"
    )
    parser.add_argument("--content", nargs="+", required=True, help="photographs: files, or folders to walk")
    parser.add_argument("--style", nargs="+", required=True, help="artworks: files, or folders to walk")
    parser.add_argument(
        "--loss-network", required=True, help="VGG-19 to relu4_1: a file, or an id of `adain models` such as vgg-normalised"
    )
    parser.add_argument("--sizes", type=_size, nargs="+", default=[SCORED], help="short sides in pixels to paint at (default: 512)")
    parser.add_argument("--clip", type=Path, help="the photograph to film for temporal consistency (default: the first content)")
    parser.add_argument("--out", help="folder for scores.json and the contact sheets")
    parser.add_argument("--cell", type=int, default=160, help="pixels of a picture on the sheets (default: 160)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument(
        "--judge-dtype", choices=("float32", "bfloat16"), default="float32", help="precision of the loss network; bfloat16 is quicker"
    )
    try:
        _run(parser.parse_args(arguments))
    except (AdaINError, OSError) as error:
        print(f"adain-evaluate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("adain-evaluate: stopped", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

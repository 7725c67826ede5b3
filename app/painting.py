"""What the app does with its controls' values: files in, files out. Nothing here knows of gradio."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..adain import Look, Style, StyleError, StyleTransferModel, read_picture, stylize, write_picture
from ..adain.color import ColorMode
from ..adain.loss_network import LossNetwork
from ..adain.media.images import Picture
from ..adain.network import encode_by
from ..adain.refine import Finish, refine
from ..adain.resample import at_short_side
from ..weights import EMBEDDED, load_model, load_preset
from ..weights.catalog import State, default_folder, entries
from ..weights.loss_network import JUDGE, load_judge

Progress = Callable[[float, str], object]
"""Called as `progress(share, what)`; raise from it to stop."""


@dataclass(frozen=True)
class Ingredient:
    """One style of a blend: a picture's or, without a picture, a preset's."""

    picture: Path | None
    preset: str | None
    weight: float


@dataclass(frozen=True)
class Painted:
    """Two PNG files of the same size."""

    before: Path
    after: Path


def model_choices() -> list[tuple[str, str]]:
    """(label, name) of every model that can be had: embedded, in the catalogue, and other files in the models folder."""
    folder = default_folder()
    found = entries(folder)
    listed = [(_label(entry.id, entry.state(folder), entry.bytes), entry.id) for entry in found if entry.architecture]
    made = {entry.output(folder) for entry in found}
    own = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return listed + [(path.name, str(path)) for path in own if path not in made]


def _label(name: str, state: State, size: int) -> str:
    return f"{name} ({state.value}{f', {size / 1e6:.0f} MB' if size else ''})"


def paint(
    content: Path,
    styles: Sequence[Ingredient],
    *,
    strength: float,
    color: ColorMode,
    size: int,
    model: str,
    folder: Path,
    progress: Progress,
    finish: Finish | None = None,
) -> Painted:
    """Paint `content`, its short side scaled down to `size` pixels (0: as it is), in the blend of `styles`, into `folder`.

    With a `finish` it is refined, by a loss network that is downloaded on first use.

    Raises AdaINError (ImageError, StyleError, ModelError) with a sentence, and what `progress` raises.
    """
    if not any(style.weight for style in styles):
        raise StyleError("No style has a weight. Give a picture or a preset, and move its weight above 0.")
    progress(0.0, "Reading the picture")
    picture = _read(content, size)
    progress(0.1, "Loading the model")

    def during(first: float, share: float, what: str) -> Callable[[int, int], None]:
        def told(done: int, total: int) -> None:
            progress(first + share * done / total, what)

        return told

    network = _load(model, during(0.1, 0.2, "Downloading the model"))
    judge = _judge(during(0.3, 0.2, "Downloading VGG-19, which judges what is finished")) if finish else None
    parts: list[Style] = []
    for i, style in enumerate(styles):
        progress(0.5 + 0.1 * i / len(styles), "Reading the styles")
        parts.append(_style(network, judge, style))
    look = Look.of(Style.blend(parts, [style.weight for style in styles]), strength=strength, color=color)
    progress(0.6, "Painting")
    if judge is None:
        painted = stylize(network, picture, look.regions, strength=strength, color=color)
    else:
        painted = refine(judge, picture, look, finish, progress=during(0.6, 0.3, "Finishing"))
    progress(0.9, "Writing the picture")
    result = Painted(folder / "before.png", folder / f"{content.stem}-painted.png")
    write_picture(result.before, picture.rgb, picture.alpha)
    write_picture(result.after, painted, picture.alpha, picture.metadata)
    return result


def _read(path: Path, size: int) -> Picture:
    picture = read_picture(path)
    if not size or size >= min(picture.rgb.shape[-2:]):
        return picture
    return picture.resized(at_short_side(picture.rgb.shape[-2:], size))


def _style(network: StyleTransferModel, judge: LossNetwork | None, style: Ingredient) -> Style:
    if style.picture is not None:
        picture = read_picture(style.picture)
        return encode_by([network] if judge is None else [network, judge], picture)
    if style.preset is None:
        raise StyleError("A style has neither a picture nor a preset. Give one, or set its weight to 0.")
    if network.name not in EMBEDDED:
        raise StyleError(f"Presets are measured by {next(iter(EMBEDDED))}. Choose that model, or give pictures as styles.")
    return load_preset(network, style.preset)


def _load(name: str, progress: Callable[[int, int], None]) -> StyleTransferModel:
    if name not in EMBEDDED and not Path(name).is_file():
        from ..weights.hub import get  # the Hub's client: what is embedded does without

        name = str(get(name, progress=progress))
    return _loaded(name)


def _judge(progress: Callable[[int, int], None]) -> LossNetwork:
    from ..weights.hub import get  # as in `_load`

    return _judging(str(get(JUDGE, progress=progress)))


@functools.lru_cache(maxsize=1)
def _judging(file: str) -> LossNetwork:
    return load_judge(file)


@functools.lru_cache(maxsize=2)
def _loaded(name: str) -> StyleTransferModel:
    return load_model(name)

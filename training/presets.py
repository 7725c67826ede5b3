"""Measure the embedded presets with the embedded model, and paint a thumbnail of each.

    python -m adain_style_transfer.training.presets FOLDER... --judge vgg-normalised [--thumbnails web/docs/images/presets]

To be run whenever the embedded model changes, because a style belongs to the encoder that measured it. The folders hold
the pictures that presets.toml names, each of which is measured at the size it says, by the model and by the loss network that judges
refined pictures; the thumbnails show the sample photograph, never those pictures.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from ..adain.errors import AdaINError, ImageError
from ..adain.media.atomic import replacing
from ..adain.media.images import read_picture, to_pil
from ..adain.network import encode_by
from ..adain.style import Style
from ..adain.stylize import stylize
from ..weights import load_model, load_preset
from ..weights.loss_network import JUDGE, load_judge
from ..weights.presets import preset_path, presets
from ..weights.samples import sample_path

_logger = logging.getLogger(__name__)

PHOTOGRAPH = sample_path("cat")

THUMBNAIL_SIDE = 320
"""Longer side of a thumbnail in pixels."""

THUMBNAIL_BYTES = 15_000


def measure_presets(folders: Sequence[Path], judge: str = JUDGE) -> None:
    """Write the style file of every preset. One that the model has measured stays as it is if its picture is in none of `folders`.

    Raises ImageError for a missing picture of any other one, before anything is written.
    """
    model = load_model(device="cpu", dtype=torch.float32)
    sources: dict[str, Path] = {}
    for name, preset in presets().items():
        source = next((folder / preset.file for folder in folders if (folder / preset.file).is_file()), None)
        if source:
            sources[name] = source
        elif not preset_path(name).is_file() or Style.load(preset_path(name)).fingerprint != model.fingerprint:
            raise ImageError(f"The picture {preset.file} of the preset {name} is in none of the folders given.")
        else:
            _logger.warning("%s stays as it is: %s is in none of the folders given", name, preset.file)
    networks = (model, load_judge(judge, "cpu", torch.float32)) if sources else ()
    for name, source in sources.items():
        encode_by(networks, read_picture(source), size=presets()[name].size, name=name).save(preset_path(name))


def paint_thumbnails(folder: Path) -> None:
    """Write NAME.jpg for every preset: the sample photograph in its style, in at most `THUMBNAIL_BYTES`."""
    model = load_model(device="cpu", dtype=torch.float32)
    photograph = read_picture(PHOTOGRAPH).rgb
    folder.mkdir(parents=True, exist_ok=True)
    for name in presets():
        picture = to_pil(stylize(model, photograph, load_preset(model, name)))
        picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        with replacing(folder / f"{name}.jpg") as path:
            for quality in range(90, 10, -5):
                picture.save(path, quality=quality, optimize=True)
                if path.stat().st_size <= THUMBNAIL_BYTES:
                    break


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="where the pictures named in presets.toml are (none: nothing is measured)")
    parser.add_argument("--judge", default=JUDGE, help=f"loss network, a file or an id of `adain models` (default {JUDGE})")
    parser.add_argument("--thumbnails", type=Path, metavar="FOLDER", help="paint the sample photograph in every preset into this folder")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        if options.folders:
            measure_presets(options.folders, options.judge)
        if options.thumbnails:
            paint_thumbnails(options.thumbnails)
    except (AdaINError, OSError) as error:
        _logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

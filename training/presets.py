"""Measure the embedded presets with the embedded model, and paint a thumbnail of each.

    python -m adain_style_transfer.training.presets FOLDER... [--thumbnails web/docs/images/presets]

To be run whenever the embedded model changes, because a style belongs to the encoder that measured it. The folders hold
the pictures that presets.toml names; the thumbnails show the sample photograph, never those pictures.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from .. import weights
from ..adain.errors import AdaINError, ImageError
from ..adain.files import replacing
from ..adain.images import read_picture, to_pil
from ..adain.transfer import stylize
from ..weights import load_model, load_preset
from ..weights.presets import preset_path, presets

_logger = logging.getLogger(__name__)

PHOTOGRAPH = Path(weights.__file__).parent / "samples" / "cat.jpg"

THUMBNAIL_SIDE = 320
"""Longer side of a thumbnail in pixels."""

THUMBNAIL_BYTES = 15_000


def measure_presets(folders: Sequence[Path]) -> None:
    """Write the style file of every preset. Raises ImageError for a picture that is in none of `folders`."""
    model = load_model(device="cpu", dtype=torch.float32)
    for name, preset in presets().items():
        source = next((folder / preset.file for folder in folders if (folder / preset.file).is_file()), None)
        if source is None:
            raise ImageError(f"The picture {preset.file} of the preset {name} is in none of the folders given.")
        model.encode_style(read_picture(source).rgb, name=name).save(preset_path(name))


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
    parser.add_argument("--thumbnails", type=Path, metavar="FOLDER", help="paint the sample photograph in every preset into this folder")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        if options.folders:
            measure_presets(options.folders)
        if options.thumbnails:
            paint_thumbnails(options.thumbnails)
    except (AdaINError, OSError) as error:
        _logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

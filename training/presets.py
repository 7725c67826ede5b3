"""Measure the embedded presets with the embedded model: `python -m adain_style_transfer.training.presets FOLDER...`.

To be run whenever the embedded model changes, because a style belongs to the encoder that measured it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..adain.errors import ImageError
from ..adain.images import read_picture
from ..weights import load_model
from ..weights.presets import preset_path, presets


def measure_presets(folders: list[Path]) -> int:
    """Write the style file of every preset whose picture lies in one of `folders`; return their number."""
    model = load_model(device="cpu", dtype=torch.float32)
    for name, preset in presets().items():
        source = next((folder / preset.file for folder in folders if (folder / preset.file).is_file()), None)
        if source is None:
            raise ImageError(f"The picture {preset.file} of the preset {name} is in none of the folders given.")
        model.encode_style(read_picture(source).rgb, name=name).save(preset_path(name))
    return len(presets())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="where the pictures named in presets.toml are")
    measure_presets(parser.parse_args().folders)

"""Paints docs/images/banner.jpg, that the Comfy registry shows: a photograph that turns into one preset after the other.

python benchmarks/banner.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.weights.samples import sample_path

_SIZE = (540, 1260)  # 21 to 9, as the registry asks for
_PRESETS = ("starry-night", "red-horse", "great-wave", "kuniyoshi")
_SLANT = 0.35
_LINE = 3


def main() -> None:
    model = weights.load_model(device="cpu")
    photograph = _cut(adain.read_picture(sample_path("cat")).rgb)
    pictures = [photograph, *(adain.stylize(model, photograph, weights.load_preset(model, name)) for name in _PRESETS)]
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in _SIZE), indexing="ij")
    across = columns + _SLANT * (rows - _SIZE[0] / 2)
    width = _SIZE[1] / len(pictures)
    part = (across / width).floor().long().clamp(0, len(pictures) - 1)
    banner = sum((part == i) * picture for i, picture in enumerate(pictures))
    nearest = (across / width).round()
    line = ((across - nearest * width).abs() < _LINE) & (nearest > 0) & (nearest < len(pictures))
    path = Path(__file__).parents[1] / "docs" / "images" / "banner.jpg"
    adain.write_picture(path, torch.where(line, torch.ones(()), banner), quality=88)


def _cut(rgb: torch.Tensor) -> torch.Tensor:
    """The middle of `rgb` [1, 3, H, W] at the banner's size."""
    height, width = _SIZE
    scale = max(height / rgb.shape[2], width / rgb.shape[3])
    enlarged = adain.media.images.Picture(rgb).resized((round(rgb.shape[2] * scale), round(rgb.shape[3] * scale))).rgb
    top, left = (enlarged.shape[2] - height) // 2, (enlarged.shape[3] - width) // 2
    return enlarged[:, :, top : top + height, left : left + width]


if __name__ == "__main__":
    main()

"""Preview sheets: a few contents by a few styles, to judge a run by looking."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch
from torch import Tensor

from ..adain.errors import ImageError
from ..adain.media.images import read_picture
from ..adain.model import StyleTransferModel
from ..adain.resample import resize
from ..adain.stylize import stylize
from .data import find_pictures
from .recipe import Recipe

_COUNT = 5
_SIDE = 192


def preview(model: StyleTransferModel, recipe: Recipe) -> Tensor:
    """A sheet [1, 3, H, W] in 0..1: styles down the left, contents along the top, and `model`'s pictures between."""
    contents, styles = (_samples(folder) for folder in (recipe.content, recipe.style))
    rows = [torch.cat([torch.ones(1, 3, _SIDE, _SIDE), *contents], 3)]
    for style in styles:
        made = model.encode_style(style)
        rows.append(torch.cat([style, *(stylize(model, content, made) for content in contents)], 3))
    return torch.cat(rows, 2)


def _samples(folder: str) -> list[Tensor]:
    paths = find_pictures(folder)
    samples: list[Tensor] = []
    for i in range(_COUNT):  # spread over the folder, the same at each call
        with contextlib.suppress(ImageError):
            path = paths[i * len(paths) // _COUNT]
            samples.append(_square(read_picture(path if isinstance(path, Path) else path.read()).rgb))
    return samples


def _square(image: Tensor) -> Tensor:
    side = min(image.shape[-2:])
    top, left = ((n - side) // 2 for n in image.shape[-2:])
    return resize(image[..., top : top + side, left : left + side], (_SIDE, _SIDE))

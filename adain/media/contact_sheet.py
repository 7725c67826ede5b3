"""Contact sheets: pictures in a labelled grid, to choose by looking."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont
from torch import Tensor

from ..precision import wide
from ..resample import resize
from .images import to_pil
from .lettering import font_for

_GAP = 6
_INK = (40, 40, 40)


def contact_sheet(
    rows: Sequence[Sequence[Tensor | None]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell: int = 256,
) -> Tensor:
    """A sheet [1, 3, H, W] in 0..1 on white with one row of pictures ([1, 3, h, w] in 0..1; None: empty) per row.

    Each picture is scaled to fit `cell` pixels square; rows are as tall as their tallest picture. Column labels stand
    above, row labels to the left; what no font of this computer can write is left out.
    """
    tiles = [[None if picture is None else _fit(picture, cell) for picture in row] for row in rows]
    heights = [max((tile.height for tile in row if tile), default=cell) for row in tiles]
    fonts = {label: font_for(label, max(10, cell // 14)) for label in (*row_labels, *column_labels)}
    head = cell // 8 if column_labels else 0
    side = max((int(font.getlength(label)) for label in row_labels if (font := fonts[label])), default=0) + 2 * _GAP if row_labels else 0
    # Where each column and row begins, and behind the last one the sheet ends.
    lefts = [side + _GAP + column * (cell + _GAP) for column in range(max(map(len, rows)) + 1)]
    tops = list(accumulate((height + _GAP for height in heights), initial=head + _GAP))
    sheet = Image.new("RGB", (lefts[-1], tops[-1]), "white")
    draw = ImageDraw.Draw(sheet)
    for label, left in zip(column_labels, lefts, strict=False):
        if font := fonts[label]:
            draw.text((left + cell // 2, (head + _GAP) // 2), _fitting(label, font, cell), _INK, font, "mm")
    for label, top, height in zip(row_labels, tops, heights, strict=False):
        if font := fonts[label]:
            draw.text((_GAP, top + height // 2), label, _INK, font, "lm")
    for row, top, height in zip(tiles, tops, heights, strict=False):
        for tile, left in zip(row, lefts, strict=False):
            if tile:
                sheet.paste(tile, (left + (cell - tile.width) // 2, top + (height - tile.height) // 2))
    return wide(torch.from_numpy(np.array(sheet))).permute(2, 0, 1)[None]


def _fitting(label: str, font: FreeTypeFont, width: int) -> str:
    """`label`, or as much of its beginning as fits `width` pixels, with dots."""
    if font.getlength(label) <= width:
        return label
    return next((short for end in range(len(label), 0, -1) if font.getlength(short := f"{label[:end].rstrip()}...") <= width), "")


def _fit(picture: Tensor, cell: int) -> Image.Image:
    height, width = picture.shape[-2:]
    scale = cell / max(height, width)
    return to_pil(resize(picture.cpu(), (max(1, round(height * scale)), max(1, round(width * scale)))))

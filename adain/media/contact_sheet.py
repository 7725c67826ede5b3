"""Contact sheets: pictures in a labelled grid, to choose by looking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont
from torch import Tensor

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
    columns = max(len(row) for row in rows)
    tiles = [[None if picture is None else _fit(picture, cell) for picture in row] for row in rows]
    heights = [max((tile.height for tile in row if tile), default=cell) for row in tiles]
    size = max(10, cell // 14)
    fonts = {label: font_for(label, size) for label in (*row_labels, *column_labels)}
    top = cell // 8 if column_labels else 0
    left = max((int(font.getlength(label)) for label in row_labels if (font := fonts[label])), default=0) + 2 * _GAP if row_labels else 0
    pitch = cell + _GAP
    sheet = Image.new("RGB", (left + columns * pitch + _GAP, top + sum(heights) + _GAP * (len(rows) + 1)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(column_labels):
        if font := fonts[label]:
            draw.text((left + _GAP + column * pitch + cell // 2, (top + _GAP) // 2), _fitting(label, font, cell), _INK, font, "mm")
    y = top + _GAP
    for row, (tile_row, height) in enumerate(zip(tiles, heights, strict=True)):
        if row < len(row_labels) and (font := fonts[row_labels[row]]):
            draw.text((_GAP, y + height // 2), row_labels[row], _INK, font, "lm")
        for column, tile in enumerate(tile_row):
            if tile:
                sheet.paste(tile, (left + _GAP + column * pitch + (cell - tile.width) // 2, y + (height - tile.height) // 2))
        y += height + _GAP
    values = torch.from_numpy(np.array(sheet))
    return values.permute(2, 0, 1)[None].float() / 255


def _fitting(label: str, font: FreeTypeFont, width: int) -> str:
    """`label`, or as much of its beginning as fits `width` pixels, with dots."""
    if font.getlength(label) <= width:
        return label
    return next((short for end in range(len(label), 0, -1) if font.getlength(short := f"{label[:end].rstrip()}...") <= width), "")


def _fit(picture: Tensor, cell: int) -> Image.Image:
    height, width = picture.shape[-2:]
    scale = cell / max(height, width)
    return to_pil(resize(picture.cpu(), (max(1, round(height * scale)), max(1, round(width * scale)))))

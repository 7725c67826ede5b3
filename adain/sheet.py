"""Contact sheets: pictures in a labelled grid, to choose by looking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .images import resize

_GAP = 6
_INK = (40, 40, 40)


def contact_sheet(
    rows: Sequence[Sequence[Tensor | None]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell: int = 256,
) -> Tensor:
    """A sheet [1, 3, H, W] in 0..1 on white with one row of pictures ([1, 3, h, w]; None: empty) per row.

    Each picture is scaled to fit `cell` pixels. Labels stand under each picture's column head and left of each row.
    """
    columns = max(len(row) for row in rows)
    font = ImageFont.load_default(max(10, cell // 14))
    top = cell // 8 if column_labels else 0
    left = max((int(font.getlength(label)) for label in row_labels), default=0) + 2 * _GAP if row_labels else 0
    pitch = cell + _GAP
    sheet = Image.new("RGB", (left + columns * pitch + _GAP, top + len(rows) * pitch + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(column_labels):
        draw.text((left + _GAP + column * pitch + cell // 2, top // 2 + _GAP // 2), label, _INK, font, "mm")
    for y, row in enumerate(rows):
        if y < len(row_labels):
            draw.text((_GAP, top + _GAP + y * pitch + cell // 2), row_labels[y], _INK, font, "lm")
        for x, picture in enumerate(row):
            if picture is not None:
                tile = _fit(picture, cell)
                corner = [(cell - n) // 2 for n in tile.size]
                sheet.paste(tile, (left + _GAP + x * pitch + corner[0], top + _GAP + y * pitch + corner[1]))
    values = torch.from_numpy(np.array(sheet))
    return values.permute(2, 0, 1)[None].float() / 255


def _fit(picture: Tensor, cell: int) -> Image.Image:
    height, width = picture.shape[-2:]
    scale = cell / max(height, width)
    small = resize(picture.float().cpu(), (max(1, round(height * scale)), max(1, round(width * scale))))
    return Image.fromarray(small[0].permute(1, 2, 0).mul(255).round().byte().numpy())

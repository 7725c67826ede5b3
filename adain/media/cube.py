"""Grades as .cube files, the tables that FFmpeg (`lut3d`), DaVinci Resolve, Premiere, OBS and cameras read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ImageError, reason
from .atomic import replacing

SIDE = 33
"""Steps of each colour: what cameras and editors expect."""


def cube_of(grade: Callable[[Tensor], Tensor], side: int = SIDE) -> Tensor:
    """The colours [side^3, 3] that `grade` ([B, 3, H, W] in 0..1 to the same) makes of a lattice of all colours; red runs fastest."""
    steps = torch.linspace(0, 1, side)
    blue, green, red = torch.meshgrid(steps, steps, steps, indexing="ij")
    lattice = torch.stack([red, green, blue]).view(1, 3, side * side, side)
    return grade(lattice)[0].flatten(1).T


def write_cube(path: str | os.PathLike[str], grade: Callable[[Tensor], Tensor], title: str = "") -> None:
    """Write `grade`, a map from sRGB colour to sRGB colour that is the same at every pixel, as a 3D LUT of 33 x 33 x 33.

    A half-written file never stays behind. Raises ImageError if it cannot be written.
    """
    path = Path(path)
    name = "".join(c if c.isprintable() and c != '"' else " " for c in title or path.stem)
    rows = "\n".join("{:.6f} {:.6f} {:.6f}".format(*row) for row in cube_of(grade).tolist())
    try:
        with replacing(path) as temporary:
            temporary.write_text(f'TITLE "{name}"\nLUT_3D_SIZE {SIDE}\n\n{rows}\n', encoding="utf-8", errors="replace")
    except OSError as error:
        raise ImageError(f"{path} cannot be written ({reason(error)}). Choose another folder for the .cube file.") from error

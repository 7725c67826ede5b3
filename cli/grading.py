"""What `adain colors` is asked to do, for pictures and clips alike."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..adain.grading import ColorMatch, Colors, Grade
from ..adain.masks import MaskEdit
from ..adain.media.cube import write_cube
from ..adain.media.images import Picture
from ..adain.resample import resize
from .messages import say


@dataclass(frozen=True, eq=False)
class Request:
    """The options with what they name."""

    options: argparse.Namespace
    match: ColorMatch
    reference: Colors
    mask: Tensor | None
    edit: MaskEdit

    def where(self, size: torch.Size) -> Tensor | None:
        """The mask for pictures of `size` (height, width). Raises ImageError if there is nothing in it."""
        return None if self.mask is None else self.edit.checked(self.mask, size)

    def grade(self, own: Colors) -> Grade:
        """The grade from `own` colours to the reference's."""
        return self.match.grade(own, self.reference)

    def save_lut(self, grade: Grade) -> None:
        """Write `grade` to the file that --lut names, if it does."""
        if self.options.lut:
            write_cube(self.options.lut, grade)
            say(Path(self.options.lut).resolve())


def seen(picture: Picture, mask: Tensor | None) -> Tensor | None:
    """How much each pixel counts: by `mask`, and by how visible it is."""
    if picture.alpha is None or mask is None:
        return picture.alpha if mask is None else mask
    return resize(mask, picture.alpha.shape[-2:]) * picture.alpha

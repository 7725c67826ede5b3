"""Pictures of a dataset from bytes to tensors and back."""

from __future__ import annotations

import io
import os
from dataclasses import replace

from torch import Tensor

from ..adain.media.decoding import Encoded
from ..adain.media.images import Picture, read_picture, to_pil
from ..adain.resample import at_short_side
from .names import FORMATS
from .settings import Settings


def decoded(data: bytes, name: str, settings: Settings) -> Picture:
    """The picture of a file, upright, in the size that is asked for. Raises ImageError if it cannot be read whole."""
    picture = read_picture(Encoded(data, name))
    size = at_short_side(picture.rgb.shape[-2:], settings.size)
    if size != picture.rgb.shape[-2:]:
        picture = picture.resized((size[0], size[1]))
    return _cropped(picture, settings.crop) if settings.crop else picture


def _cropped(picture: Picture, side: int) -> Picture:
    height, width = picture.rgb.shape[-2:]
    tall, wide = min(side, height), min(side, width)
    top, left = (height - tall) // 2, (width - wide) // 2

    def cut(planes: Tensor) -> Tensor:
        return planes[..., top : top + tall, left : left + wide]

    return replace(picture, rgb=cut(picture.rgb), alpha=None if picture.alpha is None else cut(picture.alpha))


def encoded(rgb: Tensor, alpha: Tensor | None, name: str, quality: int) -> bytes:
    """The file `name` of `rgb` [1, 3, H, W], with `alpha` where its format holds it: sRGB, and without the profile that says so."""
    kind = FORMATS[os.path.splitext(name)[1].lower()]
    file = io.BytesIO()
    options = {} if kind == "PNG" else {"quality": quality} | ({"subsampling": 0} if kind == "JPEG" else {})
    to_pil(rgb, None if kind == "JPEG" else alpha).save(file, kind, **options)
    return file.getvalue()

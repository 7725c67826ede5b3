"""Conversion between the pictures of a video, as FFmpeg decodes and encodes them, and tensors of sRGB.

Colours are those a player would show: matrix, range and light as the file says, upright.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...precision import wide
from .ffmpeg import BT601, BT709, FULL, LIMITED, RGB, UNSPECIFIED, av
from .hdr import PEAK, is_srgb, to_srgb

BT2020 = 9
_MATRICES = {BT709: BT709, 4: 4, BT601: BT601, 6: 6, 7: 7, BT2020: BT2020, 10: BT2020}
"""The matrices by which FFmpeg converts; BT.2020 with constant luminance (10) is taken for the usual one."""

_FORMS = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}
"""The pixel formats of tensors, by whether they have more than 8 bits, and alpha."""


def has_alpha(form: Any) -> bool:
    """Whether a pixel format can be transparent; a palette can."""
    return form.has_palette or any(component.is_alpha for component in form.components)


def is_deep(form: Any) -> bool:
    """Whether a pixel format has more than 8 bits."""
    return max(component.bits for component in form.components) > 8


def to_tensor(picture: Any, transfer: int, primaries: int, with_alpha: bool) -> tuple[Tensor, Tensor | None]:
    """A decoded picture as an image [1, 3, H, W] and, if wanted, its alpha [1, 1, H, W]: uint8, or float32 in 0..1.

    It is uint8 where 8 bits hold all there is.
    """
    deep = is_deep(picture.format)
    form = _FORMS[deep, with_alpha]
    if picture.format.is_rgb or picture.format.has_palette:
        rgb = picture.reformat(format=form)
    else:
        rgb = picture.reformat(
            format=form,
            src_colorspace=matrix_of(picture.colorspace, picture.width, picture.height, primaries),
            src_color_range=FULL if picture.format.name.startswith("yuvj") else picture.color_range or LIMITED,
            dst_colorspace=RGB,
            dst_color_range=FULL,
        )
    values = np.ascontiguousarray(_upright(rgb.to_ndarray(), picture))
    tensor = torch.from_numpy(values.astype(np.float32) / 65535 if deep else values).permute(2, 0, 1)[None]
    image, alpha = tensor[:, :3], tensor[:, 3:] if with_alpha else None
    if not is_srgb(transfer, primaries):
        image = to_srgb(wide(image), transfer, primaries, _peak(picture))
        alpha = None if alpha is None else wide(alpha)
    return image, alpha


def to_picture(image: Tensor, alpha: Tensor | None, pixel_format: str, matrix: int, color_range: int) -> Any:
    """An image [1, 3, H, W] in 0..1, with its alpha (float in 0..1, or uint8), in the form that an encoder takes."""
    target = av.VideoFormat(pixel_format)
    deep = is_deep(target)
    if alpha is not None:
        image = torch.cat([image.float(), wide(alpha.to(image.device))], 1)
    values = (image[0].movedim(0, -1).float().clamp(0, 1) * (65535 if deep else 255)).round_().cpu().numpy()
    array: Any = np.ascontiguousarray(values, dtype=np.uint16 if deep else np.uint8)
    picture: Any = av.VideoFrame.from_ndarray(array, _FORMS[deep, alpha is not None])
    if target.is_rgb or target.has_palette:
        return picture.reformat(format=pixel_format)
    return picture.reformat(
        format=pixel_format, src_colorspace=RGB, src_color_range=FULL, dst_colorspace=matrix, dst_color_range=color_range
    )


def matrix_of(colorspace: int, width: int, height: int, primaries: int = UNSPECIFIED) -> int:
    """The matrix by which YUV becomes RGB; players take BT.709 for HD pictures that do not say."""
    if colorspace in _MATRICES:
        return _MATRICES[colorspace]
    if primaries == BT2020:
        return BT2020
    return BT709 if min(width, height) >= 720 else BT601


def _upright(values: np.ndarray, picture: Any) -> np.ndarray:
    """`values` [H, W, C] turned and mirrored as the display matrix says: the column vectors (a, b) and (c, d) of x and y."""
    data = _side_data(picture, "DISPLAYMATRIX")
    if data is None:
        return values
    a, b, _, c, d = struct.unpack("=5i", data[:20])
    if abs(a) + abs(d) < abs(b) + abs(c):
        values, a, d = values.swapaxes(0, 1), c, b
    return values[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _peak(picture: Any) -> float:
    """Nits of the brightest in the video, by its metadata: the content light level, or what it was mastered on."""
    level = _side_data(picture, "CONTENT_LIGHT_LEVEL")
    if level is not None and (brightest := struct.unpack("=I", level[:4])[0]):
        return float(min(brightest, 10000))
    mastering = _side_data(picture, "MASTERING_DISPLAY_METADATA")
    if mastering is not None and len(mastering) >= 88:
        # Ten rationals (primaries, white, darkest) come before the brightest, and two flags after it.
        numerator, denominator = struct.unpack("=2i", mastering[72:80])
        has_luminance = struct.unpack("=i", mastering[84:88])[0]
        if has_luminance and numerator > 0 and denominator > 0:
            return min(numerator / denominator, 10000.0)
    return PEAK


def _side_data(picture: Any, kind: str) -> bytes | None:
    return next((bytes(data) for data in picture.side_data if data.type.name == kind), None)

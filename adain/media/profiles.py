"""Colour profiles: what the numbers of a file mean, and sRGB, in which everything here computes."""

from __future__ import annotations

import functools
import io
import logging
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_logger = logging.getLogger(__name__)

# As browsers and photo editors do.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION

_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}


@functools.cache
def srgb() -> bytes:
    """The profile that is embedded into what is written."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]  # without the time of its making: equal pictures are equal files


@functools.lru_cache(maxsize=8)
def to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform of 8-bit pictures of `mode` (RGB, L, CMYK, LAB), as `profile` means them, into sRGB.

    None if that changes nothing that could be seen, or `profile` is not for that mode, or is broken, which the log says.
    """
    try:
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB") if mode == "LAB" else io.BytesIO(profile))
        described: Any = source.profile
        if described.xcolor_space != _SPACES[mode]:
            return None
        target = ImageCms.ImageCmsProfile(io.BytesIO(srgb()))
        transform = ImageCms.buildTransform(source, target, mode, "RGB", _INTENT, _FLAGS)
        return None if mode in ("RGB", "L") and _changes_nothing(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError) as error:  # ImportError: a Pillow without littleCMS
        _logger.warning("a colour profile cannot be used (%s); the picture is taken for sRGB", error)
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(64, 64, 3)
    shown = Image.fromarray(cube if mode == "RGB" else cube[..., 0])
    difference = np.asarray(transform.apply(shown), dtype=np.int16) - np.asarray(shown.convert("RGB"))
    return int(np.abs(difference).max()) <= 1

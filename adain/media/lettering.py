"""Fonts for labels, in whatever script they are."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

_SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf"),
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf"),
    *("arial.ttf", "msyh.ttc", "simsun.ttc", "YuGothM.ttc", "msgothic.ttc", "malgun.ttf", "segoeui.ttf"),
    *("PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "Arial Unicode.ttf"),
)
"""Fonts of Linux, Windows and macOS by file name; Pillow knows the folders. Its own font has Latin letters alone."""


def font_for(text: str, size: int) -> FreeTypeFont | None:
    """A font of `size` pixels that has every letter of `text`; None if this computer has none."""
    fonts = (_font(name, size) for name in ("", *_SYSTEM_FONTS))
    return next((font for font in fonts if font is not None and _has(font, text)), None)


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> FreeTypeFont | None:
    try:
        font = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    except OSError:
        return None
    return font if isinstance(font, FreeTypeFont) else None


def _has(font: FreeTypeFont, text: str) -> bool:
    missing = _drawn(font, "\U0010fffe")  # no font has it, so this is the box that stands for what is missing
    return all(letter.isspace() or _drawn(font, letter) != missing for letter in text)


def _drawn(font: FreeTypeFont, letter: str) -> bytes:
    image = Image.new("L", (2 * round(font.size), 2 * round(font.size)))
    ImageDraw.Draw(image).text((0, 0), letter, 255, font)
    return image.tobytes()

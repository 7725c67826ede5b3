"""What the files beside this one use of FFmpeg, through PyAV: the one place that says how to install it."""

from __future__ import annotations

import io
import os
from typing import Any

from ...errors import VideoError
from ...extras import install

try:
    import av
    from av.error import FFmpegError
    from av.filter import Graph
    from av.stream import Disposition
except ImportError as error:
    raise install("Video", "av", VideoError) from error

if tuple(map(int, av.__version__.split(".")[:2])) < (17, 1):  # older ones lack chapters, attachments, or the options of encoders
    raise VideoError(f'Video needs PyAV 17.1 or newer, but {av.__version__} is installed. Run: pip install --upgrade "av>=17.1"')

FilterGraph: Any = Graph
"""FFmpeg's graph of filters; untyped, as its links and frames are of many kinds."""

COVER = Disposition.attached_pic
"""The disposition of a video stream that is a cover picture."""

Source = str | os.PathLike[str] | io.BytesIO

UNSPECIFIED, BT709, BT601, RGB = 2, 1, 5, 0
"""Matrices between YUV and RGB, as ITU-T H.273 numbers them."""

LIMITED, FULL = 1, 2
"""Ranges of values."""

BROKEN = (FFmpegError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError, OSError)
"""What PyAV raises on damaged data: mostly FFmpegError, but times, sizes and formats without sense meet Python's own."""


def url(path: str | os.PathLike[str]) -> str:
    """A file's name in a form that FFmpeg takes for nothing else, such as a protocol before a colon."""
    return f"file:{os.fspath(path)}"


def opened(source: Source) -> Any:
    """The container of a file or of bytes in memory, for reading. Raises what is in `BROKEN`."""
    if isinstance(source, io.BytesIO):
        source.seek(0)
    return av.open(source if isinstance(source, io.BytesIO) else url(source), "r", metadata_errors="replace")

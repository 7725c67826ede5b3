"""What the video modules use of FFmpeg, through PyAV: the one place that says how to install it."""

from __future__ import annotations

from .errors import VideoError

try:
    import av
    from av.bitstream import BitStreamFilterContext
    from av.codec.codec import UnknownCodecError
    from av.error import FFmpegError
    from av.stream import Disposition
except ImportError as error:
    raise VideoError('Video needs PyAV, which is not installed. Run: pip install "adain-style-transfer[video]"') from error

__all__ = ["BitStreamFilterContext", "Disposition", "FFmpegError", "UnknownCodecError", "av"]

UNSPECIFIED, BT709, BT601, RGB = 2, 1, 5, 0
"""The matrix between YUV and RGB."""

LIMITED, FULL = 1, 2
"""The range of values."""

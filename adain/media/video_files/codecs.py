"""Which codecs and pixel formats a container gets: what it can hold, and what suits it best."""

from __future__ import annotations

import io
from typing import Any

from ...errors import VideoError
from .ffmpeg import BROKEN, av
from .pixels import has_alpha

_VIDEO = {"webm": "libvpx-vp9", "ogg": "libvpx", "ogv": "libvpx", "gif": "gif", "webp": "libwebp_anim", "apng": "apng", "asf": "wmv2"}
"""The encoder by container; H.264 for those that are not here. (ASF holds it too, but FFmpeg reads it with times that are not its own.)"""

_TRANSPARENT = {"matroska": "libvpx-vp9", "mov": "prores_ks", "avi": "png", "nut": "ffv1"}
"""The encoder that keeps an alpha channel, where the usual one does not."""

_ALPHA_BESIDE = ("vp8", "vp9")
"""Codecs that carry alpha beside the picture, which Matroska alone has room for."""

_AUDIO = {"webm": "libopus", "ogg": "libopus", "ogv": "libopus", "mpeg": "mp2"}
_AUDIO |= dict.fromkeys(("matroska", "mpegts", "flv", "3gp"), "aac")
"""The encoder for sound that cannot be copied, where the container's own choice is not the best."""

_MPEGTS = {"mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "dvb_subtitle", "hdmv_pgs_subtitle", "dvb_teletext"}
"""What MPEG-TS holds; its muxer takes all else too, as data that nobody can play."""

PALETTE = "pal8"
"""The pixel format of pictures with 256 colours."""


def video_codec(container: Any, transparent: bool) -> str:
    """The encoder for video in an output container."""
    name = container.format.name
    return (transparent and _TRANSPARENT.get(name)) or _VIDEO.get(name, "libx264")


def video_encoder(codec: str) -> Any:
    """The encoder of that name, or of the codec of that name. Raises VideoError."""
    try:
        encoder = av.Codec(codec, "w")
    except ValueError as error:
        raise VideoError(f"There is no video encoder {codec!r}. Try libx264, libx265, libvpx-vp9, libsvtav1 or ffv1.") from error
    if encoder.type != "video":
        raise VideoError(f"{codec!r} does not encode video. Try libx264, libx265, libvpx-vp9, libsvtav1 or ffv1.")
    return encoder


def formats_of(encoder: Any) -> list[str]:
    """The names of the pixel formats that an encoder takes."""
    return [form.name for form in encoder.video_formats or []]


def audio_codec(container: Any) -> str:
    """The encoder for sound that an output container cannot take as it is; "" if it takes none."""
    return _AUDIO.get(container.format.name, str(container.default_audio_codec).replace("none", ""))


def holds_copy(container: Any, stream: Any) -> bool:
    """Whether an output container takes the packets of an audio or subtitle stream: its muxer is asked, in memory."""
    if container.format.name == "mpegts":
        return stream.codec_context.codec.canonical_name in _MPEGTS
    try:
        with av.open(io.BytesIO(), "w", format=container.format.name) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except BROKEN:
        return False
    return True


def keeps_alpha(container: Any, encoder: Any, pixel_format: str) -> bool:
    """Whether what `encoder` makes of a transparent video is transparent in `container`."""
    if encoder.name == "gif":
        return True
    offered = [form for form in encoder.video_formats or [] if pixel_format in ("", form.name)]
    return any(has_alpha(form) and not form.has_palette for form in offered) and (
        encoder.canonical_name not in _ALPHA_BESIDE or container.format.name in ("webm", "matroska")
    )


def pixel_format(source: Any, encoder: Any, size: tuple[int, int], transparent: bool, eight_bits: bool) -> str:
    """The encoder's pixel format (height, width known) that is nearest to `source`'s, with or without alpha."""
    if encoder.name == "gif":
        return PALETTE
    if transparent and encoder.canonical_name in _ALPHA_BESIDE:
        return "yuva420p"  # the one that players know, of any size; FFmpeg lists others and refuses them
    height, width = size
    wanted = source.name.replace("yuvj", "yuv")
    if eight_bits:
        wanted = wanted.removesuffix("le").removesuffix("be").rstrip("0123456789") if wanted.startswith("yuv") else "yuv420p"
    if not transparent:
        wanted = wanted.replace("yuva", "yuv")
    # Half-resolution chroma needs even sides.
    odd = height % 2 or width % 2
    if (height % 2 and "420" in wanted) or (width % 2 and ("420" in wanted or "422" in wanted)):
        wanted = wanted.replace("420", "444").replace("422", "444")
    candidates = [wanted, ("yuva" if transparent else "yuv") + ("444p" if odd else "420p")]
    supported = formats_of(encoder)
    if transparent:
        candidates += ["yuva444p10le", "rgba", "bgra", "argb"]
        supported = [form.name for form in encoder.video_formats or [] if has_alpha(form)] or supported
    return next((name for name in candidates if name in supported), supported[0] if supported else "yuv420p")

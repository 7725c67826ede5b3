"""What the header of a video file does not tell, or not truly: how many frames a second there are, and whether anything is transparent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

from .ffmpeg import BROKEN, COVER, Source, av, opened
from .pixels import has_alpha

_PACKETS = 300
"""How many packets are looked at to find the frame rate."""

_PICTURES = 1000
"""How many pictures are looked at to see whether they are opaque; if all were, a longer video is taken for one that may not stay so."""

_WITH_ALPHA = {"vp9": "libvpx-vp9", "vp8": "libvpx"}
"""Decoders that give the transparency which FFmpeg's own ones for these codecs leave out."""


@dataclass(frozen=True)
class Probe:
    """What was found in a video file."""

    rate: Fraction
    """Frames a second, by their times."""
    transparent: bool
    """Whether some of it is transparent and some is not: an alpha that is the same everywhere hides nothing."""
    covers: list[tuple[str, bytes]]
    """The codec and the bytes of each cover picture."""
    adts: dict[int, bytes]
    """The configuration of AAC streams that have it in each packet, by their index."""


def probe(source: Source) -> Probe | None:
    """Look at the video in `source` before it is painted; None if there is none. Raises what is in `ffmpeg.BROKEN`."""
    with opened(source) as container:
        stream = next(moving_pictures(container), None)
        if stream is None:
            return None
        rate = _rate(stream, [packet.pts for packet in _some(container.demux(stream), _PACKETS)])
    with opened(source) as container:
        transparent = _is_transparent(container, next(moving_pictures(container)))
    with opened(source) as container:
        covers = [s for s in container.streams.video if s.codec_context and s.disposition & COVER]
        packets = _some(container.demux(covers), len(covers)) if covers else []
        pictures = [(packet.stream.codec_context.name, bytes(packet)) for packet in packets]
        doubtful = [stream.index for stream in container.streams if _may_be_adts(stream)]
    found = {index: _adts(source, index) for index in doubtful}
    return Probe(rate, transparent, pictures, {index: configuration for index, configuration in found.items() if configuration})


def _may_be_adts(stream: Any) -> bool:
    """Whether a stream is AAC whose container does not tell how it is configured."""
    context = stream.codec_context
    return stream.type == "audio" and bool(context) and context.codec.canonical_name == "aac" and not context.extradata


def _adts(source: Source, index: int) -> bytes | None:
    """The configuration (ISO 14496-3) in the header that broadcasts and camcorders give each packet of AAC; None if there is none."""
    with opened(source) as container:
        stream = container.streams[index]
        unwrapped = av.BitStreamFilterContext("aac_adtstoasc", stream)
        try:
            packets = [packet for wrapped in _some(container.demux(stream), 1) for packet in unwrapped.filter(wrapped)]
        except BROKEN:
            return None
        return next((bytes(packet.get_sidedata("new_extradata")) for packet in packets if packet.has_sidedata("new_extradata")), None)


def moving_pictures(container: Any) -> Iterator[Any]:
    """The video streams of a container without cover pictures and those that cannot be decoded."""
    return (s for s in container.streams.video if s.codec_context and not s.disposition & COVER)


def decoder(stream: Any) -> Any:
    """The decoder for a video stream, which sees its transparency."""
    name = _WITH_ALPHA.get(stream.codec_context.codec.canonical_name) if _says_alpha(stream) else None
    context = av.CodecContext.create(name, "r") if name and name in av.codecs_available else stream.codec_context
    # Frame threads would report an error packets later than where it happened, and slices use both cores too.
    context.thread_type = "SLICE"
    # Errors are to be told, not painted over by what the decoder makes up.
    context.options = {"err_detect": "crccheck+explode"}
    return context


def _says_alpha(stream: Any) -> bool:
    return {k.lower(): v for k, v in stream.metadata.items()}.get("alpha_mode") == "1"


def _some(packets: Iterable[Any], count: int) -> list[Any]:
    """The first `count` packets, or fewer if there are no more or the file is damaged: that is told when it is read to be painted."""
    found = []
    with suppress(*BROKEN):
        for packet in islice((packet for packet in packets if packet.size), count):
            found.append(packet)
    return found


def _rate(stream: Any, times: list[int | None]) -> Fraction:
    """The rate that the container says and the times confirm, else the one of the times."""
    said = [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    known = sorted({time for time in times if time is not None})
    if len(known) < 2 or not stream.time_base:
        # Raw streams have no times; what FFmpeg guesses is what their headers say.
        return next(reversed(said), Fraction(25))
    seen = (len(known) - 1) / ((known[-1] - known[0]) * Fraction(stream.time_base))
    return next((rate for rate in said if abs(rate / seen - 1) < 0.02), seen.limit_denominator(1001))


def _is_transparent(container: Any, stream: Any) -> bool:
    if not (_says_alpha(stream) or (stream.codec_context.format and has_alpha(stream.codec_context.format))):
        return False
    context = decoder(stream)
    hidden = shown = False
    count = 0
    try:
        for packet in container.demux(stream):
            for picture in context.decode(packet if packet.size else None):
                if not has_alpha(picture.format):
                    return False
                alpha = picture.reformat(format="rgba").to_ndarray()[..., 3]
                hidden, shown, count = hidden or alpha.min() < 255, shown or alpha.max() > 0, count + 1
                if (hidden and shown) or count >= _PICTURES:
                    return shown
    except BROKEN:
        pass
    return hidden and shown

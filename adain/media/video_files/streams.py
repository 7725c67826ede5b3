"""The streams beside the video on their way to the output: copied as they are, or sound encoded anew where that cannot be held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from .ffmpeg import BROKEN, av

_BITS_PER_CHANNEL = 96_000

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


class Copy:
    """Gives the packets of a stream, untouched, to a new stream of `container`.

    `adts` is the configuration of AAC sound that has it in each packet: all but MPEG-TS want it once, in the header.
    """

    def __init__(self, container: Any, stream: Any, adts: bytes | None) -> None:
        self._target: Any = container.add_stream_from_template(stream, opaque=True)
        _describe(self._target, stream)
        self._unwrap: Any = None
        if adts and container.format.name != "mpegts":
            # FFmpeg would do it too, but not for MP4 whose header is written late.
            self._target.codec_context.extradata = adts
            self._unwrap = av.BitStreamFilterContext("aac_adtstoasc", stream)

    def __call__(self, packet: Any) -> Iterator[Any]:
        """The packets to write for one that was read."""
        for part in self._unwrap.filter(packet) if self._unwrap else [packet]:
            part.stream = self._target
            yield part


class Transcoder:
    """Gives the sound of a stream to a new one of `container`, encoded by `codec`, at the same times."""

    def __init__(self, container: Any, stream: Any, codec: str, broken: Callable[[], None]) -> None:
        source: Any = stream.codec_context
        rates = av.Codec(codec, "w").audio_rates
        rate = source.sample_rate if not rates or source.sample_rate in rates else min(rates, key=lambda r: abs(r - source.sample_rate))
        self._target: Any = container.add_stream(codec, rate=rate)
        _describe(self._target, stream)
        context: Any = self._target.codec_context
        channels = source.layout.nb_channels
        context.layout = _LAYOUTS.get(channels, "stereo")  # the source's may have no name
        context.bit_rate = _BITS_PER_CHANNEL * (channels if channels in _LAYOUTS else 2)
        self._source = source
        self._broken = broken
        """Called for each packet that cannot be decoded."""

    def __call__(self, packet: Any) -> Iterator[Any]:
        """The packets to write for one that was read; for None at the end, those that were held back."""
        frames = []
        try:
            frames = self._source.decode(packet)
        except BROKEN:
            self._broken()
        for frame in frames:
            if frame.pts is not None and packet is not None:
                frame.time_base = frame.time_base or Fraction(packet.time_base)
            yield from self._target.encode(frame)
        if packet is None:
            yield from self._target.encode(None)


def _describe(target: Any, source: Any) -> None:
    target.metadata.update(source.metadata)
    target.disposition = source.disposition.value

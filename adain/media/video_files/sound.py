"""Sound that an output cannot take as it is, decoded and encoded anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from .ffmpeg import BROKEN, av

_BITS_PER_CHANNEL = 96_000

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


class Transcoder:
    """Turns the packets of an audio stream into those of an encoder `codec`, at the same times, for the stream `target`."""

    def __init__(self, container: Any, stream: Any, codec: str, report: Callable[[], None]) -> None:
        source: Any = stream.codec_context
        rates = av.Codec(codec, "w").audio_rates
        rate = source.sample_rate if not rates or source.sample_rate in rates else min(rates, key=lambda r: abs(r - source.sample_rate))
        self.target: Any = container.add_stream(codec, rate=rate)
        context: Any = self.target.codec_context
        channels = source.layout.nb_channels
        context.layout = _LAYOUTS.get(channels, "stereo")  # the source's may have no name
        context.bit_rate = _BITS_PER_CHANNEL * (channels if channels in _LAYOUTS else 2)
        self._source = source
        self._report = report
        """Called once if some of it cannot be decoded."""
        self._broken = False

    def __call__(self, packet: Any) -> Iterator[Any]:
        """What comes of a packet; of None at the end, what was held back."""
        try:
            frames = self._source.decode(packet)
        except BROKEN:
            if not self._broken:
                self._report()
            self._broken, frames = True, []
        for frame in frames:
            if frame.pts is not None and packet is not None:
                frame.time_base = frame.time_base or Fraction(packet.time_base)
            yield from self.target.encode(frame)
        if packet is None:
            yield from self.target.encode(None)

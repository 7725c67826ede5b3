"""Reading video files: frames one by one, and the packets of the streams that are copied."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import VideoError, reason
from ..input_file import check_file
from .ffmpeg import BROKEN, Source, av, opened
from .frames import Frame, FrameDecoder
from .hdr import HDR, WIDE, is_srgb
from .probe import decoder, moving_pictures, probe

Report = Callable[[str], None]
"""Takes a sentence about something that was bridged, changed or left out."""


def frames(source: Source, report: Report = lambda sentence: None) -> Iterator[Frame]:
    """The frames of a video without all else in it, for a pass that measures."""
    with VideoReader(source, report=report) as reader:
        yield from (item for item in reader if isinstance(item, Frame))


class VideoReader:
    """An open video file: iterates over the `Frame`s of the first video stream and, in between, the packets of the streams to copy.

    `start` and `duration` (0: to the end) in seconds choose a part. A picture that cannot be decoded, or only with errors, is
    reported and replaced by the one before it, so that every picture keeps its time; interlaced ones are made whole. Raises VideoError
    if there is no video.
    """

    def __init__(self, source: Source, start: float = 0, duration: float = 0, report: Report = lambda sentence: None) -> None:
        self.name = "the video" if isinstance(source, io.BytesIO) else os.fspath(source)
        if not isinstance(source, io.BytesIO):
            check_file(Path(source), "a video file", VideoError)
        try:
            found = probe(source)
            self.container = opened(source)
            self.stream: Any = next(moving_pictures(self.container), None)
            self.decoder: Any = None if self.stream is None else decoder(self.stream)
        except BROKEN as error:
            raise VideoError(f"{self.name} is not a video that FFmpeg can read ({reason(error)}).") from error
        if found is None or self.stream is None:
            self.container.close()
            raise VideoError(f"{self.name} has no video stream that can be decoded. Give a file with moving pictures.")
        self.report = cache(report)
        """Tells a sentence, once."""
        self.rate, self.transparent, self.covers, self.adts = found.rate, found.transparent, found.covers, found.adts
        self.flat = False
        """Whether frames show what is transparent on black instead, as for a file that cannot be transparent; whoever writes it says so."""
        self.transfer, self.primaries = self.stream.codec_context.color_trc, self.stream.codec_context.color_primaries
        self.srgb = is_srgb(self.transfer, self.primaries)
        """Whether pictures have the file's own values; if not, they were brought from another light to sRGB."""
        self.copied = [s for s in self.container.streams if s.type in ("audio", "subtitle") and s.codec_context]
        self.time_base: Fraction = self.stream.time_base or Fraction(1, 90000)
        self.start, self.end = Fraction(start), Fraction(start) + Fraction(duration) if duration else None
        # Files that begin late (MPEG-TS) begin at 0 in the output; streams keep their distance from each other.
        self._origin = self.start or max(Fraction(0), Fraction(self.container.start_time or 0, av.time_base))
        self.length = self._length()
        """About how many frames there are; 0 if that is not known."""
        if self.transfer in HDR:
            report(f"{self.name} is HDR ({HDR[self.transfer]}). It is painted and written as SDR, with its highlights rolled off.")
        elif not self.srgb:
            light = WIDE.get(self.primaries, "linear light")
            report(f"{self.name} is in the colours of {light}. It is painted and written in those of BT.709.")

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[Frame | av.Packet]:
        decoded = FrameDecoder(self)
        for packet in self._packets(decoded):
            if packet.stream is self.stream:
                yield from decoded.decode(packet)
                if decoded.ended:
                    break
            elif packet.dts is not None and self._is_taken(packet):
                packet.pts, packet.dts = (self.shifted(time, packet.time_base) for time in (packet.pts, packet.dts))
                yield packet
        yield from decoded.rest()

    def _packets(self, decoded: FrameDecoder) -> Iterator[Any]:
        """The packets of the streams to decode and to copy, as far as they can be read."""
        try:
            if self.start:
                self.container.seek(int(self.start * av.time_base))
            packets = self.container.demux(self.stream, *self.copied)
        except BROKEN as error:
            raise VideoError(f"{self.name} cannot be read ({reason(error)}). The file is damaged.") from error
        try:
            yield from packets
        except BROKEN as error:
            self.report(f"{self.name} is damaged after frame {decoded.count} and ends there ({reason(error)}).")

    def _is_taken(self, packet: Any) -> bool:
        if packet.pts is None or not (self.start or self.end):
            return True
        begins = packet.pts * packet.time_base
        return self._holds(begins, begins + (packet.duration or 0) * packet.time_base)

    def _holds(self, begins: Fraction, ends: Fraction) -> bool:
        """Whether some of what lasts from `begins` to `ends` is in the part."""
        return ends > self.start and (self.end is None or begins < self.end)

    def shifted(self, time: int | None, unit: Fraction) -> Any:
        """A time of the file as one of the output, both in units of `unit` seconds."""
        return None if time is None else time - round(self._origin / unit)

    def _length(self) -> int:
        seconds = self.stream.duration * self.time_base if self.stream.duration else Fraction(self.container.duration or 0, av.time_base)
        if not (self.start or self.end):
            return self.stream.frames or round(seconds * self.rate)
        return max(1, round((min(self.end or seconds, seconds) - self.start) * self.rate))

    def chapters(self) -> list[Any]:
        """The chapters of the part, as the output has them."""
        found = []
        for chapter in self.container.chapters():
            unit = Fraction(chapter["time_base"] or Fraction(1, 1000))
            begins, ends = chapter["start"] * unit, chapter["end"] * unit
            if self._holds(begins, ends):
                inside = max(begins, self._origin), min(ends, self.end or ends)
                start, end = (self.shifted(round(time / unit), unit) for time in inside)
                found.append({**chapter, "start": start, "end": end, "time_base": unit})
        return found

"""Reading video files: pictures one by one, with their times, and the packets of the streams that are copied.

A picture that cannot be decoded is reported and bridged; interlaced ones are made whole; all are in sRGB, as `video_pixels` says.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import VideoError, reason
from ..images import resize
from ..transparency import filled
from .deinterlace import Deinterlacer
from .ffmpeg import BROKEN, Source, av, opened
from .hdr import HDR, WIDE, is_srgb
from .pixels import to_tensor
from .probe import decoder, moving_pictures, probe

Report = Callable[[str], None]
"""Takes a sentence about something that was bridged, changed or left out."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video: `image` [1, 3, H, W], upright, uint8, or float32 in 0..1 where the video has more than 8 bits."""

    image: Tensor
    index: int
    """Counted from 0."""
    pts: int
    """When it is shown, in units of the stream's time base, and from the start of the file."""
    duration: int
    """0 if unknown."""
    seconds: float
    """When it is shown, counted from the first frame."""
    painted: bool = True
    """If not, it was long ago, in a run that is resumed, and only shows where the camera went."""
    alpha: Tensor | None = None
    """[1, 1, H, W] in the form of `image`, which where it is 0 continues what is around; None if the video is opaque."""

    def visible(self, mask: Tensor | None) -> Tensor | None:
        """`mask` [1, 1, h, w] without what is wholly transparent, which is neither painted nor counted."""
        if self.alpha is None:
            return mask
        seen = (self.alpha > 0).float()
        return seen if mask is None else resize(mask, seen.shape[-2:]) * seen


def frames(source: Source, report: Report = lambda sentence: None) -> Iterator[Frame]:
    """Only the pictures of a video, for a pass that measures."""
    with VideoReader(source, report=report) as reader:
        yield from (item for item in reader if isinstance(item, Frame))


class VideoReader:
    """Iterates over the `Frame`s of the first video stream and, in between, the packets of the streams to copy.

    `start` and `duration` (0: to the end) in seconds choose a part. A picture that cannot be decoded, or only with errors, is
    reported and replaced by the one before it, so that every picture keeps its time. Raises VideoError if there is no video.
    """

    def __init__(self, source: Source, start: float = 0, duration: float = 0, report: Report = lambda sentence: None) -> None:
        self.name = "the video" if isinstance(source, io.BytesIO) else os.fspath(source)
        if not isinstance(source, io.BytesIO):
            _check_file(Path(source))
        try:
            found = probe(source)
            self.container = opened(source)
            streams = list(moving_pictures(self.container))
            context = decoder(streams[0]) if streams else None
        except BROKEN as error:
            raise VideoError(f"{self.name} is not a video that FFmpeg can read ({reason(error)}).") from error
        if found is None or context is None:
            self.container.close()
            raise VideoError(f"{self.name} has no video stream that can be decoded. Give a file with moving pictures.")
        self.stream: Any = streams[0]
        self.decoder: Any = context
        self.rate, self.transparent = found.rate, found.transparent
        self.covers = found.covers
        """The codec and the bytes of each cover picture."""
        self.adts = found.adts
        """The configuration of AAC streams that have it in each packet, by their index."""
        self.flat = False
        """Set it to have what is transparent on black instead."""
        self.transfer, self.primaries = self.stream.codec_context.color_trc, self.stream.codec_context.color_primaries
        self.srgb = is_srgb(self.transfer, self.primaries)
        """Whether pictures have the file's own values; if not, they were brought from another light to sRGB."""
        self.copied = [s for s in self.container.streams if s.type in ("audio", "subtitle") and s.codec_context]
        self.time_base: Fraction = self.stream.time_base or Fraction(1, 90000)
        # Files that begin late (MPEG-TS) begin at 0 in the output; streams keep their distance from each other.
        self._offset = Fraction(start) if start else max(Fraction(0), Fraction(self.container.start_time or 0, av.time_base))
        self._start, self._end = Fraction(start), Fraction(start) + Fraction(duration) if duration else None
        self._report = report
        length = self.stream.duration * self.time_base if self.stream.duration else Fraction(self.container.duration or 0, av.time_base)
        whole = self.stream.frames or round(length * self.rate)
        part = min(Fraction(duration), length - Fraction(start)) if duration else length - Fraction(start)
        self.length = max(1, round(part * self.rate)) if start or duration else whole
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
        frames = _Frames(self)
        try:
            if self._start:
                self.container.seek(int(self._start * av.time_base))
            packets = self.container.demux(self.stream, *self.copied)
        except BROKEN as error:
            raise VideoError(f"{self.name} cannot be read ({reason(error)}). The file is damaged.") from error
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except BROKEN as error:
                self._report(f"{self.name} is damaged after frame {frames.count} and ends there ({reason(error)}).")
                break
            if packet.stream is self.stream:
                yield from frames.decode(packet)
                if frames.ended:
                    break
            elif packet.dts is not None and self._contains(packet):
                packet.pts, packet.dts = (self.shifted(t, packet.time_base) for t in (packet.pts, packet.dts))
                yield packet
        yield from frames.rest()

    def chapters(self) -> list[Any]:
        """Those of the part that is read, from its beginning on."""
        found = []
        for chapter in self.container.chapters():
            unit = Fraction(chapter["time_base"] or Fraction(1, 1000))
            begins, ends = chapter["start"] * unit, chapter["end"] * unit
            if ends > self._start and (self._end is None or begins < self._end):
                last = ends if self._end is None else min(ends, self._end)
                start, end = (self.shifted(round(t / unit), unit) for t in (max(begins, self._offset), last))
                found.append({**chapter, "start": start, "end": end, "time_base": unit})
        return found

    def shifted(self, time: int | None, time_base: Fraction) -> Any:
        """A time of the file as one of the output, in the same units."""
        return None if time is None else time - round(self._offset / time_base)

    def _contains(self, packet: Any) -> bool:
        if packet.pts is None or not (self._start or self._end):
            return True
        begins = packet.pts * packet.time_base
        return begins + (packet.duration or 0) * packet.time_base > self._start and (self._end is None or begins < self._end)


class _Frames:
    """Decodes packets and bridges what is missing between the pictures that come out."""

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self._whole = Deinterlacer(
            reader.time_base,
            lambda: reader._report(f"{reader.name} is interlaced. Its fields are made into whole frames (deinterlaced)."),
        )
        self._waiting: set[int] = set()
        """Timestamps of packets whose picture has not come out yet."""
        self._trouble: int | None = None
        """The latest timestamp that a decoding error may concern."""
        self._last: Frame | None = None
        self._first_pts = 0
        self._size: tuple[int, int] | None = None
        """Of the first picture, to which all are scaled: a video that is broadcast or downloaded may change it."""
        self._latest_size: tuple[int, int] | None = None
        self.count = 0
        self.ended = False

    def decode(self, packet: Any) -> Iterator[Frame]:
        if packet.pts is not None and not packet.is_discard:
            self._waiting.add(packet.pts)
        try:
            decoded = list(self._whole(self._reader.decoder.decode(packet if packet.size else None)))
        except BROKEN:
            self._trouble = max(self._waiting, default=packet.pts)
            return
        yield from self._each(decoded)

    def rest(self) -> Iterator[Frame]:
        """Pictures held back, and those lost at the very end."""
        if not self.ended:
            yield from self._each(self._whole.rest())
        if self._trouble is not None and self._last is not None and not self.ended:
            yield from self._bridge(max(self._waiting, default=0) + 1)

    def _each(self, pictures: Iterable[Any]) -> Iterator[Frame]:
        for picture in pictures:
            yield from self._next(picture)
            if self.ended:
                return

    def _next(self, picture: Any) -> Iterator[Frame]:
        reader = self._reader
        pts = picture.pts
        if pts is None or (self._last is not None and pts <= self._unshifted(self._last.pts)):
            step = max(1, round(1 / reader.rate / reader.time_base))
            pts = self._unshifted(self._last.pts) + step if self._last else 0
        if pts * reader.time_base < reader._start:
            self._waiting.discard(pts)
            return
        if reader._end is not None and pts * reader.time_base >= reader._end:
            self.ended = True
            return
        image = None
        if picture.is_corrupt and self._last is not None:
            reader._report(f"Frame {self.count} of {reader.name} is damaged; the one before it is shown instead.")
            image = self._last.image, self._last.alpha
        if self._trouble is not None and self._last is not None:
            yield from self._bridge(pts)
        if self._trouble is not None and pts >= self._trouble:
            self._trouble = None
        self._waiting = {p for p in self._waiting if p > pts}
        yield self._emit(*(image or self._pixels(picture)), pts, picture.duration or 0)

    def _pixels(self, picture: Any) -> tuple[Tensor, Tensor | None]:
        reader = self._reader
        size = picture.width, picture.height
        self._size = self._size or size
        if size != (self._latest_size or size):
            wanted = "{} x {}".format(*self._size)
            reader._report(f"From frame {self.count} on {reader.name} is {size[0]} x {size[1]}. It is scaled to {wanted}.")
        self._latest_size = size
        if size != self._size:
            picture = picture.reformat(*self._size)
        try:
            image, alpha = to_tensor(picture, reader.transfer, reader.primaries, reader.transparent)
        except BROKEN as error:
            raise VideoError(f"Frame {self.count} of {reader.name} is in a form that cannot be read ({reason(error)}).") from error
        if alpha is None:
            return image, None
        if not reader.flat:
            return filled(image, alpha), alpha
        scale = alpha.float() / (1 if alpha.is_floating_point() else 255)
        return (image * scale).to(image.dtype), None

    def _bridge(self, before: int) -> Iterator[Frame]:
        assert self._last is not None
        for lost in sorted(p for p in self._waiting if self._unshifted(self._last.pts) < p < before):
            self._reader._report(f"Frame {self.count} of {self._reader.name} cannot be decoded; the one before it is shown instead.")
            yield self._emit(self._last.image, self._last.alpha, lost, 0)

    def _emit(self, image: Tensor, alpha: Tensor | None, pts: int, duration: int) -> Frame:
        if self._last is None:
            self._first_pts = pts
        shifted = self._reader.shifted(pts, self._reader.time_base)
        seconds = float((pts - self._first_pts) * self._reader.time_base)
        self._last = Frame(image, self.count, shifted, duration, seconds, alpha=alpha)
        self.count += 1
        return self._last

    def _unshifted(self, pts: int) -> int:
        return pts - self._reader.shifted(0, self._reader.time_base)


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise VideoError(f"{path} is a folder. Give one video file.")
        if not path.is_file():
            raise VideoError(f"There is no video file at {path}. Check the name.")
        if not path.stat().st_size:
            raise VideoError(f"{path} is empty. Save or download it again.")
    except OSError as error:  # such as a name that is too long
        raise VideoError(f"There is no video file at {path} ({reason(error)}). Check the name.") from error

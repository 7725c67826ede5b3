"""Reading video files: pictures one by one, with their times, and the packets of the streams that are copied.

A picture that cannot be decoded is reported and bridged. Colours are those a player would show: matrix and range as the file says.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import VideoError
from .ffmpeg import BT601, BT709, FULL, LIMITED, RGB, UNSPECIFIED, Disposition, FFmpegError, av

Source = str | os.PathLike[str] | io.BytesIO
Report = Callable[[str], None]
"""Takes a sentence about something that was bridged or left out."""


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
        if isinstance(source, io.BytesIO):
            source.seek(0)
        elif not Path(source).is_file():
            raise VideoError(f"There is no video file at {self.name}. Check the name.")
        try:
            self.container = av.open(source if isinstance(source, io.BytesIO) else os.fspath(source), "r")
        except FFmpegError as error:
            raise VideoError(f"{self.name} is not a video that FFmpeg can read ({error.strerror}).") from error
        streams = [s for s in self.container.streams.video if s.codec_context and not s.disposition & Disposition.attached_pic]
        if not streams:
            self.container.close()
            raise VideoError(f"{self.name} has no video stream that can be decoded. Give a file with moving pictures.")
        self.stream: Any = streams[0]
        # Frame threads would report an error packets later than where it happened, and slices use both cores too.
        self.stream.thread_type = "SLICE"
        # Errors are to be told, not painted over by what the decoder makes up.
        self.stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self.copied = [s for s in self.container.streams if s.type in ("audio", "subtitle") and s.codec_context]
        self.time_base: Fraction = self.stream.time_base or Fraction(1, 90000)
        self.rate = Fraction(self.stream.average_rate or self.stream.guessed_rate or 25)
        # Files that begin late (MPEG-TS) begin at 0 in the output; streams keep their distance from each other.
        self._offset = Fraction(start) if start else max(Fraction(0), Fraction(self.container.start_time or 0, av.time_base))
        self._start, self._end = Fraction(start), Fraction(start) + Fraction(duration) if duration else None
        self._report = report
        length = self.stream.duration * self.time_base if self.stream.duration else Fraction(self.container.duration or 0, av.time_base)
        whole = self.stream.frames or round(length * self.rate)
        part = min(Fraction(duration), length - Fraction(start)) if duration else length - Fraction(start)
        self.length = max(1, round(part * self.rate)) if start or duration else whole
        """About how many frames there are; 0 if that is not known."""

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[Frame | av.Packet]:
        frames = _Frames(self)
        if self._start:
            self.container.seek(int(self._start * av.time_base))
        packets = self.container.demux(self.stream, *self.copied)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except FFmpegError as error:
                self._report(f"{self.name} is damaged after frame {frames.count} and ends there ({error.strerror}).")
                break
            if packet.stream is self.stream:
                yield from frames.decode(packet)
                if frames.ended:
                    break
            elif packet.dts is not None and self._contains(packet):
                packet.pts, packet.dts = (self._shifted(t, packet.time_base) for t in (packet.pts, packet.dts))
                yield packet
        yield from frames.rest()

    def _contains(self, packet: Any) -> bool:
        if packet.pts is None or not (self._start or self._end):
            return True
        begins = packet.pts * packet.time_base
        return begins + (packet.duration or 0) * packet.time_base > self._start and (self._end is None or begins < self._end)

    def _shifted(self, time: int | None, time_base: Fraction) -> Any:
        return None if time is None else time - round(self._offset / time_base)


class _Frames:
    """Decodes packets and bridges what is missing between the pictures that come out."""

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self._waiting: set[int] = set()
        """Timestamps of packets whose picture has not come out yet."""
        self._trouble: int | None = None
        """The latest timestamp that a decoding error may concern."""
        self._last: Frame | None = None
        self._first_pts = 0
        self.count = 0
        self.ended = False

    def decode(self, packet: Any) -> Iterator[Frame]:
        if packet.pts is not None and not packet.is_discard:
            self._waiting.add(packet.pts)
        try:
            decoded = packet.decode()
        except FFmpegError:
            self._trouble = max(self._waiting, default=packet.pts)
            return
        for picture in decoded:
            yield from self._next(picture)
            if self.ended:
                return

    def rest(self) -> Iterator[Frame]:
        """Pictures lost at the very end."""
        if self._trouble is not None and self._last is not None and not self.ended:
            yield from self._bridge(max(self._waiting, default=0) + 1)

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
            image = self._last.image
        if self._trouble is not None and self._last is not None:
            yield from self._bridge(pts)
        if self._trouble is not None and pts >= self._trouble:
            self._trouble = None
        self._waiting = {p for p in self._waiting if p > pts}
        yield self._emit(image if image is not None else to_tensor(picture), pts, picture.duration or 0)

    def _bridge(self, before: int) -> Iterator[Frame]:
        assert self._last is not None
        for lost in sorted(p for p in self._waiting if self._unshifted(self._last.pts) < p < before):
            self._reader._report(f"Frame {self.count} of {self._reader.name} cannot be decoded; the one before it is shown instead.")
            yield self._emit(self._last.image, lost, 0)

    def _emit(self, image: Tensor, pts: int, duration: int) -> Frame:
        if self._last is None:
            self._first_pts = pts
        shifted = self._reader._shifted(pts, self._reader.time_base)
        self._last = Frame(image, self.count, shifted, duration, float((pts - self._first_pts) * self._reader.time_base))
        self.count += 1
        return self._last

    def _unshifted(self, pts: int) -> int:
        return pts - self._reader._shifted(0, self._reader.time_base)


def to_tensor(picture: Any) -> Tensor:
    """A decoded picture as an upright image, as `Frame.image` says."""
    deep = max(component.bits for component in picture.format.components) > 8
    form = "rgb48le" if deep else "rgb24"
    if picture.format.is_rgb:
        rgb = picture.reformat(format=form)
    else:
        rgb = picture.reformat(
            format=form, src_colorspace=_matrix(picture), src_color_range=_range(picture), dst_colorspace=RGB, dst_color_range=FULL
        )
    values = rgb.to_ndarray()
    if picture.rotation:
        values = np.ascontiguousarray(np.rot90(values, round(picture.rotation / 90)))
    if deep:
        return torch.from_numpy(values.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    return torch.from_numpy(values).permute(2, 0, 1)[None]


def _matrix(picture: Any) -> int:
    """The matrix by which a YUV picture becomes RGB; players take BT.709 for HD pictures that do not say."""
    if picture.colorspace != UNSPECIFIED:
        return picture.colorspace
    return BT709 if min(picture.width, picture.height) >= 720 else BT601


def _range(picture: Any) -> int:
    if picture.format.name.startswith("yuvj"):
        return FULL
    return picture.color_range or LIMITED

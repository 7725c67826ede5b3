"""Video files: frames are decoded, painted and encoded one by one, everything else is copied as it is.

Timestamps, frame rate, pixel format, range and matrix of the colours are those of the source; audio and subtitles keep their bytes.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import VideoError

try:
    import av
    from av.bitstream import BitStreamFilterContext
    from av.codec.codec import UnknownCodecError
    from av.error import FFmpegError
    from av.stream import Disposition
except ImportError as error:
    raise VideoError('Video needs PyAV, which is not installed. Run: pip install "adain-style-transfer[video]"') from error

Source = str | os.PathLike[str] | io.BytesIO
Report = Callable[[str], None]
"""Takes a sentence about something that was bridged or left out."""

_UNSPECIFIED, _BT709, _BT601, _RGB = 2, 1, 5, 0
_LIMITED, _FULL = 1, 2

_KEYFRAME_SECONDS = 2
"""MP4 is written in fragments that begin with a keyframe, so this is what a run that is killed loses at most."""

_SETTINGS = "adain_settings"
"""Metadata key under which an output says how it was made."""


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


@dataclass(frozen=True)
class Encoding:
    """How a video is encoded. Empty fields are chosen: the container's usual codec, visually lossless, the source's pixel format."""

    codec: str = ""
    """An encoder of FFmpeg, such as libx264, libx265, libvpx-vp9, libsvtav1, ffv1, prores_ks."""
    crf: float | None = None
    """Constant rate factor: lower is better and larger."""
    preset: str = ""
    """The encoder's speed, e.g. ultrafast ... medium ... veryslow."""
    pixel_format: str = ""
    """Such as yuv420p or yuv444p10le."""


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
            format=form, src_colorspace=_matrix(picture), src_color_range=_range(picture), dst_colorspace=_RGB, dst_color_range=_FULL
        )
    values = rgb.to_ndarray()
    if picture.rotation:
        values = np.ascontiguousarray(np.rot90(values, round(picture.rotation / 90)))
    if deep:
        return torch.from_numpy(values.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    return torch.from_numpy(values).permute(2, 0, 1)[None]


def _matrix(picture: Any) -> int:
    """The matrix by which a YUV picture becomes RGB; players take BT.709 for HD pictures that do not say."""
    if picture.colorspace != _UNSPECIFIED:
        return picture.colorspace
    return _BT709 if min(picture.width, picture.height) >= 720 else _BT601


def _range(picture: Any) -> int:
    if picture.format.name.startswith("yuvj"):
        return _FULL
    return picture.color_range or _LIMITED


class VideoWriter:
    """Writes painted frames of `reader`'s video, and the packets of its other streams, to `path`.

    Raises VideoError if the container or the encoder cannot do what is asked.
    """

    def __init__(self, path: Path, reader: VideoReader, encoding: Encoding, settings: str = "", report: Report = lambda s: None) -> None:
        options = {"flush_packets": "1"}
        if path.suffix.lower() in (".mp4", ".mov", ".m4v"):
            # Readable up to the last fragment while it is being written, whatever ends that; a plain file once it is whole.
            options["movflags"] = "hybrid_fragmented+delay_moov+use_metadata_tags"
        self._reader, self._encoding = reader, encoding
        try:
            self._container = av.open(os.fspath(path), "w", options=options)
        except (FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise VideoError(f"{path} cannot be written ({reason}). Choose another name, ending in .mp4, .mkv, .mov or .webm.") from error
        self._container.metadata.update(reader.container.metadata)
        if settings:
            self._container.metadata[_SETTINGS] = settings
        self._path = path
        self._video: Any = None
        self._copies: dict[int, Any] = {}
        self._waiting: list[Any] = []
        self._durations: dict[int, int] = {}
        self._range = self._matrix = 0
        for stream in reader.copied:
            if stream.codec_context.codec.canonical_name in self._container.supported_codecs:
                self._copies[stream.index] = stream
            elif stream.type == "audio":
                self._container.close()
                path.unlink(missing_ok=True)
                raise VideoError(
                    f"A {path.suffix} file cannot hold {stream.codec_context.name} audio, which {reader.name} has, and audio is copied "
                    "as it is. Choose an output that ends in .mkv."
                )
            else:
                report(f"A {path.suffix} file cannot hold {stream.codec_context.name} subtitles; they are left out.")

    def write(self, frame: Frame, image: Tensor) -> None:
        """Encode `image` [1, 3, H, W] in 0..1, shown when `frame` was."""
        if self._video is None:
            self._open(*image.shape[-2:])
        if frame.duration:
            self._durations[frame.pts] = frame.duration
        self._mux(self._encode(self._picture(image, frame.pts)))

    def copy(self, packet: Any) -> None:
        """Pass on a packet of another stream."""
        if packet.stream.index not in self._copies:
            return
        if self._video is None:  # all streams must be known before the first packet is written
            self._waiting.append(packet)
            return
        packet.stream = self._copies[packet.stream.index]
        self._container.mux(packet)

    def pass_on(self, packet: Any, frame: Frame) -> None:
        """Write the video packet that an earlier run encoded for `frame`."""
        if self._video is None:
            self._open(*frame.image.shape[-2:])
        packet.time_base = self._reader.time_base  # containers round times and may have shifted them
        packet.pts = packet.dts = frame.pts
        packet.duration = frame.duration
        packet.stream = self._video
        self._container.mux(packet)

    def close(self) -> None:
        """Finish the file, so that it can be played."""
        if self._video is not None:
            self._mux(self._encode(None))
        self._container.close()

    def _open(self, height: int, width: int) -> None:
        source, container, encoding = self._reader.stream, self._container, self._encoding
        codec = encoding.codec or {"webm": "libvpx-vp9", "mp4": "libx264"}.get(container.format.name, "libx264")
        try:
            # A name such as h264 is looked up too: it stands for the library that encodes it.
            encoder = av.Codec(codec, "w")
            if encoder.type != "video":
                raise VideoError(f"{codec!r} does not encode video. Try libx264, libx265, libvpx-vp9, libsvtav1 or ffv1.")
            video: Any = container.add_stream(codec, rate=self._reader.rate)
        except UnknownCodecError as error:
            raise VideoError(f"There is no video encoder {codec!r}. Try libx264, libx265, libvpx-vp9, libsvtav1 or ffv1.") from error
        except ValueError as error:
            raise VideoError(f"A {self._path.suffix} file cannot hold {codec} video. Choose another codec, or .mkv.") from error
        context = video.codec_context
        known = {option.name for option in context.supported_options.private} if hasattr(context, "supported_options") else None
        context.options = self._options(codec, known)
        video.width, video.height = width, height
        video.pix_fmt = self._pixel_format([f.name for f in encoder.video_formats or []], height, width)
        context.time_base = self._reader.time_base
        context.gop_size = max(1, round(_KEYFRAME_SECONDS * self._reader.rate))
        # Without B-frames packets come in the order of their pictures: what has been written so far can be played to its end, and
        # continued. No picture is written before it is shown either, which containers would have to shift all others for.
        context.max_b_frames = 0
        ratio = source.sample_aspect_ratio
        if ratio:
            turned = (width, height) != (source.width, source.height)
            context.sample_aspect_ratio = 1 / ratio if turned else ratio
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(source.codec_context, name))
        self._range = context.color_range or _LIMITED
        if source.codec_context.format.name.startswith("yuvj"):
            self._range = context.color_range = _FULL
        self._matrix = context.colorspace
        if self._matrix in (_UNSPECIFIED, _RGB):
            self._matrix = _BT709 if min(height, width) >= 720 else _BT601
            if source.codec_context.format.is_rgb and not video.format.is_rgb:
                context.colorspace = self._matrix  # the source's pixels were no YUV, those written are
        video.metadata.update({k: v for k, v in source.metadata.items() if k in ("language", "title")})
        copies = {}
        for index, stream in self._copies.items():
            copies[index] = container.add_stream_from_template(stream, opaque=True)
            copies[index].metadata.update(stream.metadata)
        try:
            container.start_encoding()
        except (FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise VideoError(
                f"{codec} cannot encode {width} x {height} {video.pix_fmt} into {self._path.name} ({reason}). "
                "Choose another codec, preset or pixel format, or an output that ends in .mkv."
            ) from error
        self._video, self._copies = video, copies
        for packet in self._waiting:
            self.copy(packet)
        self._waiting.clear()

    def _options(self, codec: str, known: set[str] | None) -> dict[str, str]:
        encoding = self._encoding
        options = {}
        for name, value in (("crf", encoding.crf), ("preset", encoding.preset or None)):
            if value is None:
                continue
            if known is not None and name not in known:
                raise VideoError(f"The encoder {codec} has no {name}. Leave it out, or choose libx264.")
            options[name] = str(value)
        if encoding.crf is None and (known is None or "crf" in known):
            options["crf"] = {"libx264": "18", "libx265": "20"}.get(codec, "24")
        return options

    def _pixel_format(self, supported: list[str], height: int, width: int) -> str:
        asked = self._encoding.pixel_format
        if asked:
            if asked not in supported:
                raise VideoError(f"The encoder does not know the pixel format {asked!r}. It has {', '.join(supported)}.")
            return asked
        wanted = self._reader.stream.codec_context.format.name.replace("yuvj", "yuv")
        # Without transparency; and half-resolution chroma needs even sides.
        wanted = wanted.replace("yuva", "yuv")
        odd = (height % 2 and "420" in wanted) or (width % 2 and ("420" in wanted or "422" in wanted))
        candidates = [wanted.replace("420", "444").replace("422", "444")] if odd else [wanted]
        candidates += ["yuv444p"] if odd else ["yuv420p"]
        return next((name for name in candidates if name in supported), supported[0] if supported else "yuv420p")

    def _picture(self, image: Tensor, pts: int) -> Any:
        deep = max(component.bits for component in self._video.format.components) > 8
        values = image[0].movedim(0, -1).float().clamp(0, 1)
        if deep:
            array = (values * 65535).round_().cpu().numpy().astype(np.uint16)
        else:
            array = (values * 255).round_().byte().cpu().numpy()
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), "rgb48le" if deep else "rgb24")
        if self._video.format.is_rgb:
            picture = picture.reformat(format=self._video.pix_fmt)
        else:
            picture = picture.reformat(
                format=self._video.pix_fmt,
                src_colorspace=_RGB,
                src_color_range=_FULL,
                dst_colorspace=self._matrix,
                dst_color_range=self._range,
            )
        picture.pts, picture.time_base = pts, self._reader.time_base
        return picture

    def _encode(self, picture: Any) -> list[Any]:
        try:
            return self._video.encode(picture)
        except FFmpegError as error:
            raise VideoError(
                f"{self._video.codec_context.name} cannot encode this video ({error.strerror}). Choose another codec."
            ) from error

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            duration = self._durations.pop(packet.pts, 0)
            if duration:
                packet.duration = duration
            self._container.mux(packet)


Paint = Callable[[Iterator[Frame]], Iterator[Tensor]]
"""Takes the frames of a video and gives, in order, one picture [1, 3, H, W] in 0..1 for each."""


def convert(
    source: Source,
    target: str | os.PathLike[str],
    paint: Paint,
    *,
    encoding: Encoding = Encoding(),
    start: float = 0,
    duration: float = 0,
    settings: str = "",
    resume: bool = False,
    warmup: int = 0,
    report: Report = lambda sentence: None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the video `source`, its frames painted, to `target`; the number of frames.

    `start` and `duration` in seconds choose a part. Until it is whole the file is called NAME.partial.EXT, and stays there if
    `progress(done, total)` (called for each frame read and written; total 0 if unknown) or anything else raises: it can be played,
    and `resume` goes on where it ends if it was made with the same `settings`, which are stored in it. `warmup` is how
    many frames `paint` must have seen before one that it gives can be used. Raises VideoError.
    """
    target = Path(target)
    partial = target.with_name(f"{target.stem}.partial{target.suffix}")
    previous = target.with_name(f"{target.stem}.previous{target.suffix}")
    if not isinstance(source, io.BytesIO) and target.exists() and target.samefile(source):
        raise VideoError(f"{target} is the video to read. Choose another name for the output.")
    progress = progress or (lambda done, total: None)
    with VideoReader(source, start, duration, report) as reader:
        done = 0
        if resume:
            # Renamed until the new file has more; if that fails too, it still has the most.
            if partial.exists() and not previous.exists():
                partial.replace(previous)
            done = _resumable(previous, settings) if previous.exists() else 0
        writer = VideoWriter(partial, reader, encoding, settings, report)
        earlier = _packets(previous, done)
        shown: deque[Frame] = deque()
        written = done

        def wanted() -> Iterator[Frame]:
            for item in reader:
                if not isinstance(item, Frame):
                    writer.copy(item)
                    continue
                progress(written, reader.length)
                if item.index < done:
                    writer.pass_on(next(earlier), item)
                if item.index >= done - warmup:
                    shown.append(replace(item, image=item.image[..., :0, :0]))
                    yield item

        try:
            for image in paint(wanted()):
                frame = shown.popleft()
                if frame.index < done:
                    continue
                writer.write(frame, image)
                written = frame.index + 1
                progress(written, max(written, reader.length))
                if written == done + 1:
                    previous.unlink(missing_ok=True)
        finally:
            earlier.close()
            writer.close()
    if not written:
        partial.unlink(missing_ok=True)
        raise VideoError(f"No frame of {reader.name} can be decoded. The file is damaged.")
    previous.unlink(missing_ok=True)
    partial.replace(target)
    return written


def partial_of(target: str | os.PathLike[str]) -> Path:
    """Where `convert` keeps what it has done of `target`."""
    target = Path(target)
    return target.with_name(f"{target.stem}.partial{target.suffix}")


def _resumable(path: Path, settings: str) -> int:
    """How many frames of an interrupted run can be kept."""
    try:
        with av.open(os.fspath(path)) as container:
            found = next((v for k, v in container.metadata.items() if k.lower() == _SETTINGS), "")  # Matroska has capitals only
            count = sum(1 for _ in _video_packets(container))
    except (FFmpegError, IndexError):
        return 0  # nothing of it was written yet
    if found != settings:
        raise VideoError(
            f"{path} was made with other settings ({found or 'none are stored in it'}) than these ({settings}). "
            "Give the same ones, or leave --resume out to start again."
        )
    return count


def _packets(path: Path, count: int) -> Generator[Any, None, None]:
    """The first `count` video packets of a file, in the form in which an encoder gives them."""
    if not count:
        return
    with av.open(os.fspath(path)) as container:
        stream = container.streams.video[0]
        name = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}.get(stream.codec_context.codec.canonical_name)
        convert = BitStreamFilterContext(name, stream).filter if name else lambda packet: [packet]
        for _, packet in zip(range(count), _video_packets(container), strict=False):
            yield from convert(packet)


def _video_packets(container: Any) -> Iterator[Any]:
    return (packet for packet in container.demux(container.streams.video[0]) if packet.size)

"""Writing video files: painted pictures are encoded in the form of their source, all else is copied or said to be left out."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import VideoError, reason
from .codecs import PALETTE, audio_codec, holds_copy, keeps_alpha, pixel_format, video_codec, video_encoder
from .ffmpeg import BROKEN, BT709, FULL, LIMITED, UNSPECIFIED, BitStreamFilterContext, av, url
from .palette import Palette
from .pixels import matrix_of, to_picture
from .probe import moving_pictures
from .reader import Frame, Report, VideoReader
from .sound import Transcoder

KEYFRAME_SECONDS = 2
"""MP4 is written in fragments that begin with a keyframe, so this is what a run that is killed loses at most."""

SETTINGS = "adain_settings"
"""Metadata key under which an output says how it was made."""


@dataclass(frozen=True)
class Encoding:
    """How a video is encoded. Empty fields are chosen: the container's usual codec, visually lossless, the source's pixel format."""

    codec: str = ""
    """An encoder of FFmpeg, such as libx264, libx265, libvpx-vp9, libsvtav1, ffv1, prores_ks."""
    crf: float | None = None
    """Constant rate factor: lower is better and larger."""
    preset: str = ""
    """The encoder's speed, e.g. ultrafast ... medium ... veryslow; libx264's is veryfast if none is given."""
    pixel_format: str = ""
    """Such as yuv420p or yuv444p10le."""


_NOT_COPIED = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
"""Metadata that describe the file they are in, not the video."""

NOT_RESUMABLE = {"gif", "apng", "webp", "webp_pipe"}
"""Containers whose frames build on each other, so that an interrupted run cannot be continued."""

_BITS_PER_PIXEL = 1
"""For encoders that know no constant quality, whose own choice is for small windows of the nineties."""

_STEADY = {"avi", "ogg", "ogv"}
"""Containers that count frames instead of giving each its time."""

_CHAPTERS = {"mp4", "mov", "ipod", "matroska", "webm", "asf", "nut", "ogg", "ogv"}
"""Containers that have chapters."""


class VideoWriter:
    """Writes painted frames of `reader`'s video, and all else that is in it, to `path`.

    Raises VideoError if the container or the encoder cannot do what is asked; reports what cannot be kept.
    """

    def __init__(self, path: Path, reader: VideoReader, encoding: Encoding, settings: str = "", report: Report = lambda s: None) -> None:
        options = {"flush_packets": "1"}
        if path.suffix.lower() in (".mp4", ".mov", ".m4v"):
            # Readable up to the last fragment while it is being written, whatever ends that; a plain file once it is whole.
            options["movflags"] = "hybrid_fragmented+delay_moov+use_metadata_tags"
        options.update({".webp": {"loop": "0"}, ".apng": {"plays": "0"}}.get(path.suffix.lower(), {}))  # for ever, as GIF does
        self._path, self._reader, self._encoding, self._report = path, reader, encoding, report
        self._video: Any = None
        self._copies: dict[int, Any] = {}
        self._anew: dict[int, tuple[Any, str]] = {}
        self._transcoders: dict[int, Transcoder] = {}
        self._waiting: list[Any] = []
        self._durations: dict[int, int] = {}
        self._out_of_order: set[int] = set()
        self._unwrapped: dict[int, BitStreamFilterContext] = {}
        self._range = self._matrix = 0
        self._form = ""
        """The pixel format that is encoded."""
        self._palette = Palette()
        try:
            self._container = av.open(url(path), "w", options=options)
        except BROKEN as error:
            raise VideoError(
                f"{path} cannot be written ({reason(error)}). Choose another name, ending in .mp4, .mkv, .mov or .webm."
            ) from error
        try:
            self._prepare(settings)
        except BaseException:
            self.close()
            raise

    def write(self, frame: Frame, image: Tensor) -> None:
        """Encode `image` [1, 3, H, W] in 0..1, shown when `frame` was."""
        if self._video is None:
            self._open(*image.shape[-2:])
        alpha = frame.alpha if self.keeps_alpha else None
        form = "rgba" if self._form == PALETTE else self._form
        picture = to_picture(image, alpha, form, self._matrix, self._range)
        picture.pts, picture.time_base = self._time(frame), self._unit
        self._durations[picture.pts] = self._duration(frame)
        if self._form == PALETTE:
            picture = self._palette(picture)
        self._mux_video(self._encode(picture))

    def copy(self, packet: Any) -> None:
        """Pass on a packet of another stream."""
        index = packet.stream.index
        if index not in self._copies and index not in self._anew:
            return
        if self._video is None:  # all streams must be known before the first packet is written
            self._waiting.append(packet)
            return
        if index in self._anew:
            self._mux(self._transcoders[index](packet))
            return
        kind = packet.stream.type
        try:
            for part in self._unwrapped[index].filter(packet) if index in self._unwrapped else [packet]:
                part.stream = self._copies[index]
                self._container.mux(part)
        except BROKEN as error:
            if getattr(error, "errno", None) != errno.EINVAL:
                raise self._full(error) from error
            # A container takes no packet that comes before the one before it, as in damaged files.
            if index not in self._out_of_order:
                self._report(f"Some of the {kind} of {self._reader.name} comes at times that make no sense. It is left out.")
            self._out_of_order.add(index)

    def pass_on(self, packet: Any, frame: Frame) -> None:
        """Write the video packet that an earlier run encoded for `frame`."""
        if self._video is None:
            self._open(*frame.image.shape[-2:])
        packet.time_base = self._unit  # containers round times and may have shifted them
        packet.pts = packet.dts = self._time(frame)
        packet.duration = self._duration(frame)
        packet.stream = self._video
        self._mux([packet])

    def close(self) -> None:
        """Finish the file, so that it can be played; one without anything in it is removed."""
        try:
            if self._video is not None:
                self._mux_video(self._encode(None))
                for transcoder in self._transcoders.values():
                    self._mux(transcoder(None))
        finally:
            try:
                self._container.close()
            except BROKEN as error:
                raise VideoError(f"{self._path} cannot be finished ({reason(error)}). Choose another folder or format with -o.") from error
            finally:
                if self._video is None:
                    self._path.unlink(missing_ok=True)

    def _prepare(self, settings: str) -> None:
        """Decide what goes into the file, and see that it can, before any picture is painted."""
        reader, container, suffix = self._reader, self._container, self._path.suffix
        if container.format.no_file or container.format.name in ("image2", "yuv4mpegpipe", "rawvideo"):
            raise VideoError(f"A {suffix} file holds no video that could be written. Choose a name that ends in .mp4, .mkv, .mov or .webm.")
        container.metadata.update({k: v for k, v in reader.container.metadata.items() if k.lower() not in _NOT_COPIED})
        if settings:
            container.metadata[SETTINGS] = settings
        steady = container.format.name in _STEADY
        self._unit = 1 / reader.rate if steady else Fraction(1, 100) if container.format.name == "gif" else reader.time_base
        self._latest: int | None = None
        self._told_of_times = False
        self._codec = self._encoding.codec or video_codec(container, reader.transparent)
        self._encoder = video_encoder(self._codec)
        self._check_pixel_format()
        self.keeps_alpha = reader.transparent and keeps_alpha(container, self._encoder, self._encoding.pixel_format)
        """Whether what is transparent stays so."""
        if reader.transparent and not self.keeps_alpha:
            self._report(
                f"{reader.name} is transparent in places, which {self._codec} in a {suffix} file cannot be: it is painted on black. "
                "An output that ends in .webm, .mkv or .mov (without --codec) keeps it."
            )
        for stream in reader.copied:
            self._take(stream)
        self._tell_what_is_left_out()

    def _time(self, frame: Frame) -> int:
        """When a frame is shown, in the units of what is written."""
        if self._unit == self._reader.time_base:
            return frame.pts
        time = frame.pts * self._reader.time_base / self._unit
        counted = round(time) if self._latest is None else max(round(time), self._latest + 1)
        if abs(counted - time) > 1 and not self._told_of_times:
            self._told_of_times = True
            name, suffix = self._reader.name, self._path.suffix
            self._report(f"Frames of {name} follow each other faster than a {suffix} file can have them. They are shown later.")
        self._latest = counted
        return counted

    def _duration(self, frame: Frame) -> int:
        return frame.duration and max(1, round(frame.duration * self._reader.time_base / self._unit))

    def _check_pixel_format(self) -> None:
        asked = self._encoding.pixel_format
        offered = [form.name for form in self._encoder.video_formats or []]
        if asked and asked not in offered:
            raise VideoError(f"The encoder does not know the pixel format {asked!r}. It has {', '.join(offered)}.")

    def _take(self, stream: Any) -> None:
        """Copy a stream of sound or subtitles, or else encode its sound anew, or else leave it out."""
        name, suffix = stream.codec_context.name, self._path.suffix
        if holds_copy(self._container, stream):
            self._copies[stream.index] = stream
            return
        codec = audio_codec(self._container) if stream.type == "audio" else ""
        if codec:
            self._report(f"A {suffix} file cannot hold {name} sound as it is. It is encoded anew, as {codec}.")
            self._anew[stream.index] = (stream, codec)
            return
        kind = "sound" if stream.type == "audio" else "subtitles"
        self._report(f"A {suffix} file cannot hold {name} {kind}, so they are left out. An output that ends in .mkv may keep them.")

    def _tell_what_is_left_out(self) -> None:
        reader, matroska = self._reader, self._container.format.name == "matroska"
        streams = reader.container.streams
        lost = [
            (len(list(moving_pictures(reader.container))) - 1, "more video stream"),
            (sum(s.type in ("audio", "subtitle") and not s.codec_context for s in streams), "stream of an unknown codec"),
            (self._count_data(), "stream of other data"),
            (sum(s.type == "attachment" for s in streams) * (not matroska), "attachment"),
            (len(reader.covers) * (not matroska), "cover picture"),
            (len(reader.chapters()) * (self._container.format.name not in _CHAPTERS), "chapter"),
        ]
        for count, what in lost:
            if count > 0:
                self._report(f"{count} {what}{'s' * (count > 1)} of {reader.name} cannot be kept in a {self._path.suffix} file.")

    def _count_data(self) -> int:
        """How many streams of data hold what is not kept in another way."""
        container = self._reader.container
        kept = ("timecode",) if self._container.format.name in ("mov", "mp4") else ()
        count = sum(s.type == "data" and not any(key in s.metadata for key in kept) for s in container.streams)
        return count - ("mp4" in container.format.name and bool(container.chapters()))  # MP4 has the titles of chapters in one

    def _tell_of_silence(self) -> None:
        self._report(f"Some of the sound of {self._reader.name} cannot be decoded, and is silent.")

    def _open(self, height: int, width: int) -> None:
        """Write the header, now that the size of the pictures is known."""
        reader, container = self._reader, self._container
        try:
            video: Any = container.add_stream(self._codec, rate=reader.rate)
        except ValueError as error:
            raise VideoError(f"A {self._path.suffix} file cannot hold {self._codec} video. Choose another codec, or .mkv.") from error
        self._set_up(video, height, width)
        copies = {}
        for index, stream in self._copies.items():
            copies[index] = container.add_stream_from_template(stream, opaque=True)
            _describe(copies[index], stream)
            if index in reader.adts and container.format.name != "mpegts":
                # FFmpeg would do it too, but not for MP4 whose header is written late.
                copies[index].codec_context.extradata = reader.adts[index]
                self._unwrapped[index] = BitStreamFilterContext("aac_adtstoasc", stream)
        for index, (stream, codec) in self._anew.items():
            self._transcoders[index] = Transcoder(container, stream, codec, self._tell_of_silence)
            _describe(self._transcoders[index].target, stream)
        self._add_attachments()
        container.set_chapters(reader.chapters() if container.format.name in _CHAPTERS else [])
        try:
            container.start_encoding()
        except BROKEN as error:
            raise VideoError(
                f"{self._codec} cannot encode {width} x {height} {video.pix_fmt} into {self._path.name} ({reason(error)}). "
                "Choose another codec, preset or pixel format, or an output that ends in .mkv."
            ) from error
        self._video, self._copies = video, copies
        for packet in self._waiting:
            self.copy(packet)
        self._waiting.clear()

    def _set_up(self, video: Any, height: int, width: int) -> None:
        """Size, rate, form and colours of the video to encode."""
        reader, context = self._reader, video.codec_context
        source = reader.stream
        known = {option.name for option in context.supported_options.private}
        context.options = self._options(known)
        if "crf" not in known or self._codec == "libvpx":  # VP8's crf is but a limit
            context.bit_rate = min(round(_BITS_PER_PIXEL * width * height * reader.rate), 2**31 - 1)
        video.width, video.height = width, height
        video.pix_fmt = self._form = self._encoding.pixel_format or pixel_format(
            source.codec_context.format, self._encoder, (height, width), self.keeps_alpha, eight_bits=not reader.srgb
        )
        context.time_base = self._unit
        context.gop_size = max(1, round(KEYFRAME_SECONDS * reader.rate))
        # Without B-frames packets come in the order of their pictures: what has been written so far can be played to its end, and
        # continued. No picture is written before it is shown either, which containers would have to shift all others for.
        context.max_b_frames = 0
        ratio = source.sample_aspect_ratio
        if ratio:
            turned = (width, height) != (source.width, source.height)
            context.sample_aspect_ratio = 1 / ratio if turned else ratio
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(source.codec_context, name))
        if not reader.srgb:
            context.color_primaries = context.color_trc = context.colorspace = BT709
            context.color_range = LIMITED
        self._matrix = matrix_of(context.colorspace, width, height)
        if context.colorspace != UNSPECIFIED and not video.format.is_rgb:
            context.colorspace = self._matrix  # the source's may be none for YUV, or one that is not written
        self._range = context.color_range or LIMITED
        if source.codec_context.format.name.startswith("yuvj"):
            self._range = context.color_range = FULL
        elif source.codec_context.format.is_rgb and not video.format.is_rgb:
            self._range = context.color_range = LIMITED
        video.disposition = source.disposition.value
        video.metadata.update({k: v for k, v in source.metadata.items() if k.lower() in ("language", "title", "timecode", "creation_time")})

    def _options(self, known: set[str]) -> dict[str, str]:
        encoding, codec = self._encoding, self._codec
        options = {}
        for name, value in (("crf", encoding.crf), ("preset", encoding.preset or None)):
            if value is None:
                continue
            if name not in known:
                raise VideoError(f"The encoder {codec} has no {name}. Leave it out, or choose libx264.")
            options[name] = str(value)
        if encoding.crf is None and "crf" in known:
            options["crf"] = {"libx264": "18", "libx265": "20"}.get(codec, "24")
        if codec == "libx264":
            options.setdefault("preset", "veryfast")  # painted frames get no larger by it, and encoding took a fifth of the time
        return options

    def _add_attachments(self) -> None:
        """Fonts and the like, and cover pictures. (MP4 has no covers where it has fragments, or metadata of any name.)"""
        container = self._container
        if container.format.name != "matroska":
            return
        for stream in self._reader.container.streams:
            if stream.type == "attachment":
                container.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data)
        for name, data in self._reader.covers:
            kind = "jpeg" if name == "mjpeg" else name
            container.add_attachment(f"cover.{kind.replace('jpeg', 'jpg')}", f"image/{kind}", data)

    def _encode(self, picture: Any) -> list[Any]:
        try:
            return self._video.encode(picture)
        except BROKEN as error:
            raise VideoError(f"{self._codec} cannot encode this video ({reason(error)}). Choose another codec.") from error

    def _mux_video(self, packets: list[Any]) -> None:
        for packet in packets:
            duration = self._durations.pop(packet.pts, 0)
            if duration:
                packet.duration = duration
        self._mux(packets)

    def _mux(self, packets: Iterable[Any]) -> None:
        try:
            for packet in packets:
                self._container.mux(packet)
        except BROKEN as error:
            raise self._full(error) from error

    def _full(self, error: BaseException) -> VideoError:
        hint = "The video's times are damaged." if getattr(error, "errno", None) == errno.EINVAL else "Is there room on the disk?"
        return VideoError(f"{self._path} cannot be written on ({reason(error)}). {hint}")


def _describe(target: Any, source: Any) -> None:
    target.metadata.update(source.metadata)
    target.disposition = source.disposition.value

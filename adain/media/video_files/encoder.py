"""Encoding painted pictures in the form of their source: its pixel format, colours and times, as far as the output has them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import VideoError, reason
from .codecs import PALETTE, formats_of, keeps_alpha, pixel_format, video_codec, video_encoder
from .ffmpeg import BROKEN, BT709, FULL, LIMITED, UNSPECIFIED
from .filters import Palette
from .frames import Frame
from .pixels import matrix_of, to_picture
from .reader import VideoReader

KEYFRAME_SECONDS = 2
"""MP4 is written in fragments that begin with a keyframe, so this is what a run that is killed loses at most."""

_BITS_PER_PIXEL = 1
"""For encoders that know no constant quality, whose own choice is for small windows of the nineties."""

_STEADY = {"avi", "ogg", "ogv"}
"""Containers that count frames instead of giving each its time."""

_KEPT = {"language", "title", "timecode", "creation_time"}
"""Metadata of the stream that still hold."""


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


class VideoEncoder:
    """Encodes the painted frames of `reader`'s video for `container`. Raises VideoError for an encoding that does not exist."""

    def __init__(self, container: Any, reader: VideoReader, encoding: Encoding) -> None:
        self.codec = encoding.codec or video_codec(container, reader.transparent)
        self._encoder = video_encoder(self.codec)
        offered = formats_of(self._encoder)
        if encoding.pixel_format and encoding.pixel_format not in offered:
            raise VideoError(f"The encoder does not know the pixel format {encoding.pixel_format!r}. It has {', '.join(offered)}.")
        self.keeps_alpha = reader.transparent and keeps_alpha(container, self._encoder, encoding.pixel_format)
        """Whether what is transparent stays so."""
        self.stream: Any = None
        """The stream in the container, once `open` has added it."""
        self._container, self._reader, self._encoding = container, reader, encoding
        self._suffix = Path(container.name).suffix
        name = container.format.name
        self._unit = 1 / reader.rate if name in _STEADY else Fraction(1, 100) if name == "gif" else reader.time_base
        """Seconds in which the output counts time."""
        self._latest_time: int | None = None
        self._durations: dict[int, int] = {}
        self._form = ""
        """The pixel format that is encoded."""
        self._range = self._matrix = 0
        self._palette = Palette()

    def open(self, height: int, width: int) -> None:
        """Add a stream of pictures of that size to the container."""
        reader, source, codec = self._reader, self._reader.stream, self.codec
        try:
            video: Any = self._container.add_stream(codec, rate=reader.rate)
        except ValueError as error:
            raise VideoError(f"A {self._suffix} file cannot hold {codec} video. Choose another codec, or .mkv.") from error
        context = video.codec_context
        known = {option.name for option in context.supported_options.private}
        context.options = self._options(known)
        if "crf" not in known or codec == "libvpx":  # VP8's crf is but a limit
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
        if ratio := source.sample_aspect_ratio:
            turned = (width, height) != (source.width, source.height)
            context.sample_aspect_ratio = 1 / ratio if turned else ratio
        self._set_colors(video)
        video.disposition = source.disposition.value
        video.metadata.update({k: v for k, v in source.metadata.items() if k.lower() in _KEPT})
        self.stream = video

    def _set_colors(self, video: Any) -> None:
        """Matrix and range of the colours, and what else the stream says of them: the source's, or what they were brought to."""
        context, source = video.codec_context, self._reader.stream.codec_context
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(source, name))
        if not self._reader.srgb:
            context.color_primaries = context.color_trc = context.colorspace = BT709
            context.color_range = LIMITED
        self._matrix = matrix_of(context.colorspace, video.width, video.height)
        if context.colorspace != UNSPECIFIED and not video.format.is_rgb:
            context.colorspace = self._matrix  # the source's may be none for YUV, or one that is not written
        self._range = context.color_range or LIMITED
        if source.format.name.startswith("yuvj"):
            self._range = context.color_range = FULL
        elif source.format.is_rgb and not video.format.is_rgb:
            self._range = context.color_range = LIMITED

    def _options(self, known: set[str]) -> dict[str, str]:
        encoding, codec = self._encoding, self.codec
        options = {}
        for name, value in (("crf", encoding.crf), ("preset", encoding.preset or None)):
            if value is not None:
                if name not in known:
                    raise VideoError(f"The encoder {codec} has no {name}. Leave it out, or choose libx264.")
                options[name] = str(value)
        if "crf" in known:
            options.setdefault("crf", {"libx264": "18", "libx265": "20"}.get(codec, "24"))
        if codec == "libx264":
            options.setdefault("preset", "veryfast")  # painted frames get no larger by it, and encoding took a fifth of the time
        return options

    def encode(self, frame: Frame, image: Tensor) -> list[Any]:
        """The packets that come out at `image` [1, 3, H, W] in 0..1, which is shown when `frame` was."""
        alpha = frame.alpha if self.keeps_alpha else None
        form = "rgba" if self._form == PALETTE else self._form
        picture = to_picture(image, alpha, form, self._matrix, self._range)
        picture.pts, picture.time_base = self._time(frame), self._unit
        self._durations[picture.pts] = self._duration(frame)
        return self._packets(self._palette(picture) if self._form == PALETTE else picture)

    def rest(self) -> list[Any]:
        """The packets that were held back, at the end."""
        return self._packets(None)

    def _packets(self, picture: Any) -> list[Any]:
        try:
            packets = self.stream.encode(picture)
        except BROKEN as error:
            raise VideoError(f"{self.codec} cannot encode this video ({reason(error)}). Choose another codec.") from error
        for packet in packets:
            if duration := self._durations.pop(packet.pts, 0):
                packet.duration = duration
        return packets

    def stamped(self, packet: Any, frame: Frame) -> Any:
        """A `packet` that an earlier run encoded for `frame`, with its times: containers round them and may have shifted them."""
        packet.time_base = self._unit
        packet.pts = packet.dts = self._time(frame)
        packet.duration = self._duration(frame)
        packet.stream = self.stream
        return packet

    def _time(self, frame: Frame) -> int:
        """When a frame is shown, in the units of what is written."""
        reader = self._reader
        if self._unit == reader.time_base:
            return frame.pts
        time = frame.pts * reader.time_base / self._unit
        counted = round(time) if self._latest_time is None else max(round(time), self._latest_time + 1)
        if abs(counted - time) > 1:
            reader.report(
                f"Frames of {reader.name} follow each other faster than a {self._suffix} file can have them. They are shown later."
            )
        self._latest_time = counted
        return counted

    def _duration(self, frame: Frame) -> int:
        return frame.duration and max(1, round(frame.duration * self._reader.time_base / self._unit))

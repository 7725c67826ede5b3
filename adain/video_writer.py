"""Writing video files: painted pictures are encoded in the form of their source, other streams copied byte for byte."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from .errors import VideoError
from .ffmpeg import BT601, BT709, FULL, LIMITED, RGB, UNSPECIFIED, FFmpegError, UnknownCodecError, av
from .video_reader import Frame, Report, VideoReader

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
            self._container.metadata[SETTINGS] = settings
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
        context.gop_size = max(1, round(KEYFRAME_SECONDS * self._reader.rate))
        # Without B-frames packets come in the order of their pictures: what has been written so far can be played to its end, and
        # continued. No picture is written before it is shown either, which containers would have to shift all others for.
        context.max_b_frames = 0
        ratio = source.sample_aspect_ratio
        if ratio:
            turned = (width, height) != (source.width, source.height)
            context.sample_aspect_ratio = 1 / ratio if turned else ratio
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(source.codec_context, name))
        self._range = context.color_range or LIMITED
        if source.codec_context.format.name.startswith("yuvj"):
            self._range = context.color_range = FULL
        self._matrix = context.colorspace
        if self._matrix in (UNSPECIFIED, RGB):
            self._matrix = BT709 if min(height, width) >= 720 else BT601
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
        if codec == "libx264":
            options.setdefault("preset", "veryfast")  # painted frames get no larger by it, and encoding took a fifth of the time
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
                src_colorspace=RGB,
                src_color_range=FULL,
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

"""Writing video files: painted pictures are encoded, all else is copied or said to be left out."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import VideoError, counted, reason
from .codecs import audio_codec, holds_copy
from .encoder import Encoding, VideoEncoder
from .ffmpeg import BROKEN, av, url
from .frames import Frame
from .probe import moving_pictures
from .reader import VideoReader
from .streams import Copy, Transcoder

SETTINGS = "adain_settings"
"""Metadata key under which an output says how it was made."""

NOT_RESUMABLE = {"gif", "apng", "webp", "webp_pipe"}
"""Containers whose frames build on each other, so that an interrupted run cannot be continued."""

_NOT_COPIED = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
"""Metadata that describe the file they are in, not the video."""

_CHAPTERS = {"mp4", "mov", "ipod", "matroska", "webm", "asf", "nut", "ogg", "ogv"}
"""Containers that have chapters."""

# Readable up to the last fragment while it is being written, whatever ends that; a plain file once it is whole.
_FRAGMENTED = {"movflags": "hybrid_fragmented+delay_moov+use_metadata_tags"}
_OPTIONS = dict.fromkeys((".mp4", ".mov", ".m4v"), _FRAGMENTED) | {".webp": {"loop": "0"}, ".apng": {"plays": "0"}}
"""Options of containers. Animations are shown for ever, as GIF does of itself."""


class VideoWriter:
    """Writes painted frames of `reader`'s video, and all else that is in it, to `path`.

    Raises VideoError if the container or the encoder cannot do what is asked; reports what cannot be kept.
    """

    def __init__(self, path: Path, reader: VideoReader, encoding: Encoding, settings: str = "") -> None:
        self._path, self._reader, self._report = path, reader, reader.report
        try:
            self._container = av.open(url(path), "w", options={"flush_packets": "1", **_OPTIONS.get(path.suffix.lower(), {})})
        except BROKEN as error:
            raise VideoError(
                f"{path} cannot be written ({reason(error)}). Choose another name, ending in .mp4, .mkv, .mov or .webm."
            ) from error
        self._opened = False
        """Whether the header is written, and all streams are in it."""
        self._taken: dict[int, tuple[Any, str]] = {}
        """The streams of sound and subtitles that are written, by their index, and the codec of those that are encoded anew."""
        self._tracks: dict[int, Copy | Transcoder] = {}
        self._waiting: list[Any] = []
        """Packets of these streams that came before the first picture."""
        try:
            self._prepare(encoding, settings)
        except BaseException:
            self.close()
            raise

    def write(self, frame: Frame, image: Tensor) -> None:
        """Encode `image` [1, 3, H, W] in 0..1, shown when `frame` was."""
        if not self._opened:
            self._open(*image.shape[-2:])
        self._mux(self._video.encode(frame, image))

    def pass_on(self, packet: Any, frame: Frame) -> None:
        """Write the video packet that an earlier run encoded for `frame`."""
        if not self._opened:
            self._open(*frame.image.shape[-2:])
        self._mux([self._video.stamped(packet, frame)])

    def copy(self, packet: Any) -> None:
        """Pass on a packet of another stream."""
        stream = packet.stream
        if stream.index not in self._taken:
            return
        if not self._opened:
            self._waiting.append(packet)
            return
        track = self._tracks[stream.index]
        if isinstance(track, Transcoder):
            self._mux(track(packet))
            return
        try:
            for part in track(packet):
                self._container.mux(part)
        except BROKEN as error:
            if getattr(error, "errno", None) != errno.EINVAL:
                raise self._full(error) from error
            # A container takes no packet that comes before the one before it, as in damaged files.
            self._report(f"Some of the {stream.type} of {self._reader.name} comes at times that make no sense. It is left out.")

    def close(self) -> None:
        """Finish the file, so that it can be played; one without anything in it is removed."""
        try:
            if self._opened:
                self._mux(self._video.rest())
                for track in self._tracks.values():
                    if isinstance(track, Transcoder):
                        self._mux(track(None))
        finally:
            try:
                self._container.close()
            except BROKEN as error:
                raise VideoError(f"{self._path} cannot be finished ({reason(error)}). Choose another folder or format with -o.") from error
            finally:
                if not self._opened:
                    self._path.unlink(missing_ok=True)

    def _prepare(self, encoding: Encoding, settings: str) -> None:
        """Decide what goes into the file, and see that it can, before any picture is painted."""
        reader, container, suffix = self._reader, self._container, self._path.suffix
        if container.format.no_file or container.format.name in ("image2", "yuv4mpegpipe", "rawvideo"):
            raise VideoError(f"A {suffix} file holds no video that could be written. Choose a name that ends in .mp4, .mkv, .mov or .webm.")
        container.metadata.update({k: v for k, v in reader.container.metadata.items() if k.lower() not in _NOT_COPIED})
        if settings:
            container.metadata[SETTINGS] = settings
        self._video = VideoEncoder(container, reader, encoding)
        reader.flat = not self._video.keeps_alpha
        if reader.transparent and reader.flat:
            self._report(
                f"{reader.name} is transparent in places, which {self._video.codec} in a {suffix} file cannot be: it is painted on black. "
                "An output that ends in .webm, .mkv or .mov (without --codec) keeps it."
            )
        for stream in reader.copied:
            self._take(stream)
        self._tell_what_is_left_out()

    def _take(self, stream: Any) -> None:
        """Copy a stream of sound or subtitles, or else encode its sound anew, or else leave it out."""
        name, suffix = stream.codec_context.name, self._path.suffix
        if holds_copy(self._container, stream):
            self._taken[stream.index] = stream, ""
            return
        if stream.type == "audio" and (codec := audio_codec(self._container)):
            self._report(f"A {suffix} file cannot hold {name} sound as it is. It is encoded anew, as {codec}.")
            self._taken[stream.index] = stream, codec
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
                self._report(f"{counted(count, what)} of {reader.name} cannot be kept in a {self._path.suffix} file.")

    def _count_data(self) -> int:
        """How many streams of data hold what is not kept in another way."""
        container = self._reader.container
        kept = ("timecode",) if self._container.format.name in ("mov", "mp4") else ()
        count = sum(s.type == "data" and not any(key in s.metadata for key in kept) for s in container.streams)
        return count - ("mp4" in container.format.name and bool(container.chapters()))  # MP4 has the titles of chapters in one

    def _open(self, height: int, width: int) -> None:
        """Write the header, now that the size of the pictures is known."""
        reader, container, video = self._reader, self._container, self._video
        video.open(height, width)
        silent = partial(self._report, f"Some of the sound of {reader.name} cannot be decoded, and is silent.")
        for index, (stream, codec) in sorted(self._taken.items(), key=lambda item: bool(item[1][1])):  # copies first
            if codec:
                self._tracks[index] = Transcoder(container, stream, codec, silent)
            else:
                self._tracks[index] = Copy(container, stream, reader.adts.get(index))
        self._add_attachments()
        container.set_chapters(reader.chapters() if container.format.name in _CHAPTERS else [])
        try:
            container.start_encoding()
        except BROKEN as error:
            raise VideoError(
                f"{video.codec} cannot encode {width} x {height} {video.stream.pix_fmt} into {self._path.name} ({reason(error)}). "
                "Choose another codec, preset or pixel format, or an output that ends in .mkv."
            ) from error
        self._opened = True
        for packet in self._waiting:
            self.copy(packet)
        self._waiting.clear()

    def _add_attachments(self) -> None:
        """Add fonts and the like, and cover pictures. (MP4 has no covers where it has fragments, or metadata of any name.)"""
        container = self._container
        if container.format.name != "matroska":
            return
        for stream in self._reader.container.streams:
            if stream.type == "attachment":
                container.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data)
        for name, data in self._reader.covers:
            kind = "jpeg" if name == "mjpeg" else name
            container.add_attachment(f"cover.{kind.replace('jpeg', 'jpg')}", f"image/{kind}", data)

    def _mux(self, packets: Iterable[Any]) -> None:
        try:
            for packet in packets:
                self._container.mux(packet)
        except BROKEN as error:
            raise self._full(error) from error

    def _full(self, error: BaseException) -> VideoError:
        hint = "The video's times are damaged." if getattr(error, "errno", None) == errno.EINVAL else "Is there room on the disk?"
        return VideoError(f"{self._path} cannot be written on ({reason(error)}). {hint}")

"""Video files: frames are decoded, painted and encoded one by one, everything else is copied as it is, or said to be left out.

Timestamps, frame rate, pixel format, range and matrix of the colours are those of the source; audio and subtitles keep their bytes
where the output can hold them.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import VideoError, reason
from .encoder import Encoding
from .ffmpeg import BROKEN, Source, av, opened
from .frames import Frame
from .reader import Report, VideoReader, frames
from .writer import NOT_RESUMABLE, SETTINGS, VideoWriter

__all__ = ["Encoding", "Frame", "Paint", "VideoReader", "convert", "frames", "partial_of"]

Paint = Callable[[Iterator[Frame]], Iterator[Tensor]]
"""Takes the frames of a video and gives, in order, one picture [1, 3, H, W] in 0..1 for each that is to be `painted`."""


def convert(
    source: Source,
    target: str | os.PathLike[str],
    paint: Paint,
    *,
    encoding: Encoding | None = None,
    start: float = 0,
    duration: float = 0,
    settings: str = "",
    resume: bool = False,
    warmup: int = 0,
    report: Report = lambda sentence: None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> int:
    """Write the video `source`, its frames painted, to `target`; the number of frames.

    `start` and `duration` in seconds choose a part. Until it is whole the file is called NAME.partial.EXT, and stays there if
    `progress(done, total)` (called for each frame read and written; total 0 if unknown) or anything else raises: it can be played,
    and `resume` goes on where it ends if it was made with the same `settings`, which are stored in it. `paint` is given all frames
    and gives those that are to be `painted`: from `warmup` before the first one that is needed. Raises VideoError.
    """
    target = Path(target)
    partial, previous = partial_of(target), _beside(target, "previous")
    _check_target(target, source)
    with VideoReader(source, start, duration, report) as reader:
        done = 0
        if resume:
            # Renamed until the new file has more; if that fails too, it still has the most.
            if partial.exists() and not previous.exists():
                partial.replace(previous)
            done = _resumable(previous, settings) if previous.exists() else 0
        written = done
        painted: deque[Frame] = deque()
        """The frames whose pictures are awaited."""

        def decoded() -> Iterator[Frame]:
            for item in reader:
                if not isinstance(item, Frame):
                    writer.copy(item)
                    continue
                progress(written, reader.length)
                if item.index < done:
                    writer.pass_on(next(earlier), item)
                if item.index < done - warmup:
                    yield replace(item, painted=False)
                else:
                    painted.append(item)
                    yield item

        with (
            closing(VideoWriter(partial, reader, encoding or Encoding(), settings)) as writer,
            closing(_packets(previous, done)) as earlier,
        ):
            for image in paint(decoded()):
                frame = painted.popleft()
                if frame.index < done:
                    continue
                writer.write(frame, image)
                written = frame.index + 1
                progress(written, max(written, reader.length))
                if written == done + 1:
                    previous.unlink(missing_ok=True)
    if not written:
        raise VideoError(f"No frame of {reader.name} can be decoded. The file is damaged.")
    previous.unlink(missing_ok=True)
    try:
        partial.replace(target)
    except OSError as error:
        raise VideoError(f"{target} cannot be written ({reason(error)}). The video is in {partial}.") from error
    return written


def partial_of(target: str | os.PathLike[str]) -> Path:
    """The file in which `convert` keeps what it has done of `target`."""
    return _beside(Path(target), "partial")


def _beside(target: Path, what: str) -> Path:
    """A name for what becomes `target`, not longer than file names may be."""
    end = f".{what}{target.suffix}"
    stem = os.fsencode(target.stem)[: 255 - len(os.fsencode(end))].decode(errors="ignore")
    return target.with_name(stem + end)


def _check_target(target: Path, source: Source) -> None:
    try:
        if target.is_dir():
            raise VideoError(f"{target} is a folder. Choose another name for the output.")
        if target.exists() and not isinstance(source, io.BytesIO) and os.path.exists(source) and target.samefile(source):
            raise VideoError(f"{target} is the video to read. Choose another name for the output.")
    except OSError as error:  # a name that is too long
        raise VideoError(f"{target} cannot be written ({reason(error)}). Choose another name for the output.") from error


# Resuming


def _resumable(path: Path, settings: str) -> int:
    """How many frames of an interrupted run can be kept."""
    try:
        with opened(path) as container:
            if container.format.name in NOT_RESUMABLE:
                return 0
            found = next((v for k, v in container.metadata.items() if k.lower() == SETTINGS), "")  # Matroska has capitals only
            count = sum(1 for _ in _video_packets(container))
    except BROKEN:
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
    with opened(path) as container:
        stream = container.streams.video[0]
        name = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}.get(stream.codec_context.codec.canonical_name)
        unwrapped = av.BitStreamFilterContext(name, stream).filter if name else lambda packet: [packet]
        for _, packet in zip(range(count), _video_packets(container), strict=False):
            yield from unwrapped(packet)


def _video_packets(container: Any) -> Iterator[Any]:
    return (packet for packet in container.demux(container.streams.video[0]) if packet.size)

"""Frames of a video, decoded packet by packet: each keeps its time, whatever is damaged, lost, interlaced or of another size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ...errors import VideoError, reason
from ...precision import wide
from ...resample import resize
from ..transparency import filled
from .ffmpeg import BROKEN
from .filters import Deinterlacer
from .pixels import to_tensor

if TYPE_CHECKING:
    from .reader import VideoReader


@dataclass(frozen=True)
class Frame:
    """One picture of a video: `image` [1, 3, H, W], upright, uint8, or float32 in 0..1 where the video has more than 8 bits."""

    image: Tensor
    index: int
    """Its number, counted from 0."""
    pts: int
    """When it is shown, in units of the stream's time base, and from the start of the file."""
    duration: int
    """How long it is shown, in the same units; 0 if unknown."""
    seconds: float
    """When it is shown, counted from the first frame."""
    painted: bool = True
    """Whether it is to be painted. If not, it was long ago, in a run that is resumed, and only shows where the camera went."""
    alpha: Tensor | None = None
    """[1, 1, H, W] in the form of `image`, which where it is 0 continues what is around; None if the video is opaque."""

    def visible(self, mask: Tensor | None) -> Tensor | None:
        """`mask` [1, 1, h, w] without what is wholly transparent, which is neither painted nor counted."""
        if self.alpha is None:
            return mask
        seen = (self.alpha > 0).float()
        return seen if mask is None else resize(mask, seen.shape[-2:]) * seen


class FrameDecoder:
    """Makes the frames of `video`, or of the part of it that is read, from the packets of its video stream.

    A picture that cannot be decoded, or only with errors, is reported and replaced by the one before it.
    """

    def __init__(self, video: VideoReader) -> None:
        self.count = 0
        """Frames so far."""
        self.ended = False
        """Whether the end of the part was reached."""
        self._video = video
        self._deinterlaced = Deinterlacer(video.time_base)
        self._awaited: set[int] = set()
        """Times of packets whose picture has not come out yet; these and all below are the file's own."""
        self._trouble: int | None = None
        """The latest time that a decoding error may concern."""
        self._last: Frame | None = None
        self._first_time = self._last_time = 0
        self._size: tuple[int, int] | None = None
        """Width and height of the first picture, to which all are scaled: a video that is broadcast or downloaded may change them."""
        self._latest_size: tuple[int, int] | None = None

    def decode(self, packet: Any) -> Iterator[Frame]:
        """The frames that come out at a packet."""
        if packet.pts is not None and not packet.is_discard:
            self._awaited.add(packet.pts)
        video = self._video
        try:
            decoded = video.decoder.decode(packet if packet.size else None)
            if any(picture.interlaced_frame for picture in decoded):
                video.report(f"{video.name} is interlaced. Its fields are made into whole frames (deinterlaced).")
            pictures = list(self._deinterlaced(decoded))
        except BROKEN:
            self._trouble = max(self._awaited, default=packet.pts)
            return
        yield from self._frames(pictures)

    def rest(self) -> Iterator[Frame]:
        """The frames that were held back, and those that were lost at the very end."""
        if not self.ended:
            yield from self._frames(self._deinterlaced.rest())
        if self._trouble is not None and not self.ended:
            yield from self._bridged(max(self._awaited, default=0) + 1)

    def _frames(self, pictures: Iterable[Any]) -> Iterator[Frame]:
        video = self._video
        for picture in pictures:
            time = self._time_of(picture)
            if time * video.time_base < video.start:
                self._awaited.discard(time)
                continue
            if video.end is not None and time * video.time_base >= video.end:
                self.ended = True
                return
            if self._trouble is not None:
                yield from self._bridged(time)
                if time >= self._trouble:
                    self._trouble = None
            self._awaited = {awaited for awaited in self._awaited if awaited > time}
            if picture.is_corrupt and self._last is not None:
                video.report(f"Frame {self.count} of {video.name} is damaged; the one before it is shown instead.")
                image, alpha = self._last.image, self._last.alpha
            else:
                image, alpha = self._pixels(picture)
            yield self._frame(image, alpha, time, picture.duration or 0)

    def _time_of(self, picture: Any) -> int:
        """When a picture is shown; where it does not say, or nothing that could be, one frame after the last."""
        if self._last is None:
            return picture.pts or 0
        if picture.pts is None or picture.pts <= self._last_time:
            return self._last_time + max(1, round(1 / self._video.rate / self._video.time_base))
        return picture.pts

    def _pixels(self, picture: Any) -> tuple[Tensor, Tensor | None]:
        """A picture and, if the video is transparent and not to be flat, its alpha; see `Frame`."""
        video = self._video
        size = picture.width, picture.height
        if self._size is None:
            self._size = self._latest_size = size
        if size != self._latest_size:
            wanted = "{} x {}".format(*self._size)
            video.report(f"From frame {self.count} on {video.name} is {size[0]} x {size[1]}. It is scaled to {wanted}.")
        self._latest_size = size
        if size != self._size:
            picture = picture.reformat(*self._size)
        try:
            image, alpha = to_tensor(picture, video.transfer, video.primaries, video.transparent)
        except BROKEN as error:
            raise VideoError(f"Frame {self.count} of {video.name} is in a form that cannot be read ({reason(error)}).") from error
        if alpha is None:
            return image, None
        if video.flat:
            return (image * wide(alpha)).to(image.dtype), None
        return filled(image, alpha), alpha

    def _bridged(self, before: int) -> Iterator[Frame]:
        """The last frame once more for each that is missing between it and the time `before`."""
        if self._last is None:
            return
        for lost in sorted(time for time in self._awaited if self._last_time < time < before):
            self._video.report(f"Frame {self.count} of {self._video.name} cannot be decoded; the one before it is shown instead.")
            yield self._frame(self._last.image, self._last.alpha, lost, 0)

    def _frame(self, image: Tensor, alpha: Tensor | None, time: int, duration: int) -> Frame:
        unit = self._video.time_base
        if self._last is None:
            self._first_time = time
        self._last_time = time
        seconds = float((time - self._first_time) * unit)
        self._last = Frame(image, self.count, self._video.shifted(time, unit), duration, seconds, alpha=alpha)
        self.count += 1
        return self._last

"""Video with less flicker: content moments smoothed over frames, a canvas that stands still, unchanged pixels kept from frame to frame.

Per-frame AdaIN flickers because each frame is normalised by its own moments, which drift as things enter, leave and move, and
because the network answers to noise and sub-pixel motion. So the moments of a frame are merged with those of its neighbours
(moments of a union are arithmetic: `moments.merge`), never across a cut; frames are painted on a canvas that does not move with
the camera (`canvas`), but for what stands still on the screen (`overlay`); and where the input did not change the previous painted
frame shows through (`persistence`).
Everything streams: memory depends on the look-ahead of `Stability`, not on the length of the clip, and a frame's result does not
depend on how many are painted at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from .aim import Aims
from .area import Area
from .checks import check_image, check_mask
from .color import apply_color_mode, lay_over
from .errors import StyleError
from .model import StyleTransferModel
from .precision import wide
from .resample import resize
from .stylize import laid_back, scaled
from .video.bars import Bars, mask_of
from .video.canvas import Camera, Canvas
from .video.cuts import with_cuts
from .video.frames import FramePainter, FrameState, Task
from .video.overlay import Overlays
from .video.persistence import Painted, Persistence
from .video.smoothing import Sharing, Shots

__all__ = ["Shots", "Stability", "Task", "measure_shots", "paint_frames"]


@dataclass(frozen=True)
class Stability:
    """How frames are held together. `Stability(0, 0)` is per-frame AdaIN, exactly what `stylize` gives."""

    radius: int = 8
    """Content moments are averaged over this many frames on either side, weighted by a raised cosine."""
    hold: float = 0.65
    """0..1 (excluded): the previous painted frame's share where the input did not change. At 0 the camera is not followed either."""
    flow: bool = False
    """Follow each pixel's own motion by dense optical flow (OpenCV's DIS); without it only what stands still or moves with the
    camera is held."""

    def __post_init__(self) -> None:
        if self.radius < 0:
            raise StyleError(f"The radius is {self.radius} frames. Give 0 (each frame by itself) or more.")
        if not 0 <= self.hold < 1:
            raise StyleError(f"The hold is {self.hold}. It must be at least 0 and below 1: at 1 nothing would ever change.")

    @property
    def look_ahead(self) -> int:
        """How many frames after one must be read before it is painted: one to tell a cut, `radius` each for colours and features."""
        return 2 * self.radius + 1 if self.radius or self.hold else 0

    @property
    def warmup(self) -> int:
        """By how many painted frames before it a frame is determined to within half an 8-bit step, if the camera was followed from
        the beginning (`Task.painted`)."""
        return 2 * self.radius + 1 + (math.ceil(math.log(1 / 512) / math.log(self.hold)) if self.hold else 0)


def paint_frames(
    model: StyleTransferModel, tasks: Iterable[Task], stability: Stability, *, chunk: int = 0, shots: Shots | None = None
) -> Iterator[Tensor]:
    """Painted frames [1, 3, H, W] in 0..1, float32 or better on the model's device, in the order of `tasks`, all of one size.

    About `stability.look_ahead + 2 * chunk` frames are in memory, and `chunk` of them (0: chosen) are painted together. `shots`, from
    `measure_shots`, gives the moments to use instead of smoothed ones. When the device's memory runs out, less is painted at once.
    Raises ImageError and StyleError as `stylize` does, and AdaINError if flow is asked for without OpenCV.
    """
    painter = FramePainter(model, chunk)
    finish = _Finish(painter, stability)
    stream = _begun(model, tasks)
    if stability.look_ahead or shots:  # bars were left out of what was measured too
        stream = _without_bars(stream, model)
    if stability.look_ahead:
        stream = with_cuts(stream)
    if stability.hold:
        stream = _laid(stream, painter)
    stream = (frame for frame in stream if frame.task.painted)
    if shots:
        stream = (replace(frame, content=shots.of(frame.task.index)) for frame in stream)
    elif stability.radius:
        colors, features = (Sharing(model, features) for features in (False, True))
        stream = colors.smoothed((painter.with_colors(frame) for frame in stream), stability.radius)
        stream = features.smoothed(painter.with_features(stream, 2 * stability.radius + 1), stability.radius)
    for frame, image, painted in painter.painted(stream):
        yield finish(frame, image, painted)


def measure_shots(model: StyleTransferModel, tasks: Callable[[], Iterable[Task]], *, chunk: int = 0) -> Shots:
    """The content moments of each shot of a clip, merged over all its frames: a first reading for `paint_frames`.

    `tasks` is called twice, to read the clip for its colours and for its features, which depend on the colours' map.
    """
    painter = FramePainter(model, chunk)

    def frames() -> Iterator[FrameState]:
        return with_cuts(_without_bars(_begun(model, tasks()), model))

    shots = Sharing(model, features=False).merged(painter.with_colors(frame) for frame in frames())
    known = (replace(frame, content=shots.of(frame.task.index)) for frame in frames())
    return Sharing(model, features=True).merged(painter.with_features(known, waiting=0))


def _begun(model: StyleTransferModel, tasks: Iterable[Task]) -> Iterator[FrameState]:
    """Checked tasks."""
    aims = Aims(model, ready=True)
    for task in tasks:
        if task.image.is_floating_point():
            task = replace(task, image=check_image(task.image, "frame"))
        else:
            check_image(task.image[..., :1, :1] / 255, "frame")
        task.look.count(1)
        size = scaled(task.image.shape[-2:], task.look.scale)
        image = task.image if task.look.scale == 1 else resize(wide(task.image), size)
        yield FrameState(task, image, aims.of(task.look, image), Canvas.of(size))


def _without_bars(stream: Iterable[FrameState], model: StyleTransferModel) -> Iterator[FrameState]:
    """Frames with black bars left as they are, and out of what is measured and followed."""
    bars, aims = Bars(), Aims(model, ready=True)
    known: tuple[Area, Tensor | None, Tensor] | None = None
    for frame in stream:
        inside, mask = bars(frame.image), frame.task.look.mask
        if inside is None:
            yield frame
            continue
        if known is None or known[0] != inside or known[1] is not mask:
            limit = mask_of(inside, frame.image.shape[-2:])
            known = inside, mask, limit if mask is None else limit * resize(check_mask(mask, "mask", 1).cpu(), limit.shape[-2:])
        look = replace(frame.task.look, mask=known[2])
        yield replace(frame, task=replace(frame.task, style=look), aim=aims.of(look, frame.image), inside=inside)


@torch.inference_mode()
def _laid(stream: Iterable[FrameState], painter: FramePainter) -> Iterator[FrameState]:
    """Frames on canvases that stand still while the camera moves."""
    camera, overlays = Camera(), Overlays()
    for frame in stream:
        image = painter.image(frame.image)
        canvas = camera(image, frame.starts_shot, frame.inside)
        frame = replace(frame, canvas=canvas, fixed=overlays(image, canvas, frame.starts_shot, frame.inside))
        if canvas.still or not frame.task.painted:
            yield frame
            continue
        laid = _lay(canvas, image)
        if frame.image.dtype == torch.uint8:
            laid = laid.mul_(255).round_().byte()
        yield replace(frame, laid=laid.to(frame.image).contiguous(), laid_aim=frame.aim.map(partial(_lay, canvas)))


def _lay(canvas: Canvas, planes: Tensor) -> Tensor:
    return canvas.lay(planes).clamp_(0, 1)


class _Finish:
    """Makes of what was painted on canvases the frames that are shown."""

    def __init__(self, painter: FramePainter, stability: Stability) -> None:
        self._painter = painter
        self._on_canvas, self._in_place = (Persistence(stability.hold, stability.flow) for _ in range(2))
        self._before: Task | None = None

    @torch.inference_mode()
    def __call__(self, frame: FrameState, image: Tensor, painted: Tensor) -> Tensor:
        """The frame whose `image` was `painted`, both on its canvas."""
        look, coverage = frame.task.look, frame.aim.coverage
        new = frame.starts_shot or self._before is None or look.leaps_from(self._before.look)
        self._before = frame.task
        laid = frame.on_canvas[1].coverage
        held = self._on_canvas(Painted(frame.canvas, image, painted, None if laid is None else laid.weights), new=new)
        seen = frame.canvas.seen(held).clamp(0, 1)
        own = self._painter.image(frame.image)
        if frame.fixed is None:
            self._in_place.forget()
        else:
            fixed = F.interpolate(frame.fixed.to(seen), size=seen.shape[-2:], mode="bilinear")
            weights = None if coverage is None else coverage.weights
            still = Painted(Canvas.of(seen.shape[-2:]), own, self._painter.in_place(frame, seen, fixed), weights)
            seen = torch.lerp(seen, self._in_place(still, new=new), fixed)
        seen = apply_color_mode(look.color, own, seen, frame.aim.counted)
        seen = lay_over(own, seen, frame.aim.shown(frame.measured))
        return seen if look.scale == 1 else laid_back(seen, self._painter.image(frame.task.image), look)

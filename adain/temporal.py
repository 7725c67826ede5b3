"""Video with less flicker: content moments smoothed over frames, a canvas that stands still, unchanged pixels kept from frame to frame.

Per-frame AdaIN flickers because each frame is normalised by its own moments, which drift as things enter, leave and move, and
because the network answers to noise and sub-pixel motion. So the moments of a frame are merged with those of its neighbours
(moments of a union are arithmetic: `moments.merge`), never across a cut; frames are painted on a canvas that does not move with
the camera (`canvas`), but for what stands still on the screen (`overlay`); and where the input did not change the previous painted
frame shows through (`hold`).
Everything streams: memory depends on the look-ahead of `Stability`, not on the length of the clip, and a frame's result does not
depend on how many are painted at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_image, check_mask
from .color import ColorMode, apply_color_mode, lay_over
from .devices import capable
from .errors import StyleError
from .model import StyleTransferModel
from .pipeline import shown
from .resample import resize
from .stylize import check_request
from .video.bars import Bars, mask_of
from .video.canvas import Camera, Canvas
from .video.frames import Chunks, Task, Work, jumps, painted_groups, painted_in_place, with_colors, with_features
from .video.overlay import Overlays
from .video.persistence import Hold
from .video.smoothing import Shots, merged, smoothed

_CUT = 0.08
"""Least RMS change of the tile means at a cut, in units of the range 0..1."""

_CUT_RATIO = 3
"""At a cut they change this much more than just before and after it; motion and fades go on for several frames."""

_TILES = 8
"""Cuts are found on the means of 8 x 8 tiles: the picture's first moments, kept apart by place."""


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
    model: StyleTransferModel,
    tasks: Iterable[Task],
    stability: Stability,
    *,
    color: ColorMode = "style",
    chunk: int = 1,
    shots: Shots | None = None,
) -> Iterator[Tensor]:
    """Painted frames [1, 3, H, W] in 0..1, float32 or better on the model's device, in the order of `tasks`, all of one size.

    About `stability.look_ahead + 2 * chunk` frames are in memory, and `chunk` of them are painted together. `shots`, from
    `measure_shots`, gives the moments to use instead of smoothed ones. Raises ImageError and StyleError as `stylize` does, and
    AdaINError if flow is asked for without OpenCV.
    """
    hold, hold_in_place = (Hold(stability.hold, stability.flow) for _ in range(2))
    chunks = Chunks(chunk)
    stream = _begun(model, tasks, color, look_for_cuts=stability.look_ahead > 0)
    stream = (work for work in (_laid(stream) if stability.hold else stream) if work.task.painted)
    if shots:
        stream = (replace(work, content=shots.of(work.task.index)) for work in stream)
    elif stability.radius:
        stream = smoothed((with_colors(work) for work in stream), stability.radius)
        stream = smoothed(with_features(model, stream, chunks, 2 * stability.radius + 1), stability.radius, first=1 if model.color else 0)
    before: Task | None = None
    for work, image, painted in chunks.each(stream, lambda group: painted_groups(model, group)):
        new = work.starts_shot or before is None or jumps(before, work.task)
        before = work.task
        with torch.inference_mode():
            frame = work.frame
            coverage = work.coverage()
            covered = None if coverage is None else coverage.cover
            weights = None if coverage is None else coverage.map(work.lay).weights
            seen = work.canvas.seen(hold(work.canvas, image, painted, weights, new=new)).clamp(0, 1)
            if work.fixed is None:
                hold_in_place.forget()
            else:
                weights = None if coverage is None else coverage.weights
                fixed = F.interpolate(work.fixed.to(seen), size=seen.shape[-2:], mode="bilinear")
                in_place = hold_in_place(Canvas.of(seen.shape[-2:]), frame, painted_in_place(work, seen, fixed), weights, new=new)
                seen = torch.lerp(seen, in_place, fixed)
            assert work.content is not None  # whatever was painted was measured
            visible = shown(work.content, work.targets, coverage, work.task.strength)
            frame = lay_over(frame, apply_color_mode(color, frame, seen, covered), visible)
        yield frame


def measure_shots(model: StyleTransferModel, tasks: Callable[[], Iterable[Task]], *, chunk: int = 1) -> Shots:
    """The content moments of each shot of a clip, merged over all its frames: a first reading for `paint_frames`.

    `tasks` is called twice, to read the clip for its colours and for its features, which depend on the colours' map.
    """
    shots = Shots(*merged(with_colors(work) for work in _begun(model, tasks(), "style", look_for_cuts=True)))
    again = _begun(model, tasks(), "style", look_for_cuts=True)
    known = (replace(work, content=shots.of(work.task.index)) for work in again)
    return Shots(*merged(with_features(model, known, Chunks(chunk), waiting=0), first=1 if model.color else 0))


def _begun(model: StyleTransferModel, tasks: Iterable[Task], color: str, look_for_cuts: bool) -> Iterator[Work]:
    """Checked tasks, with cuts found from the means of tiles: a change that stands out from those before and after it."""

    def begin(task: Task) -> Work:
        image = task.image if task.image.is_floating_point() else task.image[..., :1, :1] / 255
        image = check_image(image, "frame")
        if task.image.is_floating_point():
            task = replace(task, image=image)
        check_request(model, image, task.regions, task.strength, color)
        styles = [region.style.to(model.device) for region in task.regions]
        return Work(model, task, False, [style.levels for style in styles], Canvas.of(task.image.shape[-2:]))

    if not look_for_cuts:
        yield from map(begin, tasks)
        return
    waiting: Work | None = None
    tiles: Tensor | None = None
    bars = Bars()
    before = change = 0.0  # changes from the frame before to the waiting one, and the one before that
    for task in tasks:
        work = _without_bars(begin(task), bars)
        means = F.adaptive_avg_pool2d(capable(work.task.image).float(), _TILES) / (1 if work.task.image.is_floating_point() else 255)
        after = 0.0 if tiles is None else float((means - tiles).square().mean().sqrt())
        if waiting is not None:
            yield replace(waiting, starts_shot=change > max(_CUT, _CUT_RATIO * max(before, after)))
        waiting, tiles, before, change = work, means, change, after
    if waiting is not None:
        yield replace(waiting, starts_shot=change > max(_CUT, _CUT_RATIO * before))


def _without_bars(work: Work, bars: Bars) -> Work:
    """With black bars left as they are, and out of what is measured and followed."""
    task, inside = work.task, bars(work.task.image)
    if inside is None:
        return work
    size = task.image.shape[-2:]
    mask = mask_of(inside, size)
    if task.mask is not None:
        mask = mask * resize(check_mask(task.mask, "mask", 1).cpu(), size)
    return replace(work, task=replace(task, mask=mask), inside=inside)


@torch.inference_mode()
def _laid(stream: Iterable[Work]) -> Iterator[Work]:
    """On canvases that stand still while the camera moves."""
    camera, overlays = Camera(), Overlays()
    for work in stream:
        image = work.frame
        canvas = camera(image, work.starts_shot, work.inside)
        work = replace(work, canvas=canvas, fixed=overlays(image, canvas, work.starts_shot, work.inside))
        if canvas.still or not work.task.painted:
            yield work
            continue
        laid = canvas.lay(image).clamp_(0, 1)
        if work.task.image.dtype == torch.uint8:
            laid = laid.mul_(255).round_().byte()
        yield replace(work, laid=laid.to(work.task.image).contiguous())

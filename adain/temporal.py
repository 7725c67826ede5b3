"""Video with less flicker: content moments smoothed over frames, and unchanged pixels kept from frame to frame.

Per-frame AdaIN flickers because each frame is normalised by its own moments, which drift as things enter, leave and move, and
because the network answers to noise and sub-pixel motion. So the moments of a frame are merged with those of its neighbours
(moments of a union are arithmetic: `moments.merge`), never across a cut, and where the input did not change, or only moved with the
camera, the previous painted frame shows through. Everything streams: memory depends on the look-ahead of `Stability`, not on the
length of the clip, and a frame's result does not depend on how many are painted at once.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .canvas import Camera, Canvas
from .color import ColorMode, apply_color_mode, lay_over
from .errors import StyleError
from .hold import Hold
from .images import check_image
from .model import StyleTransferModel
from .moments import Moments, Statistics, color_moments, merge
from .passes import Content, encode, measure_features, paint, render
from .style import Region
from .transfer import check_request, region_weights

_CUT = 0.08
"""Least RMS change of the tile means at a cut, in units of the range 0..1."""

_CUT_RATIO = 3
"""At a cut they change this much more than just before and after it; motion and fades go on for several frames."""

_TILES = 8
"""Cuts are found on the means of 8 x 8 tiles: the picture's first moments, kept apart by place."""

_JUMP = 0.1
"""A change of strength or of a style's mean colour from one frame to the next that counts as wanted, not to be held back."""


@dataclass(frozen=True)
class Stability:
    """How frames are held together. `Stability(0, 0)` is per-frame AdaIN, exactly what `stylize` gives."""

    radius: int = 8
    """Content moments are averaged over this many frames on either side, weighted by a raised cosine."""
    hold: float = 0.65
    """0..1 (excluded): the previous painted frame's share where the input did not change."""
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
        """From how many frames before it a frame is determined to within half an 8-bit step."""
        return 2 * self.radius + 1 + (math.ceil(math.log(1 / 512) / math.log(self.hold)) if self.hold else 0)


@dataclass(frozen=True)
class Task:
    """A frame and how it is to be painted."""

    image: Tensor
    """[1, 3, H, W], float in 0..1 or uint8."""
    index: int
    regions: Sequence[Region]
    """Styles of one row each."""
    strength: float = 1.0
    mask: Tensor | None = None
    """[1, 1, h, w] in 0..1; see `stylize`. Where it is 0 everywhere the frame stays as it is."""
    painted: bool = True
    """If not, the frame only shows where the camera went, as those long before the first one that a resumed run paints."""


@dataclass(frozen=True)
class Shots:
    """Content moments shared by all frames between two cuts."""

    starts: tuple[int, ...]
    """Index of the first frame of each shot."""
    contents: tuple[Content, ...]

    def of(self, index: int) -> Content:
        """The moments of the shot that frame `index` belongs to."""
        return self.contents[max(0, bisect.bisect_right(self.starts, index) - 1)]


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

    At most `stability.look_ahead + chunk` frames are in memory, and `chunk` of them are painted together. `shots`, from
    `measure_shots`, gives the moments to use instead of smoothed ones. Raises ImageError and StyleError as `stylize` does, and
    AdaINError if flow is asked for without OpenCV.
    """
    hold = Hold(stability.hold, stability.flow)
    chunks = _Chunks(chunk)
    stream = _begun(model, tasks, color, look_for_cuts=stability.look_ahead > 0)
    stream = (work for work in (_laid(stream) if stability.hold else stream) if work.task.painted)
    if shots:
        stream = (replace(work, content=shots.of(work.task.index)) for work in stream)
    elif stability.radius:
        stream = _smoothed((_with_colors(work) for work in stream), stability.radius)
        stream = _smoothed(_with_features(model, stream, chunks), stability.radius, first=1 if model.color else 0)
    before: Task | None = None
    for work, image, painted in chunks.each(stream, lambda group: _painted(model, group)):
        new = work.starts_shot or before is None or _jumps(before, work.task)
        before = work.task
        with torch.inference_mode():
            frame = work.frame
            weights = work.weights
            covered = None if weights is None else weights.sum(1, keepdim=True)
            seen = work.canvas.seen(hold(work.canvas, image, painted, new=new)).clamp(0, 1)
            frame = lay_over(frame, apply_color_mode(color, frame, seen, covered), covered)
        yield frame


@torch.inference_mode()
def _painted(model: StyleTransferModel, group: Sequence[_Work]) -> Iterable[tuple[_Work, Tensor, Tensor]]:
    """Each work with its image and that image painted everywhere, both on its canvas."""
    images, targets, weights, strength = _batch(group)
    contents = [work.content for work in group if work.content is not None]
    if contents:
        features = [_joined(level) for level in zip(*(work.features for work in group if work.features), strict=True)]
        painted = paint(model, images, _stacked(contents), targets, weights, strength, features or None)
    else:
        painted = render(model, images, targets, weights, strength)
    return zip(group, images.split(1), painted.clamp_(0, 1).split(1), strict=True)


def measure_shots(model: StyleTransferModel, tasks: Callable[[], Iterable[Task]], *, chunk: int = 1) -> Shots:
    """The content moments of each shot of a clip, merged over all its frames: a first reading for `paint_frames`.

    `tasks` is called twice, to read the clip for its colours and for its features, which depend on the colours' map.
    """
    shots = Shots(*_merged(_with_colors(work) for work in _begun(model, tasks(), "style", look_for_cuts=True)))
    again = _begun(model, tasks(), "style", look_for_cuts=True)
    known = (replace(work, content=shots.of(work.task.index)) for work in again)
    return Shots(*_merged(_with_features(model, known, _Chunks(chunk)), first=1 if model.color else 0))


@dataclass(frozen=True)
class _Work:
    """A task on its way through the stages."""

    model: StyleTransferModel
    task: Task
    starts_shot: bool
    targets: Sequence[Sequence[Statistics]]
    canvas: Canvas
    laid: Tensor | None = None
    """The frame on its canvas, in the precision of the task; None if that is the frame itself."""
    content: Content | None = None
    features: Sequence[Tensor] | None = None
    """Of the frame in the colours that `content` says, kept so that they need not be made again: 14 values a pixel of `lite`."""

    @property
    def frame(self) -> Tensor:
        """As the network takes it; frames wait as they came, which may be a quarter of that."""
        return self._values(self.task.image)

    @property
    def image(self) -> Tensor:
        """The frame on its canvas."""
        return self.frame if self.laid is None else self._values(self.laid)

    def _values(self, image: Tensor) -> Tensor:
        image = image.to(self.model.device)
        if image.dtype == torch.uint8:
            image = image.float() / 255
        return (image if image.dtype == torch.float64 else image.float()).contiguous()

    @property
    def weights(self) -> Tensor | None:
        """The region weights of the frame."""
        weights = region_weights(self.task.regions, self.task.mask, self.task.image, blank=True)
        return None if weights is None else weights.to(self.model.device, torch.promote_types(self.task.image.dtype, torch.float32))

    @property
    def laid_weights(self) -> Tensor | None:
        """Those of the image."""
        weights = self.weights
        return None if weights is None else self.canvas.lay(weights).clamp_(0, 1)


def _begun(model: StyleTransferModel, tasks: Iterable[Task], color: str, look_for_cuts: bool) -> Iterator[_Work]:
    """Checked tasks, with cuts found from the means of tiles: a change that stands out from those before and after it."""

    def begin(task: Task) -> _Work:
        image = task.image if task.image.is_floating_point() else task.image[..., :1, :1] / 255
        check_image(image, "frame")
        check_request(model, image, task.regions, task.strength, color)
        styles = [region.style.to(model.device) for region in task.regions]
        return _Work(model, task, False, [style.levels for style in styles], Canvas.of(task.image.shape[-2:]))

    if not look_for_cuts:
        yield from map(begin, tasks)
        return
    waiting: _Work | None = None
    tiles: Tensor | None = None
    before = change = 0.0  # changes from the frame before to the waiting one, and the one before that
    for task in tasks:
        work = begin(task)
        means = F.adaptive_avg_pool2d(work.task.image.float(), _TILES) / (1 if work.task.image.is_floating_point() else 255)
        after = 0.0 if tiles is None else float((means - tiles).square().mean().sqrt())
        if waiting is not None:
            yield replace(waiting, starts_shot=change > max(_CUT, _CUT_RATIO * max(before, after)))
        waiting, tiles, before, change = work, means, change, after
    if waiting is not None:
        yield replace(waiting, starts_shot=change > max(_CUT, _CUT_RATIO * before))


@torch.inference_mode()
def _laid(stream: Iterable[_Work]) -> Iterator[_Work]:
    """On canvases that stand still while the camera moves."""
    camera = Camera()
    for work in stream:
        image = work.frame
        canvas = camera(image, work.starts_shot)
        if canvas.still or not work.task.painted:
            yield replace(work, canvas=canvas)
            continue
        laid = canvas.lay(image).clamp_(0, 1)
        if work.task.image.dtype == torch.uint8:
            laid = laid.mul_(255).round_().byte()
        yield replace(work, canvas=canvas, laid=laid.to(work.task.image))


def _with_colors(work: _Work) -> _Work:
    """With the moments of level 0, if the model has it."""
    if not work.model.color:
        return replace(work, content=[[] for _ in work.task.regions])
    image, weights = work.image, work.laid_weights
    masks = [None] if weights is None else weights.split(1, 1)
    return replace(work, content=[[color_moments(image, mask)] for mask in masks])


def _with_features(model: StyleTransferModel, stream: Iterable[_Work], chunks: _Chunks) -> Iterator[_Work]:
    """With the features, seen through the map of the colours that `stream` brings, and their moments."""

    @torch.inference_mode()
    def measured(group: Sequence[_Work]) -> Iterable[_Work]:
        images, targets, weights, strength = _batch(group)
        colors = _stacked([work.content for work in group if work.content is not None])
        encoded = encode(model, images, colors, targets, weights, strength)
        content = measure_features(model, encoded, colors, weights)
        for i, work in enumerate(group):
            rows = [level[i : i + 1] for level in encoded.features]
            yield replace(work, content=[[_row(moments, i) for moments in region] for region in content], features=rows)

    return chunks.each(stream, measured)


def _smoothed(stream: Iterable[_Work], radius: int, first: int = 0) -> Iterator[_Work]:
    """With moments from level `first` on merged over the frames around, those of other shots left out.

    After level 0 a change of style at once is like a cut: features are those of recoloured frames.
    """
    window: deque[tuple[int, _Work]] = deque()
    shot = 0
    centre = 0  # position in the window of the next frame to give
    for work in stream:
        shot += work.starts_shot or bool(first and window and _jumps(window[-1][1].task, work.task))
        window.append((shot, work))
        if len(window) - centre > radius:
            yield _centred(window, centre, radius, first)
            window[centre] = window[centre][0], replace(window[centre][1], features=None)  # only its moments are still needed
            centre += 1
            if centre > radius:
                window.popleft()
                centre -= 1
    while centre < len(window):
        yield _centred(window, centre, radius, first)
        centre += 1


def _centred(window: Sequence[tuple[int, _Work]], centre: int, radius: int, first: int) -> _Work:
    shot, work = window[centre]
    near = [
        (other.content, 0.5 + 0.5 * math.cos(math.pi * (i - centre) / (radius + 1)))
        for i, (other_shot, other) in enumerate(window)
        if other_shot == shot and abs(i - centre) <= radius and other.content is not None
    ]
    assert work.content is not None
    contents, shares = [content for content, _ in near], [share for _, share in near]
    smooth = [
        [*region[:first], *(_merge([c[k][level] for c in contents], shares) for level in range(first, len(region)))]
        for k, region in enumerate(work.content)
    ]
    return replace(work, content=smooth)


def _merge(parts: Sequence[Moments], shares: Sequence[float]) -> Moments:
    merged = merge(parts, shares)
    like = parts[0].mean
    return Moments(merged.mean.to(like), merged.var.to(like), merged.weight.to(like))


def _merged(stream: Iterable[_Work], first: int = 0) -> tuple[tuple[int, ...], tuple[Content, ...]]:
    """The index at which each shot starts and its moments from level `first` on, merged frame by frame.

    After level 0 a change of style at once is like a cut, as in `_smoothed`.
    """
    starts: list[int] = []
    contents: list[Content] = []
    before: Task | None = None
    for work in stream:
        assert work.content is not None
        changes = bool(first and before and _jumps(before, work.task))
        before = work.task
        if work.starts_shot or changes or not starts:
            starts.append(work.task.index)
            contents.append(work.content)
            continue
        contents[-1] = [
            [*region[:first], *(merge(pair) for pair in zip(total[first:], region[first:], strict=True))]
            for total, region in zip(contents[-1], work.content, strict=True)
        ]
    return tuple(starts), tuple(contents)


_Result = TypeVar("_Result")


class _Chunks:
    """How many works are done together: `size`, and half as many from then on whenever the device's memory runs out."""

    def __init__(self, size: int) -> None:
        self._size = size

    def each(self, stream: Iterable[_Work], compute: Callable[[Sequence[_Work]], Iterable[_Result]]) -> Iterator[_Result]:
        """What `compute` gives for the works of each group, in order."""
        for group in _groups(stream, self._size):
            while group:
                part = group[: self._size]
                try:
                    results = list(compute(part))
                except torch.OutOfMemoryError:
                    if len(part) == 1:
                        raise
                    self._size = len(part) // 2
                    continue
                yield from results
                group = group[len(part) :]


def _groups(stream: Iterable[_Work], size: int) -> Iterator[list[_Work]]:
    """Up to `size` works that can be painted together: of one strength, all with masks or all without, on canvases of one size."""
    group: list[_Work] = []
    for work in stream:
        if group and _kind(work) != _kind(group[0]):
            yield group
            group = []
        group.append(work)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _kind(work: _Work) -> tuple[float, bool, tuple[int, int]]:
    masked = work.task.mask is not None or any(region.mask is not None for region in work.task.regions)
    return work.task.strength, masked, work.canvas.window[2:]


def _batch(group: Sequence[_Work]) -> tuple[Tensor, list[list[Statistics]], Tensor | None, float]:
    """Images, targets, region weights and strength of a group, as the passes take them."""
    images = [work.image for work in group]
    weights = [work.laid_weights for work in group]
    given = [w for w in weights if w is not None]
    targets = [
        [Statistics(torch.cat([s.mean for s in level]), torch.cat([s.std for s in level])) for level in zip(*region, strict=True)]
        for region in zip(*(work.targets for work in group), strict=True)
    ]
    return torch.cat(images), targets, torch.cat(given) if given else None, group[0].task.strength


def _stacked(contents: Sequence[Content]) -> Content:
    """Moments of single frames as those of a batch."""
    return [
        [
            Moments(torch.cat([m.mean for m in parts]), torch.cat([m.var for m in parts]), torch.cat([m.weight for m in parts]))
            for parts in zip(*regions, strict=True)
        ]
        for regions in zip(*contents, strict=True)
    ]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _row(moments: Moments, i: int) -> Moments:
    if len(moments.mean) == 1:
        return moments
    return Moments(moments.mean[i : i + 1], moments.var[i : i + 1], moments.weight[i : i + 1])


def _jumps(before: Task, after: Task) -> bool:
    """Whether the style itself changes at once, or is off, so that nothing of the previous frame belongs into this one."""
    if not after.strength or abs(after.strength - before.strength) > _JUMP or len(before.regions) != len(after.regions):
        return True
    pairs = zip(before.regions, after.regions, strict=True)
    return any(float((a.style.levels[0].mean - b.style.levels[0].mean).abs().max()) > _JUMP for a, b in pairs if a.style is not b.style)

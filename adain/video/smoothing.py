"""Content moments shared by frames: smoothed over a window, or merged over a shot."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..content import ContentMoments
from ..model import StyleTransferModel
from ..moments import Moments, merge
from .frames import FrameState, Task


@dataclass(frozen=True)
class Shots:
    """Content moments shared by all frames between two cuts."""

    starts: tuple[int, ...]
    """Index of the first frame of each shot."""
    contents: tuple[ContentMoments, ...]

    def of(self, index: int) -> ContentMoments:
        """The moments of the shot that frame `index` belongs to."""
        return self.contents[max(0, bisect.bisect_right(self.starts, index) - 1)]


class Sharing:
    """How frames share the moments of their colours, or those of their features.

    Features are those of recoloured frames: where a model matches colours, a change of style at once is like a cut to them.
    """

    def __init__(self, model: StyleTransferModel, features: bool) -> None:
        self._model, self._features = model, features

    def smoothed(self, stream: Iterable[FrameState], radius: int) -> Iterator[FrameState]:
        """Frames with moments merged over those around, within their shot."""
        window: deque[tuple[int, FrameState]] = deque()
        shot = 0
        centre = 0  # position in the window of the next frame to give
        for frame in stream:
            shot += frame.starts_shot or bool(window and self._apart(window[-1][1].task, frame.task))
            window.append((shot, frame))
            if len(window) - centre > radius:
                yield self._centred(window, centre, radius)
                window[centre] = window[centre][0], replace(window[centre][1], maps=None)  # only its moments are still needed
                centre += 1
                if centre > radius:
                    window.popleft()
                    centre -= 1
        while centre < len(window):
            yield self._centred(window, centre, radius)
            centre += 1

    def merged(self, stream: Iterable[FrameState]) -> Shots:
        """The moments of each shot, merged frame by frame."""
        starts: list[int] = []
        contents: list[ContentMoments] = []
        first: list[FrameState] = []
        before: Task | None = None
        for frame in stream:
            changes = before is not None and self._apart(before, frame.task)
            before = frame.task
            if frame.starts_shot or changes or not starts:
                starts.append(frame.task.index)
                contents.append(frame.measured)
                first.append(frame)
            else:
                contents[-1] = self._shared([contents[-1], frame.measured], contents[-1], lambda _, parts: merge(parts))
        # Merged in float64 on the CPU; used where the frames are, in float32 unless they have more.
        return Shots(tuple(starts), tuple(c.to(self._model.device, frame.image) for c, frame in zip(contents, first, strict=True)))

    def _centred(self, window: Sequence[tuple[int, FrameState]], centre: int, radius: int) -> FrameState:
        shot, frame = window[centre]
        near = [
            (other.measured, 0.5 + 0.5 * math.cos(math.pi * (i - centre) / (radius + 1)))
            for i, (other_shot, other) in enumerate(window)
            if other_shot == shot and abs(i - centre) <= radius
        ]
        shares = [self._shares(frame.measured, near, region) for region in range(len(frame.aim.levels))]
        contents = [content for content, _ in near]
        return replace(frame, content=self._shared(contents, frame.measured, lambda region, parts: _merge(parts, shares[region])))

    def _shares(self, own: ContentMoments, near: Sequence[tuple[ContentMoments, float]], region: int) -> list[float]:
        """How much each of the frames `near`, whose weights are given, counts in one that measured `own`."""
        weights = [weight for _, weight in near]
        if not self._model.color:
            return weights
        around = _merge([content.colors[region] for content, _ in near], weights)
        together = _together(own.colors[region], around)
        alone = (1 - together) * sum(weights)
        return [together * weight + alone * (content is own) for content, weight in near]

    def _shared(
        self, contents: Sequence[ContentMoments], own: ContentMoments, merged: Callable[[int, Sequence[Moments]], Moments]
    ) -> ContentMoments:
        """`own` with the colours, or the features, of all `contents` `merged` in each region."""
        if not self._features:
            regions = zip(*(content.colors for content in contents), strict=True)
            return replace(own, colors=tuple(merged(region, parts) for region, parts in enumerate(regions)))
        features = []
        for region in range(len(own.features)):
            levels = zip(*(content.features[region] for content in contents), strict=True)
            features.append(tuple(merged(region, parts) for parts in levels))
        return replace(own, features=tuple(features))

    def _apart(self, before: Task, after: Task) -> bool:
        """Whether the moments of two frames do not go together, although no cut lies between them."""
        changed = self._features and self._model.color and after.look.leaps_from(before.look)
        return changed or len(before.look.regions) != len(after.look.regions)


def _together(own: Moments, around: Moments) -> float:
    """How far a frame shares the moments of those around: less the darker it is than half of them, so that a fade ends in black."""
    own_light, light = (float(moments.light().max()) for moments in (own, around))
    return min(1.0, 4 * own_light / light) if light else 1.0


def _merge(parts: Sequence[Moments], shares: Sequence[float]) -> Moments:
    return merge(parts, shares).to(parts[0].mean.device, parts[0].mean.dtype)

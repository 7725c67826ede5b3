"""Content moments shared by frames: smoothed over a window, or merged over a shot."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ..moments import Moments, merge
from ..pipeline import Content
from .frames import Task, Work, jumps


@dataclass(frozen=True)
class Shots:
    """Content moments shared by all frames between two cuts."""

    starts: tuple[int, ...]
    """Index of the first frame of each shot."""
    contents: tuple[Content, ...]

    def of(self, index: int) -> Content:
        """The moments of the shot that frame `index` belongs to."""
        return self.contents[max(0, bisect.bisect_right(self.starts, index) - 1)]


def smoothed(stream: Iterable[Work], radius: int, first: int = 0) -> Iterator[Work]:
    """With moments from level `first` on merged over the frames around, those of other shots left out.

    After level 0 a change of style at once is like a cut: features are those of recoloured frames.
    """
    window: deque[tuple[int, Work]] = deque()
    shot = 0
    centre = 0  # position in the window of the next frame to give
    for work in stream:
        shot += work.starts_shot or bool(window and _apart(window[-1][1].task, work.task, first))
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


def _centred(window: Sequence[tuple[int, Work]], centre: int, radius: int, first: int) -> Work:
    shot, work = window[centre]
    near = [
        (other.content, 0.5 + 0.5 * math.cos(math.pi * (i - centre) / (radius + 1)))
        for i, (other_shot, other) in enumerate(window)
        if other_shot == shot and abs(i - centre) <= radius and other.content is not None
    ]
    assert work.content is not None
    smooth = []
    for k, region in enumerate(work.content):
        parts, shares = [content[k] for content, _ in near], [share for _, share in near]
        if work.model.color:
            around = _merge([part[0] for part in parts], shares)
            together = _together(region[0], around)
            shares = [together * share + (1 - together) * sum(shares) * (part is region) for part, share in zip(parts, shares, strict=True)]
        smooth.append([*region[:first], *(_merge([part[level] for part in parts], shares) for level in range(first, len(region)))])
    return replace(work, content=smooth)


def _together(own: Moments, around: Moments) -> float:
    """How far a frame shares the moments of those around: less the darker it is than half of them, so that a fade ends in black."""
    own_light, light = (float(moments.light().max()) for moments in (own, around))
    return min(1.0, 4 * own_light / light) if light else 1.0


def _merge(parts: Sequence[Moments], shares: Sequence[float]) -> Moments:
    return merge(parts, shares).to(parts[0].mean.device, parts[0].mean.dtype)


def _apart(before: Task, after: Task, first: int) -> bool:
    """Whether the moments of two frames from level `first` on do not go together, although no cut lies between them."""
    return len(before.regions) != len(after.regions) or bool(first and jumps(before, after))


def merged(stream: Iterable[Work], first: int = 0) -> tuple[tuple[int, ...], tuple[Content, ...]]:
    """The index at which each shot starts and its moments from level `first` on, merged frame by frame.

    After level 0 a change of style at once is like a cut, as in `smoothed`.
    """
    starts: list[int] = []
    contents: list[Content] = []
    kinds: list[tuple[torch.device, torch.dtype]] = []
    before: Task | None = None
    for work in stream:
        assert work.content is not None
        changes = before is not None and _apart(before, work.task, first)
        before = work.task
        if work.starts_shot or changes or not starts:
            starts.append(work.task.index)
            contents.append(work.content)
            kinds.append((work.model.device, torch.promote_types(work.task.image.dtype, torch.float32)))
            continue
        contents[-1] = [
            [*region[:first], *(merge(pair) for pair in zip(total[first:], region[first:], strict=True))]
            for total, region in zip(contents[-1], work.content, strict=True)
        ]
    # Merged in float64 on the CPU; used where the frames are, in float32 unless they have more.
    return tuple(starts), tuple([[m.to(*of) for m in region] for region in content] for content, of in zip(contents, kinds, strict=True))

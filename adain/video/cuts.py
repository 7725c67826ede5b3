"""Where shots of a clip begin: from the means of tiles, a change that stands out from those before and after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from ..devices import capable
from .frames import FrameState

_CUT = 0.08
"""Least RMS change of the tile means at a cut, in units of the range 0..1."""

_CUT_RATIO = 3
"""At a cut they change this much more than just before and after it; motion and fades go on for several frames."""

_TILES = 8
"""Cuts are found on the means of 8 x 8 tiles: the picture's first moments, kept apart by place."""


def with_cuts(stream: Iterable[FrameState]) -> Iterator[FrameState]:
    """Frames that know whether they start a shot; each waits for the next one."""
    waiting: FrameState | None = None
    tiles: Tensor | None = None
    before = change = 0.0  # changes from the frame before to the waiting one, and the one before that
    for frame in stream:
        means = F.adaptive_avg_pool2d(capable(frame.image).float(), _TILES) / (1 if frame.image.is_floating_point() else 255)
        after = 0.0 if tiles is None else float((means - tiles).square().mean().sqrt())
        if waiting is not None:
            yield replace(waiting, starts_shot=change > max(_CUT, _CUT_RATIO * max(before, after)))
        waiting, tiles, before, change = frame, means, change, after
    if waiting is not None:
        yield replace(waiting, starts_shot=change > max(_CUT, _CUT_RATIO * before))

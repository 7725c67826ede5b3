"""Descent: the lowest value of a function of very many numbers that is found in so many looks at it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

_HISTORY = 5
"""Steps that L-BFGS looks back to. Ten were no better, and each takes twice the memory of what it moves."""

_STRIDE = 0.01
"""How far the first step moves a number on average, at most; it only shows how the function bends."""

_FELL, _WITHIN = 0.002, 10
"""The descent ends where the value fell by a smaller share within so many looks."""

_ROSE = 2.0
"""Times the lowest value so far: who is there has left the valley."""

_logger = logging.getLogger(__name__)


class _LostError(Exception):
    """Nothing more is to be found in this direction."""


def descend(
    function: Callable[[Tensor], tuple[float, Tensor]],
    start: Tensor,
    looks: int,
    after: Callable[[Tensor], None],
    along: Callable[[Tensor], Tensor],
) -> Tensor:
    """The place where `function`, which gives a value and its gradient, was lowest, after at most so many looks at it from `start` on.

    L-BFGS without a line search; from the lowest place it begins again when it gets lost. What is moved is z, at the place
    start + `along`(z), so `along`, a symmetric linear map, says which ways are easy. `after` is given each place that was looked at.
    Where the function is not finite, the descent ends, with a warning.
    """
    best, least, left = start, math.inf, looks
    lowest: list[float] = []  # after each look
    scale = _STRIDE * start.numel()  # the optimizer's first step changes its numbers by 1 in all
    while left:
        moved = torch.zeros_like(start, memory_format=torch.contiguous_format, requires_grad=True)
        optimizer = torch.optim.LBFGS([moved], max_iter=left, max_eval=left, history_size=_HISTORY, tolerance_grad=0, tolerance_change=0)

        def look(moved: Tensor = moved, origin: Tensor = best) -> Tensor:
            nonlocal best, least, left
            seen = origin + along(moved.detach() * scale)
            value, gradient = function(seen)
            if not (math.isfinite(value) and gradient.isfinite().all()):
                left = 0
                _logger.warning("AdaIN: the loss of a picture is no longer finite; the last good picture is kept")
                raise _LostError
            left -= 1
            if value < least:
                best, least = seen, value
            lowest.append(least)
            after(seen)
            if len(lowest) > _WITHIN and least > (1 - _FELL) * lowest[-1 - _WITHIN]:
                left = 0
                raise _LostError
            if value > _ROSE * least:
                raise _LostError
            moved.grad = (along(gradient) * scale).contiguous()
            return torch.tensor(value)

        with suppress(_LostError):
            optimizer.step(look)  # all of the descent
            break
    return best

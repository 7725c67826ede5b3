"""Memory: how it is handed out on a CPU, how much there is, and what is done when it runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

import torch

_LARGEST = 2**25
"""Bytes: glibc raises its thresholds up to buffers of this size."""

_OUT_OF_MEMORY = 2
"""The number by which CUDA calls it."""

_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
"""What MPS and others say, and a CPU on Linux and on Windows."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_logger = logging.getLogger(__name__)


def keep_freed_pages() -> None:
    """Let the process keep what it frees, some 64 MB, instead of giving it back to the system and asking for it again.

    Buffers that glibc asks the system for, and what it gives back above its threshold, come as fresh pages, each a fault; at
    512 x 512 a fifth of the time went into them. Both thresholds grow with the largest buffer that was freed. So one is, which
    costs nothing, because it is never written to. Without glibc nothing happens.
    """
    torch.empty(_LARGEST - 2**16, dtype=torch.uint8, device="cpu")


def free_memory(device: torch.device) -> int:
    """Bytes that are free on `device`."""
    if device.type != "cuda":
        return 2**30  # what any accelerator has; torch has no question for it that all of them answer
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def is_out_of_memory(error: Exception) -> bool:
    """Whether `error` says that a device's memory is used up."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    if getattr(error, "error_code", None) == _OUT_OF_MEMORY and torch.cuda.is_available():
        with suppress(RuntimeError):  # told once more by the next call, which had no part in it
            torch.cuda.synchronize()
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def release(device: torch.device) -> None:
    """Give freed memory of `device` back, so that it can be had in other pieces."""
    empty = getattr(getattr(torch, device.type, None), "empty_cache", None)
    if empty:
        empty()


class Portion:
    """How much is painted at once: `count` pictures, or one in tiles. Less of it from then on whenever memory runs out."""

    def __init__(self, count: int, least: int, device: torch.device) -> None:
        self.count = count
        self._least, self._device = least, device
        self._limit: int | None = None

    def side(self, chosen: int) -> int:
        """The side of tiles, of which `chosen` would be best; one that covers the picture for one piece."""
        return chosen if self._limit is None else min(chosen, self._limit)

    def each(
        self, items: Sequence[_Item], chosen: int, longest: int, compute: Callable[[Sequence[_Item]], _Result]
    ) -> Iterator[tuple[Sequence[_Item], _Result]]:
        """`items`, `count` at a time, with what `compute` makes of them; what is done stays done when memory runs out after it.

        `chosen` as in `side`, which `compute` asks, is `longest` for pictures in one piece. Raises what says that memory ran out if they
        were painted in tiles: those become smaller by themselves.
        """
        while items:
            part = items[: self.count]
            try:
                result = compute(part)
            except Exception as error:
                if not (is_out_of_memory(error) and self._halve(len(part), self.side(chosen), longest)):
                    raise
            else:
                yield part, result
                items = items[len(part) :]
                continue
            release(self._device)  # only here, after the except clause, nothing holds what the failed attempt made

    def _halve(self, count: int, side: int, longest: int) -> bool:
        """Half of `count` pictures, or tiles of half the `side`, from now on; False if there were tiles, or would be too small ones."""
        if count > 1:
            self.count = count // 2
            _logger.warning("AdaIN: out of memory with %d pictures at once, going on with %d", count, self.count)
            return True
        if side < longest or side // 2 < self._least:
            return False
        self._limit = side // 2
        _logger.warning("AdaIN: out of memory, going on with tiles of %d pixels", self._limit)
        return True

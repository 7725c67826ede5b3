"""How far a piece of work is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)` after each step: a picture, a frame, or a tile measured or painted. Raise from it to stop."""


class Steps:
    """The steps of a piece of work, counted and reported."""

    def __init__(self, progress: Progress | None = None, total: int = 0) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, count: int = 1) -> None:
        """Report `count` steps more; 0 within a step, where the work can be stopped too."""
        self._done += count
        if self._progress:
            self._progress(self._done, self._total)

    def more(self, count: int) -> None:
        """Expect `count` steps more than were known of."""
        self._total += count

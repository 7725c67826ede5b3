"""Pictures of a run that fail while the others are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .messages import tell


class Failures:
    """How many pictures and folders failed. One never ends a run, unless --debug asks for its traceback."""

    def __init__(self, count: int, debug: bool) -> None:
        self.count = count
        self._debug = debug

    @contextmanager
    def counted(self, pictures: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._debug:
                raise
            self.count += pictures
            tell(error)

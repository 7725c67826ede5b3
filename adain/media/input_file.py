"""Files to read: what is said where none is."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import AdaINError


def check_file(path: Path, what: str, kind: type[AdaINError]) -> None:
    """Raise an error of `kind` unless there is a file at `path` with something in it; `what` was expected, such as "a video file"."""
    if not os.path.exists(path):  # unlike Path.exists also for names that are too long
        raise kind(f"There is no file at {path}. Check the name.")
    if path.is_dir():
        raise kind(f"{path} is a folder where {what} was expected.")
    if not path.is_file():
        raise kind(f"{path} is a pipe or a device where {what} was expected. Save what comes from it as a file first.")
    if not path.stat().st_size:
        raise kind(f"{path} is empty. Save or download it again.")

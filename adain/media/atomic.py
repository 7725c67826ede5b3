"""Atomic writing of files: only whole ones ever carry their final name."""

from __future__ import annotations

import functools
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = ".adain-tmp-"
"""How the names of temporary files begin. Hidden files are never taken for inputs."""

_STALE = 3600
"""Seconds after which a temporary file that was not written to is one that a killed process has left."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes that name, on any exception it is removed."""
    path = Path(path)
    _sweep(path.parent.absolute())
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}{path.suffix}")
    temporary.touch(exist_ok=False)  # with the permissions of any new file, unlike those of `tempfile`
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@functools.cache
def _sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes have left in `folder`; once in the life of this one."""
    for left in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):  # another process was quicker
            if time.time() - left.stat().st_mtime > _STALE:
                left.unlink()

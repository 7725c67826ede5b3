"""The folder in which a large picture is painted, `output` + ".part": for one process at a time, and kept for the next if interrupted."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import ImageError
from ..media.atomic import TEMPORARY

_KEY = "adain.key"
_LOCK = "adain.lock"
_OURS = (_KEY, "side", "blocks", "moments.safetensors", "*.raw", f"{TEMPORARY}*")


def left_over(output: Path) -> bool:
    """Whether an interrupted painting of `output` could be resumed, or is going on."""
    return _is_ours(_folder(output))


@contextmanager
def workspace(output: Path, key: str, resume: bool) -> Iterator[Path]:
    """Yield the folder, locked. It is removed when all went well or nothing was measured yet; else what is there stays for `resume`.

    `key` stands for the request. Raises ImageError if another process paints `output`, if the folder is not one of ours, or if what is
    to be resumed was another request.
    """
    folder = _folder(output)
    if folder.exists() and not _is_ours(folder):
        raise ImageError(f"{folder}, where {output} would be painted, is there already. Rename it, or choose another name with -o.")
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ImageError(f"{output} is being painted by another process. Wait for it, or choose another name with -o.") from error
    finished = False
    try:
        before = text(folder / _KEY)
        if resume and before not in ("", key):
            raise ImageError(
                f"What an interrupted painting has left in {folder} is of another picture, style or options. Give the same ones to go on "
                "with it, or --overwrite without --resume to begin anew."
            )
        if not resume:
            _clear(folder)
        (folder / _KEY).write_text(key)
        try:
            yield folder
        except Exception:
            finished = not (folder / "moments.safetensors").exists()
            raise
        finished = True
    finally:
        if finished:
            _clear(folder)
        lock.release()
        if finished:
            (folder / _LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # something of another's is in it
                folder.rmdir()


def text(path: Path) -> str:
    """What the file at `path` says; nothing if there is none."""
    return path.read_text() if path.exists() else ""


def allocate(path: Path, size: int) -> None:
    """Give the file at `path` its `size` on the disk now: a mapped file for which there is no room later ends the process.

    Raises OSError if there is none.
    """
    there = path.stat().st_size if path.exists() else 0
    if shutil.disk_usage(path.parent).free < size - there:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with path.open("ab"):
        pass
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot
                    raise
        if there < size:
            file.truncate(size)


def _folder(output: Path) -> Path:
    return output.with_name(output.name + ".part")


def _is_ours(folder: Path) -> bool:
    return (folder / _KEY).exists() or (folder / _LOCK).exists()


def _clear(folder: Path) -> None:
    for path in [path for pattern in _OURS for path in folder.glob(pattern)]:
        with suppress(PermissionError):  # Windows removes nothing that is still mapped, as after an error
            path.unlink(missing_ok=True)

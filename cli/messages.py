"""What is printed: results to stdout, everything else to stderr, and nothing that a terminal would obey."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


def say(text: object) -> None:
    """Print a line of a result."""
    _write(str(text), sys.stdout)


def tell(problem: str | BaseException) -> None:
    """Print a sentence to stderr, above a progress bar if there is one."""
    _write(f"adain: {problem if isinstance(problem, str) else sentence(problem)}", sys.stderr)


def sentence(error: BaseException) -> str:
    """What `error` says, if it was written to be read or is the system's word about a file; else that it was not foreseen."""
    from ..adain.errors import AdaINError  # with torch, which `adain --help` does without

    text = " ".join(str(error).split())
    if isinstance(error, AdaINError):
        return text
    if isinstance(error, OSError) and error.strerror and (error.filename or error.errno in _FULL):
        where = f"{os.fsdecode(error.filename)} cannot be used" if error.filename else "a file cannot be written"
        return f"{where} ({error.strerror}). Check the name, the permissions and the disk."
    return f"unexpected error ({type(error).__name__}: {text}). Run it with --debug to see where."


def onto(bar: tqdm) -> Callable[[int, int], None]:
    """A `progress(done, total)` that is shown by a bar."""

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return progress


def _write(text: str, stream: TextIO) -> None:
    # Names of files and styles are anyone's: control characters would move the cursor or rename the window, and half a character
    # (a name that is no UTF-8) or one that the terminal's encoding lacks would raise.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    encoding = stream.encoding or "utf-8"
    try:
        tqdm.write(shown.encode(encoding, "backslashreplace").decode(encoding), file=stream)
        stream.flush()
    except BrokenPipeError:  # whoever read this has had enough, as `head`; the work goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

"""One file from the Hub to its final name: resumed, verified, and only then renamed.

The transfer itself (token, proxies, redirects, retries) is huggingface_hub's. What is added here: the part that has
arrived outlives the process, nothing takes its final name before its size and hash are right, a callback can stop it,
and every failure ends in a sentence that says what to do.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeVar, cast

import filelock

from ..adain.errors import AdaINError
from .catalog import Source
from .causes import Cause, HubError, cause_of
from .checksums import git_blob_sha1, sha256_of
from .client import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
    build_hf_headers,
    constants,
    get_hf_file_metadata,
    get_token,
    hf_hub_url,
    http_get,
)

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)` in bytes; raise from it to stop. What has arrived is kept."""

CHUNK = 2**20
"""Bytes between two calls of the progress callback, and the most that a cut connection loses."""

T = TypeVar("T")

_TRIES = 4
_LONGEST_WAIT = 60
"""The most seconds to wait; a server that asks for more is not waited for."""

# The base of all transport errors, which is requests' in old versions of huggingface_hub and httpx's in new ones.
TRANSPORT_ERRORS = cast("tuple[type[Exception], ...]", (HfHubHTTPError.__mro__[1], OSError))

_CUT = ("ReadError", "RemoteProtocolError", "ChunkedEncodingError")
"""What httpx and requests call a connection that broke while it was in use."""


class Remote(NamedTuple):
    """What the Hub says about a file."""

    size: int | None
    etag: str
    """The sha256 of a large file, git's name for a small one."""


def url_of(source: Source) -> str:
    """The address a browser can open, on the Hub that HF_ENDPOINT names."""
    kind = None if source.repo_type == "model" else source.repo_type
    return hf_hub_url(source.repo_id, source.path, repo_type=kind, revision=source.revision)


def ask(source: Source) -> Remote:
    """Size and hash of a file, from the Hub. Raises what huggingface_hub raises."""
    token = token_for_reading()
    try:
        found = get_hf_file_metadata(url_of(source), token=token, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except HfHubHTTPError as error:
        if not token or status_of(error) != 401:
            raise
        # A token that has expired is refused for public files too. Without one they can be had.
        found = get_hf_file_metadata(url_of(source), token=False, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        _refused.add(token)
    if not found.etag:
        raise HubError(f"{url_of(source)} does not answer like a Hub: it sends no ETag. Check HF_ENDPOINT and the proxy.")
    return Remote(found.size, found.etag)


_refused: set[str] = set()
"""Tokens that the Hub did not take for files that it gives to anyone."""


def token_for_reading() -> str | Literal[False]:
    """The user's token, or False where there is none to send: no token, or one that was refused before."""
    token = _stored_token()
    return token if token and token not in _refused else False


def _stored_token() -> str | None:
    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return None
    try:
        token = get_token()
    except (OSError, UnicodeDecodeError):  # a home folder that is none, a token file that is not text
        return None
    if token and not token.isascii():
        raise HubError(f"The token of {_token_place(token)} holds letters that no token has. Copy it again from the Hub, or remove it.")
    return token


def _token_place(token: str) -> str:
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    return next((name for name in names if token in os.environ.get(name, "")), str(constants.HF_TOKEN_PATH))


def download(source: Source, target: Path, size: int | None = None, sha256: str | None = None, progress: Progress | None = None) -> None:
    """Put the file at `target`. `size` and `sha256` are what it must have; without them, what the Hub says counts.

    Does nothing if `target` exists when it is this process's turn. Raises HubError, and what `progress` raises.
    """
    what = f"{source.name}{f' ({megabytes(size)})' if size else ''}"
    key = hashlib.sha256(f"{source} {source.revision} {sha256}".encode()).hexdigest() if sha256 is None else sha256
    working = target.parent / ".incomplete"
    partial, lock = working / f"{key[:32]}.part", working / f"{key[:32]}.lock"
    with disk_errors(what, target.parent, size):
        with _locked(lock, progress):
            if not target.exists():
                task = Task(source, what, target.parent, _by_hand(source, target.parent, sha256), progress)
                remote = patiently(task, lambda: ask(source))
                size = _agreed(source, remote, size, sha256)
                _fill(task, partial, size, sha256 or remote.etag)
                partial.replace(target)
        with contextlib.suppress(OSError):  # another process still needs them
            lock.unlink()  # one who waits for it finds the target, whichever lock it gets
            working.rmdir()


class Task(NamedTuple):
    """What is being fetched, for the sentences about it."""

    source: Source
    what: str
    """The file, with its size where it is known."""
    folder: Path
    by_hand: str
    """What to do without a network: the end of a sentence after "or "."""
    progress: Progress | None


def patiently(task: Task, action: Callable[[], T]) -> T:
    """The result of `action`, tried again while the server is busy. Raises HubError with a sentence for everything else."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return action()
        except _Stopped as stopped:
            raise stopped.reason from None
        except AdaINError:
            raise
        except Exception as error:  # what the client makes of a broken environment is not to be foreseen
            if _of_the_disk(error):
                raise
            wait = _wait(error, _TRIES - tries_left)
            if wait is None or wait > _LONGEST_WAIT or not tries_left:
                raise HubError(explain(error, task)) from error
            _sleep(wait, task.progress)
    raise AssertionError("the last try returns or raises")


def _of_the_disk(error: Exception) -> bool:
    network = isinstance(error, ConnectionError | TimeoutError) or cause_of(error, constants.ENDPOINT) is not None
    return isinstance(error, OSError) and error.errno is not None and not network


def explain(error: Exception, task: Task) -> str:
    """The sentence for a failed transfer."""
    source, what = task.source, task.what
    status, page = status_of(error), url_of(source)
    where = f"{source.repo_id} on {constants.ENDPOINT}"
    if isinstance(error, RevisionNotFoundError):
        return f"{where} has no revision {source.revision!r}. Give a branch, a tag or a commit that it has."
    if isinstance(error, GatedRepoError) or status == 403:
        return f"Access to {what} of {where} was refused (403). Accept its terms on its page, and set HF_TOKEN to a token that may read it."
    if status == 401 and (token := _stored_token()):
        return (
            f"The token of {_token_place(token)} was refused by {constants.ENDPOINT} (401), and {source.repo_id} is not to be had "
            "without one, or does not exist. Make a new token with `hf auth login`, or check the name."
        )
    if status == 401:
        return f"{where} needs a login, or does not exist (401). Set HF_TOKEN, or run `hf auth login`, and check the name."
    if status == 404:
        return f"{where} has no file {source.path!r} at revision {source.revision!r} (404). Check the name; {page} was asked."
    if status in (429, 503):
        wait = _retry_after(error)
        return f"The Hub is busy ({status}). Try again {f'in {wait} seconds' if wait else 'later'}; what has arrived of {what} is kept."
    if status is not None and status != 407:
        return f"The Hub answered {status} when asked for {page}. Try again later; what has arrived of {what} is kept."
    text = str(error)
    if "Consistency check failed" in text:
        return f"{what} did not arrive whole. What has arrived is kept: run the same again to resume."
    cause = _offline(error) or cause_of(error, constants.ENDPOINT)
    if cause is None and ("timed out" in text.lower() or "timeout" in type(error).__name__.lower()):
        return f"The Hub stopped answering while it sent {what}. What has arrived is kept: run the same again to resume, or {task.by_hand}"
    if cause is None and type(error).__name__ in _CUT:
        return f"The connection broke off while {what} was sent. What has arrived is kept: run the same again to resume."
    found, advice = cause or unknown_cause(error)
    return f"{what} is not in {task.folder}, and {found}. {advice}, or {task.by_hand}"


def unknown_cause(error: BaseException) -> Cause:
    """The cause to name where only the client itself understands what is wrong."""
    text = " ".join(str(error).split())
    return Cause(f"{constants.ENDPOINT} does not answer like a Hub ({type(error).__name__}: {text})", "Check HF_ENDPOINT and the proxy")


def _offline(error: Exception) -> Cause | None:
    return Cause("offline mode is on (HF_HUB_OFFLINE)", "Go online") if isinstance(error, OfflineModeIsEnabled) else None


def _by_hand(source: Source, folder: Path, sha256: str | None) -> str:
    check = f", sha256 {sha256}" if sha256 else ""
    rename = "any name will do, the file is known by its hash" if sha256 else f"under the name {source.file_name}"
    return f"download {source.name}{check} from {url_of(source)} yourself and put it in {folder} ({rename})."


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def read_range(source: Source, file: BinaryIO, start: int, stop: int, report: Callable[[int], None] | None = None) -> None:
    """Append the bytes from `start` up to `stop` of a file on the Hub to `file`; `report` gets its position as it grows.

    Raises what huggingface_hub raises, and HubError if the server sends more than was asked for.
    """
    headers = build_hf_headers(token=token_for_reading()) | {"Range": f"bytes={start}-{stop - 1}"}
    meter = _Meter(file, file.tell() + stop - start, report)
    with plainly():
        http_get(url_of(source), cast(BinaryIO, meter), headers=headers, expected_size=stop - start, displayed_filename=source.name)


def _agreed(source: Source, remote: Remote, size: int | None, sha256: str | None) -> int | None:
    """The size that the file must have. Raises HubError if the Hub already says that it is another file."""
    of_content = re.fullmatch(r"[0-9a-f]{64}", remote.etag) is not None
    if (sha256 and of_content and remote.etag != sha256) or (size and remote.size not in (None, size)):
        raise HubError(
            f"{source} on the Hub is now another file: {remote.size} bytes, hash {remote.etag}; expected {size or 'any number of'} bytes, "
            f"sha256 {sha256}. Nothing was downloaded. Look for a newer catalogue, or pin the revision that had it."
        )
    return size or remote.size


def _fill(task: Task, partial: Path, size: int | None, wanted: str) -> None:
    """Bring `partial` to its full size and check it. A wrong one is removed; one that was resumed gets a second chance."""
    resumed = partial.exists()
    known = partial.stat().st_size if resumed else 0

    def transfer() -> None:
        nonlocal known
        while True:
            try:
                return _transfer(task, partial, size)
            except TooMuchError:
                # A server that does not know how to go on sent the file from its beginning, which old clients do not notice.
                if not known:
                    raise
                partial.unlink()
                known = 0
            except TRANSPORT_ERRORS as error:
                # A cut connection is taken up again as long as each attempt brings something.
                arrived = partial.stat().st_size if partial.exists() else 0
                if status_of(error) is not None or arrived <= known:
                    raise
                known = arrived

    patiently(task, transfer)
    found = partial.stat().st_size
    actual = git_blob_sha1(partial) if len(wanted) == 40 else sha256_of(partial)
    if (size is None or found == size) and actual == wanted:
        return
    partial.unlink()
    if resumed:
        return _fill(task, partial, size, wanted)
    raise HubError(
        f"What arrived as {task.source.name} from {url_of(task.source)} is not the file that was expected: {found} bytes with hash "
        f"{actual}; expected {size} bytes with {wanted}. It was removed. Try again, or another network: something on the way changed it."
    )


def _transfer(task: Task, partial: Path, size: int | None) -> None:
    source, progress = task.source, task.progress
    # No link is followed: in a folder that others can write to it could lead anywhere.
    with open(partial, "ab", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)) as file:
        if size is not None and file.tell() > size:
            file.truncate(0)
            file.seek(0)
        here = file.tell()
        if size is not None and shutil.disk_usage(partial.parent).free < size - here:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        report = reporter(progress, size)
        if report:
            report(here)
        with plainly():
            http_get(
                url_of(source),
                cast(BinaryIO, _Meter(file, size, report)),
                resume_size=here,
                headers=build_hf_headers(token=token_for_reading()),
                expected_size=size,
                displayed_filename=source.name,
            )


class _Stopped(BaseException):
    """What a progress callback raised, on its way past everything that catches errors of the transfer."""

    def __init__(self, reason: BaseException) -> None:
        self.reason = reason


def reporter(progress: Progress | None, total: int | None) -> Callable[[int], None] | None:
    """`progress` as a function of the bytes that are there, for use below `patiently`; None if there is nothing to tell."""

    def report(done: int) -> None:
        assert progress is not None and total is not None
        try:
            progress(done, total)
        except BaseException as reason:
            raise _Stopped(reason) from reason

    return report if progress and total else None


class TooMuchError(HubError):
    """A server that sent more than was asked for."""


class _Meter:
    """What `http_get` needs of a file: reports its position after every write and takes nothing beyond `limit`."""

    def __init__(self, file: BinaryIO, limit: int | None, report: Callable[[int], None] | None) -> None:
        self._file, self._limit, self._report = file, limit, report
        self.tell, self.seek, self.truncate = file.tell, file.seek, file.truncate

    def write(self, data: bytes) -> int:
        if self._limit is not None and self.tell() + len(data) > self._limit:
            raise TooMuchError("The server sent more than was asked for, so the transfer was stopped. Check HF_ENDPOINT and the proxy.")
        written = self._file.write(data)
        self._file.flush()
        if self._report:
            self._report(self.tell())
        return written


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Transfers by the client's own code, in chunks of ours."""
    # The library's 10 MB is half of our largest file: no progress to show, and all lost when the connection is cut.
    # hf_transfer, which versions before 1.0 can be told to use, may be missing, resumes nothing and tells nothing.
    names = {"DOWNLOAD_CHUNK_SIZE": CHUNK, "HF_HUB_ENABLE_HF_TRANSFER": False}
    before = {name: getattr(constants, name) for name in names if hasattr(constants, name)}
    try:
        for name in before:
            setattr(constants, name, names[name])
        yield
    finally:
        for name, value in before.items():
            setattr(constants, name, value)


@contextlib.contextmanager
def _locked(path: Path, progress: Progress | None) -> Iterator[None]:
    """Hold the lock at `path`, waiting for another process as long as it takes; `progress` can stop the wait."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=0.5)
            break
        except FileNotFoundError:
            continue  # another process has finished, and removed the folder
        except filelock.Timeout:
            if progress:
                progress(0, 1)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def disk_errors(what: str, folder: Path, size: int | None) -> Iterator[None]:
    """Turn what the disk can refuse into sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            need = f" needs {megabytes(size)} and" if size else ""
            raise HubError(
                f"The disk is full: {what}{need} does not fit in {folder}. Free some space and run the same again; what arrived is kept."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise HubError(f"{what} cannot be written to {folder}: {error.strerror}. Make it writable or choose another folder.") from error
        if error.errno == errno.ELOOP:
            raise HubError(f"{error.filename} is a link where a download was to go. Nothing was written through it; remove it.") from error
        raise


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status with which a server refused, or None if it never came to that."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _retry_after(error: Exception) -> int | None:
    value = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "")
    return int(value) if value.isdecimal() else None


def _wait(error: Exception, attempt: int) -> float | None:
    """Seconds to wait before trying again, or None if trying again would not help."""
    if type(error).__name__ in _CUT:
        return 1.0
    if status_of(error) not in (429, 500, 502, 503, 504):
        return None
    asked = _retry_after(error)
    return 2.0 ** (attempt - 1) if asked is None else asked


def _sleep(seconds: float, progress: Progress | None) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if progress:
            progress(0, 1)
        time.sleep(min(left, 0.2))

"""Recognising files by what is in them."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """The sha256 of the file at `path` in hexadecimal; files that have not changed are read once per process."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified: int) -> str:
    return _digest(path, "sha256")


def git_blob_sha1(path: Path) -> str:
    """The name git gives the file's content: the Hub's ETag for files that are not in LFS."""
    return _digest(path, "sha1", f"blob {path.stat().st_size}\0".encode())


def _digest(path: Path, algorithm: str, prefix: bytes = b"") -> str:
    digest = hashlib.new(algorithm, prefix)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def find_by_hash(folder: Path, size: int, sha256: str) -> Path | None:
    """A file in `folder` (not below it) with this size and hash, whatever its name; None if there is none."""
    if not folder.is_dir():
        return None
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256:
            return path
    return None

"""How glibc hands out memory on a CPU."""

from __future__ import annotations

import torch

_LARGEST = 2**25
"""Bytes: glibc raises its thresholds up to buffers of this size."""


def keep_freed_pages() -> None:
    """Let the process keep what it frees, some 64 MB, instead of giving it back to the system and asking for it again.

    Buffers that glibc asks the system for, and what it gives back above its threshold, come as fresh pages, each a fault; at
    512 x 512 a fifth of the time went into them. Both thresholds grow with the largest buffer that was freed. So one is, which
    costs nothing, because it is never written to. Without glibc nothing happens.
    """
    torch.empty(_LARGEST - 2**16, dtype=torch.uint8, device="cpu")

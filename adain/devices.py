"""What not every device can do, and the CPU does for it."""

from __future__ import annotations

from torch import Tensor

_CAPABLE = {"cpu", "cuda"}
"""Device types, ROCm among them, for which torch has all its kernels."""


def capable(x: Tensor) -> Tensor:
    """`x`, or a copy of it on the CPU if its device may lack antialiased resizing, bicubic or border sampling, or uneven pooling.

    MPS gained these one by one: in torch 2.6 it has none of them, and the last came with 2.11. What is left there without an answer is
    tried by `tests/test_devices.py`.
    """
    return x if x.device.type in _CAPABLE else x.cpu()

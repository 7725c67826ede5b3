"""float32 or better, in which everything but a network's own layers is computed, and the 8 bits of files."""

from __future__ import annotations

import torch
from torch import Tensor


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, else float32."""
    return torch.promote_types(dtype, torch.float32)


def wide(x: Tensor) -> Tensor:
    """`x` in float32, or as it is in float64; values of 8 bits as 0..1."""
    return x.contiguous().float().div_(255) if x.dtype == torch.uint8 else x if x.dtype == torch.float64 else x.float()


def to_bytes(x: Tensor) -> Tensor:
    """Floats `x` as 8-bit values: rounded, and clamped to 0..1 where they overshoot."""
    return x.mul(255).round_().clamp_(0, 255).byte()

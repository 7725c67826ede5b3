"""Coordinates in which colours are measured and moved: RGB as it is stored, linear light, and CIE Lab."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

ColorSpace = Literal["rgb", "linear", "lab"]

_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
"""XYZ of linear sRGB (IEC 61966-2-1). Divided by the sums of its rows, the white D65, it makes every grey a = b = 0."""

_DELTA = 6 / 29
"""Where the cube root of CIE Lab goes over into its straight line."""

_CHROMA = 1.1
"""How far a and b reach on either side of 0, in the unit of `encode`; sRGB takes -1.08 to 0.98 of it."""


def to_light(values: Tensor) -> Tensor:
    """Linear light of sRGB `values` in 0..1."""
    return torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def from_light(light: Tensor) -> Tensor:
    """The sRGB values of linear `light` in 0..1."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def encode(rgb: Tensor, space: ColorSpace) -> Tensor:
    """The coordinates in `space` of sRGB `rgb` [B, 3, H, W] in 0..1; those of Lab divided by 100, so that L lies in 0..1."""
    if space == "rgb":
        return rgb
    light = to_light(rgb)
    if space == "linear":
        return light
    xyz = _mixed(_matrix(light), light)
    x, y, z = torch.where(xyz > _DELTA**3, xyz ** (1 / 3), xyz / (3 * _DELTA**2) + 4 / 29).unbind(1)
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], 1)


def decode(coordinates: Tensor, space: ColorSpace) -> Tensor:
    """The sRGB [B, 3, H, W] in 0..1 of `coordinates` in `space`; what lies outside is clamped, of Lab in linear light."""
    if space == "rgb":
        return coordinates.clamp(0, 1)
    light = coordinates
    if space == "lab":
        lightness, a, b = coordinates.unbind(1)
        y = (lightness + 0.16) / 1.16
        roots = torch.stack([y + a / 5, y, y - b / 2], 1)
        xyz = torch.where(roots > _DELTA, roots**3, 3 * _DELTA**2 * (roots - 4 / 29))
        light = _mixed(torch.linalg.inv(_matrix(light)), xyz)
    return from_light(light.clamp(0, 1))


def ranges(space: ColorSpace) -> tuple[tuple[float, float], ...]:
    """The lowest and the highest value of each coordinate."""
    return ((0.0, 1.0), (-_CHROMA, _CHROMA), (-_CHROMA, _CHROMA)) if space == "lab" else ((0.0, 1.0),) * 3


def _matrix(like: Tensor) -> Tensor:
    matrix = torch.tensor(_XYZ, dtype=torch.float64)
    return (matrix / matrix.sum(1, keepdim=True)).to(like)


def _mixed(matrix: Tensor, x: Tensor) -> Tensor:
    return (matrix @ x.flatten(2)).unflatten(2, x.shape[2:])

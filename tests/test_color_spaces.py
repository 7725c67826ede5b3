from __future__ import annotations

import pytest
import torch
from adain_style_transfer.adain.color_spaces import decode, encode, from_light, ranges, to_light
from samples import values

LATTICE = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, 17, dtype=torch.float64)] * 3, indexing="ij")).view(1, 3, 17, 289)


@pytest.mark.parametrize("space", ["rgb", "linear", "lab"])
def test_every_color_comes_back(space):
    torch.testing.assert_close(decode(encode(LATTICE, space), space), LATTICE, rtol=0, atol=1e-6)
    torch.testing.assert_close(decode(encode(LATTICE.float(), space), space), LATTICE.float(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # by the formulas of Bruce Lindbloom, in the white D65
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 1, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 1), (32.2970, 79.1875, -107.8602)),
        ((0.5, 0.5, 0.5), (53.3890, 0, 0)),
        ((0.01292, 0.01292, 0.01292), (0.9033, 0, 0)),  # 903.3 Y, with Y = 0.001
    ],
)
def test_lab_has_the_published_values(rgb, lab):
    got = encode(torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1), "lab").flatten() * 100
    torch.testing.assert_close(got, torch.tensor(lab, dtype=torch.float64), rtol=0, atol=0.02)


def test_greys_have_no_chroma():
    grey = torch.linspace(0, 1, 256, dtype=torch.float64).expand(1, 3, 1, 256)
    assert encode(grey, "lab")[:, 1:].abs().max() < 1e-12


def test_light_is_that_of_the_standard():
    torch.testing.assert_close(
        to_light(torch.tensor([0.0, 0.04045, 0.5, 1.0])), torch.tensor([0, 0.0031308, 0.2140411, 1]), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(
        from_light(torch.tensor([0.0, 0.0031308, 0.2140411, 1])), torch.tensor([0, 0.04045, 0.5, 1]), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("space", ["rgb", "linear", "lab"])
def test_what_no_screen_shows_is_clamped(space):
    wild = 3 * values(1, 3, 8, 8, seed=1)
    out = decode(wild, space)
    assert out.isfinite().all() and out.min() >= 0 and out.max() <= 1
    assert out.min() < 1e-6 and out.max() > 1 - 1e-6


def test_ranges_hold_every_color():
    for space in ("rgb", "linear", "lab"):
        coordinates = encode(LATTICE, space)
        for plane, (low, high) in zip(coordinates.unbind(1), ranges(space), strict=True):
            assert low - 1e-9 <= plane.min() and plane.max() <= high + 1e-9

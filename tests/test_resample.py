"""Pictures moved by fractions of a pixel."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer.adain.resample import doubled, enlarged, resample, translated
from samples import picture


def waves(height, width, left=0.0, top=0.0, scale=1.0, period=3.3):
    """Waves that pass slantwise over a window of a plane, of `period` pixels along both axes, [1, 1, height, width]."""
    y = (torch.arange(height).double() + 0.5) * scale + top
    x = (torch.arange(width).double() + 0.5) * scale + left
    return 0.5 + 0.5 * torch.sin((y[:, None] + x) * (2 * math.pi / period))[None, None]


@pytest.mark.parametrize("left, top", [(0.5, 0.5), (0.25, -0.4), (3.7, -5.5), (-8, 8), (12.3, 0)])
def test_fine_waves_are_moved_without_loss(left, top):
    moved = translated(waves(60, 80), left, top, torch.Size((60, 80)))
    assert (moved - waves(60, 80, left, top))[..., 14:-14, 14:-14].abs().max() < 0.05
    # What bicubic interpolation makes of them, half way between two pixels:
    grid = F.affine_grid(torch.tensor([[[1, 0, 1 / 80], [0, 1, 1 / 60]]]).double(), [1, 1, 60, 80], align_corners=False)
    bicubic = F.grid_sample(waves(60, 80), grid, "bicubic", align_corners=False)
    assert (bicubic - waves(60, 80, 0.5, 0.5))[..., 14:-14, 14:-14].abs().max() > 0.1


def test_a_grid_gives_what_a_translation_does():
    image = picture(40, 56).double()
    grid = F.affine_grid(torch.tensor([[[1, 0, 2 * 2.3 / 56], [0, 1, 2 * -1.6 / 40]]]).double(), [1, 3, 40, 56], align_corners=False)
    moved, same = resample(image, grid), translated(image, 2.3, -1.6, torch.Size((40, 56)))
    assert (moved - same)[..., 8:-8, 8:-8].abs().max() < 0.03


def test_whole_pixels_change_nothing():
    image = picture(20, 30)
    torch.testing.assert_close(translated(image, 4.0, -3.0, torch.Size((9, 11)))[..., 3:, :], image[..., :6, 4:15], atol=1e-6, rtol=0)
    torch.testing.assert_close(translated(image, 0.0, 0.0, image.shape[-2:]), image, atol=1e-6, rtol=0)


def test_twice_the_size_has_the_same_places():
    fine = doubled(waves(40, 50, period=9.0))
    assert (fine - waves(80, 100, scale=0.5, period=9.0))[..., 10:-10, 10:-10].abs().max() < 0.01


@pytest.mark.parametrize("size", [(1, 1), (2, 30), (5, 3)])
def test_tiny_pictures(size):
    image = torch.full((1, 2, *size), 0.3)
    assert torch.allclose(translated(image, 0.4, -6.2, torch.Size((8, 8))), torch.tensor(0.3))
    assert torch.allclose(doubled(image), torch.tensor(0.3))


def test_enlarging_takes_the_lattice_and_keeps_the_rest():
    x = torch.arange(48.0)
    wave = (0.5 + 0.3 * torch.sin(x * 2 * math.pi / 8)).expand(1, 3, 40, 48)
    lattice = (0.05 * (-1) ** (x + torch.arange(40.0)[:, None])).expand(1, 3, 40, 48)
    size = torch.Size((120, 144))
    got = enlarged(wave + lattice, size)
    plain = F.interpolate(wave, size, mode="bicubic", antialias=True)
    assert (got - enlarged(wave, size)).abs()[..., 9:-9, 9:-9].max() < 1e-3
    assert (got - plain).abs()[..., 9:-9, 9:-9].max() < 0.02

"""Frequencies are weighed as adain/spectrum.py says."""

from __future__ import annotations

import pytest
import torch
from adain_style_transfer.adain.spectrum import Spectrum


@pytest.mark.parametrize("size", [(16, 16), (37, 64), (31, 45)])
def test_a_gradient_goes_back_through_it_as_it_came(size):
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(1, 3, *size, generator=generator, dtype=torch.float64) for _ in range(2))
    weigh = Spectrum(torch.Size(size), one)
    assert (weigh(one) * other).sum().item() == pytest.approx((one * weigh(other)).sum().item(), abs=1e-9)


def test_wide_waves_stay_and_dots_are_lessened():
    size = torch.Size((256, 256))
    flat, dots = torch.ones(1, 1, *size), torch.ones(1, 1, *size)
    dots[..., ::2] = -1
    steps = torch.linspace(0, 2 * torch.pi, 257)[:-1]
    wave, stripes = steps.sin().expand(1, 1, *size), (steps * 16).sin().expand(1, 1, *size)
    weigh = Spectrum(size, flat)
    assert torch.allclose(weigh(flat), flat, atol=1e-5) and torch.allclose(weigh(wave), wave, atol=1e-5)
    assert torch.allclose(weigh(stripes), stripes * 8**-0.6, atol=1e-5)
    assert weigh(dots).abs().max() < 0.1

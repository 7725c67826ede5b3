from __future__ import annotations

import numpy as np
import paper
import pytest
import torch
from adain_style_transfer.adain.affine import Affine, RegionalAffine, RegionWeights, affine
from adain_style_transfer.adain.moments import Statistics, blend, channel_moments, color_moments
from hypothesis import given
from hypothesis import strategies as st
from samples import picture, values

seeds = st.integers(0, 2**31)


@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=seeds)
def test_channels_follow_equation_8(height, width, seed):
    x, y = values(1, 4, height, width, seed=seed), values(1, 4, 6, 5, seed=seed + 1)
    ours = affine(channel_moments(x).statistics(), channel_moments(y).statistics())(x)
    masks = [np.ones(z.shape[-2:]) for z in (x, y)]
    numbers = [f(z[0].numpy(), m) for z, m in zip((x, y), masks, strict=True) for f in (paper.mean, paper.deviation)]
    np.testing.assert_allclose(ours[0].numpy(), paper.adain(x[0].numpy(), *numbers), atol=1e-9)


def test_features_reach_the_statistics_of_the_style():
    x, y = values(2, 4, 20, 20, seed=1), values(1, 4, 20, 20, seed=2)
    moved = channel_moments(affine(channel_moments(x).statistics(), channel_moments(y).statistics())(x)).statistics()
    wanted = channel_moments(y).statistics()
    torch.testing.assert_close(moved.mean, wanted.mean.expand(2, -1), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(moved.std, wanted.std.expand(2, -1), rtol=0.01, atol=0)  # epsilon in both deviations


@given(seed=seeds)
def test_colors_follow_monge_kantorovich(seed):
    """By its definition: the one symmetric positive map that gives the content the style's mean and covariance."""
    x, y = values(2, 3, 9, 8, seed=seed), values(1, 3, 7, 6, seed=seed + 1)
    source, target = color_moments(x).statistics(), color_moments(y).statistics()
    scale, shift = affine(source, target)
    torch.testing.assert_close(scale, scale.transpose(1, 2), rtol=0, atol=1e-9)
    assert torch.linalg.eigvalsh(scale).min() > 0
    covariances = [std @ std for std in (source.std, target.std)]
    torch.testing.assert_close(scale @ covariances[0] @ scale, covariances[1].expand(2, -1, -1), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close((scale @ source.mean[..., None])[..., 0] + shift, target.mean.expand(2, -1))
    literal = paper.monge_kantorovich(covariances[0][0].numpy(), covariances[1][0].numpy())
    np.testing.assert_allclose(scale[0], literal, rtol=1e-6, atol=1e-9)


@given(seed=st.integers(0, 1000))
def test_colors_reach_the_style_in_float32(seed):
    x, y = picture(32, 32, seed), picture(40, 24, seed + 1)
    target = color_moments(y)
    moved = color_moments(affine(color_moments(x).statistics(), target.statistics())(x))
    torch.testing.assert_close(moved.mean, target.mean, rtol=0, atol=1e-4)
    torch.testing.assert_close(moved.var, target.var, rtol=0, atol=2e-4)


@pytest.mark.parametrize("measure", [channel_moments, color_moments])
def test_the_map_to_the_own_statistics_is_the_identity(measure):
    x = values(1, 3, 6, 5)
    own = measure(x).statistics()
    torch.testing.assert_close(affine(own, own)(x), x, rtol=0, atol=1e-9)


def test_the_map_to_a_blend_is_the_blend_of_the_maps():
    x, parts = values(1, 4, 6, 5), [channel_moments(values(1, 4, 5, 5, seed=i)).statistics() for i in (1, 2)]
    own = channel_moments(x).statistics()
    blended = affine(own, blend(parts, [0.25, 0.75]))(x)
    torch.testing.assert_close(blended, 0.25 * affine(own, parts[0])(x) + 0.75 * affine(own, parts[1])(x))


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 3)])
def test_one_map_serves_a_batch_and_keeps_the_dtype(shape):
    x = values(4, 3, 5, 6, dtype=torch.float16)
    one = Affine(torch.rand(shape), torch.rand(1, 3))
    moved = one(x)
    assert moved.shape == x.shape and moved.dtype == torch.float16
    torch.testing.assert_close(moved[2:3], one(x[2:3]))


def test_a_map_for_each_pixel():
    own, target = (Statistics(values(2, 3, 4, 5, seed=i), values(2, 3, 4, 5, seed=i + 1).exp()) for i in (1, 3))
    x, weight = values(2, 3, 4, 5, seed=5), torch.rand(1, 1, 4, 5, dtype=torch.float64)
    moved = affine(own, target)
    expected = target.std * (x - own.mean) / own.std + target.mean
    torch.testing.assert_close(moved(x), expected)
    torch.testing.assert_close(moved(x, weight), weight * expected)


def test_regions_mix_maps_by_their_weights():
    x, shares = values(2, 3, 8, 8), torch.rand(1, 3, 8, 8, dtype=torch.float64).softmax(1)
    maps = [Affine(values(1, 3, 1, 1, seed=i)[..., 0, 0], values(1, 3, 1, 1, seed=9 + i)[..., 0, 0]) for i in range(3)]
    got = RegionalAffine(maps, RegionWeights(shares))(x)
    torch.testing.assert_close(got, sum(shares[:, k : k + 1] * maps[k](x) for k in range(3)))


def test_a_region_of_weight_zero_adds_nothing_whatever_its_map():
    """Its own statistics are those of nothing, so its map may scale beyond the range of half precision."""
    x = torch.full((1, 1, 4, 4), 60.0, dtype=torch.float16)
    weights = torch.cat([torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)], 1)
    maps = [Affine(torch.ones(1, 1), torch.zeros(1, 1)), Affine(torch.full((1, 1), 3000.0), torch.zeros(1, 1))]
    assert torch.equal(RegionalAffine(maps, RegionWeights(weights))(x), x)


def test_region_weights_are_averaged_over_cells():
    weights = torch.rand(1, 2, 16, 24, dtype=torch.float64)
    for stride in (1, 2, 8):
        got = RegionWeights(weights).at(torch.Size((16 // stride, 24 // stride)))
        for k in range(2):
            np.testing.assert_allclose(got[0, k], paper.shrink(weights[0, k].numpy(), stride, got.shape[-2:]), atol=1e-12)
    assert RegionWeights(weights).at(weights.shape[-2:]) is weights

from __future__ import annotations

import apple
import numpy as np
import paper
import pytest
import torch
from adain_style_transfer.adain import moments
from adain_style_transfer.adain.moments import (
    CHANNEL_EPS,
    COLOR_EPS,
    Moments,
    Statistics,
    blend,
    channel_moments,
    color_moments,
    matrix_power,
    merge,
)
from hypothesis import given
from hypothesis import strategies as st
from samples import values
from torch.autograd import gradcheck

MEASURES = {"channels": channel_moments, "colors": color_moments}

sides = st.integers(1, 12)
seeds = st.integers(0, 2**31)


def assert_same(got: Moments, expected: Moments, **tolerance):
    for a, b in zip((got.mean, got.var, got.weight), (expected.mean, expected.var, expected.weight), strict=True):
        torch.testing.assert_close(a, b.to(a), **(tolerance or {"rtol": 1e-9, "atol": 1e-12}))


@given(height=sides, width=sides, batch=st.integers(1, 3), seed=seeds)
def test_channel_moments_are_the_formulas(height, width, batch, seed):
    x = values(batch, 4, height, width, seed=seed)
    got, ones = channel_moments(x), np.ones((height, width))
    for i in range(batch):
        np.testing.assert_allclose(got.mean[i], paper.mean(x[i].numpy(), ones), atol=1e-12)
        np.testing.assert_allclose(got.statistics().std[i], paper.deviation(x[i].numpy(), ones), atol=1e-12)


@given(height=sides, width=sides, seed=seeds)
def test_color_moments_are_the_formulas(height, width, seed):
    x = values(1, 3, height, width, seed=seed)
    got = color_moments(x)
    covariance = paper.covariance(x[0].numpy(), np.ones((height, width)))
    np.testing.assert_allclose(got.var[0].numpy() + COLOR_EPS * np.eye(3), covariance, atol=1e-12)
    root = got.statistics().std[0]
    np.testing.assert_allclose((root @ root).numpy(), covariance, atol=1e-12)
    np.testing.assert_allclose(root.numpy(), root.T.numpy(), atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@given(height=st.integers(2, 12), width=sides, cut=st.integers(1, 11), masked=st.booleans(), seed=seeds)
def test_merge_equals_whole(measure, height, width, cut, masked, seed):
    cut = min(cut, height - 1)
    x = values(2, 3, height, width, seed=seed)
    mask = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed)).double() if masked else None
    parts = [measure(x[:, :, rows], None if mask is None else mask[:, :, rows]) for rows in (slice(0, cut), slice(cut, None))]
    assert_same(merge(parts), measure(x, mask))


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@given(count=st.integers(1, 5), seed=seeds)
def test_merge_of_frames_equals_all_frames_side_by_side(measure, count, seed):
    frames = [values(1, 3, 4, 5, seed=seed + i) for i in range(count)]
    assert_same(merge([measure(f) for f in frames]), measure(torch.cat(frames, 3)))


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_share_is_how_often_a_part_counts(measure):
    one, other = (measure(values(1, 3, 4, 5, seed=i)) for i in range(2))
    assert_same(merge([one, other], [3, 2]), merge([one, one, one, other, other]))


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_merge_ignores_empty_parts(measure):
    x = values(1, 3, 4, 5)
    empty = measure(values(1, 3, 6, 6, seed=1), torch.zeros(1, 1, 6, 6))
    assert_same(merge([empty, measure(x), empty]), measure(x))
    nothing = merge([empty, empty])
    assert nothing.weight == 0 and nothing.mean.isfinite().all() and nothing.var.isfinite().all()


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@given(height=sides, width=sides, box=st.tuples(sides, sides, sides, sides), seed=seeds)
def test_mask_equals_crop(measure, height, width, box, seed):
    x = values(2, 3, height, width, seed=seed)
    top, left = box[0] % height, box[1] % width
    inside = (..., slice(top, min(height, top + box[2])), slice(left, min(width, left + box[3])))
    mask = torch.zeros(1, 1, height, width)
    mask[inside] = 1
    assert_same(measure(x, mask), measure(x[inside]))


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@given(factor=st.floats(0.01, 1), seed=seeds)
def test_moments_do_not_depend_on_the_scale_of_a_mask(measure, factor, seed):
    x, mask = values(1, 3, 6, 7, seed=seed), torch.rand(1, 1, 6, 7, dtype=torch.float64)
    one, other = measure(x, mask), measure(x, mask * factor)
    torch.testing.assert_close(one.mean, other.mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(one.var, other.var, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_one_mask_for_each_image(measure):
    x, masks = values(2, 3, 6, 7), torch.rand(2, 1, 6, 7)
    both = measure(x, masks)
    for i in range(2):
        single = measure(x[i : i + 1], masks[i : i + 1])
        torch.testing.assert_close(both.mean[i], single.mean[0])
        torch.testing.assert_close(both.var[i], single.var[0])


def test_correction_is_the_unbiased_deviation():
    x = values(2, 4, 3, 5)
    got = channel_moments(x).statistics(correction=1)
    torch.testing.assert_close(got.std, (x.flatten(2).var(2, correction=1) + CHANNEL_EPS).sqrt())


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("mask", [None, torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 1e-30)])
def test_flat_values_and_empty_masks_give_finite_statistics(measure, correction, mask):
    for x in (torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.7)):
        mean, std = measure(x, mask).statistics(correction)
        assert mean.isfinite().all() and std.isfinite().all()
        assert (torch.linalg.eigvalsh(std) if std.ndim == 3 else std).min() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_moments_are_accumulated_in_float32_or_better(dtype):
    # Half precision would overflow in the sum and lose the variance beside the mean.
    x = (values(1, 3, 256, 256) * 0.1 + 60).to(dtype)
    got, exact = channel_moments(x), channel_moments(x.double())
    assert got.mean.dtype == torch.float32 and exact.mean.dtype == torch.float64
    torch.testing.assert_close(got.mean.double(), exact.mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(got.var.double(), exact.var, rtol=1e-4, atol=1e-7)


def test_a_large_map_loses_no_precision():
    x = values(1, 2, 1500, 1500, dtype=torch.float32) + 20
    var, mean = torch.var_mean(x.double(), (2, 3), correction=0)
    for got in (channel_moments(x), channel_moments(x.contiguous(memory_format=torch.channels_last))):
        torch.testing.assert_close(got.mean.double(), mean, rtol=1e-6, atol=0)
        torch.testing.assert_close(got.var.double(), var, rtol=1e-5, atol=0)


@pytest.mark.parametrize("band", [1, 150, 10**6])
def test_bands_of_a_map_are_one_map(monkeypatch, band):
    monkeypatch.setattr(moments, "BAND", band)  # one row at a time, bands of 2 rows and of 1, all at once
    x = values(3, 4, 5, 6)
    var, mean = torch.var_mean(x, (2, 3), correction=0)
    got = channel_moments(x)
    torch.testing.assert_close(got.mean, mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(got.var, var, rtol=1e-12, atol=1e-12)


def test_an_accelerator_gives_the_same():
    x = values(2, 3, 5, 6, dtype=torch.float32)
    with apple.Apple():
        got = channel_moments(x.to(apple.MPS)).to("cpu", torch.float64)
    assert_same(got, channel_moments(x.double()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_light_is_the_mean_square(measure):
    x = values(2, 3, 6, 7)
    torch.testing.assert_close(measure(x).light(), x.square().mean((1, 2, 3)))


@given(weights=st.lists(st.floats(-2, 2), min_size=1, max_size=4), seed=seeds)
def test_blend_is_linear(weights, seed):
    parts = [channel_moments(values(1, 4, 5, 5, seed=seed + i)).statistics() for i in range(len(weights))]
    mean, std = blend(parts, weights)
    for got, field in ((mean, "mean"), (std, "std")):
        expected = sum(w * getattr(p, field).numpy() for w, p in zip(weights, parts, strict=True))
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


def test_blend_of_one_is_itself():
    one = channel_moments(values(1, 4, 5, 5)).statistics()
    assert all(torch.equal(a, b) for a, b in zip(blend([one], [1.0]), one, strict=True))
    assert isinstance(one, Statistics)


@given(seed=seeds, exponent=st.sampled_from([0.5, -1.0, 2.0]))
def test_matrix_power(seed, exponent):
    factor = values(1, 3, 3, 3, seed=seed)[:, 0]
    matrix = factor @ factor.transpose(1, 2) + 0.1 * torch.eye(3).double()
    inverse = matrix_power(matrix, exponent)
    torch.testing.assert_close(matrix_power(inverse, 1 / exponent), matrix, rtol=1e-7, atol=1e-9)


def test_the_root_of_a_singular_matrix():
    row = torch.tensor([[0.3, 0.5, 0.7]], dtype=torch.float64)
    singular = (row.T @ row)[None]
    assert torch.linalg.eigvalsh(singular).min() < 0  # by rounding
    root = matrix_power(singular, 0.5)
    torch.testing.assert_close(root @ root, singular, rtol=0, atol=1e-9)


def test_inputs_are_not_modified():
    x, mask = values(1, 3, 4, 4, dtype=torch.float32), torch.rand(1, 1, 4, 4)
    kept = x.clone(), mask.clone()
    for measure in MEASURES.values():
        parts = [measure(x), measure(x, mask)]
        merge(parts)
        parts[0].statistics(1)
    assert torch.equal(x, kept[0]) and torch.equal(mask, kept[1])


# The custom backward pass


def test_gradient_of_channel_moments_is_numerically_right():
    x = values(2, 3, 4, 5).requires_grad_()

    def both(x):
        moments = channel_moments(x)
        return moments.mean, moments.var

    assert gradcheck(both, x)
    assert gradcheck(lambda x: channel_moments(x).statistics().std, x)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradient_equals_that_of_var_mean(dtype, tolerance, memory_format):
    x = values(2, 3, 6, 5).sub(1.5).to(dtype).contiguous(memory_format=memory_format)
    wanted = [torch.rand(2, 3, generator=torch.Generator().manual_seed(i)) for i in range(2)]

    def gradient(measure, x):
        x = x.detach().clone().requires_grad_()
        mean, var = measure(x)
        ((mean - wanted[0]).square().sum() + ((var + CHANNEL_EPS).sqrt() - wanted[1]).square().sum()).backward()
        return x.grad

    def ours(x):
        moments = channel_moments(x)
        return moments.mean, moments.var

    def theirs(x):
        var, mean = torch.var_mean(x.double(), (2, 3), correction=0)
        return mean, var

    got, expected = gradient(ours, x), gradient(theirs, x)
    assert got is not None and expected is not None and got.dtype == dtype
    torch.testing.assert_close(got.float(), expected.float(), rtol=tolerance, atol=tolerance)


def test_gradient_of_a_flat_channel_is_finite():
    x = torch.full((1, 2, 4, 4), 0.3, requires_grad=True)
    channel_moments(x).statistics().std.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()

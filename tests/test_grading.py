"""Matching colours, against the formulas in NumPy and float64, written another way."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from adain_style_transfer.adain import ColorMatch, ImageError, StyleError, match_colors
from adain_style_transfer.adain.affine import affine, extrapolated
from adain_style_transfer.adain.color import keep_colors, luma
from adain_style_transfer.adain.color_spaces import ColorSpace, decode, encode
from adain_style_transfer.adain.grading import Colors, MatchMethod
from adain_style_transfer.adain.histogram import bent, histogram, read_off, transport
from adain_style_transfer.adain.moments import Statistics, color_moments
from hypothesis import given
from hypothesis import strategies as st
from samples import picture, soft_mask

METHODS, SPACES = get_args(MatchMethod), get_args(ColorSpace)


def matched(image, reference, mask=None, reference_mask=None, **settings):
    match = ColorMatch(**settings)
    return match.grade(match.measure(image, mask), match.measure(reference, reference_mask))(image, mask)


def mild(seed, height=20, width=24):
    """A picture of low contrast, so that no grade leaves 0..1."""
    return picture(height, width, seed).double() * 0.3 + 0.35


def pixels(image, space="rgb"):
    return encode(image, space)[0].flatten(1).numpy()


# Formulas


@pytest.mark.parametrize("space", SPACES)
@given(seed=st.integers(0, 999), masked=st.booleans())
def test_covariance_is_the_optimal_transport(space, seed, masked):
    image, reference = mild(seed), mild(seed + 1, 17, 30)
    weights = [soft_mask(x.shape[2], x.shape[3], seed + i).double() if masked else None for i, x in enumerate((image, reference))]
    got = matched(image, reference, *weights, space=space)

    def measured(x, weight):
        values, w = pixels(x, space), np.ones(x[0, 0].numel()) if weight is None else weight.flatten().numpy()
        return values @ w / w.sum(), np.cov(values, aweights=w, bias=True) + 1e-4 * np.eye(3)

    (mean, cov), (wanted_mean, wanted) = (measured(x, weight) for x, weight in zip((image, reference), weights, strict=True))
    # Another form of the map of Monge and Kantorovich: A = Σt # Σs^-1, by the root of a matrix that is not symmetric.
    values, vectors = np.linalg.eig(wanted @ cov)
    root = (vectors * np.sqrt(values)) @ np.linalg.inv(vectors)
    a = np.linalg.solve(cov, root.T).T  # (Σt Σs)^1/2 Σs^-1
    moved = a.real @ (pixels(image, space) - mean[:, None]) + wanted_mean[:, None]
    expected = decode(torch.from_numpy(moved).view(image.shape), space)
    if masked:
        expected = image + weights[0] * (expected - image)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_channels_is_reinhards_transfer(space):
    image, reference = mild(1), mild(2, 17, 30)
    own, other = pixels(image, space), pixels(reference, space)
    scale = np.sqrt((other.var(1) + 1e-5) / (own.var(1) + 1e-5))[:, None]
    moved = (own - own.mean(1, keepdims=True)) * scale + other.mean(1, keepdims=True)
    expected = decode(torch.from_numpy(moved).view(image.shape), space)
    torch.testing.assert_close(matched(image, reference, method="channels", space=space), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("space", ["rgb", "linear"])
def test_chroma_keeps_light_and_dark(space):
    image, reference = picture(20, 24), picture(17, 30, seed=1)
    got = matched(image, reference, method="chroma", space=space)
    torch.testing.assert_close(luma(got), luma(image), rtol=0, atol=1e-5)
    torch.testing.assert_close(got, keep_colors(matched(image, reference, space=space), image))
    assert (got - image).abs().max() > 0.05


@given(seed=st.integers(0, 999), masked=st.booleans())
def test_histogram_matching_is_that_of_ranks(seed, masked):
    generator = np.random.default_rng(seed)
    image, reference = (torch.from_numpy(generator.integers(*span, (1, 3, 9, 11)) / 255) for span in ((20, 90), (60, 240)))
    weight = torch.from_numpy(generator.integers(0, 2, (1, 1, 9, 11)).astype(float)) if masked else None
    got = matched(image, reference, weight, method="histogram")
    for c in range(3):
        own, other = image[0, c].flatten().numpy(), reference[0, c].flatten().numpy()
        counted = own if weight is None else own[weight.flatten().numpy() > 0]
        levels, wanted = np.unique(counted), np.unique(other)

        def rank(values, level):
            return ((values < level).mean() + (values <= level).mean()) / 2

        curve = np.interp([rank(counted, v) for v in levels], [rank(other, v) for v in wanted], wanted)
        x = np.linspace(0, 1, 1021)
        curve = np.interp(x, [0, *levels, 1], [0, *curve, 1])  # no value is 0 or 1
        rise = 6 * np.abs(x[:, None] - x)
        curve = ((curve + rise).min(1) + (curve - rise).max(1)) / 2  # nowhere steeper than 6
        expected = np.interp(own, x, curve)
        if weight is not None:
            expected = np.where(weight.flatten().numpy() > 0, expected, own)
        np.testing.assert_allclose(got[0, c].flatten().numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("space", SPACES)
def test_histogram_reaches_the_distribution(space):
    image, reference = picture(60, 80), mild(3, 70, 50).float()
    got, wanted = (np.sort(pixels(x, space)) for x in (matched(image, reference, method="histogram", space=space), reference))
    shares = np.linspace(0.02, 0.98, 49)
    for own, other in zip(got, wanted, strict=True):
        assert np.abs(np.quantile(own, shares) - np.quantile(other, shares)).max() < 0.02


# Properties


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", METHODS)
def test_a_picture_in_its_own_colors_is_itself(method, space):
    image = picture(20, 24).double()
    torch.testing.assert_close(matched(image, image, method=method, space=space), image, rtol=0, atol=1e-5)


def test_the_default_is_match_colors():
    image, reference = picture(20, 24), picture(17, 30, seed=1)
    assert torch.equal(matched(image, reference), match_colors(image, reference))
    halfway = torch.lerp(image, match_colors(image, reference), 0.5)
    assert torch.equal(matched(image, reference, strength=0.5), halfway)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", METHODS)
def test_strength_0_is_the_picture(method, space):
    image = picture(20, 24)
    assert torch.equal(matched(image, picture(17, 30, seed=1), method=method, space=space, strength=0.0), image)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", METHODS)
def test_strength_is_continuous_at_1(method, space):
    image, reference = picture(20, 24), picture(17, 30, seed=1)
    below, at, above = (matched(image, reference, method=method, space=space, strength=s) for s in (0.9999, 1.0, 1.0001))
    torch.testing.assert_close(below, at, rtol=0, atol=2e-3)
    torch.testing.assert_close(above, at, rtol=0, atol=2e-3)


@pytest.mark.parametrize("method", ["covariance", "channels", "histogram"])
def test_beyond_the_reference_is_extrapolated(method):
    image = picture(20, 24).double() * 0.1 + 0.4
    reference = picture(17, 30, seed=1).double() * 0.12 + 0.5
    once, further = (matched(image, reference, method=method, strength=s) for s in (1.0, 1.7))
    torch.testing.assert_close(further, image + 1.7 * (once - image), rtol=0, atol=1e-3 if method == "histogram" else 1e-9)


@given(seed=st.integers(0, 99), matrix=st.booleans(), strength=st.floats(1, 2))
def test_contrast_never_turns_round(seed, matrix, strength):
    moments = color_moments(mild(seed)), color_moments(mild(seed + 1) * 0.1 + 0.5)
    a, b = (m.statistics() if matrix else Statistics(m.mean, m.var.diagonal(dim1=1, dim2=2).sqrt()) for m in moments)
    map_ = extrapolated(affine(a, b), a.mean, strength)
    values = torch.linalg.eigvalsh(map_.scale) if matrix else map_.scale
    assert values.min() >= -1e-9
    wanted = a.mean + strength * (b.mean - a.mean)
    torch.testing.assert_close(map_(a.mean[:, :, None, None])[..., 0, 0], wanted, rtol=0, atol=1e-9)


def test_curves_never_fall():
    falling = transport(histogram(picture(20, 24)), histogram(picture(20, 24, seed=1) * 0.1 + 0.5))
    curves = bent(falling, 2.0)
    assert curves.diff(dim=1).min() >= 0
    assert (2 * falling[0] - torch.linspace(0, 1, falling.shape[1])).diff().min() < 0  # so there was something to prevent


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_frames_stay_flat(method, space, level):
    reference = picture(40, 40, seed=1)
    flat = torch.full((1, 3, 24, 24), level)
    out = matched(flat, reference, method=method, space=space)
    assert out.isfinite().all()
    assert out.std((2, 3)).max() < 1e-4
    noise = torch.randint(-1, 2, flat.shape, generator=torch.Generator().manual_seed(0)) / 255
    noisy = (flat + noise).clamp(0, 1)
    out = matched(noisy, reference, method=method, space=space)
    # At white, linear light is 2.3 times as steep, and dark colours are nearer to each other in Lab.
    assert out.std((2, 3)).max() < 4 * noise.std()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["covariance", "channels", "histogram"])
def test_flat_frames_take_the_mean_color(method, space):
    reference = picture(40, 40, seed=1)
    match = ColorMatch(method, space)
    out = matched(torch.ones(1, 3, 24, 24), reference, method=method, space=space)
    wanted = encode(reference, match.coordinates).mean((2, 3), keepdim=True)
    torch.testing.assert_close(encode(out, match.coordinates), wanted.expand_as(out), rtol=0, atol=2e-3)


def test_a_flat_reference_flattens():
    out = matched(picture(20, 24), torch.full((1, 3, 8, 8), 0.25), method="channels")
    assert out.std((2, 3)).max() < 0.02 and (out.mean((2, 3)) - 0.25).abs().max() < 1e-3


# Masks and pools


@pytest.mark.parametrize("method", METHODS)
def test_what_is_masked_away_changes_nothing(method):
    image, reference = picture(20, 24), picture(20, 24, seed=1)
    mask = torch.zeros(1, 1, 20, 24)
    mask[..., :12] = 1
    out = matched(image, reference, mask, mask, method=method)
    assert torch.equal(out[..., 12:], image[..., 12:]) and not torch.equal(out[..., :12], image[..., :12])
    other, other_reference = image.clone(), reference.clone()
    other[..., 12:] = 0.9
    other_reference[..., 12:] = 0.1
    torch.testing.assert_close(matched(other, other_reference, mask, mask, method=method)[..., :12], out[..., :12], rtol=0, atol=1e-6)
    alone = matched(image[..., :12], reference[..., :12], method=method)
    torch.testing.assert_close(alone, out[..., :12], rtol=0, atol=1e-5)


def test_masks_of_another_size_are_scaled():
    image, small = picture(20, 24), torch.zeros(1, 1, 5, 6)
    small[..., :3] = 1
    out = matched(image, picture(20, 24, seed=1), small)
    assert torch.equal(out[..., 16:], image[..., 16:]) and not torch.equal(out[..., :8], image[..., :8])


@pytest.mark.parametrize("method", METHODS)
def test_a_frame_whose_mask_is_black_stays(method):
    image, match = picture(20, 24), ColorMatch(method)
    nothing = match.measure(image, torch.zeros(1, 1, 20, 24))
    assert torch.equal(match.grade(nothing, match.measure(picture(20, 24, seed=1)))(image), image)
    with pytest.raises(ImageError, match="Nothing of the reference counts"):
        matched(image, image, None, torch.zeros(1, 1, 20, 24))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", METHODS)
def test_pooled_statistics_are_those_of_all_pixels(method, space):
    match = ColorMatch(method, space)
    frames = [picture(20, 24, seed) * 0.2 * (seed + 1) for seed in range(3)]
    masks = [soft_mask(20, 24, seed) for seed in range(3)]
    pooled = Colors.pooled([match.measure(frame, mask) for frame, mask in zip(frames, masks, strict=True)])
    joined = match.measure(torch.cat(frames, 3), torch.cat(masks, 3))
    torch.testing.assert_close(pooled.moments.mean.float(), joined.moments.mean.float(), rtol=0, atol=1e-6)
    torch.testing.assert_close(pooled.moments.var.float(), joined.moments.var.float(), rtol=0, atol=1e-6)
    torch.testing.assert_close(pooled.moments.weight.float(), joined.moments.weight.float())
    if method == "histogram":
        torch.testing.assert_close(pooled.histogram, joined.histogram, rtol=0, atol=1e-2)  # float32 places
    reference = match.measure(picture(17, 30, seed=9))
    out = match.grade(pooled, reference)(frames[0])
    torch.testing.assert_close(out, match.grade(joined, reference)(frames[0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", ["covariance", "histogram"])
def test_large_pictures_are_measured_and_moved_in_bands(method, monkeypatch):
    image, reference, mask = picture(37, 24), picture(17, 30, seed=1), soft_mask(37, 24)
    whole = matched(image, reference, mask, method=method, space="lab")
    monkeypatch.setattr("adain_style_transfer.adain.grading._BAND", 24 * 5)
    torch.testing.assert_close(matched(image, reference, mask, method=method, space="lab"), whole, rtol=0, atol=1e-5)


def test_pictures_are_not_modified():
    image, reference = picture(20, 24), picture(17, 30, seed=1)
    before = image.clone(), reference.clone()
    for method in METHODS:
        matched(image, reference, method=method, space="lab", strength=1.5)
    assert torch.equal(image, before[0]) and torch.equal(reference, before[1])


def test_frames_of_8_bits():
    image, reference = picture(20, 24), picture(17, 30, seed=1)
    bytes_ = (image * 255).round().byte()
    torch.testing.assert_close(matched(bytes_, reference), matched(bytes_.float() / 255, reference))


# Histograms


def test_clipped_shadows_are_not_torn_apart():
    levels = torch.tensor([0.0] * 500 + [1 / 255] * 20 + [0.5] * 480).view(1, 1, 1, -1)
    target = torch.linspace(0, 1, 1000).view(1, 1, 1, -1)
    black, next_to_it, bright = read_off(transport(histogram(levels), histogram(target)), levels[..., [0, 510, 700]]).flatten()
    assert next_to_it - black <= 6.01 / 255 and bright > 0.7


def test_histograms_count_weights_between_levels():
    shares = torch.tensor([0.0, 1 / 255, 1.5 / 1020, 1.0]).view(1, 1, 1, 4)
    counts = histogram(shares, torch.tensor([1.0, 2.0, 4.0, 0.0]).view(1, 1, 1, 4))[0]
    expected = torch.zeros(1021, dtype=torch.float64)
    expected[0], expected[4], expected[1], expected[2] = 1, 2, 2, 2
    torch.testing.assert_close(counts, expected, rtol=0, atol=1e-4)


def test_values_never_measured_go_between():
    own, target = histogram(torch.tensor([0.25, 0.75]).view(1, 1, 1, 2)), histogram(torch.tensor([0.4, 0.6]).view(1, 1, 1, 2))
    got = read_off(transport(own, target), torch.tensor([0, 0.125, 0.25, 0.5, 0.75, 1]).view(1, 1, 1, 6))
    torch.testing.assert_close(got.flatten(), torch.tensor([0, 0.2, 0.4, 0.5, 0.6, 1]), rtol=0, atol=1e-5)


# Errors


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "magic"}, "The method 'magic' is unknown"),
        ({"space": "hsv"}, "The space 'hsv' is unknown"),
        ({"strength": 2.01}, "The strength is 2.01"),
        ({"strength": -0.1}, "The strength is -0.1"),
        ({"strength": float("nan")}, "The strength is nan"),
    ],
)
def test_what_there_is_not(settings, sentence):
    with pytest.raises(StyleError, match=sentence):
        ColorMatch(**settings)

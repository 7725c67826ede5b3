"""AdaIN on latents against its formula, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adain_style_transfer.adain import ImageError, StyleError
from adain_style_transfer.adain.latents import blended_statistics, frames_of, latent_mask, local_statistics, match_latent, measure, move
from adain_style_transfer.adain.moments import CHANNEL_EPS
from hypothesis import given
from hypothesis import strategies as st
from samples import values

sides = st.integers(2, 9)
seeds = st.integers(0, 2**31)
SCOPES = ["each frame", "whole clip"]


def latent(*shape, seed=0, dtype=torch.float64):
    """A latent [B, C, H, W] or [B, C, T, H, W], each of its channels and frames with moments of its own."""
    if len(shape) == 4:
        return values(*shape, seed=seed, dtype=dtype)
    batch, channels, frames, height, width = shape
    return values(batch * frames, channels, height, width, seed=seed, dtype=dtype).unflatten(0, (batch, frames)).transpose(1, 2)


def formula(x, style, weight=None, style_weight=None, strength=1.0):
    """Equation 8 of the paper for one channel, pixel sets of any shape: x + strength * (AdaIN(x) - x)."""

    def moments(v, w):
        w = np.ones_like(v) if w is None else w
        mean = (v * w).sum() / w.sum()
        return mean, np.sqrt(((v - mean) ** 2 * w).sum() / w.sum() + CHANNEL_EPS)

    (own_mean, own_std), (mean, std) = moments(x, weight), moments(style, style_weight)
    return x + strength * (std * (x - own_mean) / own_std + mean - x)


def close(got, expected, tolerance=1e-9):
    torch.testing.assert_close(got, torch.as_tensor(np.asarray(expected)).to(got), rtol=tolerance, atol=tolerance)


class TestWhole:
    @given(height=sides, width=sides, strength=st.floats(0, 1), seed=seeds)
    def test_each_picture_of_a_batch(self, height, width, strength, seed):
        x, style = latent(3, 4, height, width, seed=seed), latent(2, 4, 5, 3, seed=seed + 1)
        got = match_latent(x, style, strength=strength)
        for i in range(3):
            for c in range(4):
                close(got[i, c], formula(x[i, c].numpy(), style[:, c].numpy(), strength=strength))

    def test_a_batch_as_one_clip(self):
        x, style = latent(3, 4, 6, 5), latent(2, 4, 5, 3, seed=1)
        got = match_latent(x, style, scope="whole clip")
        for c in range(4):
            close(got[:, c], formula(x[:, c].numpy(), style[:, c].numpy()))

    def test_each_frame_of_a_video(self):
        x, style = latent(2, 4, 3, 6, 5), latent(1, 4, 5, 3, seed=1)
        got = match_latent(x, style)
        for i, t, c in np.ndindex(2, 3, 4):
            close(got[i, c, t], formula(x[i, c, t].numpy(), style[:, c].numpy()))

    def test_each_video_as_one_clip(self):
        x, style = latent(2, 4, 3, 6, 5), latent(2, 4, 2, 5, 3, seed=1)
        got = match_latent(x, style, scope="whole clip")
        for i, c in np.ndindex(2, 4):
            close(got[i, c], formula(x[i, c].numpy(), style[:, c].numpy()))

    @pytest.mark.parametrize(("shape", "style_shape"), [((3, 4, 6, 5), (3, 4, 5, 3)), ((1, 4, 3, 6, 5), (1, 4, 3, 5, 3))])
    def test_frame_by_frame(self, shape, style_shape):
        x, style = latent(*shape), latent(*style_shape, seed=1)
        got, theirs, before = frames_of(match_latent(x, style, paired=True)), frames_of(style), frames_of(x)
        for i, c in np.ndindex(3, 4):
            close(got[i, c], formula(before[i, c].numpy(), theirs[i, c].numpy()))

    def test_clip_by_clip(self):
        x, style = latent(2, 4, 3, 6, 5), latent(2, 4, 7, 5, 3, seed=1)
        got = match_latent(x, style, scope="whole clip", paired=True)
        for i, c in np.ndindex(2, 4):
            close(got[i, c], formula(x[i, c].numpy(), style[i, c].numpy()))

    @pytest.mark.parametrize("scope", SCOPES)
    def test_moments_land_on_the_style(self, scope):
        x, style = latent(2, 4, 3, 16, 12), latent(1, 4, 9, 9, seed=1)
        wanted = measure(style, "whole clip")
        got = measure(match_latent(x, style, scope=scope), scope)
        torch.testing.assert_close(got.mean, wanted.mean.expand_as(got.mean))
        torch.testing.assert_close(got.std, wanted.std.expand_as(got.std), rtol=3e-3, atol=0)  # what CHANNEL_EPS takes


class TestMasks:
    def test_of_pictures(self):
        x, style = latent(2, 4, 6, 5), latent(1, 4, 5, 3, seed=1)
        mask, style_mask = torch.rand(2, 6, 5, dtype=torch.float64), torch.rand(1, 5, 3, dtype=torch.float64)
        got = match_latent(x, style, mask=mask, style_mask=style_mask)
        for i, c in np.ndindex(2, 4):
            own, weight = x[i, c].numpy(), mask[i].numpy()
            moved = formula(own, style[0, c].numpy(), weight, style_mask[0].numpy())
            close(got[i, c], own + weight * (moved - own), 1e-6)  # masks are float32

    @pytest.mark.parametrize("window", [0.0, 4.0])
    @pytest.mark.parametrize("shape", [(2, 4, 6, 5), (1, 4, 3, 6, 5)])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_the_rest_stays_bit_for_bit(self, shape, window, dtype):
        x = latent(*shape, dtype=dtype)
        mask = torch.zeros(1, 6, 5)
        mask[:, :, 3:] = 1
        got = match_latent(x, latent(1, 4, 5, 3, seed=1), mask=mask, window=window)
        assert got.dtype == dtype
        assert torch.equal(got[..., :3], x[..., :3])
        assert not torch.equal(got[..., 3:], x[..., 3:])

    def test_a_mask_of_pixels_is_averaged(self):
        mask = torch.zeros(1, 48, 40)
        mask[:, :20] = 1
        got = latent_mask(mask, latent(1, 4, 6, 5))
        assert got.shape == (1, 1, 6, 5)
        assert torch.equal(got[0, 0, :, 0], torch.tensor([1, 1, 0.5, 0, 0, 0]))

    def test_frames_of_pixels_are_averaged_over_time(self):
        masks = torch.arange(6.0).view(6, 1, 1).expand(6, 12, 10) / 5
        got = latent_mask(masks, latent(2, 4, 3, 6, 5))
        assert got.shape == (6, 1, 6, 5)
        torch.testing.assert_close(got[:, 0, 0, 0], torch.tensor([0.1, 0.5, 0.9] * 2))

    def test_a_black_mask_changes_nothing(self):
        x = latent(2, 4, 6, 5)
        masks = torch.stack([torch.zeros(6, 5), torch.ones(6, 5)])
        for window in (0.0, 3.0):
            got = match_latent(x, latent(1, 4, 5, 3, seed=1), mask=masks, window=window)
            assert torch.equal(got[0], x[0]) and not torch.equal(got[1], x[1]) and got.isfinite().all()

    def test_number_of_masks(self):
        with pytest.raises(ImageError, match="The mask has 2 frames for 3 pictures"):
            match_latent(latent(3, 4, 6, 5), latent(1, 4, 5, 3), mask=torch.ones(2, 6, 5))


def kernel(side, window, at):
    """Weights of the pixels of one side around `at`."""
    distance = np.arange(side) - at
    weights = np.exp(-((distance * 4 / window) ** 2) / 2)
    return np.where(np.abs(distance) <= np.ceil(3 * window / 4), weights, 0)


class TestWindow:
    @given(height=sides, width=sides, window=st.floats(1, 20), shared=st.sampled_from([1, 3]), seed=seeds)
    def test_moments_around_each_pixel(self, height, width, window, shared, seed):
        frames, weight = latent(3, 2, height, width, seed=seed), torch.rand(3, 1, height, width, dtype=torch.float64)
        got = local_statistics(frames, weight, (window, 2 * window), shared)
        for group, c, y, x in np.ndindex(3 // shared, 2, height, width):
            rows = slice(group * shared, (group + 1) * shared)
            near = np.outer(kernel(height, window, y), kernel(width, 2 * window, x)) * weight[rows, 0].numpy()
            mean = (near * frames[rows, c].numpy()).sum() / near.sum()
            var = (near * (frames[rows, c].numpy() - mean) ** 2).sum() / near.sum()
            np.testing.assert_allclose(got.mean[group, c, y, x], mean, atol=1e-9)
            np.testing.assert_allclose(got.std[group, c, y, x], np.sqrt(var + CHANNEL_EPS), atol=1e-7)

    def test_each_pixel_takes_the_moments_of_its_place(self):
        x, style = latent(1, 4, 8, 6), latent(1, 4, 8, 6, seed=1)
        own, theirs = (local_statistics(v, None, (3.0, 3.0)) for v in (x, style))
        close(match_latent(x, style, window=3.0), theirs.std * (x - own.mean) / own.std + theirs.mean)

    def test_a_style_of_twice_the_size_has_a_window_of_twice_the_size(self):
        x, style = latent(1, 2, 12, 12), latent(1, 2, 12, 12, seed=1)
        large = torch.nn.functional.interpolate(style, scale_factor=2, mode="nearest")
        got, expected = (match_latent(x, s, window=8.0) for s in (large, style))
        assert (got - expected).abs().mean() < 0.05 * (expected - x).abs().mean()

    def test_a_window_beyond_the_picture_is_the_whole(self):
        x, style = latent(2, 4, 3, 6, 5), latent(1, 4, 5, 3, seed=1)
        for scope in SCOPES:
            close(match_latent(x, style, scope=scope, window=1e5), match_latent(x, style, scope=scope), 1e-6)

    @pytest.mark.parametrize("offset", [0.0, 300.0])
    def test_far_from_zero_no_digits_are_lost(self, offset):
        x, style = (latent(1, 2, 12, 9, seed=i) for i in range(2))
        exact = match_latent(x, style, window=4.0)
        got = match_latent((x + offset).float(), style.float(), window=4.0)
        torch.testing.assert_close(got.double(), exact, rtol=0, atol=1e-3)

    def test_a_clip_takes_the_moments_of_all_its_frames(self):
        x = latent(1, 2, 3, 6, 5)
        got = measure(x, "whole clip", window=(3.0, 3.0))
        assert got.mean.shape == (1, 2, 6, 5)
        each = measure(x, "each frame", window=(3.0, 3.0))
        close(got.mean[0], each.mean.mean(0))


class TestEverywhere:
    @pytest.mark.parametrize("window", [0.0, 3.0])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("flat", ["latent", "style", "both"])
    def test_flat_channels(self, flat, dtype, window):
        x, style = (latent(1, 4, 2, 6, 5, seed=i, dtype=dtype) for i in range(2))
        for part in {"latent": [x], "style": [style], "both": [x, style]}[flat]:
            part[:, 1] = 0.7
            part[:, 2] = 0
        got = match_latent(x, style, window=window)
        assert got.isfinite().all() and got.dtype == dtype
        if flat != "latent":
            torch.testing.assert_close(got[:, 1], torch.full_like(got[:, 1], 0.7), rtol=0, atol=0.02)

    @pytest.mark.parametrize("window", [0.0, 3.0])
    @pytest.mark.parametrize("shape", [(2, 4, 6, 5), (2, 4, 3, 6, 5)])
    def test_strength_0_is_the_latent_itself(self, shape, window):
        x = latent(*shape, dtype=torch.float32)
        assert torch.equal(match_latent(x, latent(1, 4, 5, 3, seed=1), strength=0, window=window), x)

    @pytest.mark.parametrize("shape", [(1, 4, 1, 1), (1, 4, 1, 1, 1), (1, 1, 1, 7)])
    @pytest.mark.parametrize("window", [0.0, 1.0, 64.0])
    def test_smallest(self, shape, window):
        got = match_latent(latent(*shape), latent(1, shape[1], 3, 2, seed=1), window=window)
        assert got.shape == shape and got.isfinite().all()

    def test_inputs_are_not_modified(self):
        x, style, mask = latent(2, 4, 3, 6, 5), latent(1, 4, 5, 3), torch.rand(1, 9, 9)
        kept = x.clone(), style.clone(), mask.clone()
        for window in (0.0, 3.0):
            match_latent(x, style, mask=mask, style_mask=mask, window=window)
        assert all(torch.equal(a, b) for a, b in zip((x, style, mask), kept, strict=True))

    def test_blended_styles_are_blended_results(self):
        x, styles = latent(1, 4, 6, 5), [latent(2, 4, 5, 3, seed=1), latent(1, 4, 3, 8, 8, seed=2)]
        got = move(x, blended_statistics(styles, [3, 1]))
        close(got, 0.75 * match_latent(x, styles[0]) + 0.25 * match_latent(x, styles[1]))


class TestSentences:
    def test_channels(self):
        with pytest.raises(StyleError, match="The style latent has 16 channels and the latent has 4"):
            match_latent(latent(1, 4, 6, 5), latent(1, 16, 6, 5))

    def test_channels_of_a_blend(self):
        with pytest.raises(StyleError, match=r"The style latents have \[4, 16\] channels"):
            blended_statistics([latent(1, 4, 6, 5), latent(1, 16, 6, 5)])

    @pytest.mark.parametrize("shape", [(3, 4, 6, 5), (1, 4, 3, 6, 5)])
    def test_pairs(self, shape):
        with pytest.raises(StyleError, match="2 styles cannot be matched with 3 frames"):
            match_latent(latent(*shape), latent(2, 4, 6, 5), paired=True)

    @pytest.mark.parametrize("x", [torch.rand(1, 64, 100), torch.ones(1, 4, 6, 5, dtype=torch.int64), torch.rand(1, 4, 0, 5)])
    def test_no_latent(self, x):
        with pytest.raises(ImageError, match="Expected the floats of pictures"):
            match_latent(x, latent(1, 4, 6, 5))

    def test_nan(self):
        x = latent(1, 4, 6, 5)
        x[0, 2, 1, 1] = float("nan")
        with pytest.raises(ImageError, match="The style latent holds NaN"):
            match_latent(latent(1, 4, 6, 5), x)

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer import adain
from adain_style_transfer.adain import ImageError, Region, StyleError
from adain_style_transfer.adain.affine import affine
from adain_style_transfer.adain.aim import Aim
from adain_style_transfer.adain.coverage import coverage_of
from adain_style_transfer.adain.look import Look
from adain_style_transfer.adain.moments import Statistics, color_moments
from adain_style_transfer.adain.pipeline import Painter
from adain_style_transfer.adain.stylize import stylize
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import picture, small_lite, soft_mask, vgg19
from torch.autograd import gradcheck

COLORS = ("style", "keep", "match")


@pytest.fixture(scope="module")
def style(lite):
    return lite.encode_style(picture(40, 32, seed=100), name="stripes")


@pytest.fixture(scope="module")
def styles(lite):
    return [lite.encode_style(picture(40, 32, seed=100 + i)) for i in range(3)]


def left_half(height, width):
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask


def assert_picture(out, content):
    assert out.shape == content.shape and out.dtype == content.dtype
    assert out.isfinite().all() and out.min() >= 0 and out.max() <= 1


# Size and range


@given(height=st.integers(1, 70), width=st.integers(1, 70), color=st.sampled_from(COLORS), masked=st.booleans())
@example(1, 1, "style", True)
@example(1, 70, "match", True)
@settings(max_examples=60)
def test_every_size_comes_back_as_it_was(lite, style, height, width, color, masked):
    content = picture(height, width, seed=height * 71 + width)
    mask = None if not masked else (soft_mask(height, width) + 0.01).clamp(max=1)
    assert_picture(stylize(lite, content, style, color=color, mask=mask), content)


@pytest.mark.parametrize("size", [(1, 1), (3, 7000), (7000, 3), (1, 513)])
def test_extreme_sizes(lite, style, size):
    content = picture(*size)
    assert_picture(stylize(lite, content, style), content)
    assert lite.encode_style(content).levels[1].std.isfinite().all()


@pytest.mark.parametrize("size", [(1, 1), (9, 8), (17, 30)])
def test_sizes_of_vgg19(size):
    model = vgg19()
    content = picture(*size)
    assert_picture(stylize(model, content, model.encode_style(picture(*size[::-1], seed=1))), content)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_content_dtype_comes_back(lite, style, dtype):
    content = picture(20, 24).to(dtype)
    assert_picture(stylize(lite, content, style), content)


def test_results_in_half_precision_are_those_in_full(lite, style):
    content = picture(40, 48)
    full = stylize(lite, content, style)
    for dtype in (torch.bfloat16, torch.float16):
        model = small_lite().to(dtype)
        assert (stylize(model, content, style) - full).abs().mean() < 0.01
        assert model.fingerprint == lite.fingerprint


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("flat", [torch.zeros(1, 3, 20, 20), torch.ones(1, 3, 20, 20), torch.full((1, 3, 20, 20), 0.4)])
def test_flat_pictures_never_give_nan(lite, style, flat, color):
    content = picture(20, 24)
    assert_picture(stylize(lite, flat, style, color=color), flat)
    flat_style = lite.encode_style(flat)
    assert_picture(stylize(lite, content, flat_style, color=color), content)
    assert_picture(stylize(lite, flat, flat_style, color=color), flat)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_region_over_a_flat_sky_never_gives_nan(style, dtype):
    model = small_lite().to(dtype)
    content = picture(40, 48)
    content[..., :24] = 0.6
    assert_picture(stylize(model, content, [Region(style, left_half(40, 48))]), content)
    assert_picture(stylize(model, content, [Region(style, torch.ones(1, 1, 8, 8)), Region(style)]), content)


# Strength


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99))
def test_strength_0_is_the_content(lite64, height, width, seed):
    content = picture(height, width, seed).double()
    style = lite64.encode_style(picture(20, 20, seed + 1).double())
    for color in COLORS:
        assert torch.equal(stylize(lite64, content, style, strength=0, color=color), content)
    near = stylize(lite64, content, style, strength=0.01)
    assert (near - content).abs().mean() < 0.05


@given(height=st.integers(4, 40), width=st.integers(4, 40), seed=st.integers(0, 99))
def test_rendered_at_strength_0_is_decode_of_encode(lite64, height, width, seed):
    content = picture(height, width, seed).double()
    style = lite64.encode_style(picture(20, 20, seed + 1).double())
    own = lite64.statistics_of(content)
    # Its own statistics as the target: every map is the identity, up to the float64 of the colour map.
    features = lite64.encode(lite64.pad(content))
    plain = lite64.decode(lite64.pad(content), features, _modulations(lite64, own))[:, :, :height, :width]
    with torch.no_grad():
        got = Painter(lite64, Aim([style.levels], strengths=[0])).render(content)
    torch.testing.assert_close(got, plain, rtol=0, atol=1e-7)


def _modulations(model, target):
    return [lambda x, map=map: map(x) for map in model.modulate(target)]


def test_less_strength_is_nearer_to_strength_0(lite, style):
    content = picture(48, 40)
    results = [stylize(lite, content, style, strength=a) for a in (0.0, 0.25, 0.5, 0.75, 1.0)]
    distances = [(r - results[0]).square().mean().item() for r in results]
    assert distances == sorted(distances) and distances[1] < distances[-1]


@pytest.mark.parametrize("strength", [1.25, 2.0])
def test_beyond_the_style_features_are_extrapolated_and_colors_are_not(lite64, strength):
    content, style = picture(40, 48).double(), lite64.encode_style(picture(20, 20, seed=5).double())
    own = lite64.statistics_of(affine(lite64.statistics_of(content)[0], style.levels[0])(content))  # in the style's colours
    further = [style.levels[0]]
    for mine, target in zip(own[1:], style.levels[1:], strict=True):  # A f + B, taken `strength` times as far, from its definition
        mean = mine.mean + strength * (target.mean - mine.mean)
        further.append(Statistics(mean, (mine.std + strength * (target.std - mine.std)).clamp_min(0)))
    assert any(bool((level.std == 0).any()) for level in further[1:]) or strength < 2  # some would have turned round
    with torch.no_grad():
        expected = Painter(lite64, Aim([further])).render(content)
        got = Painter(lite64, Aim([style.levels], strengths=[strength])).render(content)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)
    tiled = stylize(lite64, content, style, strength=strength, tile=16)
    torch.testing.assert_close(tiled, stylize(lite64, content, style, strength=strength), rtol=0, atol=1e-9)


def test_colors_approach_those_of_the_style():
    model = small_lite()
    with torch.no_grad():  # the recoloured content itself
        model.decoder.pixels.weight.zero_()
        model.decoder.pixels.bias.zero_()
    content, reference = picture(48, 40, seed=1) * 0.5 + 0.25, picture(40, 48, seed=2) * 0.5 + 0.25
    made = model.encode_style(reference)

    def distance(image):
        got, wanted = color_moments(image), color_moments(reference)
        return ((got.mean - wanted.mean).square().sum() + (got.var - wanted.var).square().sum()).item()

    distances = [distance(stylize(model, content, made, strength=a)) for a in (0.0, 0.5, 1.0)]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.01 * distances[0]


def test_each_region_has_a_strength_of_its_own(lite64):
    content, one = picture(40, 48).double(), lite64.encode_style(picture(20, 20, seed=5).double())
    other, mask = lite64.encode_style(picture(24, 20, seed=6).double()), left_half(40, 48).double()

    def painted(left, right, whole=1.0):
        return stylize(lite64, content, [Region(one, mask, left), Region(other, strength=right)], strength=whole)

    same = painted(0.8, 0.8)
    assert torch.equal(same, painted(1, 1, whole=0.8))  # both of them are that of the whole
    torch.testing.assert_close(painted(0.4, 0.9), painted(0.5, 1.125, whole=0.8), rtol=0, atol=1e-12)  # and multiply it
    torch.testing.assert_close(painted(2, 1, whole=2), painted(1, 1, whole=2), rtol=0, atol=0)  # up to the largest
    half = painted(0, 0.8)
    assert torch.equal(half[..., :24], content[..., :24])
    assert (half[..., 24:] - content[..., 24:]).abs().mean() > 0.01
    tiled = stylize(lite64, content, [Region(one, mask, 0.3), Region(other, strength=1.5)], tile=16)
    torch.testing.assert_close(tiled, painted(0.3, 1.5), rtol=0, atol=1e-9)
    with fails(StyleError, "strength", "2.5", "between 0"):
        Region(one, mask, 2.5)


# Batches


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 9])
def test_chunks_do_not_change_a_frame(lite64, color, chunk):
    contents = picture(22, 29, batch=5).double()
    styles = lite64.encode_style(picture(16, 24, batch=5, seed=1).double())
    masks = torch.cat([soft_mask(22, 29, seed=i) for i in range(5)])
    alone = torch.cat([stylize(lite64, contents[i : i + 1], styles[i], mask=masks[i : i + 1], color=color) for i in range(5)])
    together = stylize(lite64, contents, styles, mask=masks, color=color, chunk=chunk)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-9)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
def test_memory_does_not_grow_with_the_batch(lite, style):
    """Five hundred frames need their input, their output, and what one chunk needs; all at once they would need 60 MB more."""

    def peak():
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

    frames = picture(48, 48, batch=500)
    stylize(lite, frames[:2], style)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak()
    out = stylize(lite, frames, style)
    assert peak() - before < out.nbytes + 16e6


def test_many_contents_in_one_style(lite, styles):
    contents = picture(20, 24, batch=3)
    out = stylize(lite, contents, styles[0], chunk=2)
    for i in range(3):
        torch.testing.assert_close(out[i : i + 1], stylize(lite, contents[i : i + 1], styles[0]), rtol=0, atol=1e-5)


def test_one_content_in_many_styles(lite, styles):
    content = picture(20, 24)
    batch = lite.encode_style(torch.cat([picture(40, 32, seed=100 + i) for i in range(3)]))
    assert len(batch) == 3
    out = stylize(lite, content, batch, chunk=2)
    assert out.shape == (3, 3, 20, 24)
    for i in range(3):
        torch.testing.assert_close(out[i : i + 1], stylize(lite, content, styles[i]), rtol=0, atol=1e-5)


def test_pairs(lite, styles):
    contents = picture(20, 24, batch=3)
    batch = lite.encode_style(torch.cat([picture(40, 32, seed=100 + i) for i in range(3)]))
    out = stylize(lite, contents, batch)
    for i in range(3):
        torch.testing.assert_close(out[i : i + 1], stylize(lite, contents[i : i + 1], styles[i]), rtol=0, atol=1e-5)


def test_progress_counts_frames_and_can_stop(lite, style):
    seen = []
    stylize(lite, picture(16, 16, batch=5), style, chunk=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize(lite, picture(16, 16, batch=5), style, chunk=2, progress=stop)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_layout_in_memory_does_not_matter(dtype):
    """Pictures come as planes, or as views of the interleaved pixels of a file or of ComfyUI."""
    model = small_lite().to(dtype=dtype)
    planes, art = picture(40, 56, seed=1), picture(48, 64, seed=2)
    interleaved, art_interleaved = (x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) for x in (planes, art))
    expected = stylize(model, planes, model.encode_style(art))
    assert torch.equal(stylize(model, interleaved, model.encode_style(art_interleaved)), expected)


def test_inputs_are_never_modified(lite):
    content, reference, mask = picture(20, 24, batch=2), picture(30, 20, seed=1), soft_mask(10, 12)
    style = lite.encode_style(reference, mask, size=16)
    regions = [Region(style, soft_mask(20, 24, seed=3)), Region(style)]
    levels = [t for level in style.levels for t in level]
    kept = [t.clone() for t in (content, reference, mask, regions[0].mask, *levels)]
    weights = {key: value.clone() for key, value in lite.state_dict().items()}
    for color in COLORS:
        stylize(lite, content, regions, mask=mask, color=color, strength=0.5)
    for before, after in zip(kept, (content, reference, mask, regions[0].mask, *levels), strict=True):
        assert torch.equal(before, after)
    assert all(torch.equal(value, weights[key]) for key, value in lite.state_dict().items())


def test_the_same_call_gives_the_same_bits(lite, style):
    content = picture(31, 45)
    assert torch.equal(stylize(lite, content, style), stylize(lite, content, style))


# Masks and regions


@pytest.mark.parametrize("color", COLORS)
@given(height=st.integers(2, 40), width=st.integers(2, 40), seed=st.integers(0, 99))
def test_pixels_outside_the_mask_are_bit_identical(lite, style, color, height, width, seed):
    content, mask = picture(height, width, seed), (soft_mask(height, width, seed) - 0.4).clamp(min=0)
    mask[..., 0, 0] = 1
    out = stylize(lite, content, style, mask=mask, color=color)
    outside = (mask == 0).expand_as(content)
    assert torch.equal(out[outside], content[outside])
    assert_picture(out, content)


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("color", COLORS)
def test_pixels_outside_the_mask_do_not_leak_into_it(lite64, color, regions):
    style = lite64.encode_style(picture(24, 24, seed=9).double())
    content = picture(24, 256, seed=1).double()
    other = content.clone()
    other[..., 160:] = picture(24, 96, seed=2).double().square()  # further away than all convolutions together see
    mask = torch.zeros(1, 1, 24, 256)
    mask[..., :64] = 1

    def inside(content):
        arguments = ([Region(style, mask)], None) if regions else (style, mask)
        return stylize(lite64, content, arguments[0], mask=arguments[1], color=color)[..., :64]

    torch.testing.assert_close(inside(content), inside(other), rtol=0, atol=1e-9)
    whole = [stylize(lite64, c, style, color=color)[..., :64] for c in (content, other)]
    assert (whole[0] - whole[1]).abs().max() > 1e-3  # without the mask they do


def test_a_mask_of_ones_is_no_mask(lite64):
    content = picture(27, 42).double()
    style = lite64.encode_style(picture(24, 24, seed=9).double())
    out = stylize(lite64, content, style, mask=torch.ones(1, 1, 27, 42))
    torch.testing.assert_close(out, stylize(lite64, content, style), rtol=0, atol=1e-9)


def test_the_base_style_fills_the_rest(lite64):
    content = picture(24, 64).double()
    first, second = (lite64.encode_style(picture(24, 24, seed=i).double()) for i in (8, 9))
    mask = left_half(24, 64)
    based = stylize(lite64, content, [Region(first, mask), Region(second)])
    explicit = stylize(lite64, content, [Region(first, mask), Region(second, 1 - mask)])
    torch.testing.assert_close(based, explicit, rtol=0, atol=1e-9)
    unbased = stylize(lite64, content, [Region(first, mask)])
    assert torch.equal(unbased[..., 32:], content[..., 32:])
    assert not torch.equal(based[..., 32:], content[..., 32:])


def test_the_order_of_regions_does_not_matter(lite64):
    content = picture(24, 40).double()
    styles = [lite64.encode_style(picture(24, 24, seed=i).double()) for i in range(3)]
    regions = [Region(styles[0], soft_mask(24, 40, 1)), Region(styles[1], soft_mask(24, 40, 2)), Region(styles[2])]
    torch.testing.assert_close(stylize(lite64, content, regions), stylize(lite64, content, regions[::-1]), rtol=0, atol=1e-9)


def test_regions_of_one_style_are_not_mixed_with_the_content(lite64):
    """Half of it in each of two overlapping masks: each pixel belongs wholly to the style."""
    content, style = picture(24, 40).double(), lite64.encode_style(picture(24, 24, seed=1).double())
    half = torch.full((1, 1, 24, 40), 0.5)
    out = stylize(lite64, content, [Region(style, half), Region(style, half)])
    torch.testing.assert_close(out, stylize(lite64, content, style), rtol=0, atol=1e-6)


def test_masks_of_another_size_are_resized(lite, style):
    content = picture(24, 40)
    for size in ((6, 10), (240, 400), (1, 8), (700, 3)):
        mask = left_half(*size)
        fitting = torch.nn.functional.interpolate(mask, (24, 40), mode="bilinear", antialias=True)
        assert torch.equal(stylize(lite, content, style, mask=mask), stylize(lite, content, style, mask=fitting))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float16, torch.float64])
@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_masks_of_any_dtype_and_shape(lite, style, dtype, dimensions):
    content, mask = picture(24, 40), left_half(24, 40)
    given = mask.to(dtype).squeeze(0) if dimensions < 4 else mask.to(dtype)
    given = given.squeeze(0) if dimensions == 2 else given
    assert torch.equal(stylize(lite, content, style, mask=given), stylize(lite, content, style, mask=mask))
    encoded = [lite.encode_style(content, m) for m in (given, mask)]
    assert torch.equal(encoded[0].levels[1].mean, encoded[1].levels[1].mean)


@given(seed=st.integers(0, 999), count=st.integers(1, 4), based=st.booleans(), limited=st.booleans())
def test_region_weights_share_each_pixel(style, seed, count, based, limited):
    content = picture(9, 11, batch=2)
    regions = [Region(style, (soft_mask(9, 11, seed + i) + 0.01).clamp(max=1)) for i in range(count)]
    regions += [Region(style)] if based else []
    limit = (soft_mask(9, 11, seed + 9) + 0.01).clamp(max=1) if limited else None
    coverage = coverage_of(Look.of(regions, mask=limit), content)
    assert coverage.weights.min() >= 0 and 0 <= coverage.cover.min() <= coverage.cover.max() <= 1
    torch.testing.assert_close(coverage.weights.sum(1, keepdim=True), coverage.cover)
    if based:
        torch.testing.assert_close(coverage.cover, torch.ones_like(coverage.cover) if limit is None else limit)


def test_a_frame_without_its_object_stays_as_it_is(lite, style):
    """Masks of a video: where one frame's mask is empty, nothing is stylised; that is no mistake."""
    contents, masks = picture(16, 16, batch=2), torch.stack([torch.ones(1, 16, 16), torch.zeros(1, 16, 16)])
    out = stylize(lite, contents, style, mask=masks)
    assert torch.equal(out[1], contents[1]) and not torch.equal(out[0], contents[0])


# Gradients


def test_render_is_differentiable():
    model = small_lite().double().requires_grad_(True)
    target = [Statistics(s.mean.detach(), s.std.detach()) for s in model.statistics_of(picture(16, 16, seed=1).double())]
    names = ("encoder.at4.bias", "modulation.bias", "decoder.up4.bias")
    parameters = dict(model.named_parameters())

    class Renderer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, image):
            return Painter(self.model, Aim([target])).render(image).square().mean()

    def loss(image, *values):
        return torch.func.functional_call(Renderer(), {f"model.{n}": v for n, v in zip(names, values, strict=True)}, (image,))

    content = picture(9, 10).double().requires_grad_()
    values = [parameters[name].detach().clone().requires_grad_() for name in names]
    assert gradcheck(loss, (content, *values), eps=1e-6, atol=1e-6)


# Bad input: one clear sentence


def fails(error, *words):
    """The error's sentence holds all `words` and ends with a full stop."""
    pattern = "".join(f"(?=.*{word})" for word in words)
    return pytest.raises(error, match=rf"(?s){pattern}.*\.$")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.full((1, 3, 4, 4), math.nan), ["NaN", "frame 0"]),
        (torch.stack([torch.ones(3, 4, 4), torch.full((3, 4, 4), math.inf)]), ["infinite", "frame 1"]),
        (torch.full((1, 3, 4, 4), 255.0), ["255", r"0\.\.1"]),
        (torch.full((1, 3, 4, 4), -1.0), ["-1", r"0\.\.1"]),
        (torch.ones(1, 3, 4, 4, dtype=torch.uint8), ["uint8", "255"]),
        (torch.ones(3, 4, 4), [r"\[3, 4, 4\]", "batch, 3, height, width"]),
        (torch.ones(1, 4, 4, 3), [r"\[1, 4, 4, 3\]", "batch, 3, height, width"]),
        (torch.ones(1, 1, 4, 4), [r"\[1, 1, 4, 4\]"]),
        (torch.ones(1, 3, 0, 4), [r"\[1, 3, 0, 4\]", "at least one pixel"]),
        (torch.ones(0, 3, 4, 4), [r"\[0, 3, 4, 4\]"]),
    ],
)
def test_contents_and_style_images_that_cannot_be_used(lite, style, content, words):
    with fails(ImageError, "The input image", *words):
        stylize(lite, content, style)
    with fails(ImageError, "style image", *words):
        lite.encode_style(content)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.zeros(1, 1, 4, 4), ["black everywhere"]),
        (torch.full((1, 1, 4, 4), math.nan), ["NaN"]),
        (torch.full((1, 1, 4, 4), 255.0), ["255", r"0\.\.1"]),
        (torch.full((1, 1, 4, 4), -3.0), ["-3", r"0\.\.1"]),
        (torch.ones(1, 3, 4, 4), [r"\[1, 3, 4, 4\]"]),
        (torch.ones(1, 1, 0, 4), [r"\[1, 1, 0, 4\]"]),
        (torch.ones(4), [r"\[4\]"]),
        (torch.ones(3, 1, 4, 4), ["3 frames", "2 pictures"]),
    ],
)
def test_masks_that_cannot_be_used(lite, style, mask, words):
    contents = picture(4, 4, batch=2)
    with fails(ImageError, "mask", *words):
        stylize(lite, contents, style, mask=mask)
    with fails(ImageError, "mask of region 1", *words):
        stylize(lite, contents, [Region(style, mask)])
    with fails(ImageError, "style mask", *words):
        lite.encode_style(contents, mask)


def test_one_picture_is_a_picture(lite, style):
    with fails(ImageError, "has 2 frames for 1 picture[.]"):
        stylize(lite, picture(4, 4), style, mask=torch.ones(2, 1, 4, 4))


def test_masks_that_overshoot_are_clamped(lite, style):
    content, mask = picture(16, 16), torch.cat([torch.full((1, 1, 16, 8), -0.4), torch.full((1, 1, 16, 8), 1.4)], 3)
    clean = mask.clamp(0, 1)
    assert torch.equal(stylize(lite, content, style, mask=mask), stylize(lite, content, style, mask=clean))
    assert torch.equal(lite.encode_style(content, mask).levels[1].std, lite.encode_style(content, clean).levels[1].std)


def enlarged(drawing):
    """As ComfyUI enlarges it: bicubic, not clamped, which reaches -0.4 and 1.4 around single pixels."""
    return F.interpolate(drawing, scale_factor=2.6, mode="bicubic")


def sharpened(image):
    return image + 1.5 * (image - F.avg_pool2d(image, 5, 1, 2))


def drawing():
    """Black and white pixels and lines."""
    return (torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0)) > 0.7).float().expand(-1, 3, -1, -1)


OVERSHOOTING = {
    "a drawing enlarged": enlarged(drawing()),
    "a drawing on black sharpened": sharpened(drawing()),
    "a drawing on white sharpened": sharpened(1 - drawing()),
    "a photograph enlarged and sharpened": sharpened(enlarged(picture(24, 24))),
    "light of HDR": picture(24, 24) ** 3 * 12,
    "white a rounding above 1": torch.full((1, 3, 8, 8), 1.001),
}


@pytest.mark.parametrize("kind", OVERSHOOTING)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_pictures_that_overshoot_are_clamped(lite, style, kind, dtype):
    image = OVERSHOOTING[kind].to(dtype)
    assert image.max() > 1
    before, clean = image.clone(), image.clamp(0, 1)
    for color in COLORS:
        got = stylize(lite, image, style, color=color, mask=left_half(*image.shape[-2:]))
        assert_picture(got, image)
        assert torch.equal(got, stylize(lite, clean, style, color=color, mask=left_half(*image.shape[-2:])))
    assert torch.equal(stylize(lite, image, style, tile=16), stylize(lite, clean, style, tile=16))
    assert torch.equal(lite.encode_style(image).levels[1].std, lite.encode_style(clean).levels[1].std)
    assert torch.equal(image, before)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (picture(24, 24) * 255, ["255", r"0\.\.1", "divide"]),
        (picture(24, 24) * 0.1 * 255, ["divide"]),
        (drawing() * 255, ["divide"]),
        (picture(24, 24) * 2 - 1, ["-1", r"0\.\.1", "add 0.5"]),
        (drawing() * 2 - 1, ["add 0.5"]),
        (1 - drawing() * 2, ["add 0.5"]),
        ((picture(24, 24) * 2 - 1) * 1.1, ["add 0.5"]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_pictures_in_another_range_are_refused(lite, style, values, words, dtype):
    with fails(ImageError, "The input image", *words):
        stylize(lite, values.to(dtype), style)
    with fails(ImageError, "mask", *words):
        stylize(lite, picture(24, 24), style, mask=values.reshape(1, 1, -1, 24).to(dtype))


@pytest.mark.parametrize("strength", [-0.1, 2.1, math.nan, math.inf])
def test_strengths_that_cannot_be_used(lite, style, strength):
    with fails(StyleError, "strength", str(strength), "between 0"):
        stylize(lite, picture(4, 4), style, strength=strength)


def test_other_arguments_that_cannot_be_used(lite, style):
    content = picture(4, 4)
    with fails(StyleError, "'rainbow'", "style, keep, match"):
        stylize(lite, content, style, color="rainbow")
    with fails(StyleError, "No style"):
        stylize(lite, content, [])
    with fails(StyleError, "Two regions", "base style"):
        stylize(lite, content, [Region(style), Region(style)])
    with fails(ImageError, "-1", "chunk"):
        stylize(lite, content, style, chunk=-1)
    with fails(ImageError, "-5", "short side"):
        lite.encode_style(content, size=-5)


def test_batches_that_do_not_pair(lite):
    batch = lite.encode_style(picture(16, 16, batch=2))
    with fails(StyleError, "3 pictures", "2"):
        stylize(lite, picture(8, 8, batch=3), batch)


def test_a_style_of_another_model(lite, style):
    other = small_lite(seed=1)
    with fails(StyleError, "'stripes'", lite.fingerprint[:12], other.fingerprint[:12], "lite"):
        stylize(other, picture(8, 8), style)
    with fails(StyleError, "lite", "vgg19"):
        stylize(vgg19(), picture(8, 8), style)
    with fails(StyleError, "stripes"):
        adain.Style.blend([other.encode_style(picture(8, 8)), style])


@pytest.mark.parametrize("what", ["photo.png", Path("photo.png"), np.zeros((4, 4, 3)), Image.new("RGB", (4, 4)), None])
def test_what_is_no_tensor_is_told_what_to_be(what):
    model = small_lite()
    style = model.encode_style(picture(16, 16))
    calls = [lambda: model.encode_style(what), lambda: stylize(model, what, style)]
    for call in (*calls, lambda: stylize(model, picture(8, 8), style, mask=[1])):
        with pytest.raises(ImageError, match=r"is a \w+\. Expected a tensor of floats .* read_picture"):
            call()


def test_what_is_no_style_is_told_what_to_be():
    model = small_lite()
    style = model.encode_style(picture(16, 16))
    for what in ("the-scream", Path("a.safetensors"), picture(8, 8), None, [style, "the-scream"]):
        with pytest.raises(StyleError, match=r"(?s)not a Style. Make one with load_preset.*encode_style"):
            stylize(model, picture(8, 8), what)
    with pytest.raises(StyleError, match="does not say where each applies. Mix them with Style.blend"):
        stylize(model, picture(8, 8), [style, style])


def test_a_mask_without_batch_and_channel_is_one_for_all(lite):
    style, content, mask = lite.encode_style(picture(40, 32, seed=1)), picture(24, 40, batch=3), soft_mask(24, 40)
    for shaped in (mask[0, 0], mask[0]):
        assert torch.equal(stylize(lite, content, style, mask=shaped), stylize(lite, content, style, mask=mask))
        regions = ([Region(style, m), Region(style)] for m in (shaped, mask))
        assert torch.equal(*(stylize(lite, content, one) for one in regions))

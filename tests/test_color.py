from __future__ import annotations

import pytest
import torch
from adain_style_transfer.adain import match_colors, stylize
from adain_style_transfer.adain.color import apply_color_mode, keep_colors, luma
from adain_style_transfer.adain.moments import color_moments
from hypothesis import given
from hypothesis import strategies as st
from samples import picture, soft_mask, values


@given(seed=st.integers(0, 9999))
def test_keep_takes_luma_from_the_stylized_and_chroma_from_the_content(seed):
    content, stylized = picture(9, 10, seed).double(), values(1, 3, 9, 10, seed=seed).sigmoid()
    kept = keep_colors(content, stylized)
    assert kept.min() >= -1e-12 and kept.max() <= 1 + 1e-12
    torch.testing.assert_close(luma(kept), luma(stylized), rtol=0, atol=1e-12)
    chroma, own = kept - luma(kept), content - luma(content)
    # The same hue everywhere: chroma only shrinks, all channels alike, and not at all where there is room for it.
    share = (chroma * own).sum(1, keepdim=True) / own.square().sum(1, keepdim=True)
    torch.testing.assert_close(chroma, share * own, rtol=0, atol=1e-9)
    assert share.min() >= -1e-9 and share.max() <= 1 + 1e-9
    moved = luma(stylized) + own
    room = ((moved >= 0) & (moved <= 1)).all(1)
    torch.testing.assert_close(chroma.permute(0, 2, 3, 1)[room], own.permute(0, 2, 3, 1)[room], rtol=0, atol=1e-9)


def test_keep_of_a_grey_content_is_grey():
    grey = picture(8, 8)[:, :1].repeat(1, 3, 1, 1)
    kept = keep_colors(grey, picture(8, 8, seed=1))
    torch.testing.assert_close(kept[:, :1].expand_as(kept), kept, rtol=0, atol=1e-6)


@given(seed=st.integers(0, 9999), masked=st.booleans())
def test_match_reaches_the_moments_of_the_reference(seed, masked):
    # Low contrast, so that nothing is clamped.
    image, reference = (picture(20, 24, seed + i).double() * 0.3 + 0.35 for i in range(2))
    mask = soft_mask(20, 24, seed) if masked else None
    got, wanted = color_moments(match_colors(image, reference, mask), mask), color_moments(reference, mask)
    torch.testing.assert_close(got.mean, wanted.mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(got.var, wanted.var, rtol=0.05, atol=1e-4)  # epsilon in both covariances


def test_match_of_a_picture_with_itself_is_itself():
    image = picture(9, 8).double()
    torch.testing.assert_close(match_colors(image, image), image, rtol=0, atol=1e-9)


def test_modes():
    content, stylized = picture(9, 8), picture(9, 8, seed=1)
    assert apply_color_mode("style", content, stylized, None) is stylized
    assert torch.equal(apply_color_mode("keep", content, stylized, None), keep_colors(content, stylized))
    assert torch.equal(apply_color_mode("match", content, stylized, None), match_colors(stylized, content))


@pytest.mark.parametrize("color", ["keep", "match"])
def test_stylized_pictures_are_nearer_to_the_colors_of_the_content(lite, color):
    content, style = picture(32, 40, seed=1), lite.encode_style(picture(32, 40, seed=2))

    def distance(out):
        return (color_moments(out).mean - color_moments(content).mean).abs().sum()

    assert distance(stylize(lite, content, style, color=color)) < distance(stylize(lite, content, style))


def test_keep_in_a_pipeline_has_the_luma_of_the_stylized(lite):
    content, style = picture(32, 40, seed=1), lite.encode_style(picture(32, 40, seed=2))
    kept, plain = (stylize(lite, content, style, color=color) for color in ("keep", "style"))
    torch.testing.assert_close(luma(kept), luma(plain), rtol=0, atol=1e-5)

from __future__ import annotations

import pytest
import torch
from adain_style_transfer.adain import ImageError
from adain_style_transfer.adain.area import Area, plan
from adain_style_transfer.adain.masks import MaskEdit, feathered, grown
from hypothesis import given
from hypothesis import strategies as st
from samples import soft_mask

SIZE = torch.Size((60, 90))


def box(top, bottom, left, right, size=SIZE):
    mask = torch.zeros(1, 1, *size)
    mask[..., top:bottom, left:right] = 1
    return mask


def test_nothing_to_do_gives_the_mask_itself():
    mask = soft_mask(7, 9)
    assert MaskEdit()(mask, SIZE) is mask


@pytest.mark.parametrize("pixels", [1, 2, 3, 5, 10, 25])
def test_a_mask_grows_by_as_many_pixels_in_every_direction(pixels):
    point = box(50, 51, 60, 61, torch.Size((101, 121)))
    y, x = torch.meshgrid(torch.arange(101) - 50, torch.arange(121) - 60, indexing="ij")
    distance = (y.square() + x.square()).float().sqrt()
    reached = grown(point, pixels)[0, 0] > 0
    assert reached[50, 60 - pixels : 61 + pixels].all() and not reached[50, 61 + pixels]
    assert reached[50 - pixels : 51 + pixels, 60].all() and not reached[51 + pixels, 60]
    assert reached[distance <= pixels].all()
    assert not reached[distance > 1.09 * pixels + 1].any()  # an octagon's corners
    assert torch.equal(reached, reached.flip(0)) and torch.equal(reached, reached.flip(1))


@given(pixels=st.integers(1, 12), seed=st.integers(0, 99))
def test_shrinking_is_growing_what_is_not_covered(pixels, seed):
    mask = (soft_mask(20, 30, seed) * 4).round() / 4
    assert torch.equal(grown(mask, -pixels), 1 - grown(1 - mask, pixels))
    assert (grown(mask, pixels) >= mask).all() and (grown(mask, -pixels) <= mask).all()


def test_at_the_frame_masks_stay_and_nothing_comes_in():
    assert torch.equal(grown(box(0, 60, 0, 40), -7), box(0, 60, 0, 33))
    assert torch.equal(grown(torch.ones(1, 1, 5, 3), -200), torch.ones(1, 1, 5, 3))
    assert torch.equal(grown(torch.zeros(1, 1, 5, 3), 200), torch.zeros(1, 1, 5, 3))
    torch.testing.assert_close(feathered(torch.ones(1, 1, 5, 3), 200), torch.ones(1, 1, 5, 3))


def test_a_feathered_edge_rises_over_the_given_width_around_where_it_was():
    row = feathered(box(0, 60, 45, 90), 16)[0, 0, 30]
    assert row[45 - 8] < 0.05 and row[45 + 8] > 0.95 and (row.diff() >= -1e-6).all()
    assert (row[44] + row[45]).item() == pytest.approx(1, abs=1e-6)


def test_pixels_are_those_of_the_picture_not_of_the_mask():
    small, large = box(10, 20, 10, 30, torch.Size((30, 45))), box(20, 40, 20, 60)
    edit = MaskEdit(grow=6)
    assert ((edit(small, SIZE) > 0.5) == (edit(large, SIZE) > 0.5)).all()
    assert torch.equal(edit(large, SIZE)[0, 0, 30] > 0, box(0, 60, 14, 66)[0, 0, 30] > 0)


def test_it_is_inverted_first_then_grown_then_feathered():
    mask = soft_mask(60, 90)
    assert torch.equal(MaskEdit(True, 3, 5.0)(mask, SIZE), feathered(grown(1 - mask, 3), 5.0))
    assert torch.equal(MaskEdit(invert=True)(mask, SIZE), 1 - mask)


@given(grow=st.integers(-9, 9), feather=st.floats(0, 20), side=st.integers(7, 40))
def test_a_part_with_its_surroundings_gives_the_part_of_the_whole(grow, feather, side):
    mask, edit = soft_mask(60, 90), MaskEdit(True, grow, feather)
    whole = edit(mask, SIZE)
    for tile in plan(Area.whole(SIZE), side, 1):
        outer = tile.grown(edit.reach, SIZE)
        torch.testing.assert_close(tile.inside(outer).of(edit(outer.of(mask), outer.size)), tile.of(whole), rtol=0, atol=1e-6)


def test_a_mask_that_was_edited_away_is_refused():
    with pytest.raises(ImageError, match=r"black everywhere after it was shrunk by 20 pixels.*shrink it less\.$"):
        MaskEdit(grow=-20).checked(box(20, 40, 20, 60), SIZE)
    with pytest.raises(ImageError, match=r"after it was inverted, .* Paint in black where the style applies\.$"):
        MaskEdit(invert=True).checked(torch.ones(1, 1, 4, 4), SIZE)
    assert MaskEdit(invert=True).checked(torch.zeros(1, 1, 4, 4), SIZE).min() == 1

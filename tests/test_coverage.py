"""Where styles apply: what is seen at the edges of masks, with whatever weights are embedded."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer import adain, weights
from adain_style_transfer.adain import Region
from adain_style_transfer.adain.coverage import LEAST_PIXELS, LEAST_SHARE, Coverage, coverage_of
from adain_style_transfer.adain.look import Look
from adain_style_transfer.adain.moments import channel_moments, merge
from adain_style_transfer.adain.resample import at_short_side, resize
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from adain_style_transfer.weights.samples import sample_path
from samples import picture, small_lite, soft_mask, vgg19

HEIGHT, WIDTH, BAND = 192, 256, 12
STYLE = small_lite().encode_style(picture(16, 16))


def rectangle(top, bottom, left, right):
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., top:bottom, left:right] = 1
    return mask


def blurred(mask, side=15):
    return F.avg_pool2d(mask, side, 1, side // 2)


def stroke(radius):
    """As of a brush: a wavy line with round ends."""
    x = torch.arange(40, 216)
    y = (96 + 40 * torch.sin(x / 20)).round().long()
    line = torch.zeros(1, 1, HEIGHT, WIDTH)
    line[..., y, x] = 1
    return F.max_pool2d(line, 2 * radius + 1, 1, radius)


MASKS = {
    "hard rectangle": rectangle(50, 150, 60, 190),
    "soft": blurred(rectangle(50, 150, 60, 190)),
    "grey": rectangle(50, 150, 60, 190) * 0.5,
    "line of 3 px": rectangle(95, 98, 20, 236),
    "a few pixels": rectangle(90, 95, 120, 125),
    "thin stroke": stroke(2),
    "broad stroke": stroke(12),
    "at the frame": rectangle(0, HEIGHT, 0, 128),
    "inverted": 1 - rectangle(50, 150, 60, 190),
}


@pytest.fixture(scope="module")
def embedded():
    return weights.load_model(device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def photo():
    rgb = adain.read_picture(sample_path("cat")).rgb
    return resize(rgb, at_short_side(rgb.shape[-2:], HEIGHT))[..., :WIDTH].contiguous()


@pytest.fixture(scope="module", params=["the-scream", "great-wave"])
def painting(request, embedded, photo):
    """A style, and the photograph painted in it everywhere."""
    style = weights.load_preset(embedded, request.param)
    return style, adain.stylize(embedded, photo, style)


def edge_band(mask):
    """[H, W]: where the mask reaches, within BAND pixels of where it does not."""
    outside = F.max_pool2d((mask == 0).float(), 2 * BAND + 1, 1, BAND) > 0
    return ((mask > 0) & outside)[0, 0]


def clipped(pixels):
    return ((pixels <= 1 / 255) | (pixels >= 254 / 255)).float().mean().item()


def assert_no_rim(out, unmasked, photo, mask):
    """In the band inside the edge nothing glares and nothing is black, and it looks as if there was no mask."""
    band = edge_band(mask)
    expected = torch.lerp(photo, unmasked, mask)
    assert clipped(out[..., band]) < clipped(expected[..., band]) + 0.03  # left as they were beyond the edge: 0.3 to 1.0
    assert (out - expected)[..., band].abs().mean() < 0.1  # 0.2 to 0.5


@pytest.mark.parametrize("kind", MASKS)
def test_there_is_no_rim_inside_the_edge_of_a_mask(embedded, photo, painting, kind):
    style, unmasked = painting
    for out in (
        adain.stylize(embedded, photo, style, mask=MASKS[kind]),
        adain.stylize(embedded, photo, [Region(style, MASKS[kind])]),
    ):
        assert_no_rim(out, unmasked, photo, MASKS[kind])
        assert torch.equal(out[..., MASKS[kind][0, 0] == 0], photo[..., MASKS[kind][0, 0] == 0])


def test_several_regions_have_no_rim_where_they_meet_or_end(embedded, photo):
    names, masks = ("the-scream", "great-wave"), (rectangle(30, 160, 40, 128), rectangle(30, 160, 128, 220))
    styles = [weights.load_preset(embedded, name) for name in names]
    out = adain.stylize(embedded, photo, [Region(s, m) for s, m in zip(styles, masks, strict=True)])
    for style, mask in zip(styles, masks, strict=True):
        assert_no_rim(out, adain.stylize(embedded, photo, style), photo, mask)


def test_frames_have_no_rim_either(embedded, photo, painting):
    style, unmasked = painting
    for kind in ("hard rectangle", "line of 3 px"):
        work = [Task(photo, i, Look.of(style, mask=MASKS[kind])) for i in range(3)]
        for frame in paint_frames(embedded, work, Stability(1, 0.5)):
            assert_no_rim(frame, unmasked, photo, MASKS[kind])


def test_large_regions_are_measured_by_themselves_and_small_ones_with_the_whole_picture():
    content = picture(160, 200).double()
    large, small = torch.zeros(1, 1, 160, 200), torch.zeros(1, 1, 160, 200)
    large[..., :120], small[..., 40:70, 50:90] = 1, 1
    assert LEAST_SHARE * 160 * 200 < LEAST_PIXELS
    (measured,) = coverage_of(Look.of(STYLE, mask=large), content).measured
    assert torch.equal(measured, large)
    (measured,) = coverage_of(Look.of(STYLE, mask=small), content).measured
    lack = LEAST_SHARE * 160 * 200 - 30 * 40
    got = channel_moments(content, measured)
    expected = merge([channel_moments(content, small), channel_moments(content)], [1, lack / (160 * 200)])
    torch.testing.assert_close(got.mean, expected.mean)
    torch.testing.assert_close(got.var, expected.var)
    assert got.weight == pytest.approx(LEAST_SHARE * 160 * 200)


def test_8_bit_masks_count_as_floats_do():
    mask = rectangle(40, 70, 50, 90)
    for alpha in (None, blurred(rectangle(0, HEIGHT, 0, 128))):
        eight = [None if plane is None else (plane * 255).round().byte() for plane in (mask, alpha)]
        torch.testing.assert_close(Coverage.of(eight[0], alpha=eight[1]).lack, Coverage.of(mask, alpha=alpha).lack, rtol=1e-3, atol=0)


def test_all_frames_of_a_batch_are_as_they_are_alone():
    masks = torch.cat([soft_mask(40, 60), torch.zeros(1, 1, 40, 60), F.pad(torch.ones(1, 1, 2, 2), (9, 49, 9, 29))])
    content = picture(40, 60, batch=3)
    together = coverage_of(Look.of(STYLE, mask=masks), content)
    alone = [coverage_of(Look.of(STYLE, mask=masks[i : i + 1]), content[i : i + 1]) for i in range(3)]
    joined = Coverage.joined(alone)
    assert torch.equal(joined.measured[0], together.measured[0]) and torch.equal(joined.cover, together.cover)


@pytest.mark.parametrize(("end", "begin"), [(60, 61), (31, 90)])
def test_beyond_the_edge_the_nearest_region_goes_on(end, begin):
    first, second = torch.zeros(1, 1, 64, 128), torch.zeros(1, 1, 64, 128)
    first[..., :end], second[..., begin:] = 0.7, 0.2
    coverage = coverage_of(Look.of([Region(STYLE, first), Region(STYLE, second)]), picture(64, 128))
    torch.testing.assert_close(coverage.shares.sum(1), torch.ones(1, 64, 128))
    near = (begin - end) // 4
    assert (coverage.shares[:, 0, :, : end + near] > 0.75).all()
    assert (coverage.shares[:, 1, :, begin - near :] > 0.75).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (17, 30)])
def test_pictures_of_any_size_are_shared(size):
    masks = [torch.zeros(2, 1, *size), torch.zeros(2, 1, *size)]
    masks[0][0, 0, 0, 0] = 1  # nothing at all in the second frame
    coverage = coverage_of(Look.of([Region(STYLE, m) for m in masks]), picture(*size, batch=2))
    torch.testing.assert_close(coverage.shares.sum(1), torch.ones(2, *size))
    assert (coverage.shares[0, 0] > 0.99).all() and coverage.shares[1, 0, 0, 0] == 0.5


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_masks_of_hardly_anything_give_no_other_pictures_than_no_mask(lite, name):
    """A pixel under a mask is about what it is without: the moments are those of the whole picture, but for a few pixels."""
    model = lite if name == "lite" else vgg19()
    content, style = picture(48, 64, seed=3), model.encode_style(picture(40, 32, seed=1))
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., 20:22, 30] = 1
    out, unmasked = (adain.stylize(model, content, style, mask=m) for m in (mask, None))
    covered = mask[0, 0] > 0
    assert (out - unmasked)[..., covered].abs().max() < 0.02

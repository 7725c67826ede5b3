"""Where styles apply: what is seen at the edges of masks, with whatever weights are embedded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer import adain, weights
from adain_style_transfer.adain import Region
from adain_style_transfer.adain.coverage import LEAST_PIXELS, Coverage, coverage_of
from adain_style_transfer.adain.images import at_short_side, resize
from adain_style_transfer.adain.moments import channel_moments, merge
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from samples import picture, soft_mask, vgg19

SAMPLES = Path(weights.__file__).parent / "samples"
HEIGHT, WIDTH, BAND = 192, 256, 12


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
    rgb = adain.read_picture(SAMPLES / "cat.jpg").rgb
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
        work = [Task(photo, i, [Region(style)], mask=MASKS[kind]) for i in range(3)]
        for frame in paint_frames(embedded, work, Stability(1, 0.5)):
            assert_no_rim(frame, unmasked, photo, MASKS[kind])

"""Pictures with next to nothing of their own: black, flat, fading, with stray pixels. Painted with the embedded model."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.moments import CHANNEL_EPS, COLOR_EPS, Moments, Statistics, color_moments
from adain_style_transfer.adain.reach import Reach
from adain_style_transfer.adain.resample import resize
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from adain_style_transfer.weights.samples import sample_path
from samples import picture


@pytest.fixture(scope="module")
def model():
    return weights.load_model(device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module", params=["great-wave", "the-star"])
def style(model, request):
    return weights.load_preset(model, request.param)


def photo(side=64):
    return resize(adain.read_picture(sample_path("cat")).rgb, (side, side))


def coded(image, seed=0):
    """`image` with the noise of 8-bit video."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)) * 0.6
    return (image * 255 + noise).round().clamp(0, 255) / 255


def levels(image):
    return image * 255


def test_photographs_are_painted_as_ever(model, style):
    for name in ("cat", "coffee"):
        reach = Reach.of(color_moments(adain.read_picture(sample_path(name)).rgb), style.levels[0])
        assert reach == Reach(torch.ones(1), torch.ones(1))  # bit for bit


@pytest.mark.parametrize("stability", [Stability(0, 0), Stability()], ids=["frame by frame", "stability"])
def test_a_fade_to_black_ends_dark_and_quiet(model, style, stability):
    shares = [1, 0.6, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, *[0] * 9]
    tasks = [Task(coded(photo() * share, i), i, [adain.Region(style)]) for i, share in enumerate(shares)]
    painted = torch.cat(list(paint_frames(model, tasks, stability)))
    light = levels(painted).mean((1, 2, 3))
    assert (light.diff() < 2).all()  # it never lights up again
    assert light[0] > 100 and light[-1] < 2
    assert levels(painted[-1] - painted[-2]).abs().mean() < 1
    assert levels(painted[-1]).max() < 10


def test_a_fade_that_ends_the_clip_is_black_at_its_end(model, style):
    shares = [*[1] * 6, *(i / 10 for i in reversed(range(10)))]
    for order in (1, -1):  # out to black, in from black
        tasks = [Task(coded(photo() * share, i), i, [adain.Region(style)]) for i, share in enumerate(shares[::order])]
        light = [levels(frame).mean().item() for frame in paint_frames(model, tasks, Stability())][::order]
        assert light[0] > 100 and light[-1] < 3 and light[-2] < 0.9 * light[0]


@pytest.mark.parametrize("grey", [0.0, 0.2, 0.5, 1.0])
def test_flat_pictures_stay_flat(model, style, grey):
    flat = torch.full((1, 3, 96, 96), grey)
    for image, limit in ((flat, 0.01), (coded(flat), 1.5)):
        painted = levels(adain.stylize(model, image, style))
        assert painted.std((2, 3)).max() < limit
        wanted = levels(style.levels[0].mean) if grey else 0
        assert (painted.mean((2, 3)) - wanted).abs().max() < 2


def test_a_stray_pixel_in_a_flat_picture_makes_no_blot(model, style):
    flat = torch.full((1, 3, 96, 96), 0.5)
    stray = flat.clone()
    stray[:, :, 40, 50] = 0.6
    changed = levels(adain.stylize(model, stray, style) - adain.stylize(model, flat, style)).abs().amax(1)
    assert changed.max() < 40 and (changed > 10).sum() == 1


def test_a_flat_part_of_a_picture_can_be_painted(model, style):
    image, mask = photo(96), torch.zeros(1, 1, 96, 96)
    image[..., 48:] = 0.5
    mask[..., 48:] = 1
    painted = adain.stylize(model, image, style, mask=mask)
    assert torch.equal(painted[..., :48], image[..., :48])
    assert levels(painted[..., 48:].mean((2, 3)) - style.levels[0].mean).abs().max() < 2


def test_a_dark_picture_in_tiles_is_the_dark_picture_in_one_piece(model, style):
    dark = coded(resize(photo() * 0.05, (150, 200)))
    for color in ("style", "match"):
        whole, tiled = (adain.stylize(model, dark, style, color=color, tile=tile) for tile in (4096, 64))
        assert levels(whole - tiled).abs().max() < 1


def test_it_fades_without_a_step(lite):
    style = lite.encode_style(picture(40, 40, seed=1))
    shares = torch.linspace(0, 0.5, 51)
    painted = [adain.stylize(lite, picture(24, 24) * share, style) for share in shares]
    steps = torch.stack([levels(b - a).abs().mean() for a, b in pairwise(painted)])
    assert steps.max() < 16


@pytest.mark.parametrize("colors", [True, False], ids=["colors", "features"])
def test_the_share_of_a_style_by_the_contrast_and_light_of_a_picture(colors):
    """Six times the contrast and light, as far as they are not noise, and no step where that is enough."""
    noise = COLOR_EPS if colors else CHANNEL_EPS
    ratios = torch.tensor([0.0, 0.2, 0.5, 1.0, 1.4, 1.5, 9.0], dtype=torch.float64)
    shares = torch.tensor([0.0, 0.2, 0.5, 0.875, 0.995, 1.0, 1.0], dtype=torch.float64)
    count, wanted = len(ratios), 0.04
    enough = ratios.square() * wanted / 36  # the solution of 6 found = ratio sqrt((found + noise) wanted)
    found = (enough + (enough.square() + 4 * enough * noise).sqrt()) / 2
    eye = torch.eye(3).double()
    var = found[:, None, None] * eye if colors else found[:, None].expand(-1, 3)
    own = Moments(torch.zeros(count, 3).double(), var, torch.ones(count).double())
    std = wanted**0.5 * (eye[None] if colors else torch.ones(1, 3).double())
    reach = Reach.of(own, Statistics(torch.zeros(1, 3).double(), std))
    torch.testing.assert_close(reach.std, shares)
    torch.testing.assert_close(reach.mean, shares if colors else torch.ones(count).double())


def test_a_batch_reaches_as_far_as_each_of_it():
    reach = Reach(torch.tensor([0.1, 1.0]), torch.tensor([0.5, 0.25]))
    torch.testing.assert_close(reach.shown(1.0), torch.tensor([0.64, 1.0]))
    for shape in ((3,), (3, 3)):
        own, target = (Statistics(torch.full((n, 3), 1.0 * n), torch.full((n, *shape), 2.0 * n)) for n in (2, 1))
        moved = reach.toward(own, target, 0.5)
        torch.testing.assert_close(moved.mean, torch.tensor([1.95, 1.5])[:, None].expand(2, 3))
        torch.testing.assert_close(moved.std[0], torch.full(shape, 3.5))
        torch.testing.assert_close(moved.std[1], torch.full(shape, 3.75))

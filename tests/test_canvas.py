"""Frames on a canvas that stands still in the scene."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer.adain.video.canvas import Camera, Canvas
from samples import picture

SIZE = torch.Size((96, 160))


def motion(x=0.0, y=0.0, scale=1.0, angle=0.0, size=SIZE):
    """Of a camera that goes `x` and `y` pixels to the right and down, and turns and zooms about its middle, as `camera_motion` gives it."""
    height, width = size
    turn = torch.tensor([[math.cos(angle), math.sin(angle) * height / width], [-math.sin(angle) * width / height, math.cos(angle)]])
    found = torch.eye(3)
    found[:2, :2] = scale * turn
    found[:2, 2] = torch.tensor([2 * x / width, 2 * y / height])
    return found


def scene(seed=0):
    return F.interpolate(picture(40, 60, seed), (400, 600), mode="bicubic").clamp(0, 1).double()


def filmed(camera):
    """A frame [1, 3, H, W] of the scene, by the `motion` from one in its middle."""
    theta = torch.diag(torch.tensor([SIZE[1] / 600, SIZE[0] / 400, 1.0])) @ camera
    return F.grid_sample(scene(), grid_of(theta), "bicubic", align_corners=False)


def grid_of(theta):
    return F.affine_grid(theta[None, :2].double(), [1, 3, *SIZE], align_corners=False)


def test_a_camera_at_rest_leaves_frames_as_they_are():
    camera, image = Camera(), picture(*SIZE)
    canvases = [camera(image, False) for _ in range(3)]
    assert all(canvas.still and canvas.window == (0, 0, 96, 160) for canvas in canvases)
    assert canvases[2].lay(image) is image and canvases[2].seen(image) is image


@pytest.mark.parametrize("step", [{"x": 2.3, "y": -0.7}, {"x": 0.4, "scale": 1.01}, {"y": 1.5, "angle": 0.01}])
def test_a_scene_lies_still_on_its_canvas(step):
    """Three frames, laid where the camera was: the same pictures where both show something, at whole pixels."""
    canvas, place, laid = Canvas.of(SIZE), torch.eye(3), []
    for _ in range(3):
        frame = filmed(place)
        laid.append((canvas, frame, canvas.lay(frame)))
        canvas, place = canvas.moved(motion(**step)), place @ motion(**step)
    for (earlier, _, old), (later, frame, new) in pairwise(laid):
        assert later.number == earlier.number == 0
        assert all(n % 8 == 0 for n in later.window)
        brought, inside = later.brought(earlier, old)
        middle = (slice(None), slice(None), slice(16, -24), slice(16, -24))
        assert inside[middle].all() and brought.shape == new.shape
        assert (brought - new)[middle].abs().max() < 0.02
        assert (later.seen(new) - frame)[..., 4:-4, 4:-4].abs().max() < 0.02


@pytest.mark.parametrize("width", range(17, 26))
@pytest.mark.parametrize("step", [{"x": 0.1}, {"x": -0.1}, {"scale": 0.99}])
def test_frames_of_any_size_fill_their_canvas_and_come_back(width, step):
    size = torch.Size((19, width))
    canvas = Canvas.of(size).moved(motion(**step, size=size))
    frame = torch.full((1, 3, *size), 0.4)
    laid = canvas.lay(frame)
    assert laid.shape[-2:] == canvas.window.size and torch.allclose(laid, torch.tensor(0.4))
    assert torch.allclose(canvas.seen(laid), frame)


def test_canvases_of_a_pan_have_one_size():
    canvas, sizes = Canvas.of(SIZE), set()
    for _ in range(40):
        canvas = canvas.moved(motion(1.37, -2.11))
        sizes.add(canvas.window.size)
    assert len(sizes) == 1 and canvas.number == 0
    assert canvas.window.left > 40 and canvas.window.top < -80


@pytest.mark.parametrize("step", [{"scale": 0.95}, {"scale": 1.06}, {"angle": 0.15}])
def test_a_new_canvas_begins_when_the_old_one_fits_no_more(step):
    canvases = [Canvas.of(SIZE)]
    while not canvases[-1].number:
        canvases.append(canvases[-1].moved(motion(**step)))
    *_, earlier, canvas = canvases
    assert len(canvases) > 2 and canvas.still
    frame = scene()[..., :96, :160]
    brought, inside = canvas.brought(earlier, earlier.lay(frame))
    expected = F.grid_sample(frame, grid_of(motion(**step)), "bicubic", align_corners=False)
    assert (brought - expected)[..., 16:-16, 16:-16].abs().max() < 0.05 and inside[..., 8:-8, 8:-8].all()
    assert canvas.continued.before is None


def test_a_little_turning_is_taken_for_none():
    canvas = Canvas.of(SIZE).moved(motion(1.5, 0, angle=0.0005))
    assert torch.equal(canvas.placing[:2, :2], torch.eye(2).double())


def test_the_camera_is_followed_over_many_frames():
    camera = Camera()
    canvases = [camera(filmed(motion(1.3 * i, -0.6 * i)).float(), False) for i in range(30)]
    assert (canvases[-1].placing[:2, 2] - torch.tensor([1.3 * 29, -0.6 * 29])).abs().max() < 1
    assert camera(filmed(motion()).float(), True).still


def test_a_leap_begins_a_new_canvas():
    canvas = Canvas.of(SIZE).moved(motion(3))
    leapt = canvas.moved(motion(400))
    assert leapt.number == canvas.number + 1 and leapt.still
    brought, inside = leapt.brought(canvas, canvas.lay(picture(*SIZE)))
    assert brought.shape[-2:] == SIZE and not inside.any()

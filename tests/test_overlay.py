"""Subtitles and logos burned into the picture: they stand still on the screen while the camera moves, and so do their strokes."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer import adain
from adain_style_transfer.adain.area import Area, bands
from adain_style_transfer.adain.resample import resize
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from adain_style_transfer.adain.video.canvas import Camera
from adain_style_transfer.adain.video.overlay import Overlays
from adain_style_transfer.weights.samples import sample_path
from samples import picture

SIZE = torch.Size((144, 208))


def letters():
    """[1, 1, H, W]: -1 the black rims and 1 the white of a line of letters, 0 around them."""
    white = torch.zeros(1, 1, *SIZE)
    for left in range(40, 160, 12):
        white[..., 108:122, left : left + 3] = 1
        white[..., 108 + left % 9 :, left : left + 9][..., :3, :] = 1
    return white - (F.max_pool2d(white, 3, stride=1, padding=1) - white)


def film(count, shown: Collection[int] = range(1000), across=3.0, scale=1.0, noise=0.005):
    """A moving camera over a photograph, with letters in the frames that are `shown`, and the noise of coding."""
    scene = resize(adain.read_picture(sample_path("cat")).rgb, (200, 400))
    text = letters()
    for i in range(count):
        size = scale**i * SIZE[1] / 400, scale**i * SIZE[0] / 200
        theta = torch.tensor([[[size[0], 0, 2 * across * (i - count / 2) / 400], [0, size[1], 0]]])
        grid = F.affine_grid(theta, [1, 1, *SIZE], align_corners=False)
        frame = F.grid_sample(scene, grid, "bicubic", "reflection", align_corners=False)
        if i in shown:
            frame = torch.where(text == 0, frame, (text + 1) / 2)
        yield (frame + torch.randn(frame.shape, generator=torch.Generator().manual_seed(i)) * noise).clamp(0, 1)


def found(frames, cuts=()):
    camera, overlays = Camera(), Overlays()
    return [overlays(frame, camera(frame, i in cuts), i in cuts) for i, frame in enumerate(frames)]


def painted(model, style, frames, stability):
    tasks = (Task(frame, i, [adain.Region(style)]) for i, frame in enumerate(frames))
    return list(paint_frames(model, tasks, stability))


def changes(frames, where):
    """RMS from frame to frame."""
    return torch.stack([((b - a).square() * where).sum() / (3 * where.sum()) for a, b in pairwise(frames)]).mean().sqrt()


@pytest.mark.parametrize("camera", [{}, {"across": 0.6}, {"across": 9.0}, {"scale": 0.985}, {"across": 0.0}])
def test_letters_are_found_and_nothing_else(camera):
    assert found(film(8, shown=(), **camera)) == [None] * 8
    fixed = found(film(8, **camera))[-1]
    if camera == {"across": 0.0}:
        assert fixed is None  # the camera stands still too
        return
    text = letters().abs()
    fixed = F.interpolate(fixed, SIZE, mode="bilinear")
    assert (fixed * text).sum() > 0.95 * text.sum()
    assert (fixed * (1 - F.max_pool2d(text, 41, stride=1, padding=20))).mean() < 0.01


def test_letters_that_go_are_no_longer_held():
    fixed = found(film(16, shown=range(5)))
    assert fixed[4] is not None and fixed[-1] is None
    assert found(film(8), cuts=(0, 6))[6] is None


def test_black_bars_are_not_found():
    bars, inside = torch.ones(1, 1, *SIZE), Area.between(20, 0, 124, 208)
    bars[..., 20:124, :] = 0
    camera, overlays = Camera(), Overlays()
    for i, frame in enumerate(film(6, shown=(), scale=0.98)):
        framed = torch.where(bars > 0, 0, frame)
        assert overlays(framed, camera(framed, not i, inside), not i, inside) is None


def test_letters_stand_still(lite):
    style = lite.encode_style(picture(40, 40, seed=3))
    frames, text = list(film(8)), letters().abs()
    still, alone = (changes(painted(lite, style, frames, stability)[2:], text) for stability in (Stability(1), Stability(0, 0)))
    assert still < alone


def test_areas_of_a_plan():
    where = torch.zeros(1, 1, 50, 60)
    where[..., 3:10, 17:20] = 0.1
    where[..., 41, 2] = where[..., 49, 59] = 1
    areas = [Area.between(0, 16, 16, 24), Area.between(40, 0, 50, 60)]
    assert bands(where, 8) == areas and bands(where * 0, 8) == []
    assert Area.between(0, 20, 48, 60).meet(areas[1]) == Area.between(40, 20, 48, 60)


def test_a_resumed_run_knows_them(lite):
    """Where the camera rests by then, only what it was before tells."""
    style, stability = lite.encode_style(picture(40, 40, seed=3)), Stability(1, 0.1)
    moving = list(film(6))
    frames = [*moving, *moving[-1:] * (stability.warmup + 1)]
    whole, resumed = (
        list(paint_frames(lite, (Task(f, i, [adain.Region(style)], painted=i >= first) for i, f in enumerate(frames)), stability))
        for first in (0, len(moving))
    )
    assert (resumed[-1] - whole[-1]).abs().max() < 0.5 / 255

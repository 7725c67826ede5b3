"""Black bars of a film: they stay black and still, and what they frame is followed and measured without them."""

from __future__ import annotations

import pytest
import torch
from adain_style_transfer import adain
from adain_style_transfer.adain.area import Area
from adain_style_transfer.adain.resample import resize
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from adain_style_transfer.adain.video.bars import Bars
from adain_style_transfer.adain.video.canvas import Camera
from adain_style_transfer.weights.samples import sample_path
from samples import picture


def film(count, bars=16, across=3, noise=0.004):
    """A pan over a photograph between bars at top and bottom, with the noise of coding."""
    scene = resize(adain.read_picture(sample_path("coffee")).rgb, (120, 240))
    for i in range(count):
        frame = torch.zeros(1, 3, 96, 128)
        frame[:, :, bars : 96 - bars] = scene[:, :, 20 : 116 - 2 * bars, 4 + across * i : 132 + across * i]
        grain = torch.randn(frame.shape, generator=torch.Generator().manual_seed(i)) * noise
        yield (frame + grain).clamp(0, 1)


def test_bars_are_found_and_nothing_else():
    found = Bars()
    dark = torch.zeros(1, 3, 96, 128)
    assert found(dark) is None
    assert [found(frame) for frame in film(3)] == [Area(16, 0, 64, 128)] * 3
    assert found(dark) == Area(16, 0, 64, 128)
    assert found(torch.full((1, 3, 96, 128), 200, dtype=torch.uint8)) is None  # the picture is larger than a dark scene showed
    night = picture(96, 128)
    night[:, :, :30] = 0
    assert Bars()(night) is None


@pytest.mark.parametrize("stability", [Stability(2, 0.65), Stability(0, 0.65)])
def test_bars_stay_as_they_are(lite, stability):
    style = lite.encode_style(picture(40, 40, seed=3))
    frames = list(film(6))
    painted = paint_frames(lite, (Task(f, i, [adain.Region(style)]) for i, f in enumerate(frames)), stability)
    for frame, out in zip(frames, painted, strict=True):
        assert torch.equal(out[:, :, :16], frame[:, :, :16]) and torch.equal(out[:, :, 80:], frame[:, :, 80:])
        assert (out - frame)[:, :, 16:80].abs().mean() > 0.02


def test_bars_take_no_part_in_the_moments(lite):
    style = lite.encode_style(picture(40, 40, seed=3))
    frame = next(film(1, noise=0))
    tasks = (Task(frame, i, [adain.Region(style)]) for i in range(3))
    *_, out = paint_frames(lite, tasks, Stability(1, 0.0))
    alone = adain.stylize(lite, frame[:, :, 16:80], style)
    assert (out[:, :, 16:80] - alone)[:, :, 24:40].abs().mean() < 0.02  # far from the edges, which see the bars


def test_the_camera_is_followed_between_bars():
    camera, found = Camera(), Bars()
    *_, last = [camera(frame, False, found(frame)) for frame in film(6)]
    assert (last.placing[:2, 2] - torch.tensor([15.0, 0.0])).abs().max() < 0.5

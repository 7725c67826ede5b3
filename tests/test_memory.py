"""When the device's memory runs out, less is painted at once, and what is done stays done."""

from __future__ import annotations

import pytest
import torch
from adain_style_transfer.adain import Look, stylize
from adain_style_transfer.adain.architectures.lite import Lite
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from adain_style_transfer.adain.tile_policy import TilePolicy
from samples import picture, randomized

LEAST = 16


class Narrow(Lite):
    """A model on a device on which `room` pixels can be encoded at once. `seen` are the sizes that were."""

    room = 10**9

    def encode(self, image):
        if len(image) * image.shape[-2] * image.shape[-1] > self.room:
            raise torch.OutOfMemoryError("out of memory, as far as this test is concerned")
        self.seen.append(tuple(image.shape))
        return super().encode(image)


@pytest.fixture
def model():
    network = randomized(Narrow((6, 8, 12))).double()
    network.seen, network.tiling = [], TilePolicy(least=LEAST)
    return network


@pytest.fixture
def style(model):
    return model.encode_style(picture(40, 32, seed=5).double())


def test_fewer_pictures_at_once(model, style):
    batch = picture(40, 48, batch=7).double()
    expected, model.seen = stylize(model, batch, style), []
    model.room = 3 * 40 * 48
    steps = []
    out = stylize(model, batch, style, chunk=7, progress=lambda done, total: steps.append((done, total)))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    assert [size[0] for size in model.seen] == [3, 3, 1] and steps == [(3, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize("color", ["style", "match"])
def test_one_picture_in_tiles_and_those_smaller_where_that_is_too_much(model, style, color):
    content = picture(260, 300).double()
    expected = stylize(model, content, style, color=color)
    model.room = 280**2
    halved = stylize(model, content, style, color=color)
    torch.testing.assert_close(halved, expected, rtol=0, atol=1e-10)
    model.room, model.seen = 130**2, []
    steps = []
    quartered = stylize(model, content, style, color=color, progress=lambda done, total: steps.append((done, total)))
    torch.testing.assert_close(quartered, expected, rtol=0, atol=1e-10)
    assert steps[-1][0] == steps[-1][1] and all(done <= total for done, total in steps)
    assert max(size[-1] for size in model.seen) < 150  # no tile of 150 fitted, with its surroundings


def test_no_room_at_all(model, style):
    model.room = 8
    with pytest.raises(torch.OutOfMemoryError):
        stylize(model, picture(64, 80).double(), style)


def test_other_errors_are_not_hidden(model, style, monkeypatch):
    monkeypatch.setattr(model, "encode", lambda image: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stylize(model, picture(64, 80, batch=4).double(), style, chunk=4)


@pytest.mark.parametrize("stability", [Stability(0, 0), Stability(2, 0.5)])
def test_frames_too(model, style, stability):
    frames = [picture(96, 120, seed=i // 4).double() for i in range(9)]

    def painted(chunk):
        return list(paint_frames(model, (Task(f, i, Look.of(style)) for i, f in enumerate(frames)), stability, chunk=chunk))

    expected = painted(1)
    for room in (2 * 96 * 120, 100 * 120):  # of two frames, and of a part of one
        model.room = room
        for got, wanted in zip(painted(6), expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-9)

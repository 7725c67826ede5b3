from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer.adain import AdaINError, Look, Region, StyleError, stylize
from adain_style_transfer.adain.aim import Aims
from adain_style_transfer.adain.moments import color_moments
from adain_style_transfer.adain.temporal import Stability, Task, measure_shots, paint_frames
from adain_style_transfer.adain.tile_policy import TilePolicy
from adain_style_transfer.adain.video.canvas import Canvas
from adain_style_transfer.adain.video.frames import FramePainter, FrameState
from adain_style_transfer.adain.video.persistence import Painted, Persistence
from adain_style_transfer.adain.video.smoothing import Sharing
from samples import picture, soft_mask

STILL = Stability(0, 0)


@pytest.fixture(scope="module")
def style(lite):
    return lite.encode_style(picture(40, 32, seed=100))


def pan(count, seed=0, height=24, width=40, step=2):
    """Frames [1, 3, H, W] of a window that moves over a picture."""
    wide = torch.nn.functional.interpolate(picture(16, 60, seed), scale_factor=2, mode="bicubic").clamp(0, 1)
    return [wide[..., :height, step * i : step * i + width].contiguous() for i in range(count)]


def tasks(frames, style, first=0, painted=True, **settings):
    return [Task(frame, first + i, Look.of(style, **settings), painted) for i, frame in enumerate(frames)]


def painted(model, work, stability, **settings):
    return list(paint_frames(model, work, stability, **settings))


def same(a, b):
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("color", ["style", "keep", "match"])
@pytest.mark.parametrize("masked", [False, True])
def test_without_stability_frames_are_those_of_stylize(lite, style, color, masked):
    mask = soft_mask(24, 40) if masked else None
    out = painted(lite, tasks(pan(3), style, mask=mask, strength=0.7, color=color), STILL)
    expected = [stylize(lite, frame, style, strength=0.7, mask=mask, color=color) for frame in pan(3)]
    assert same(out, expected)


@pytest.mark.parametrize("stability", [STILL, Stability(2, 0), Stability(3, 0.7)])
def test_frames_do_not_depend_on_how_many_are_painted_at_once(lite64, stability):
    style = lite64.encode_style(picture(40, 32, seed=100).double())
    frames = [frame.double() for frame in pan(9)]
    alone = painted(lite64, tasks(frames, style), stability)
    for chunk in (2, 4, 20):
        together = painted(lite64, tasks(frames, style), stability, chunk=chunk)
        assert all((a - b).abs().max() < 1e-9 for a, b in zip(alone, together, strict=True))


def test_eight_bit_frames_are_those_divided_by_255(lite, style):
    for eight, far in (([(pan(1)[0] * 255).round().byte()] * 4, 0), ([(frame * 255).round().byte() for frame in pan(4)], 0.02)):
        whole, values = (torch.cat(painted(lite, tasks(f, style), Stability(1))) for f in (eight, [frame.float() / 255 for frame in eight]))
        assert (whole - values).abs().mean() <= far  # on a canvas that moves they are rounded once more


def test_smoothed_moments_are_those_of_the_weighted_union_of_frames(lite, style):
    frames = pan(5, step=5)
    aims = Aims(lite, ready=True)
    canvas = Canvas.of(frames[0].shape[-2:])
    states = [FrameState(task, task.image, aims.of(task.look, task.image), canvas) for task in tasks(frames, style)]
    measured = [FramePainter(lite, 1).with_colors(state) for state in states]
    middle = [state.measured.colors[0] for state in Sharing(lite, features=False).smoothed(measured, radius=1)][2]
    weights = torch.cat([torch.full((1, 1, 24, 40), share) for share in (0.5, 1, 0.5)], -1)
    expected = color_moments(torch.cat(frames[1:4], -1).double(), weights.double())
    assert torch.allclose(middle.mean.double(), expected.mean, atol=1e-6)
    assert torch.allclose(middle.var.double(), expected.var, atol=1e-6)


def test_the_window_is_centred(lite, style):
    """A clip played backwards gives the same frames backwards; a lag would not."""
    frames = pan(9, step=4)
    forwards = painted(lite, tasks(frames, style), Stability(3, 0))
    backwards = painted(lite, tasks(frames[::-1], style), Stability(3, 0))
    assert all((a - b).abs().max() < 1e-5 for a, b in zip(forwards, backwards[::-1], strict=True))


def test_what_happens_elsewhere_does_not_flicker_here(lite, style):
    """A lamp flickers at the right: by its own moments each frame would change its colours at the left as well."""
    frames = [picture(16, 160, seed=3) for _ in range(12)]
    for i, frame in enumerate(frames):
        frame[..., 120:] *= 0.4 + 0.6 * (i % 2)  # farther away than any pixel of the network's looks

    def flicker(**settings):
        out = list(paint_frames(lite, tasks(frames, style), **settings))
        return torch.stack([(b - a)[..., :24].abs().mean() for a, b in pairwise(out[4:9])]).mean()

    alone = flicker(stability=STILL)
    assert flicker(stability=Stability(4, 0)) < 0.1 * alone
    shots = measure_shots(lite, lambda: tasks(frames, style))
    assert shots.starts == (0,)
    assert flicker(stability=STILL, shots=shots) < 0.01 * alone


def test_nothing_passes_a_cut(lite, style):
    first, second = pan(6, seed=1), pan(6, seed=5)
    for stability in (Stability(4, 0.8), Stability(4, 0)):
        joined = painted(lite, tasks(first + second, style), stability)
        assert same(joined, painted(lite, tasks(first, style), stability) + painted(lite, tasks(second, style), stability))


def test_cuts_are_where_the_change_stands_out(lite, style):
    def cuts(frames):
        return list(measure_shots(lite, lambda: tasks(frames, style)).starts[1:])

    first, second = pan(8, seed=1), pan(8, seed=5)
    fade = [torch.lerp(a, b, i / 8) for i, (a, b) in enumerate(zip(first, second, strict=True))]
    flash = [*first[:4], (first[4] + 0.5).clamp(0, 1), *first[5:]]
    assert cuts(first + second) == [8]
    assert cuts(first[:1] + second) == [1]
    assert cuts(first + second[:1]) == [8]
    assert cuts(fade) == cuts(flash) == cuts(pan(20, step=1)) == []


@pytest.mark.parametrize("chunk", [1, 3])
def test_look_ahead_is_bounded(lite, style, chunk):
    read = 0

    def reading():
        nonlocal read
        for task in tasks(pan(20, step=1), style):
            read += 1
            yield task

    stability = Stability(3, 0.5)
    given = 0
    for given, _ in enumerate(paint_frames(lite, reading(), stability, chunk=chunk), 1):
        assert read <= given + stability.look_ahead + 2 * (chunk - 1)
    assert given == 20


def test_a_frame_is_settled_after_the_warmup(lite, style):
    frames = (pan(20, step=1) + pan(20, step=1)[::-1]) * 2
    stability = Stability(2, 0.6)
    whole = painted(lite, tasks(frames, style), stability)
    start = 50 - stability.warmup
    early = tasks(frames[:start], style, painted=False)
    late = painted(lite, early + tasks(frames[start:], style, first=start), stability)
    assert max((a - b).abs().max() for a, b in zip(whole[50:], late[stability.warmup :], strict=True)) < 0.5 / 255


def test_shots_share_their_moments(lite, style):
    first, second = pan(5, seed=1, step=4), pan(4, seed=5)
    work = tasks(first + second, style)
    shots = measure_shots(lite, lambda: work, chunk=2)
    assert shots.starts == (0, 5)
    expected = color_moments(torch.cat(first, -1).double())
    assert torch.allclose(shots.of(4).colors[0].mean.double(), expected.mean, atol=1e-6)
    assert torch.allclose(shots.of(0).colors[0].var.double(), expected.var, atol=1e-6)
    assert len(shots.of(8).levels[0]) == 4
    out = painted(lite, work, Stability(0, 0), shots=shots)
    late = painted(lite, work[6:], Stability(0, 0), shots=shots)  # as after a resumed run
    assert same(out[6:], late)


def test_regions_and_masks_are_smoothed_by_region(lite, style):
    other = lite.encode_style(picture(30, 30, seed=7))
    mask = torch.zeros(1, 1, 24, 40)
    mask[..., :20] = 1
    work = [Task(f, i, [Region(other, mask), Region(style)]) for i, f in enumerate(pan(6))]
    out = painted(lite, work, Stability(2, 0.5), chunk=2)
    assert all(frame.isfinite().all() for frame in out)
    limited = painted(lite, tasks(pan(6), style, mask=mask), Stability(2, 0.5))
    assert all(torch.equal(o[..., 20:], f[..., 20:]) for o, f in zip(limited, pan(6), strict=True))


def test_still_pixels_are_held_and_moving_ones_are_not(lite, style):
    frames = [picture(32, 64, seed=3) for _ in range(6)]
    generator = torch.Generator().manual_seed(0)
    for frame in frames:
        frame[..., 32:] = torch.rand(1, 3, 32, 32, generator=generator)
        frame[..., :32] += 0.004 * torch.randn(1, 3, 32, 32, generator=generator)
        frame.clamp_(0, 1)
    free = painted(lite, tasks(frames, style), STILL)
    held = painted(lite, tasks(frames, style), Stability(0, 0.8))

    def flicker(out):
        return torch.stack([(a - b)[..., 4:20].abs().mean() for b, a in pairwise(out)]).mean()

    assert flicker(held) < 0.5 * flicker(free)
    assert all((a - b)[..., 44:].abs().max() < 1 / 255 for a, b in zip(free, held, strict=True))


def test_nothing_is_held_where_a_mask_or_a_region_arrives(lite, style):
    """On a still picture a mask moves on: what is newly covered is as if nothing was held."""
    other = lite.encode_style(picture(30, 30, seed=7))
    frame = picture(32, 64, seed=3)
    masks = [torch.zeros(1, 1, 32, 64) for _ in range(3)]
    for i, mask in enumerate(masks):
        mask[..., : 16 * (i + 1)] = 1
    for regions in (lambda mask: [Region(style, mask)], lambda mask: [Region(other, mask), Region(style)]):
        work = [Task(frame, i, regions(mask)) for i, mask in enumerate(masks)]
        held, free = painted(lite, work, Stability(0, 0.8)), painted(lite, work, STILL)
        for i in (1, 2):
            assert torch.equal(held[i][..., 16 * i : 16 * (i + 1)], free[i][..., 16 * i : 16 * (i + 1)])


def test_nothing_unpainted_is_held_when_a_mask_goes(lite, style):
    frame, mask = picture(32, 64, seed=3), torch.zeros(1, 1, 32, 64)
    mask[..., :16] = 1
    work = [Task(frame, i, Look.of(style, mask=m)) for i, m in enumerate((mask, mask, None))]
    held, free = painted(lite, work, Stability(0, 0.8)), painted(lite, work, STILL)
    assert torch.equal(held[2][..., 16:], free[2][..., 16:])
    assert torch.equal(painted(lite, work[::-1], Stability(0, 0.8))[1][..., 16:], frame[..., 16:])


def test_large_frames_are_painted_alone_however_many_are_asked_for(lite, style, monkeypatch):
    monkeypatch.setattr(lite, "tiling", TilePolicy(side=48, whole=1000))
    sizes, encode = set(), lite.encode
    monkeypatch.setattr(lite, "encode", lambda image: sizes.add(tuple(image.shape)) or encode(image))
    painted(lite, tasks([scenery(2)[..., :96, :160]] * 4, style), STILL, chunk=4)
    assert all(size[0] == 1 and max(size[2:]) < 160 for size in sizes)


@pytest.mark.parametrize("chunk", [1, 4])
def test_regions_may_come_and_go(lite, style, chunk):
    other = lite.encode_style(picture(30, 30, seed=7))
    masks = [torch.zeros(1, 1, 24, 40), torch.zeros(1, 1, 24, 40)]
    masks[0][..., :20], masks[1][..., 20:] = 1, 1
    both = [Region(style, masks[0]), Region(other, masks[1])]
    work = [Task(frame, i, both[: 1 + i // 3]) for i, frame in enumerate(pan(6))]
    out = painted(lite, work, Stability(2, 0.5), chunk=chunk)
    alone = painted(lite, work[:3], Stability(2, 0.5)) + painted(lite, work[3:], Stability(2, 0.5))
    assert all((a - b).abs().max() < 1e-5 for a, b in zip(out[:3], alone[:3], strict=True))
    assert measure_shots(lite, lambda: work).starts == (0, 3)


def test_frames_after_strength_0_begin_anew(lite, style):
    frame = picture(24, 40, seed=3)
    work = [Task(frame, i, Look.of(style, strength=s)) for i, s in enumerate([0.0, 0.0, 0.1])]
    assert torch.equal(painted(lite, work, Stability(0, 0.8))[2], stylize(lite, frame, style, strength=0.1))


@pytest.mark.parametrize("color", ["style", "match"])
def test_large_frames_are_painted_in_tiles(lite, style, color, monkeypatch):
    """The same with tiles, whether features are kept or not, with a mask that reaches only some of them."""
    frames = [scenery(2)[..., 12:108, 3 * i : 3 * i + 160].contiguous() for i in range(5)]
    mask = torch.zeros(1, 1, 96, 160)
    mask[..., 20:70, 10:100] = soft_mask(50, 90)
    work = tasks(frames, style, mask=mask, color=color)
    for stability in (STILL, Stability(2, 0.5)):
        whole = painted(lite, work, stability)
        for kept in (2**31, 0):
            with monkeypatch.context() as small:
                small.setattr(lite, "tiling", TilePolicy(side=48, whole=1000, prepared=64, block=96, kept_bytes=kept))
                cut = painted(lite, work, stability)
            assert all((a - b).abs().max() < 0.01 for a, b in zip(whole, cut, strict=True))


def test_a_new_style_or_strength_is_not_held_back(lite, style):
    frames = [picture(24, 40, seed=3)] * 4
    strengths = [1.0, 1.0, 0.5, 0.0]
    work = [Task(f, i, Look.of(style, strength=s)) for i, (f, s) in enumerate(zip(frames, strengths, strict=True))]
    out = painted(lite, work, Stability(0, 0.8))
    assert all(torch.equal(o, stylize(lite, f, style, strength=s)) for o, f, s in list(zip(out, frames, strengths, strict=True))[2:])


def scenery(seed, height=120, width=240):
    return torch.nn.functional.interpolate(picture(height // 6, width // 6, seed), (height, width), mode="bicubic").clamp(0, 1)


def flicker(frames, step):
    """Mean change of painted frames of which each shows what the one before showed `step` pixels farther to the right."""
    return torch.stack([(a[..., :-step] - b[..., step:])[..., 8:-8, 8:-8].square().mean() for b, a in pairwise(frames[1:])]).mean()


def test_moments_are_not_smoothed_across_a_new_style(lite, style):
    """The features of frames in another style's colours say nothing of this one's."""
    other = lite.encode_style(1 - 0.5 * picture(48, 40, seed=9))
    frame = picture(40, 48, seed=3)
    tasks = [Task(frame, i, [Region(style if i < 4 else other)]) for i in range(8)]
    expected = [stylize(lite, frame, task.style) for task in tasks]
    shots = measure_shots(lite, lambda: tasks)
    assert shots.starts == (0, 4)
    for frames in (paint_frames(lite, tasks, Stability(radius=3, hold=0)), paint_frames(lite, tasks, STILL, shots=shots)):
        for frame, wanted in zip(frames, expected, strict=True):
            torch.testing.assert_close(frame, wanted, atol=1e-4, rtol=0)


def test_the_camera_is_followed(lite, style):
    frames = [scenery(2)[..., 12:108, 3 * i : 3 * i + 160].contiguous() for i in range(8)]
    free = painted(lite, tasks(frames, style), STILL)
    for hold in (0.01, 0.7):  # on the canvas strokes stand still, whether anything is held or not
        assert flicker(painted(lite, tasks(frames, style), Stability(0, hold)), 3) < 0.02 * flicker(free, 3)


def test_flow_follows_what_moves(lite, style):
    """Two halves that move against each other have no camera in common."""
    pytest.importorskip("cv2")
    above, below = scenery(2), scenery(4)
    frames = [torch.cat([above[..., :48, 3 * i : 3 * i + 160], below[..., :48, 40 - 3 * i : 200 - 3 * i]], 2) for i in range(8)]

    def change(stability):
        out = painted(lite, tasks(frames, style), stability)
        return flicker([frame[..., :48, :] for frame in out], 3) + flicker([frame[..., 48:, :].flip(-1) for frame in out], 3)

    assert change(Stability(0, 0.7, flow=True)) < 0.6 * change(Stability(0, 0.7))


def test_flow_that_leads_off_the_canvas_holds_nothing():
    """In the dark everything looks the same, also what was never seen."""
    hold = Persistence(0.8, False)
    there = F.affine_grid(torch.tensor([[[1, 0, 0.4], [0, 1, 0]]]), [1, 1, 24, 48], align_corners=False)
    hold._flow = lambda image, old: there
    size = torch.Size((16, 40))
    dark, bright = torch.full((1, 3, *size), 0.01), torch.full((1, 3, *size), 0.8)
    earlier = Canvas.of(size)
    later = replace(earlier, placing=earlier.placing + torch.tensor([[0, 0, 8.0], [0, 0, 0], [0, 0, 0]]).double())
    hold(Painted(earlier, dark, bright, None), new=True)
    laid, painted = later.lay(dark), later.lay(bright)
    assert (hold(Painted(later, laid, painted, None), new=False) - painted).abs().max() < 0.01


def test_flow_without_opencv_says_what_to_install(lite, style, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(AdaINError, match="pip install opencv-python-headless"):
        painted(lite, tasks(pan(2), style), Stability(flow=True))


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (7, 5)])
def test_tiny_frames(lite, style, size):
    frames = [picture(*size, seed=i) for i in range(3)]
    assert [f.shape for f in painted(lite, tasks(frames, style), Stability(1, 0.5))] == [(1, 3, *size)] * 3


def test_unusable_settings():
    with pytest.raises(StyleError, match="radius"):
        Stability(-1)
    with pytest.raises(StyleError, match="hold"):
        Stability(hold=1)


def test_unusable_tasks(lite, style, vgg64):
    with pytest.raises(StyleError, match="strength is 3"):
        painted(lite, tasks(pan(1), style, strength=3), STILL)
    with pytest.raises(StyleError, match="cannot be used with"):
        painted(vgg64, tasks(pan(1), style), STILL)

"""A grown `base` model paints what the `lite` model paints that it grew from."""

from __future__ import annotations

import torch
from adain_style_transfer.adain.aim import Aim
from adain_style_transfer.adain.architectures import base, lite
from adain_style_transfer.adain.pipeline import Painter
from adain_style_transfer.training import growth
from samples import picture, small_lite


def render(model, content, style, as_to=None):
    """`content` in a `style`, whose statistics are those that `as_to` (default: the model) finds."""
    return Painter(model, Aim([(as_to or model).statistics_of(style)])).render(content)


def test_a_grown_model_paints_the_same_but_for_its_smoother_enlarging(monkeypatch):
    small = small_lite()
    monkeypatch.setattr(growth, "NOISE", 0.0)
    monkeypatch.setattr(base, "upsample", lite.upsample)
    model = base.Base((6, 8, 12, 10), 64).eval()
    growth.grow_from_lite(model, small)
    content, style = picture(48, 64), picture(48, 48, seed=1)
    with torch.no_grad():
        expected, got = (render(m, content, style) for m in (small, model))
        untouched = render(base.Base((6, 8, 12, 10), 64), content, style, as_to=model)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    assert (untouched - expected).abs().mean() > 0.01


def test_what_is_new_begins_faint_but_is_heard():
    small = small_lite()
    model = base.Base((6, 8, 12, 10), 64)
    growth.grow_from_lite(model, small)
    loss = render(model, picture(32, 32), picture(32, 32, seed=1)).square().mean()
    loss.backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert not silent

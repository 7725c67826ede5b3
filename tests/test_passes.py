"""The two passes of the pipeline, measuring and painting, apart from each other."""

from __future__ import annotations

import pytest
import torch
from adain_style_transfer.adain.coverage import Coverage
from adain_style_transfer.adain.moments import merge
from adain_style_transfer.adain.stylize import measure, paint, render
from samples import picture, soft_mask


@pytest.fixture(params=["lite64", "vgg64"])
def model(request):
    return request.getfixturevalue(request.param)


def arguments(model, regions=1):
    """Targets, coverage and strength."""
    targets = [model.encode_style(picture(32, 24, seed=9 + k).double()).levels for k in range(regions)]
    first = soft_mask(40, 56).double()
    coverage = None if regions == 1 else Coverage.of(soft_mask(40, 56, seed=1).double(), torch.cat([first, 1 - first], 1))
    return targets, coverage, 0.7


@pytest.mark.parametrize("regions", [1, 2])
def test_painting_what_was_measured_is_rendering(model, regions):
    images = picture(40, 56, batch=2).double()
    rest = arguments(model, regions)
    content = measure(model, images, *rest)
    assert len(content) == regions and len(content[0]) == len(model.level_strides) + model.color
    assert torch.equal(paint(model, images, content, *rest), render(model, images, *rest))


def test_one_frame_can_be_painted_with_the_moments_of_several(model):
    bright = picture(40, 56).double()
    frames = [bright, bright * 0.4]
    rest = arguments(model)
    contents = [measure(model, frame, *rest) for frame in frames]
    shared = [[merge(levels) for levels in zip(*regions, strict=True)] for regions in zip(*contents, strict=True)]
    own, together = ([paint(model, f, c, *rest) for f, c in zip(frames, cs, strict=True)] for cs in (contents, [shared] * 2))
    for alone, joint in zip(own, together, strict=True):
        assert (alone - joint).abs().mean() > 1e-3


@pytest.mark.parametrize("regions", [1, 2])
def test_adjusted_moments_are_what_is_used(model, regions):
    images, other = picture(40, 56).double(), picture(40, 56, seed=5).double()
    rest = arguments(model, regions)
    content = measure(model, other, *rest)
    asked = []

    def adjust(level, moments):
        asked.append((level, len(moments)))
        return [region[level] for region in content]

    assert torch.equal(render(model, images, *rest, adjust), paint(model, images, content, *rest))
    assert asked == [(level, regions) for level in range(len(content[0]))]
    assert not torch.equal(render(model, images, *rest), paint(model, images, content, *rest))

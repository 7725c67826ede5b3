"""The two passes of the pipeline, measuring and painting, apart from each other."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from adain_style_transfer.adain.aim import Aim
from adain_style_transfer.adain.content import ContentMoments
from adain_style_transfer.adain.coverage import Coverage
from adain_style_transfer.adain.pipeline import Painter
from samples import picture, soft_mask


@pytest.fixture(params=["lite64", "vgg64"])
def model(request):
    return request.getfixturevalue(request.param)


def painter(model, regions=1):
    targets = [model.encode_style(picture(32, 24, seed=9 + k).double()).levels for k in range(regions)]
    first = soft_mask(40, 56).double()
    coverage = None if regions == 1 else Coverage.of(soft_mask(40, 56, seed=1).double(), torch.cat([first, 1 - first], 1))
    return Painter(model, Aim(targets, coverage, [0.7] * len(targets)))


@pytest.mark.parametrize("regions", [1, 2])
def test_painting_what_was_measured_is_rendering(model, regions):
    images, own = picture(40, 56, batch=2).double(), painter(model, regions)
    content = own.measure(images)
    assert len(content.levels) == regions and len(content.levels[0]) == len(model.level_strides) + model.color
    assert torch.equal(own.paint(images, content), own.render(images))


def test_frames_can_be_painted_with_the_moments_of_several(model):
    bright, own = picture(40, 56).double(), painter(model)
    frames = [bright, bright * 0.4]
    contents = [own.measure(frame) for frame in frames]
    shared = ContentMoments.merge(contents)
    for frame, alone in zip(frames, contents, strict=True):
        assert (own.paint(frame, alone) - own.paint(frame, shared)).abs().mean() > 1e-3


def test_moments_of_a_batch_are_those_of_its_pictures(model):
    images, own = picture(40, 56, batch=3).double(), painter(model, 2)
    together = own.measure(images)
    alone = [own.measure(image[None]) for image in images]
    for joined, single in ((together, ContentMoments.cat(alone)), (together.row(1), alone[1])):
        for a, b in zip(chain(*joined.levels), chain(*single.levels), strict=True):
            torch.testing.assert_close(a.mean, b.mean)
            torch.testing.assert_close(a.var, b.var)


def test_kept_maps_are_painted_like_new_ones(model):
    images, own = picture(40, 56, batch=2).double(), painter(model, 2)
    content = own.measure(images)
    encoded = own.encode(images, content)
    assert torch.equal(own.paint(images, content, encoded.maps), own.paint(images, content))

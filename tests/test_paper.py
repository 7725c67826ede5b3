"""The core equals the paper, written out literally in paper.py, to float64 precision."""

from __future__ import annotations

import numpy as np
import paper
import pytest
import torch
from adain_style_transfer import adain
from adain_style_transfer.adain.aim import Aim
from adain_style_transfer.adain.architectures import ARCHITECTURES
from adain_style_transfer.adain.coverage import Coverage
from adain_style_transfer.adain.moments import Statistics, blend
from adain_style_transfer.adain.pipeline import Painter
from adain_style_transfer.adain.style import normalized_weights
from samples import SMALL, picture, soft_mask

LITERAL = {"lite": paper.Lite, "base": paper.Base, "vgg19": paper.VGG19, "kuko6": paper.Kuko6, "keras": paper.Keras}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def networks(request):
    """The model under test and the same network in paper.py."""
    model = SMALL[request.param]().double()
    return model, LITERAL[request.param](model.state_dict())


def array(image):
    return image[0].double().numpy()


def statistics(model, image):
    with torch.no_grad():
        return model.statistics_of(image.double())


def rendered(model, content, targets, coverage=None, strength=1.0):
    with torch.no_grad():
        return Painter(model, Aim(targets, coverage, [strength] * len(targets))).render(content.double())[0].numpy()


def assert_equal(ours, literal):
    assert ours.shape == literal.shape
    np.testing.assert_allclose(ours, literal, rtol=0, atol=1e-9 * max(1, np.abs(literal).max()))


def test_features(networks):
    """Those around VGG-19 at odd sizes too: `pad` leaves none, but the scores of training are of pictures as they are."""
    model, literal = networks
    for size in [(32, 48)] if model.color else [(32, 48), (33, 46), (17, 31)]:
        image = picture(*size).double()
        with torch.no_grad():
            features = model.encode(image)
        for ours, expected in zip(features, literal.encode(array(image)), strict=True):
            assert_equal(ours[0].numpy(), expected)


@pytest.mark.parametrize("size", [(24, 16), (17, 30), (5, 19)])
@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_one_style(networks, size, strength):
    model, literal = networks
    content, style = picture(*size, seed=1), picture(21, 16, seed=2)
    ours = rendered(model, content, [statistics(model, style)], strength=strength)
    assert_equal(ours, paper.stylize(literal, array(content), [array(style)], alpha=strength))


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_interpolation_of_styles(networks, strength):
    """Blending statistics equals blending stylised features (equation 15)."""
    model, literal = networks
    content = picture(19, 26, seed=1)
    styles = [picture(16, 24, seed=2), picture(30, 17, seed=3), picture(24, 24, seed=4)]
    shares = normalized_weights([1, 0.5, 2.5], 3)
    levels = zip(*(statistics(model, style) for style in styles), strict=True)
    ours = rendered(model, content, [[blend(level, shares) for level in levels]], strength=strength)
    assert_equal(ours, paper.stylize(literal, array(content), [array(s) for s in styles], shares, strength))


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_regions(networks, strength):
    """Two styles in overlapping soft masks, together all over the picture; how much of it is shown is up to `stylize`."""
    model, literal = networks
    content = picture(22, 35, seed=1)
    styles = [picture(16, 24, seed=2), picture(30, 17, seed=3)]
    first, cover = soft_mask(22, 35, seed=5).double(), soft_mask(22, 35, seed=6).double()
    coverage = Coverage.of(cover, torch.cat([first, 1 - first], 1))
    ours = rendered(model, content, [statistics(model, s) for s in styles], coverage, strength)
    masks, measured = [first[0, 0].numpy(), 1 - first[0, 0].numpy()], [m[0, 0].numpy() for m in coverage.measured]
    expected = paper.stylize(literal, array(content), [array(s) for s in styles], alpha=strength, masks=masks, measured=measured)
    assert_equal(ours, expected)


def test_stylize_is_render_clamped(networks):
    model, literal = networks
    content, style = picture(24, 33, seed=1), picture(21, 16, seed=2)
    for strength, left in ((0.7, 0), (0.3, 0), (0.1, 0.6**2)):  # below a quarter the content comes in; at 0 nothing else is left
        ours = adain.stylize(model, content.double(), model.encode_style(style.double()), strength=strength)
        made = paper.stylize(literal, array(content), [array(style)], alpha=strength).clip(0, 1)
        assert_equal(ours[0].numpy(), made + left * (array(content) - made))


def test_stylize_mixes_a_soft_mask_with_the_content(networks):
    model, literal = networks
    content, style, mask = picture(24, 33, seed=1).double(), picture(21, 16, seed=2), soft_mask(24, 33).double()
    ours = adain.stylize(model, content, model.encode_style(style.double()), mask=mask)
    everywhere, measured = np.ones((24, 33)), mask[0, 0].numpy()
    made = paper.stylize(literal, array(content), [array(style)], masks=[everywhere], measured=[measured]).clip(0, 1)
    expected = mask[0].numpy() * made + (1 - mask[0].numpy()) * array(content)
    np.testing.assert_allclose(ours[0].numpy(), expected, rtol=0, atol=2e-7)  # masks are float32


def test_blend_of_styles_is_the_interpolation(networks):
    model, literal = networks
    content, styles = picture(16, 24, seed=1), [picture(16, 24, seed=2), picture(24, 17, seed=3)]
    blended = adain.Style.blend([model.encode_style(style.double()) for style in styles], [3, 1])
    ours = adain.stylize(model, content.double(), blended)
    expected = paper.stylize(literal, array(content), [array(s) for s in styles], [0.75, 0.25]).clip(0, 1)
    assert_equal(ours[0].numpy(), expected)


def test_statistics_with_a_mask_are_weighted(networks):
    model, literal = networks
    image, mask = picture(32, 48, seed=1).double(), soft_mask(32, 48).double()
    levels = model.statistics_of(image, mask)
    if model.color:
        color, *levels = levels
        expected = paper.square_root(paper.covariance(array(image), mask[0, 0].numpy()))
        np.testing.assert_allclose(color.std[0].numpy(), expected, atol=1e-12)
    for got, feature, stride in zip(levels, literal.encode(array(image)), literal.strides, strict=True):
        cells = paper.shrink(mask[0, 0].numpy(), stride, feature.shape[1:])
        np.testing.assert_allclose(got.mean[0].numpy(), paper.mean(feature, cells), atol=1e-10)
        np.testing.assert_allclose(got.std[0].numpy(), paper.deviation(feature, cells, literal.correction), atol=1e-10)


def test_targets_can_be_any_statistics(networks):
    """Not only those of a picture: the target deviations are reached by the features."""
    model, _ = networks
    content = picture(32, 32, seed=1)
    own = statistics(model, content)
    doubled = [Statistics(s.mean, 2 * s.std) for s in own]
    assert np.isfinite(rendered(model, content, [doubled])).all()

"""The training losses against the formulas of the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

pytest.importorskip("accelerate", reason="training needs the extra: pip install adain-style-transfer[train]")

import paper
from adain_style_transfer.adain import ModelError
from adain_style_transfer.adain.architectures.kuko6 import IMAGENET_MEAN, IMAGENET_STD, SOURCE_ENCODER
from adain_style_transfer.adain.architectures.vgg19 import NAOTO_ENCODER
from adain_style_transfer.adain.loss_network import LEVEL_CHANNELS
from adain_style_transfer.adain.losses import content_loss, range_loss, style_loss, variation_loss
from adain_style_transfer.adain.moments import channel_moments
from adain_style_transfer.training.frozen import Targets
from adain_style_transfer.training.losses import adain_target, covariance_loss, covariances, grid_loss
from adain_style_transfer.weights.loss_network import read_loss_network
from samples import distilled_file, loss_network_file, picture, values


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    return loss_network_file(tmp_path_factory.mktemp("loss") / "vgg.safetensors")


@pytest.fixture(scope="module")
def network(network_file):
    return read_loss_network(network_file)


def statistics(features):
    return [channel_moments(f).statistics() for f in features]


def test_the_network_has_four_levels_and_is_frozen(network):
    features = network(picture(32, 40))
    assert [tuple(f.shape) for f in features] == [(1, 64, 32, 40), (1, 128, 16, 20), (1, 256, 8, 10), (1, 512, 4, 5)]
    assert all(f.min() >= 0 for f in features) and not any(p.requires_grad for p in network.parameters())


def test_the_target_is_equation_8():
    x, y = values(1, 4, 6, 5, dtype=torch.float32), values(1, 4, 7, 7, seed=1, dtype=torch.float32)
    numbers = [f(z[0].double().numpy(), np.ones(z.shape[-2:])) for z in (x, y) for f in (paper.mean, paper.deviation)]
    target = adain_target(x, channel_moments(y).statistics())
    np.testing.assert_allclose(target[0], paper.adain(x[0].double().numpy(), *numbers), atol=1e-4)


def test_content_loss_is_equation_12():
    x, y = values(2, 4, 6, 5), values(2, 4, 6, 5, seed=1)
    torch.testing.assert_close(content_loss(x.float(), y.float()).double(), (x - y).square().mean())


def test_style_loss_is_equation_13():
    outputs, styles = ([values(2, c, n, n, seed=s + c) for c, n in ((2, 8), (3, 6), (4, 4), (5, 3))] for s in (0, 50))
    expected = 0.0
    for out, style in zip(outputs, styles, strict=True):
        for f in (paper.mean, paper.deviation):
            ones = np.ones(out.shape[-2:])
            expected += np.mean([(f(o, ones) - f(s, ones)) ** 2 for o, s in zip(out.numpy(), style.numpy(), strict=True)])
    assert style_loss(outputs, statistics(styles)).item() == pytest.approx(expected, rel=1e-9)
    assert style_loss(outputs, statistics(outputs)).item() == 0


def test_range_and_variation():
    image = torch.tensor([-0.5, 0.25, 1.0, 2.0]).view(1, 1, 2, 2)
    assert range_loss(image).item() == pytest.approx((0.25 + 1) / 4)
    assert variation_loss(image).item() == pytest.approx((1.5 + 1.75) / 2 + (0.75 + 1) / 2)
    assert range_loss(picture(4, 4)).item() == 0


def test_covariances_tell_strokes_that_means_and_deviations_cannot():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 1, 1, 8, 8, generator=generator)
    together, apart = torch.cat([a, a], 1), torch.cat([a, b * a.std(correction=0) / b.std(correction=0)], 1)
    levels = [together] * 3
    wanted = covariances(levels)
    torch.testing.assert_close(wanted[0][0], torch.cov(together[0].flatten(1), correction=0))
    assert covariance_loss(levels, wanted).item() == pytest.approx(0, abs=1e-6)
    assert covariance_loss([apart] * 3, wanted).item() > 0.3
    halves = covariance_loss([together / 2] * 3, wanted).item()  # relative to the size of both, so that no style outweighs another
    assert halves == pytest.approx(covariance_loss([together * 50] * 3, covariances([together * 100] * 3)).item(), rel=1e-3)


def test_a_grid_costs_and_a_picture_does_not():
    image = picture(96, 96)
    grid = torch.zeros(1, 3, 96, 96)
    grid[..., ::2, ::2] = 4 / 255
    assert grid_loss(image + grid) > grid_loss(image) + 1e-6
    smooth = picture(96, 96) * 0 + torch.linspace(0, 1, 96)
    assert grid_loss(smooth).item() < 1e-6 < grid_loss(smooth + grid).item()


def test_a_distilled_network_measures_at_the_channels_of_vgg19(tmp_path):
    tensors = load_file(distilled_file(tmp_path / "distilled.safetensors"))
    features = read_loss_network(tmp_path / "distilled.safetensors")(picture(32, 32))
    assert [f.shape[1] for f in features] == [*LEVEL_CHANNELS]
    assert all((f >= 0).all() for f in features)
    del tensors["conv3_1_aux.weight"], tensors["conv3_1_aux.bias"]
    save_file(tensors, tmp_path / "narrow.safetensors")
    with pytest.raises(ModelError, match="its levels have"):
        read_loss_network(tmp_path / "narrow.safetensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kept_targets_are_the_computed_ones(network_file, dtype):
    network = read_loss_network(network_file).to(dtype)
    contents, styles, keys = picture(32, 32, batch=3), picture(32, 32, seed=1, batch=3), torch.tensor([4, 7, 4])
    contents[2] = contents[0]
    fresh, kept = Targets(network, keep=False), Targets(network, keep=True)
    for _ in range(2):  # computed, then from memory
        wanted = [targets.styles(styles, torch.arange(3)) for targets in (fresh, kept)]
        for a, b in zip(*(w.statistics for w in wanted), strict=True):
            torch.testing.assert_close(a.std, b.std, rtol=2e-2 if dtype == torch.bfloat16 else 1e-4, atol=1e-4)
        made = [t.contents(contents, keys, w.statistics[-1]) for t, w in zip((fresh, kept), wanted, strict=True)]
        assert F.mse_loss(*made) < (1e-2 if dtype == torch.bfloat16 else 1e-6)


def test_files_that_are_no_loss_network(tmp_path, network_file):
    with pytest.raises(ModelError, match="no loss network at .*missing"):
        read_loss_network(tmp_path / "missing")
    path = tmp_path / "other.safetensors"
    path.write_text("no safetensors")
    with pytest.raises(ModelError, match="other.safetensors is not read: it is damaged"):
        read_loss_network(path)
    save_file({"conv1_1.weight": torch.ones(64, 3, 3, 3)}, path)
    with pytest.raises(ModelError, match=r"is not a loss network.*conv1_2\.weight"):
        read_loss_network(path)


def test_published_layouts_measure_like_our_own(network, network_file, tmp_path):
    """vgg_normalised's 1x1 layer and torchvision's normalised input are folded into the first layer; where no border reaches."""
    state = load_file(network_file)
    names = {f"{name}.{kind}": f"{i}.{kind}" for i, name in NAOTO_ENCODER.items() for kind in ("weight", "bias")}
    rgb, offset = torch.tensor([[0.0, 0, 255], [0, 255, 0], [255, 0, 0]]), torch.tensor([-103.9, -116.8, -123.7])
    naoto = {names[key]: value for key, value in state.items()} | {"0.weight": rgb[:, :, None, None], "0.bias": offset}
    torchvision = {f"features.{i}.{k}": state[f"{name}.{k}"] for i, name in SOURCE_ENCODER.items() for k in ("weight", "bias")}
    image = picture(160, 160)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    bgr = image.flip(1) * 255 + offset.view(1, 3, 1, 1)
    for name, published, seen in (("n", naoto, bgr), ("t", torchvision, (image - mean) / std)):
        save_file(published, tmp_path / f"{name}.safetensors")
        got, expected = (f[-1] for f in (read_loss_network(tmp_path / f"{name}.safetensors")(image), network(seen)))
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())

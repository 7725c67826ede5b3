"""Refining: the gradient against autograd on the whole picture, tiles, masks, the descent, and what it makes of pictures."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer.adain import ImageError, Look, Region, StyleError
from adain_style_transfer.adain.descent import descend
from adain_style_transfer.adain.judgement import Demand, Judgement
from adain_style_transfer.adain.losses import range_loss, statistics_loss, variation_loss
from adain_style_transfer.adain.media.images import Picture, read_picture
from adain_style_transfer.adain.moments import Statistics, channel_moments
from adain_style_transfer.adain.refine import ITERATIONS, Finish, refine
from adain_style_transfer.weights.loss_network import load_judge, read_loss_network
from adain_style_transfer.weights.samples import sample_path
from samples import distilled_file, loss_network_file, picture, small_lite

WEIGHT = 3.0
DRAFT = Finish("draft")


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    return loss_network_file(tmp_path_factory.mktemp("loss") / "vgg.safetensors")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return read_loss_network(distilled_file(tmp_path_factory.mktemp("loss") / "distilled.safetensors"))


@pytest.fixture(scope="module")
def exact(network_file):
    return read_loss_network(network_file).double()


@pytest.fixture(scope="module")
def style(network):
    return network.encode_style(picture(64, 80, seed=5), name="stripes")


def masks_of(kind, size):
    return [None] if kind == "whole" else [picture(*size, seed=seed)[:, :1].double() for seed in (1, 2)]


def literal_loss(network, content, image, wanted, masks):
    """The loss as its formulas say it, for autograd."""
    features = network(image)
    loss = F.mse_loss(features[-1], network(content)[-1])
    for mask, levels in zip(masks, wanted, strict=True):
        own = [
            channel_moments(f, None if mask is None else F.avg_pool2d(mask, stride)).statistics()
            for f, stride in zip(features, (1, 2, 4, 8), strict=True)
        ]
        loss = loss + WEIGHT / len(masks) * statistics_loss(own, levels)
    return loss + 500 * range_loss(image) + 10 * variation_loss(image)


@pytest.mark.parametrize("kind", ["whole", "regions"])
@pytest.mark.parametrize("size", [(93, 117), (100, 101)], ids=["tiles", "last tiles without a cell of their own"])
def test_the_gradient_is_that_of_autograd_in_one_piece_and_in_tiles(exact, kind, size):
    content, image = picture(*size).double(), picture(*size, seed=3).double() * 1.4 - 0.2
    masks = masks_of(kind, size)
    wanted = [[channel_moments(f).statistics() for f in exact(picture(64, 64, seed=9 + k).double())] for k in range(len(masks))]
    leaf = image.clone().requires_grad_()
    expected = literal_loss(exact, content, leaf, wanted, masks)
    (gradient,) = torch.autograd.grad(expected, leaf)
    for side in (1000, 32, 48):
        loss, own = Judgement(exact, content, masks, side)(image, Demand(wanted, WEIGHT))
        assert loss == pytest.approx(expected.item(), rel=1e-10)
        torch.testing.assert_close(own, gradient, rtol=0, atol=1e-10 * gradient.abs().max().item())


def test_tiles_change_nothing_but_memory(network, style):
    content, precise = picture(120, 152).double(), copy.deepcopy(network).double()
    whole, tiled = (refine(precise, content, style, DRAFT, tile=tile) for tile in (0, 64))
    assert (whole - tiled).abs().max() < 1e-3  # what rounding grows to over the steps


def test_a_network_with_borders_of_one_pixel(network):
    """Reflection has nothing to mirror at the coarsest level of the smallest pictures."""
    leaf = picture(16, 17).requires_grad_()
    sum(f.sum() for f in network(leaf)).backward()
    assert leaf.grad is not None and leaf.grad.isfinite().all()


def test_layers_are_torchs_own_with_reflected_borders(exact):
    image = picture(24, 40).double()
    x, expected = image, []
    for name in ("conv1_1", "conv1_2", "", "conv2_1"):
        if not name:
            x = F.max_pool2d(x, 2)
            continue
        conv = exact.encoder.get_submodule(name)
        x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), conv.weight, conv.bias))
        expected += [x] if name.endswith("_1") else []
    for got, wanted in zip(exact(image)[:2], expected, strict=True):
        torch.testing.assert_close(got, wanted)
    leaf = picture(16, 24).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: exact(x)[1][:, :3].sum((2, 3)), leaf, fast_mode=True)


def test_the_losses_fall_at_every_stage(network, style, monkeypatch):
    monkeypatch.setitem(ITERATIONS, "draft", (0, 15, 24))
    seen: dict[tuple[int, ...], list[torch.Tensor]] = {}
    refine(network, picture(256, 272), style, DRAFT, show=lambda x: seen.setdefault(tuple(x.shape), []).append(x.clone()))
    assert [shape[2:] for shape in seen] == [(128, 136), (256, 272)]
    for number, (shape, pictures) in enumerate(seen.items()):
        content = F.interpolate(picture(256, 272), size=shape[2:], mode="bicubic", antialias=True)
        judgement = Judgement(network, content, [None])
        first = 1 + 4 * (1 - number)
        demand = Demand([[Statistics(*(t.clone() for t in level)) for level in style.levels[first : first + 4]]], WEIGHT)
        losses = [judgement(x, demand)[0] for x in (pictures[0], pictures[-1])]
        assert losses[1] < 0.7 * losses[0]


def test_the_same_input_gives_the_same_picture_and_the_styles_statistics(network, style):
    content = picture(96, 96)
    one, two = (refine(network, x, style, DRAFT) for x in (content, content.to(memory_format=torch.channels_last)))
    assert torch.equal(one, two) and one.min() >= 0 and one.max() <= 1

    def distance(x):
        return statistics_loss([channel_moments(f).statistics() for f in network(x)], style.levels[1:5]).item()

    assert distance(one) < 0.5 * distance(content)


def test_all_of_it_in_inference_mode(network, style, tmp_path):
    """ComfyUI runs its nodes in it."""
    content = picture(48, 64)
    with torch.inference_mode():
        own = read_loss_network(distilled_file(tmp_path / "distilled.safetensors"))
        mask = torch.rand(1, 1, 48, 64)
        one = refine(own, picture(48, 64), Look.of(own.encode_style(picture(64, 80, seed=5)), mask=mask), DRAFT)
    torch.testing.assert_close(one, refine(network, content, Look.of(style, mask=mask.clone()), DRAFT), rtol=0, atol=1e-3)


def test_under_autocast_and_of_what_wants_a_gradient(network, style):
    content = picture(48, 64)
    expected = refine(network, content, style, DRAFT)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(refine(network, content, style, DRAFT), expected)
    painted = refine(network, content.clone().requires_grad_(), style, DRAFT)
    assert torch.equal(painted, expected) and not painted.requires_grad


def test_strength_zero_is_the_content(network, style):
    content = picture(64, 64)
    assert torch.equal(refine(network, content, Look.of(style, strength=0.0), DRAFT), content)


def test_a_picture_whose_mask_is_black_costs_nothing(network, style):
    """Of a batch: a mask that is black for all is refused."""
    content, masks, looks = picture(48, 64, batch=2), torch.zeros(2, 1, 48, 64), []
    masks[1] = 1
    painted = refine(network, content, Look.of(style, mask=masks), DRAFT, show=looks.append)
    assert torch.equal(painted[0], content[0]) and not torch.equal(painted[1], content[1])
    assert len(looks) <= ITERATIONS["draft"][-1]


def test_the_smallest_pictures_and_networks_in_bfloat16(network, style):
    assert refine(network, picture(16, 16), style, DRAFT).isfinite().all()
    half, content = copy.deepcopy(network).bfloat16(), picture(64, 80)
    assert (refine(half, content, style, DRAFT) - refine(network, content, style, DRAFT)).abs().mean() < 4 / 255


def test_beyond_strength_1_strokes_grow_and_colours_stay_the_styles(network):
    coffee, cat = (read_picture(sample_path(name)).resized((160, 192)).rgb for name in ("coffee", "cat"))
    style = network.encode_style(coffee)
    apart, pictures = [], []
    for strength in (1.0, 2.0):
        pictures.append(refine(network, cat, Look.of(style, strength=strength), DRAFT))
        apart.append(float((pictures[-1].mean((0, 2, 3)) - style.levels[0].mean[0]).abs().max()))
    assert apart[1] < apart[0] + 0.02
    assert (pictures[1] - pictures[0]).abs().mean() > 0.01


def test_outside_of_a_mask_every_bit_stays(network, style):
    content, mask = picture(96, 128), torch.zeros(1, 1, 96, 128)
    mask[..., :64] = 1
    painted = refine(network, content, Look.of(style, mask=mask), DRAFT)
    assert torch.equal(painted[..., 64:], content[..., 64:])
    assert (painted[..., :64] - content[..., :64]).abs().mean() > 0.02


def test_the_picture_goes_on_beyond_the_mask(network, style):
    """What is judged is painted whole: a cliff to what is left as it is would get a glaring rim."""
    mask, seen = torch.zeros(1, 1, 96, 128), list[torch.Tensor]()
    mask[..., :64] = 1
    refine(network, picture(96, 128), Look.of(style, mask=mask), DRAFT, show=seen.append)
    whole = [x for x in seen if x.shape[-1] == 128]
    assert (whole[-1] - whole[0])[..., 70:].abs().mean() > 1e-3


def test_every_region_gets_its_own_style(network, style, monkeypatch):
    monkeypatch.setitem(ITERATIONS, "draft", (0, 15, 24))
    other = network.encode_style(picture(64, 64, seed=8) * 0.3)
    content, left = picture(128, 128), torch.zeros(1, 1, 128, 128)
    left[..., :64] = 1
    painted = refine(network, content, [Region(style, left), Region(other, 1 - left)], DRAFT)
    assert (painted[..., :64].mean((0, 2, 3)) - style.levels[0].mean[0]).abs().max() < 0.1
    assert (painted[..., 64:].mean((0, 2, 3)) - other.levels[0].mean[0]).abs().max() < 0.1


def test_batches_pair_with_styles_and_one_picture_takes_them_all(network):
    styles = network.encode_style(picture(64, 64, seed=8, batch=2))
    one = picture(64, 64)
    both = refine(network, one, styles, DRAFT)
    assert both.shape == (2, 3, 64, 64)
    torch.testing.assert_close(both[1:], refine(network, one, styles[1], DRAFT), rtol=0, atol=1e-5)


def test_a_start_is_where_it_begins(network, style):
    first: list[torch.Tensor] = []
    begin = picture(48, 48, seed=2)
    refine(network, picture(48, 48), style, DRAFT, start=begin, show=first.append)
    assert (first[0] - begin).abs().max() < 1e-6
    with pytest.raises(ImageError, match="one size"):
        refine(network, picture(48, 48), style, DRAFT, start=picture(32, 48))
    with pytest.raises(ImageError, match="2 pictures to start from, for 3 pictures"):
        refine(network, picture(48, 48, batch=3), style, DRAFT, start=picture(48, 48, batch=2))


def test_colours_are_kept_where_asked_and_hidden_pixels_do_not_count(network, style):
    content = picture(64, 64)
    kept = refine(network, content, Look.of(style, color="keep"), DRAFT)
    chroma = [x - (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True) for x in (kept, content)]
    assert (chroma[0].abs() <= chroma[1].abs() + 1e-4).all()
    alpha = torch.ones(1, 1, 64, 64)
    alpha[..., 32:] = 0
    hidden = content.clone()
    hidden[..., 32:] = 1
    ways = [refine(network, Picture(x, alpha), style, DRAFT)[..., :16] for x in (content, hidden)]
    assert (ways[0] - ways[1]).abs().mean() < 0.1 < (ways[0] - content[..., :16]).abs().max()


def test_it_stops_at_once_when_asked_and_counts_to_the_end(network, style):
    calls: list[tuple[int, int]] = []
    refine(network, picture(64, 64), style, DRAFT, progress=lambda *step: calls.append(step))
    assert calls[-1][0] == calls[-1][1] and [c[0] for c in calls] == sorted(c[0] for c in calls)

    def stop(done, total):
        raise KeyboardInterrupt

    looks = []
    with pytest.raises(KeyboardInterrupt):
        refine(network, picture(64, 64), style, DRAFT, progress=stop, show=looks.append)
    assert len(looks) == 1


def test_flat_pictures_and_flat_styles_stay_finite(network, style):
    flat = network.encode_style(torch.full((1, 3, 64, 64), 0.3))
    for content, wanted in ((picture(64, 64), flat), (torch.full((1, 3, 64, 64), 0.5), style), (torch.zeros(1, 3, 64, 64), style)):
        assert refine(network, content, wanted, DRAFT).isfinite().all()


def test_styles_that_the_network_did_not_measure(network, style):
    model = small_lite()
    own = model.encode_style(picture(64, 64), name="waves")
    with pytest.raises(StyleError, match="'waves' cannot be used to refine.*style save --judge"):
        refine(network, picture(64, 64), own, DRAFT)
    judged = replace(own, others=(replace(style, fingerprint="0" * 64),))
    with pytest.raises(StyleError, match="'waves' cannot be used to refine: another loss network, 000000000000, measured it"):
        refine(network, picture(64, 64), judged, DRAFT)
    both = replace(own, others=(style,))
    assert torch.equal(refine(network, picture(48, 48), both, DRAFT), refine(network, picture(48, 48), style, DRAFT))


def test_what_cannot_be_refined(network, style):
    with pytest.raises(ImageError, match="12 x 40 pixels.*at least 16"):
        refine(network, picture(40, 12), style)
    with pytest.raises(ImageError, match=r"10 x 6 pixels, seen at 0.1 times its 100 x 64.*at least 16"):
        refine(network, picture(64, 100), Look.of(style, scale=0.1))
    with pytest.raises(StyleError, match="scale is inf"):
        Look.of(style, scale=float("inf"))
    with pytest.raises(ImageError, match="tile is -5 pixels"):
        refine(network, picture(32, 32), style, tile=-5)
    with pytest.raises(ImageError, match="black everywhere"):
        refine(network, picture(32, 32), Look.of(style, mask=torch.zeros(1, 1, 32, 32)))
    with pytest.raises(StyleError, match="quality 'fine' is unknown"):
        Finish("fine")
    with pytest.raises(StyleError, match="style weight is nan"):
        Finish(style_weight=float("nan"))


def test_memory_that_runs_out_makes_smaller_tiles(network, style, monkeypatch):
    """The network refuses more than 40,000 pixels as a small device would."""
    seen: list[int] = []
    forward = type(network).forward

    def small(self, image):
        seen.append(image.shape[-2] * image.shape[-1])
        if seen[-1] > 40_000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, image)

    content = picture(256, 256)
    whole = refine(network, content, style, DRAFT)
    monkeypatch.setattr(type(network), "forward", small)
    monkeypatch.setattr(network, "tiling", replace(network.tiling, least=32))
    assert (refine(network, content, style, DRAFT) - whole).abs().mean() < 4 / 255  # float32, see above
    assert any(n > 40_000 for n in seen) and seen[-1] <= 40_000


def test_descending_finds_the_bottom_keeps_the_best_and_survives_nan(caplog):
    scales = torch.linspace(1, 30, 50)

    def bowl(x):
        return float((scales * x.square()).sum()), 2 * scales * x

    places: list[torch.Tensor] = []
    bottom = descend(bowl, torch.ones(50), 60, places.append, lambda way: way)
    assert bowl(bottom)[0] < 1e-2 * bowl(torch.ones(50))[0] and len(places) <= 60
    assert bowl(bottom)[0] == min(bowl(place)[0] for place in places)

    def cliff(x):
        value, slope = bowl(x)
        return (float("nan") if value < 100 else value), slope

    kept = descend(cliff, torch.ones(50), 60, lambda _: None, lambda way: way)
    assert kept.isfinite().all() and "no longer finite" in caplog.text


def test_a_network_of_other_units_is_normalized_and_remains_itself(network_file, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(network_file)
    for kind in ("weight", "bias"):
        state[f"conv4_1.{kind}"] = state[f"conv4_1.{kind}"] * 1000
    save_file(state, tmp_path / "loud.safetensors")
    judge, raw = load_judge(tmp_path / "loud.safetensors", "cpu", torch.float32), read_loss_network(network_file)
    assert judge.fingerprint == raw.fingerprint
    image = picture(64, 64)
    distilled = load_judge(distilled_file(tmp_path / "distilled.safetensors"), "cpu", torch.float32)
    for network in (judge, distilled):
        assert all(0.2 < f.mean().item() < 5 for f in network(image))
    correlation = torch.corrcoef(torch.stack([judge(image)[-1][0, 3].flatten(), raw(image)[-1][0, 3].flatten()]))
    assert correlation[0, 1] == pytest.approx(1, abs=1e-3)

"""Everything runs on devices that lack operations: on a stand-in for an Apple GPU at torch 2.6 (`apple`), with the CPU's results."""

from __future__ import annotations

import math
import sys

import apple
import pytest
import samples
import torch
import torch.nn.functional as F
from adain_style_transfer import adain
from adain_style_transfer.adain import latents
from adain_style_transfer.adain.architectures.keras import Keras
from adain_style_transfer.adain.media.images import Picture
from adain_style_transfer.adain.temporal import Stability, Task, measure_shots, paint_frames
from adain_style_transfer.weights.loss_network import read_loss_network
from samples import picture, soft_mask

MODELS = {
    "lite": samples.small_lite,
    "vgg19": samples.vgg19,
    "kuko6": lambda: samples.published_kuko6()[0],
    "keras": lambda: samples.randomized(Keras()),
}


def same_on_apple(run, atol=1e-4):
    """What `run(device)` gives on the CPU and on the stand-in is the same."""
    expected = run(torch.device("cpu"))
    with apple.Apple() as device:
        got = run(apple.MPS)
        assert device.ran  # something was computed there
        got = [x.cpu() for x in got]
    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=atol)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("color", ["style", "match"])
def test_pictures(name, color):
    def run(device):
        model = MODELS[name]().to(device)
        styles = model.encode_style(picture(40, 32, seed=2, batch=2).to(device), soft_mask(20, 16), size=24)
        regions = [adain.Region(styles[0]), adain.Region(styles[1], soft_mask(30, 20))]
        batch = adain.stylize(model, picture(33, 40, batch=2), styles, color=color, strength=0.7)
        tiled = adain.stylize(model, picture(150, 40).to(device), regions, tile=64, color=color, mask=soft_mask(20, 20).to(device))
        return batch, tiled

    same_on_apple(run)


@pytest.mark.parametrize("turn", [0.0, 0.02], ids=["pan", "turn"])
def test_video(turn):
    scene = picture(150, 260)

    def frames(device, style, color="style"):
        mask = soft_mask(24, 32)
        for i in range(4):
            cos, sin = 0.5 * math.cos(turn * i), 0.5 * math.sin(turn * i)
            place = torch.tensor([[[cos, -sin, 0.04 * i], [sin, cos, 0.0]]])
            image = F.grid_sample(scene, F.affine_grid(place, [1, 3, 75, 101], align_corners=False), align_corners=False)
            yield Task(image if i == 0 else image.to(device), i, adain.Look.of(style, mask=mask, color=color))

    def run(device):
        model = samples.small_lite().to(device)
        style = model.encode_style(picture(40, 32, seed=2))
        shots = measure_shots(model, lambda: frames(device, style))
        smoothed = paint_frames(model, frames(device, style), Stability(1, 0.65))
        return [*smoothed, *paint_frames(model, frames(device, style, "match"), Stability(0, 0.65), shots=shots)]

    same_on_apple(run)


@pytest.mark.parametrize("window", [0, 5])
def test_latents(window):
    def run(device):
        clip, style = (samples.values(1, 4, 16, 12, seed=i, dtype=torch.float32).to(device) for i in (1, 2))
        masks = {"mask": soft_mask(50, 30).to(device), "style_mask": soft_mask(20, 30)}
        video = clip[:, :, None].expand(-1, -1, 3, -1, -1)
        moved = latents.match_latent(video, style, window=window, scope="whole clip", mask=torch.rand(5, 1, 31, 17).to(device))
        return latents.match_latent(clip, style[..., :9], window=window, **masks), moved[:, :, 0].isfinite()

    same_on_apple(run)


@pytest.mark.parametrize("free", [2**30, 2**20], ids=["beside the network", "on the CPU"])
def test_refining(free, monkeypatch, tmp_path):
    """With transparency, a mask and regions; and with pictures too large for the device, of which only tiles go there."""
    monkeypatch.setattr(sys.modules[adain.refine.__module__], "free_memory", lambda _: free)
    file, alpha = samples.distilled_file(tmp_path / "distilled.safetensors"), torch.ones(1, 1, 50, 64)
    alpha[..., :20] = 0

    def run(device):
        network = read_loss_network(file).to(device)
        styles = network.encode_style(picture(40, 48, seed=2, batch=2).to(device))
        regions = [adain.Region(styles[0]), adain.Region(styles[1], soft_mask(30, 20))]
        content = Picture(picture(50, 64), alpha)
        masked = adain.Look.of(regions, mask=soft_mask(20, 20).to(device))
        return adain.refine(network, content, masked, adain.Finish("draft")), adain.refine(network, content, regions, tile=32)

    same_on_apple(run, atol=0.03)  # rounding grows over the steps


def test_the_stand_in_refuses():
    with apple.Apple():
        there = torch.rand(1, 3, 9, 9).to(apple.MPS)
        refused = [
            lambda: torch.linalg.eigh(there),
            lambda: there.double(),
            lambda: there.to("cpu", torch.float64),
            lambda: there + torch.rand(1, 3, 9, 9),
            lambda: F.interpolate(there, size=(4, 4), mode="bicubic", antialias=True),
            lambda: F.grid_sample(there, torch.zeros(1, 2, 2, 2).to(apple.MPS), "bicubic", align_corners=False),
            lambda: F.adaptive_avg_pool2d(there, 4),
        ]
        for operation in refused:
            with pytest.raises((NotImplementedError, RuntimeError, TypeError), match=r"MPS|mps"):
                operation()


def test_the_stand_in_leaves_nothing_behind():
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    with apple.Apple():
        torch.nn.Conv2d(3, 3, 1).to(apple.MPS)(torch.rand(1, 3, 4, 4).to(apple.MPS))
    assert torch.__future__.get_overwrite_module_params_on_conversion() == before

"""What nodes show of their results, strengths above 1, and curves, in a real ComfyUI."""

from __future__ import annotations

import pytest
import torch
from adain_style_transfer import adain
from adain_style_transfer.weights import load_preset
from adain_style_transfer.weights.presets import presets


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def stylized(comfy, image, **changed):
    inputs = {"image": ["1", 0], "strength": 1.0, "color": "style", "stroke_size": 0, "preset": "red-horse"}
    return comfy.run(
        {
            "1": node("LoadImage", image=image),
            "2": node("AdaIN_Stylize", **inputs | changed),
            "3": node("SaveImage", images=["2", 0], filename_prefix="result"),
        }
    )


def test_a_single_picture_is_shown_in_its_node(comfy):
    outcome = stylized(comfy, "photo.png")
    (shown,) = outcome.images["2"]
    assert shown["type"] == "temp"
    assert torch.equal(comfy.image(shown), comfy.image(outcome.images["3"][0]))


def test_a_large_picture_is_shown_smaller_and_while_it_is_painted(comfy):
    comfy.put_image("wide.png", torch.rand(1, 3, 2100, 4200, generator=torch.Generator().manual_seed(0)))
    outcome = stylized(comfy, "wide.png")
    assert comfy.image(outcome.images["2"][0]).shape[2:] == (1024, 2048)
    assert comfy.image(outcome.images["3"][0]).shape[2:] == (2100, 4200)
    assert outcome.previews > 0


def test_of_a_batch_the_first_pictures_are_shown(comfy):
    outcome = comfy.run(
        {
            "1": node("LoadImage", image="small.png"),
            "2": node("RepeatImageBatch", image=["1", 0], amount=20),
            "3": node("AdaIN_LoadModel", model="adain-lite", precision="auto"),
            "4": node("AdaIN_StylePreset", adain_model=["3", 0], preset="red-horse"),
            "5": node(
                "AdaIN_Transfer",
                **{"adain_model": ["3", 0], "image": ["2", 0], "style": ["4", 0], "strength": 1.0, "color": "style"},
                content_scale=1.0,
                frames_per_chunk=0,
            ),
            "6": node("SaveImage", images=["5", 0], filename_prefix="batch"),
        }
    )
    assert len(outcome.images["5"]) == 8 and len(outcome.images["6"]) == 20


def test_without_a_model_link_the_embedded_one_is_used(comfy, model, load):
    outcome = comfy.run(
        {
            "1": node("LoadImage", image="photo.png"),
            "2": node("LoadImage", image="painting.png"),
            "3": node("AdaIN_EncodeStyle", image=["2", 0], batch="average", stroke_size=0),
            "4": node("AdaIN_StylePreset", preset="adele"),
            "5": node(
                "AdaIN_BlendStyles",
                **{"styles": "2", "styles.style_1": ["3", 0], "styles.weight_1": 1.0, "styles.style_2": ["4", 0], "styles.weight_2": 1.0},
            ),
            "6": node("AdaIN_Transfer", image=["1", 0], style=["5", 0], strength=1.0, color="style", content_scale=1.0, frames_per_chunk=0),
            "7": node("SaveImage", images=["6", 0], filename_prefix="unlinked"),
        }
    )
    assert not outcome.error
    style = adain.Style.blend([model.encode_style(load("painting.png")), load_preset(model, "adele")])
    expected = adain.stylize(model, load("photo.png"), style)
    assert (comfy.image(outcome.images["7"][0]) - expected).abs().max() < 4 / 255


def test_a_grid_of_all_presets_in_columns(comfy):
    outcome = comfy.run(
        {
            "1": node("LoadImage", image="small.png"),
            "2": node("AdaIN_StyleGrid", images=["1", 0], cell=64, strength=1.0, color="style", columns=7, all_presets=True),
            "3": node("SaveImage", images=["2", 0], filename_prefix="presets"),
        }
    )
    assert not outcome.error
    sheet = comfy.image(outcome.images["3"][0])
    strips = -(-(1 + len(presets())) // 7)
    assert sheet.shape[3] == 7 * (64 + 6) + 6
    assert sheet.shape[2] == strips * (64 // 8 + 6 + 48 + 6)  # a label, a gap, a picture of 64 x 48 and a gap in each
    last = sheet[..., -(48 + 6) : -6, 6 : 6 + 64]
    assert last.std() > 0.05 and (sheet[..., -(48 + 6) : -6, -64:] == 1).all()  # the last strip is not full


def test_strength_above_1(comfy, model, load):
    got = comfy.image(stylized(comfy, "photo.png", strength=1.5).images["3"][0])
    expected = adain.stylize(model, load("photo.png"), load_preset(model, "red-horse"), strength=1.5)
    assert (got - expected).abs().max() < 4 / 255
    plain = comfy.image(stylized(comfy, "photo.png").images["3"][0])
    assert (got - plain).abs().mean() > 2 / 255


def faded(comfy, curve, frames=5):
    """Frames of `photo.png`, one a second, under a `curve` over four seconds."""
    outcome = comfy.run(
        {
            "1": node("LoadImage", image="photo.png"),
            "2": node("RepeatImageBatch", image=["1", 0], amount=frames),
            "3": node("AdaIN_LoadModel", model="adain-lite", precision="auto"),
            "4": node("AdaIN_StylePreset", adain_model=["3", 0], preset="red-horse"),
            "5": node(
                "AdaIN_Keyframes", **{"styles.style_0": ["4", 0]}, keyframes="0 strength=1", frame_rate=1.0, curve=curve, curve_seconds=4.0
            ),
            "6": node(
                "AdaIN_Transfer",
                **{"adain_model": ["3", 0], "image": ["2", 0], "style": ["5", 0], "strength": 1.0, "color": "style"},
                content_scale=1.0,
                frames_per_chunk=0,
            ),
            "7": node("SaveImage", images=["6", 0], filename_prefix="faded"),
        }
    )
    return outcome


def test_a_curve_is_the_strength_over_time(comfy, model, load):
    inputs = comfy.json("/object_info/AdaIN_Keyframes")["AdaIN_Keyframes"]["input"].get("optional", {})
    if "curve" not in inputs:
        pytest.skip("this release of ComfyUI draws no curves")
    outcome = faded(comfy, {"points": [[0, 0], [0.5, 1], [1, 0.5]], "interpolation": "linear"})
    assert not outcome.error
    style, content = load_preset(model, "red-horse"), load("photo.png")
    for saved, strength in zip(outcome.images["7"], [0, 0.5, 1, 0.75, 0.5], strict=True):
        expected = adain.stylize(model, content, style, strength=strength)
        assert (comfy.image(saved) - expected).abs().max() < 4 / 255
    for curve in ({"interpolation": "linear"}, {"points": []}, {"points": [[0]]}, {"points": "text"}, {"points": [["a", 1]]}):
        assert "Draw one" in faded(comfy, curve).error

"""ComfyUI's start options and folders that are not as the pack would have them, in one ComfyUI of its own."""

from __future__ import annotations

import pytest
from adain_style_transfer import adain, weights
from adain_style_transfer.weights.samples import sample_path
from comfy.server import example, find_comfyui, known_options, running

OPTIONS = ("--force-fp16", "--fp16-intermediates", "--disable-smart-memory")
"""Beside --cpu, which all tests have; it excludes --lowvram, which needs a GPU. Older versions lack some."""


@pytest.fixture(scope="module")
def odd_comfy(tmp_path_factory, pictures):
    if find_comfyui() is None:
        pytest.skip("no ComfyUI found: see the tests of the nodes")
    base = tmp_path_factory.mktemp("odd")
    (base / "models").mkdir()
    (base / "models" / "adain").write_text("a file where a folder of models is looked for")
    (base / "models" / "adain_styles").symlink_to("nowhere")
    known = known_options()
    with running(base, *(option for option in OPTIONS if option in known), faults=False) as server:
        for name, image in pictures.items():
            server.put_image(name, image)
        yield server


def test_quick_start(odd_comfy, model):
    outcome = odd_comfy.run(example("quick_start"))
    assert not outcome.error
    expected = adain.stylize(model, adain.read_picture(sample_path("coffee")).rgb, weights.load_preset(model, "red-horse"))
    difference = (odd_comfy.image(outcome.images["5"][0]) - expected).abs()
    assert difference.mean() < 1.5 / 255


def test_no_foreign_file_is_listed(odd_comfy):
    options = odd_comfy.json("/object_info/AdaIN_LoadModel")["AdaIN_LoadModel"]["input"]["required"]["model"][1]["options"]
    assert [option for option in options if "(" not in option] == list(weights.EMBEDDED)  # the catalogue's tell their state


def test_a_style_that_cannot_be_saved(odd_comfy):
    prompt = example("quick_start")
    prompt["6"] = {"class_type": "AdaIN_SaveStyle", "inputs": {"style": ["3", 0], "name": "wave"}}
    assert "The style cannot be written to" in odd_comfy.run(prompt).error

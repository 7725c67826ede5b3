"""The packed archive in a fresh ComfyUI: every node is there, nothing is missed, and the first workflow paints."""

from __future__ import annotations

import zipfile

import pytest
from adain_style_transfer import adain, weights
from adain_style_transfer.weights.presets import FIRST_PRESET
from adain_style_transfer.weights.samples import sample_path
from archive import pack
from comfy import server as comfy_server


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    if comfy_server.find_comfyui() is None:
        pytest.skip("no ComfyUI found: set COMFYUI_DIR, put this folder into its custom_nodes, or clone it to ~/comfy/ComfyUI")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(pack(tmp_path_factory.mktemp("packed"))) as archive:
        archive.extractall(unpacked)
    with comfy_server.running(tmp_path_factory.mktemp("base"), faults=False, name="adain-style-transfer", pack=unpacked) as server:
        yield server


def test_every_node_is_there(fresh, comfy):
    def ours(server):
        return {name for name in server.json("/object_info") if name.startswith("AdaIN_")}

    assert ours(fresh) == ours(comfy) != set()
    assert "Traceback" not in fresh.log and "IMPORT FAILED" not in fresh.log


def test_what_the_page_asks_for_is_there(fresh):
    assert fresh.get("/extensions/adain-style-transfer/adain.js")
    assert fresh.get("/extensions/adain-style-transfer/samples/coffee.jpg")
    assert fresh.get("/extensions/adain-style-transfer/docs/AdaIN_Transfer.md")
    assert "quick_start" in fresh.json("/workflow_templates")["adain-style-transfer"]
    assert fresh.get("/api/workflow_templates/adain-style-transfer/quick_start.jpg")
    blueprints = [entry["name"] for entry in fresh.json("/global_subgraphs").values()]
    assert "Paint Like a Picture (AdaIN)" in blueprints


def test_it_paints(fresh, model):
    outcome = fresh.run(comfy_server.example("quick_start"))
    assert not outcome.error
    expected = adain.stylize(model, adain.read_picture(sample_path("coffee")).rgb, weights.load_preset(model, FIRST_PRESET))
    assert (fresh.image(outcome.images["5"][0]) - expected).abs().mean() < 1.5 / 255

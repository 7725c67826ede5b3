"""Refine in a real ComfyUI, with a small loss network from a local Hub."""

from __future__ import annotations

import pytest
import samples
import torch
from adain_style_transfer.adain.refine import Finish, refine
from adain_style_transfer.weights.loss_network import load_judge
from comfy import server as comfy_server
from hub.server import Hub, sha256


@pytest.fixture(scope="module")
def judge_file(tmp_path_factory):
    return samples.distilled_file(tmp_path_factory.mktemp("judge") / "judge.safetensors")


@pytest.fixture(scope="module")
def fresh(judge_file, tmp_path_factory):
    """A ComfyUI of its own whose Hub is the local one, with the loss network in the user's catalogue."""
    if comfy_server.find_comfyui() is None:
        pytest.skip("no ComfyUI found: set COMFYUI_DIR, put this folder into its custom_nodes, or clone it to ~/comfy/ComfyUI")
    hub, base = Hub(), tmp_path_factory.mktemp("comfyui")
    hub.add("someone/judge", "judge.safetensors", judge_file.read_bytes())
    models = base / "models" / "adain"
    models.mkdir(parents=True)
    data = judge_file.read_bytes()
    (models / "catalog.toml").write_text(
        f'[small]\nrepo_id = "someone/judge"\n[[small.files]]\npath = "judge.safetensors"\nbytes = {len(data)}\nsha256 = "{sha256(data)}"\n'
    )
    environment = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1", "HF_HOME": str(base / "hf"), "HF_TOKEN": ""}
    with comfy_server.running(base, faults=False, environment=environment) as server:
        server.put_image("photo.png", samples.photograph("coffee", 96, 80))
        server.put_image("painting.png", samples.photograph("cat", 96, 80))
        server.put_image("large.png", samples.picture(512, 512, seed=4))
        yield server
    hub.close()


def prompt(image="photo.png", **changed):
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "painting.png"}},
        "3": {
            "class_type": "AdaIN_Refine",
            "inputs": {
                "image": ["1", 0],
                "style_image": ["2", 0],
                "quality": "draft",
                "style_weight": 4.0,
                "strength": 1.0,
                "color": "style",
            }
            | {"judge": "small", "stroke_size": 0}
            | changed,
        },
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "refined"}},
    }


def test_it_downloads_its_judge_once_and_paints_what_the_library_paints(fresh, judge_file):
    outcome = fresh.run(prompt())
    assert not outcome.error, outcome.error
    painted = fresh.image(outcome.images["4"][0])
    network = load_judge(judge_file, "cpu", torch.float32)
    photo, painting = (samples.photograph(name, 96, 80) for name in ("coffee", "cat"))
    expected = refine(network, photo, network.encode_style(painting), Finish("draft"))
    assert (painted - expected).abs().mean() < 2 / 255 < 0.1 * (photo - expected).abs().mean()
    assert len(outcome.of("progress")) >= 4
    assert fresh.run(prompt("large.png")).previews >= 1
    kept = list((fresh.base / "models" / "adain").glob("*.safetensors"))
    assert len(kept) == 1


def test_a_mask_and_a_start(fresh):
    graph = prompt(start=["2", 0], mask=["5", 0])
    graph["5"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 80, "height": 96}}
    assert not fresh.run(graph).error


def test_cancel_within_a_step(fresh):
    with fresh.client() as client:
        job, seen = client.queue(prompt("large.png", quality="best")), []
        for message in client.messages():
            if not isinstance(message, bytes) and message["type"] == "progress" and message["data"]["node"] == "3":
                seen.append(message["data"]["value"] / message["data"]["max"])
                if len(seen) == 3:
                    break
        fresh.post("/interrupt", {})
        outcome = client.wait(job)
    assert 0 < seen[-1] < 0.1
    assert outcome.messages[-1]["type"] == "execution_interrupted" and not outcome.images


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"style_image": None}, "There is no style. Connect style"),
        ({"style": ["6", 0], "style_image": None}, "cannot be used to refine: it holds what the lite encoder measures"),
        ({"start": ["7", 0]}, "Give them one size"),
    ],
)
def test_what_it_refuses(fresh, changed, sentence):
    graph = prompt(**changed)
    graph["3"]["inputs"] = {key: value for key, value in graph["3"]["inputs"].items() if value is not None}
    graph["5"] = {"class_type": "AdaIN_LoadModel", "inputs": {"model": "adain-lite", "precision": "fp32"}}
    graph["6"] = {
        "class_type": "AdaIN_EncodeStyle",
        "inputs": {"adain_model": ["5", 0], "image": ["2", 0], "batch": "average", "stroke_size": 0},
    }
    graph["7"] = {"class_type": "LoadImage", "inputs": {"image": "large.png"}}
    assert sentence in fresh.run(graph).error


def test_presets_are_measured_for_it_and_need_their_own_judge(fresh):
    graph = prompt(style=["6", 0])
    del graph["3"]["inputs"]["style_image"]
    graph["5"] = {"class_type": "AdaIN_LoadModel", "inputs": {"model": "adain-lite", "precision": "fp32"}}
    graph["6"] = {"class_type": "AdaIN_StylePreset", "inputs": {"adain_model": ["5", 0], "preset": "red-horse"}}
    assert "cannot be used to refine" in fresh.run(graph).error  # `small` is not what the presets were measured with
    graph["3"]["inputs"]["judge"] = "vgg-normalised"
    assert "vkganesan/AdaIN" in fresh.run(graph).error  # which is not on this Hub


@pytest.mark.parametrize("name", ["draft_and_refine", "refine_after_diffusion"])
def test_workflows(fresh, name):
    """With a picture where the checkpoint's and the preset's would come from, and the small judge."""
    graph = comfy_server.example(name)
    (refined,) = (key for key, node in graph.items() if node["class_type"] == "AdaIN_Refine")
    graph["painting"] = {"class_type": "LoadImage", "inputs": {"image": "painting.png"}}
    graph[refined]["inputs"] |= {"style_image": ["painting", 0], "judge": "small"}
    for node in graph.values():
        if node["class_type"] in ("VAEDecode", "AdaIN_SamplePicture"):
            node.update(class_type="LoadImage", inputs={"image": "photo.png"})
    wanted = {
        key: node for key, node in graph.items() if not node["class_type"].startswith(("CLIP", "Checkpoint", "KSampler", "EmptyLatent"))
    }
    outcome = fresh.run(wanted)
    assert not outcome.error, outcome.error
    (saved,) = (pictures for key, pictures in outcome.images.items() if graph[key]["class_type"] == "SaveImage")
    assert fresh.image(saved[0]).shape[2:] == (96, 80)

"""Models of the catalogue in a real ComfyUI, from a local Hub: the first click, cancelling, and what goes wrong."""

from __future__ import annotations

import json
import time

import pytest
import samples
import torch
from adain_style_transfer import adain
from comfy import server as comfy_server
from hub.server import Fault, Hub, sha256


@pytest.fixture(scope="module")
def hub():
    server = Hub()
    yield server
    server.close()


@pytest.fixture(scope="module")
def seed(hub, tmp_path_factory):
    """A network in the seed system's published layout, on the Hub: the network and the file's bytes."""
    model, state = samples.published_kuko6()
    path = tmp_path_factory.mktemp("seed") / "model_puddle.pt"
    torch.save(state, path)
    hub.add("spaces/kuko6/copy", "models/model_puddle.pt", path.read_bytes())
    return model, path.read_bytes()


@pytest.fixture(scope="module")
def fresh(hub, seed, tmp_path_factory):
    """A ComfyUI of its own whose Hub is the local one, with two entries for the model in the user's catalogue."""
    if comfy_server.find_comfyui() is None:
        pytest.skip("no ComfyUI found: set COMFYUI_DIR, put this folder into its custom_nodes, or clone it to ~/comfy/ComfyUI")
    base = tmp_path_factory.mktemp("comfyui")
    models = base / "models" / "adain"
    models.mkdir(parents=True)
    _, data = seed
    for name, digest in (("seed", sha256(data)), ("wrong", sha256(b"another file"))):
        text = f'[{name}]\narchitecture = "kuko6"\nrepo_id = "kuko6/copy"\nrepo_type = "space"\n[[{name}.files]]\n'
        text += f'path = "models/model_puddle.pt"\nbytes = {len(data)}\nsha256 = "{digest}"\n'
        with (models / "catalog.toml").open("a") as file:
            file.write(text)
    environment = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1", "HF_HOME": str(base / "hf"), "HF_TOKEN": ""}
    with comfy_server.running(base, faults=False, environment=environment) as server:
        for i, name in enumerate(("photo.png", "painting.png")):
            server.put_image(name, (samples.picture(64, 80, seed=i) * 255).round() / 255)
        yield server


def prompt(model):
    """Load, encode, paint, save: the quick start with another model."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "painting.png"}},
        "3": {"class_type": "AdaIN_LoadModel", "inputs": {"model": model, "precision": "fp32"}},
        "4": {
            "class_type": "AdaIN_EncodeStyle",
            "inputs": {"adain_model": ["3", 0], "image": ["2", 0], "batch": "average", "stroke_size": 0},
        },
        "5": {
            "class_type": "AdaIN_Transfer",
            "inputs": {
                "adain_model": ["3", 0],
                "image": ["1", 0],
                "style": ["4", 0],
                "strength": 1.0,
                "color": "style",
                "content_scale": 1.0,
                "frames_per_chunk": 0,
            },
        },
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "seed"}},
    }


def choices(server):
    """What the list of Load AdaIN Model offers now."""
    spec = json.loads(server.get("/object_info/AdaIN_LoadModel"))["AdaIN_LoadModel"]["input"]["required"]["model"]
    return spec[1]["options"] if spec[0] == "COMBO" else spec[0]


def model_files(server):
    return sorted(path.name for path in (server.base / "models" / "adain").iterdir() if path.name not in ("catalog.toml", ".incomplete"))


def test_the_list_says_state_and_size(fresh):
    found = choices(fresh)
    assert found[0] == "adain-lite"
    assert {"kuko6-puddle (download, 23 MB)", "naoto0804 (one file must be downloaded by hand, 94 MB)", "seed (download, 23 MB)"} <= set(
        found
    )
    assert not any(name.startswith("vgg") for name in found)  # weights that are no model by themselves


def test_a_download_is_cancelled_and_then_the_first_click_paints(fresh, hub, seed):
    model, data = seed
    hub.log.clear()
    hub.faults.append(Fault(slow=0.05))
    with fresh.client() as client:
        job = client.queue(prompt("seed (download, 23 MB)"))
        done = 0
        for message in client.messages():
            if not isinstance(message, bytes) and message["type"] == "progress" and message["data"]["node"] == "3":
                done = message["data"]["value"]
                assert message["data"]["max"] in (1, len(data))
                if done > 2**20:
                    break
        fresh.post("/interrupt", {})
        started = time.monotonic()
        outcome = client.wait(job)
    assert outcome.messages[-1]["type"] == "execution_interrupted" and time.monotonic() - started < 10
    assert model_files(fresh) == []

    outcome = fresh.run(prompt("seed (download, 23 MB)"))
    assert not outcome.error
    assert int(hub.requests("blob")[-1][3]["range"].removeprefix("bytes=").rstrip("-")) >= done > 0  # resumed
    (saved,) = outcome.images["6"]
    photo, painting = (adain.read_picture(fresh.base / "input" / name).rgb for name in ("photo.png", "painting.png"))
    expected = adain.stylize(model, photo, model.encode_style(painting))
    assert (fresh.image(saved) - expected).abs().max() <= 1.5 / 255
    assert model_files(fresh) == ["seed-model_puddle.pt", "seed.safetensors"]
    found = choices(fresh)
    assert "seed (downloaded, 23 MB)" in found and "seed.safetensors" not in found

    hub.log.clear()
    again = fresh.run(prompt("seed (downloaded, 23 MB)"))  # the list has a new name for it, the graph of before keeps its own
    assert not again.error and not hub.log
    assert not fresh.run(prompt("seed (download, 23 MB)")).error and not hub.log


def test_what_is_wrong_is_said_on_the_node(fresh, hub):
    outcome = fresh.run(prompt("wrong (download, 23 MB)"))
    assert "is now another file" in outcome.error and "Nothing was downloaded" in outcome.error
    outcome = fresh.run(prompt("naoto0804"))
    assert "needs decoder.pth" in outcome.error and str(fresh.base / "models" / "adain") in outcome.error
    with pytest.raises(comfy_server.RefusedPromptError, match="There is no AdaIN model 'nothing'"):
        fresh.run(prompt("nothing"))


def test_a_mistake_in_the_users_catalogue_hides_no_node(fresh):
    path = fresh.base / "models" / "adain" / "catalog.toml"
    before = path.read_text()
    try:
        path.write_text(before + "\n[broken\n")
        assert choices(fresh) == ["adain-lite", "seed.safetensors"]
        assert not fresh.run(prompt("adain-lite")).error
        with pytest.raises(comfy_server.RefusedPromptError, match="is not valid TOML"):
            fresh.run(prompt("seed (downloaded, 23 MB)"))
    finally:
        path.write_text(before)

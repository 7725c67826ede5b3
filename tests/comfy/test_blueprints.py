"""Blueprints: listed by the server, found in the page's search, and painting what the library paints."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")

import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.refine import Finish, refine
from adain_style_transfer.weights.loss_network import load_judge
from comfy.blueprints import BLUEPRINTS, FOLDER
from comfy.examples import put_judge

_SKY = torch.zeros(1, 1, 96, 128)
_SKY[:, :, :40] = 1


@pytest.fixture(scope="module")
def page(comfy, page):
    comfy.make_clip("photo.png")
    comfy.put_image("sky.png", _SKY.expand(-1, 3, -1, -1))
    return page


@pytest.fixture(scope="module")
def listed(comfy):
    return {entry["name"]: key for key, entry in comfy.json("/global_subgraphs").items() if entry["info"]["node_pack"] != "comfyui"}


def placed(page, name):
    """The only node of a graph, put there by the page's search."""
    page.evaluate(
        "() => { app.canvas.deselectAll(); app.graph.clear(); app.extensionManager.command.execute('Workspace.SearchBox.Toggle') }"
    )
    page.get_by_role("dialog").first.wait_for()
    page.keyboard.type(name, delay=5)
    page.get_by_role("dialog").get_by_text(name).first.wait_for()
    page.wait_for_timeout(1000)  # the list follows what is typed at a distance
    page.keyboard.press("Enter")
    page.wait_for_function("() => app.graph._nodes.length === 1")
    page.mouse.click(700, 300)  # it hangs from the pointer until then
    return page.evaluate(
        "() => { const [node] = app.graph._nodes; return [node.title, node.inputs.map(i => i.name), node.outputs.map(o => o.name)] }"
    )


def prompt_of(page, sources, savers):
    """What the page sends when files go into the blueprint's sockets, `sources`, and its outputs into `savers`."""
    page.evaluate(
        """([sources, savers]) => {
          const [node] = app.graph._nodes;
          const add = type => { const made = LiteGraph.createNode(type); app.graph.add(made); return made };
          for (const [socket, [type, widget, value, slot]] of Object.entries(sources)) {
            const loader = add(type);
            for (const [i, name] of [widget].flat().entries()) loader.widgets.find(w => w.name === name).value = [value].flat()[i];
            loader.connect(slot, node, node.inputs.findIndex(input => input.name === socket));
          }
          for (const [output, type] of Object.entries(savers))
            node.connect(node.outputs.findIndex(o => o.name === output), add(type), 0);
        }""",
        [sources, savers],
    )
    return page.evaluate("async () => (await app.graphToPrompt()).output")


def image(name):
    return ["LoadImage", "image", name, 0]


VIDEO = ["LoadVideo", "file", "example.mp4", 0]


def saved(comfy, prompt, kind="SaveImage"):
    """What each saver of `kind` got; the frames of a video."""
    for key in [key for key, node in prompt.items() if node["class_type"] == "SaveVideo"]:
        prompt[f"{key}-frames"] = {"class_type": "GetVideoComponents", "inputs": {"video": prompt[key]["inputs"]["video"]}}
        prompt[key] = {"class_type": "SaveImage", "inputs": {"images": [f"{key}-frames", 0], "filename_prefix": "frames"}}
    outcome = comfy.run(prompt)
    assert not outcome.error, outcome.error
    savers = [key for key, node in prompt.items() if node["class_type"] == kind]
    return [torch.cat([comfy.image(picture) for picture in outcome.images[key]]) for key in savers]


def near(got, expected, mean=1.5):
    assert got.shape == expected.shape
    assert (got - expected).abs().mean() < mean / 255


def test_every_file_is_listed_with_what_it_says(comfy, listed):
    assert listed.keys() == BLUEPRINTS.keys() == {path.stem for path in FOLDER.glob("*.json")}
    for name, key in listed.items():
        graph = json.loads(comfy.json(f"/global_subgraphs/{key}")["data"])
        assert graph == json.loads((FOLDER / f"{name}.json").read_text())
        assert graph["extra"]["BlueprintDescription"] == BLUEPRINTS[name].description


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_the_search_finds_it_and_puts_it_down_whole(page, name):
    title, inputs, outputs = placed(page, name)
    assert title == name
    assert inputs == list(dict.fromkeys(outside for *_, outside in BLUEPRINTS[name].inputs))
    assert outputs == [outside for *_, outside in BLUEPRINTS[name].outputs]
    values = page.evaluate("() => Object.fromEntries(app.graph._nodes[0].widgets.map(widget => [widget.name, widget.value]))")
    inside = {(outside): BLUEPRINTS[name].prompt[node]["inputs"].get(slot) for node, slot, outside in BLUEPRINTS[name].inputs}
    assert values == {outside: value for outside, value in inside.items() if value is not None}


def test_paint_like_a_picture(page, comfy, model, load):
    """As it is, and with another value of a widget, which reaches the nodes inside."""
    placed(page, "Paint Like a Picture (AdaIN)")
    prompt = prompt_of(page, {"image": image("photo.png"), "style_image": image("painting.png")}, {"image": "SaveImage"})
    style = model.encode_style(load("painting.png"))
    (got,) = saved(comfy, prompt)
    near(got, adain.stylize(model, load("photo.png"), style))
    page.evaluate("() => { app.graph._nodes[0].widgets.find(widget => widget.name === 'strength').value = 0.4 }")
    (got,) = saved(comfy, page.evaluate("async () => (await app.graphToPrompt()).output"))
    near(got, adain.stylize(model, load("photo.png"), style, strength=0.4))


def test_sky_and_ground(page, comfy, model, load):
    placed(page, "Sky and Ground (AdaIN)")
    sky = ["LoadImageMask", ["image", "channel"], ["sky.png", "red"], 0]
    prompt = prompt_of(page, {"image": image("photo.png"), "sky": sky}, {"image": "SaveImage"})
    (got,) = saved(comfy, prompt)
    for rows, name in ((slice(0, 4), "kuniyoshi"), (slice(-4, None), "red-horse")):
        only = {
            other: (got - adain.stylize(model, load("photo.png"), weights.load_preset(model, other)))[:, :, rows].abs().mean()
            for other in ("kuniyoshi", "red-horse")
        }
        assert min(only, key=only.__getitem__) == name


def test_paint_a_video(page, comfy, model):
    placed(page, "Paint a Video (AdaIN)")
    prompt = prompt_of(page, {"video": VIDEO}, {"video": "SaveVideo"})
    (got,) = saved(comfy, prompt)
    (plain,) = saved(comfy, frames_of_the_clip())
    assert got.shape == plain.shape == (25, 3, 96, 128)
    near(got[12:13], adain.stylize(model, plain[12:13], weights.load_preset(model, "red-horse")), mean=8)  # twice through a codec


def test_match_the_colors_of_a_clip(page, comfy, load):
    placed(page, "Match the Colors of a Clip (AdaIN)")
    prompt = prompt_of(page, {"video": VIDEO, "reference": image("painting.png")}, {"video": "SaveVideo"})
    (got,) = saved(comfy, prompt)
    (plain,) = saved(comfy, frames_of_the_clip())
    near(got[12:13], adain.match_colors(plain[12:13], load("painting.png")), mean=6)
    assert (got.mean((2, 3)).std(0) < 1 / 255).all()


def frames_of_the_clip():
    return {
        "1": {"class_type": "LoadVideo", "inputs": {"file": "example.mp4"}},
        "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "plain"}},
    }


def test_draft_and_finish(page, comfy, model, load, tmp_path):
    """With a small judge in the place of VGG-19, and a picture's style where a preset has none for that judge."""
    judge = samples.distilled_file(tmp_path / "small judge.safetensors")
    put_judge(comfy.base / "models" / "adain", judge)
    photo, painting = samples.photograph("coffee", 96, 128), samples.photograph("cat", 96, 80)
    comfy.put_image("coffee.png", photo)
    comfy.put_image("cat.png", painting)
    placed(page, "Draft and Finish (AdaIN)")
    prompt = prompt_of(page, {"image": image("coffee.png")}, {"draft": "SaveImage", "finished": "SaveImage"})
    (refined,) = (node["inputs"] for node in prompt.values() if node["class_type"] == "AdaIN_Refine")
    prompt["painting"] = {"class_type": "LoadImage", "inputs": {"image": "cat.png"}}
    refined |= {"judge": "own-judge", "style_image": ["painting", 0]}
    draft, finished = saved(comfy, prompt)
    near(draft, adain.stylize(model, photo, weights.load_preset(model, "starry-night")))
    network = load_judge(judge, "cpu", torch.float32)
    near(finished, refine(network, photo, network.encode_style(painting), Finish("draft")), mean=2)

"""Every example workflow, run by ComfyUI, gives the library's own result."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.media.contact_sheet import contact_sheet
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from adain_style_transfer.weights.presets import FIRST_PRESET
from adain_style_transfer.weights.samples import sample_path
from comfy.server import EXAMPLES, example
from torchvision.transforms.v2.functional import gaussian_blur

NAMES = sorted(path.stem for path in (EXAMPLES / "api").glob("*.json"))


def assert_same(got, expected):
    """Equal but for 8-bit truncation and for the different torch that runs ComfyUI, in bfloat16 on some CPUs."""
    assert got.shape == expected.shape
    difference = (got - expected.float()).abs()
    assert difference.mean() < 1.5 / 255
    assert difference.max() < 16 / 255


def sample(name):
    return adain.read_picture(sample_path(name)).rgb


def preset(model, name):
    return weights.load_preset(model, name)


def needed_for(prompt, node):
    """`prompt` without what `node` does not need."""
    links = [value[0] for value in prompt[node]["inputs"].values() if isinstance(value, list)]
    kept = {node: prompt[node]}
    for link in links:
        kept |= needed_for(prompt, link)
    return kept


def result(comfy, prompt, node):
    outcome = comfy.run(prompt)
    assert not outcome.error
    return comfy.image(outcome.images[node][0])


def test_quick_start(comfy, model, load):
    expected = adain.stylize(model, sample("coffee"), preset(model, FIRST_PRESET))
    assert_same(result(comfy, example("quick_start"), "5"), expected)


@pytest.mark.parametrize("name", ["quick_start", "one_node"])
def test_a_picture_of_ones_own_takes_the_place_of_the_sample(comfy, model, load, name):
    """As the note says: uploaded to Photograph, which puts it into the input folder."""
    prompt = example(name)
    prompt["1"]["inputs"]["picture"] = "photo.png"
    used = prompt["3"]["inputs"]["preset"]
    last = next(key for key, node in prompt.items() if node["class_type"] == "SaveImage")
    assert_same(result(comfy, prompt, last), adain.stylize(model, load("photo.png"), preset(model, used)))


@pytest.mark.parametrize("name", ["quick_start", "one_node"])
def test_the_first_workflows_end_in_before_and_after(comfy, name):
    prompt = example(name)
    (compare,) = (key for key, node in prompt.items() if node["class_type"] == "ImageCompare")
    last = next(key for key, node in prompt.items() if node["class_type"] == "SaveImage")
    before, after = (prompt[compare]["inputs"][side] for side in ("image_a", "image_b"))
    assert prompt[before[0]]["class_type"] == "AdaIN_SamplePicture"
    assert after == prompt[last]["inputs"]["images"]


def test_one_node(comfy, model, load):
    prompt = example("one_node")
    assert_same(result(comfy, prompt, "4"), adain.stylize(model, sample("astronaut"), preset(model, "kuniyoshi")))
    prompt["2"] = {"class_type": "LoadImage", "inputs": {"image": "painting.png"}}
    prompt["3"]["inputs"]["style_image"] = ["2", 0]
    expected = adain.stylize(model, sample("astronaut"), model.encode_style(load("painting.png")))
    assert_same(result(comfy, prompt, "4"), expected)


def test_two_styles_blended(comfy, model):
    style = adain.Style.blend([preset(model, "red-horse"), preset(model, "cafe-terrace")], [0.7, 0.3])
    assert_same(result(comfy, example("two_styles_blended"), "7"), adain.stylize(model, sample("cat"), style))


def feathered(mask, pixels):
    radius = math.ceil(3 * pixels / 4)
    blurred = gaussian_blur(F.pad(mask, [radius] * 4, mode="replicate"), [2 * radius + 1] * 2, [pixels / 4, pixels / 4])
    return blurred[:, :, radius:-radius, radius:-radius]


def test_face_and_background(comfy, model):
    mask, style = torch.zeros(1, 1, 512, 512), preset(model, "red-horse")
    mask[:, :, 60:210, 160:290] = 1
    regions = [adain.Region(style), adain.Region(style, feathered(mask, 32), strength=0.6)]
    assert_same(result(comfy, example("face_and_background"), "9"), adain.stylize(model, sample("astronaut"), regions))


def test_sky_and_ground(comfy, model):
    mask = torch.zeros(1, 1, 512, 512)
    mask[:, :, :256] = 1
    mask = feathered(mask, 48)
    regions = [adain.Region(preset(model, "red-horse")), adain.Region(preset(model, "kuniyoshi"), mask)]
    assert_same(result(comfy, example("sky_and_ground"), "10"), adain.stylize(model, sample("astronaut"), regions))


@pytest.fixture
def clip(comfy):
    comfy.make_clip("photo.png")


def with_frames(prompt, **shown):
    """`prompt`, whose nodes `shown` are saved as pictures, by name, in place of the video."""
    kept = {key: node for key, node in prompt.items() if node["class_type"] != "SaveVideo"}
    return kept | {key: {"class_type": "SaveImage", "inputs": {"images": link, "filename_prefix": "frames"}} for key, link in shown.items()}


def frames_of(comfy, prompt, *names):
    outcome = comfy.run(prompt)
    assert not outcome.error
    return (torch.cat([comfy.image(saved) for saved in outcome.images[name]]) for name in names)


def test_video_frames(comfy, model, clip):
    assert comfy.run(example("video_frames")).images["9"]
    prompt = with_frames(example("video_frames"), before=["2", 0], after=["5", 0])
    before, after = frames_of(comfy, prompt, "before", "after")
    tasks = [Task(before[i : i + 1], i, [adain.Region(preset(model, "red-horse"))]) for i in range(len(before))]
    assert len(before) == len(after) == 25
    assert_same(after, torch.cat(list(paint_frames(model, tasks, Stability()))))


def test_style_over_time(comfy, model, clip):
    """From the photograph to the first style in a second, and on to the second one in another."""
    assert comfy.run(example("style_over_time")).images["8"]
    prompt = with_frames(example("style_over_time"), before=["11", 0], after=["12", 0])
    prompt["11"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}}
    prompt["12"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["7", 0]}}
    before, after = frames_of(comfy, prompt, "before", "after")
    assert len(before) == len(after) == 25
    for settled, name in ((10, "cafe-terrace"), (24, "red-horse")):  # some of the frames before is held
        expected = adain.stylize(model, before[settled : settled + 1], preset(model, name))
        distance = {k: (after[k : k + 1] - expected).square().mean().sqrt() for k in (0, 10, 24)}
        assert min(distance, key=distance.__getitem__) == settled
        assert distance[settled] < 0.1 < distance[0]


def test_style_grid(comfy, model):
    names = ["red-horse", "kuniyoshi", "cafe-terrace", "the-star", "great-wave"]
    styles = [preset(model, name) for name in names]
    content = sample("coffee")
    row = [content, *(adain.stylize(model, content, style) for style in styles)]
    labels = ["image", *(style.name or name for style, name in zip(styles, names, strict=True))]
    got = result(comfy, example("style_grid"), "9")
    expected = contact_sheet([row], column_labels=labels, cell=256)
    assert got.shape == expected.shape
    top = 256 // 8
    assert_same(got[:, :, top:], expected[:, :, top:])  # the labels' font depends on the Pillow version


@pytest.mark.parametrize(("name", "last"), [("after_diffusion", "10"), ("color_match_after_diffusion", "9")])
def test_after_diffusion(comfy, model, load, name, last):
    """With a picture where the checkpoint's would come from."""
    prompt = example(name)
    prompt["6"] = {"class_type": "LoadImage", "inputs": {"image": "photo.png"}}
    if name == "after_diffusion":
        expected = adain.stylize(model, load("photo.png"), preset(model, "red-horse"))
    else:
        expected = adain.match_colors(load("photo.png"), sample("coffee"))
    assert_same(result(comfy, needed_for(prompt, last), last), expected)


def test_every_example_is_tested_here():
    tested = {
        "quick_start",
        "one_node",
        "two_styles_blended",
        "sky_and_ground",
        "face_and_background",
        "video_frames",
        "style_over_time",
        "style_grid",
    }
    in_diffusion = {"guided_text_to_image", "paint_diffuse_paint", "video_without_drift"}  # see test_diffusion.py
    refining = {"draft_and_refine", "refine_after_diffusion"}  # see test_refine.py
    assert set(NAMES) == tested | {"after_diffusion", "color_match_after_diffusion"} | in_diffusion | refining


@pytest.mark.parametrize("name", NAMES)
def test_example_has_a_graph_and_a_thumbnail(name):
    assert (EXAMPLES / f"{name}.json").is_file()
    assert (EXAMPLES / f"{name}.jpg").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_that_needs_files_says_so_and_offers_them(name):
    graph = json.loads((EXAMPLES / f"{name}.json").read_text())
    (note,) = (node["widgets_values"][0] for node in graph["nodes"] if node["type"] == "MarkdownNote")
    models = [node for node in graph["nodes"] if node["type"] in ("CheckpointLoaderSimple", "UNETLoader", "CLIPLoader", "VAELoader")]
    assert note.startswith("**Needs a") == bool(models or any(node["type"] == "LoadVideo" for node in graph["nodes"]))
    assert "`" not in note  # unreadable in the page's newer look
    for node in models:
        (offered,) = node["properties"]["models"]
        assert offered["name"] == node["widgets_values"][0] and offered["url"].endswith(f"/{offered['name']}")


def test_headless_script(comfy, tmp_path):
    """The script that docs/headless.md shows."""
    page = (EXAMPLES.parent / "docs" / "headless.md").read_text()
    script = tmp_path / "headless.py"
    script.write_text(page.split("```python\n")[1].split("```")[0])
    arguments = [str(comfy.base / "input" / "photo.png"), str(tmp_path / "painted.png"), f"http://{comfy.address}"]
    subprocess.run([sys.executable, script, *arguments], cwd=EXAMPLES.parent, check=True, timeout=120)
    assert adain.read_picture(tmp_path / "painted.png").rgb.shape == (1, 3, 96, 128)


def test_comfy_cli(comfy):
    command = shutil.which("comfy", path=Path(sys.executable).parent)
    if command is None:
        pytest.skip('comfy-cli is not installed: pip install -e ".[test]"')
    host, port = comfy.address.split(":")
    workflow = EXAMPLES / "api" / "quick_start.json"
    run = [command, "--skip-prompt", "run", "--workflow", workflow, "--wait", "--host", host, "--port", port]
    subprocess.run(run, check=True, timeout=120)

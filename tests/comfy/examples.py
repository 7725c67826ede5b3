"""Makes the example workflows' graphs, thumbnails and screenshots anew, from example_workflows/api/ and the embedded weights.

cd tests && python -m comfy.examples [NAME...]     all of them, or these workflows and nodes
$ADAIN_JUDGE is a file of VGG-19 that judges in the place of the one that workflows with Refine download.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.media.contact_sheet import contact_sheet
from adain_style_transfer.weights.samples import sample_names, sample_path
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page
from torch import Tensor

from .browser import page_of
from .server import EXAMPLES, REPOSITORY, ComfyServer, Prompt, example, running


class Field(NamedTuple):
    """A widget of a node in a form, under a name of its own where the widget's would not tell it from others."""

    node: str
    widget: str
    name: str | None = None


_PICTURES = REPOSITORY / "web" / "docs" / "images"
_FIRST = sample_names()[0]
_MARGIN = 24

_JUDGE = os.environ.get("ADAIN_JUDGE", "")
_OWN_JUDGE = "own-judge"

_NOTES = {
    "quick_start": "Press **Run**: nothing has to be chosen or downloaded. Then try other paintings in **Style Preset**, "
    "and upload a picture of yours in **Photograph**.",
    "one_node": "Press **Run**: nothing has to be chosen or downloaded. Upload a picture of yours in **Photograph**. A picture "
    "connected to *style_image* takes the place of the *preset*.",
    "two_styles_blended": "Drag the weights in **Blend Styles**: only their proportions count. *styles* sets how many there are, up to 16.",
    "sky_and_ground": "The white half of the mask gets one style, the rest the other. For a mask of your own, right-click "
    "your picture, choose *Open in MaskEditor*, and connect the **MASK** output of Load Image to **Style "
    "Region**.",
    "face_and_background": "One style everywhere, but only part of it in the face: **strength** of **Style Region**. Here the mask is a "
    "soft rectangle; draw yours with *Open in MaskEditor*, or connect the mask of any node that finds faces or subjects.",
    "video_frames": "**Needs a video of yours**: choose it in **Your video**. Frames are painted one after the other with"
    " a preview; **AdaIN Stability** holds them together. Cancelling is safe at any time.",
    "style_over_time": "**Needs a video of yours**: choose it in **Your video**. **AdaIN Keyframes** fades one style in and "
    "goes on to another; times are seconds (2s) or frames (48). **AdaIN Video** takes clips of any length"
    " and keeps their sound.",
    "after_diffusion": "**Needs a checkpoint**: choose one in **Load Checkpoint**. What it makes is painted in the style: "
    "**AdaIN Transfer** takes any image.",
    "refine_after_diffusion": "**Needs a checkpoint**: choose one in **Load Checkpoint**. What it makes is finished by **Refine**, which "
    "takes minutes on a CPU and downloads VGG-19 (80 MB) on its first run.",
    "draft_and_refine": "The same picture by **AdaIN Transfer**, in an instant, and by **Refine**, in minutes on a "
    "CPU: drag the slider of **Compare Images**. Refine downloads VGG-19 (80 MB) on its first run.",
    "color_match_after_diffusion": "**Needs a checkpoint**: choose one in **Load Checkpoint**. **Match Colors** gives the result the "
    "colours of the picture it was made from.",
    "guided_text_to_image": "**Needs a checkpoint and a painting**: choose them in **Load Checkpoint** and **Painting**. **AdaIN "
    "Guidance** pulls each step of the sampler towards the painting's colours and contrast; **AdaIN "
    "Transfer** then adds its strokes lightly.",
    "paint_diffuse_paint": "**Needs a checkpoint and a painting**: choose them in **Load Checkpoint** and **Painting**. The "
    "photo is painted, redrawn by the diffusion model under guidance, and lightly painted again.",
    "video_without_drift": "**Needs a video model** with its text encoder and VAE: choose them in the three loaders. **AdaIN "
    "Latent** gives every frame the colours and contrast of the first ones.",
    "style_grid": "Every picture in every style, to choose by looking. Connect more styles: a new socket appears with each.",
}

_FORMS: dict[str, tuple[Field, ...]] = {
    "quick_start": (Field("1", "picture"), Field("3", "preset"), Field("4", "strength")),
    "one_node": (Field("1", "picture"), Field("3", "preset"), Field("3", "strength")),
    "two_styles_blended": (
        Field("1", "picture"),
        Field("3", "preset", "first style"),
        Field("5", "styles.weight_1"),
        Field("4", "preset", "second style"),
        Field("5", "styles.weight_2"),
        Field("6", "strength"),
    ),
    "sky_and_ground": (
        Field("1", "picture"),
        Field("3", "preset", "sky"),
        Field("4", "preset", "ground"),
        Field("8", "feather"),
        Field("9", "strength"),
    ),
    "face_and_background": (
        Field("1", "picture"),
        Field("3", "preset"),
        Field("7", "strength", "strength in the face"),
        Field("8", "strength"),
    ),
    "style_grid": (
        Field("1", "picture"),
        *(Field(str(node), "preset", f"style {i}") for i, node in enumerate(range(3, 8), 1)),
        Field("8", "strength"),
    ),
    "draft_and_refine": (Field("1", "picture"), Field("3", "preset"), Field("5", "quality"), Field("5", "strength")),
    "video_frames": (Field("1", "file"), Field("4", "preset"), Field("5", "strength")),
    "style_over_time": (
        Field("1", "file"),
        Field("3", "preset", "first style"),
        Field("4", "preset", "second style"),
        Field("5", "keyframes"),
        Field("7", "strength"),
    ),
}
"""What ComfyUI's App Mode asks for, of workflows that need no model of the user's: they open as forms."""

_SHOWN = ("quick_start", "two_styles_blended", "sky_and_ground", "style_grid", "guided_text_to_image")
_COMPARING = ("quick_start",)
"""Workflows that are shown in Nodes 2.0, without which Compare Images is empty."""

_ASKING = ("guided_text_to_image",)
"""Workflows that are shown as they are before they run: they ask for a checkpoint."""

_PAINTED = {"color_match_after_diffusion"}
"""Workflows in which a painted sample stands in for what a checkpoint makes; elsewhere it is the sample as it is."""

_CAPTIONS = {
    "after_diffusion": "a photograph stands in for the checkpoint's picture",
    "refine_after_diffusion": "a photograph stands in for the checkpoint's picture",
    "color_match_after_diffusion": "a painted photograph stands in for the checkpoint's picture",
    "guided_text_to_image": "only AdaIN Transfer, on a photograph: no checkpoint took part",
    "paint_diffuse_paint": "painted twice: no checkpoint took part",
    "video_without_drift": "frames made to drift stand in for a video model's",
}
"""What the thumbnails of workflows are that need a model of the user's."""

_HUB = "https://huggingface.co/Comfy-Org"
_MODELS = {
    name: {"name": name, "url": f"{_HUB}/{folder}/{name}", "directory": directory}
    for name, folder, directory in (
        ("v1-5-pruned-emaonly-fp16.safetensors", "stable-diffusion-v1-5-archive/resolve/main", "checkpoints"),
        ("wan2.1_t2v_1.3B_fp16.safetensors", "Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/diffusion_models", "diffusion_models"),
        ("umt5_xxl_fp8_e4m3fn_scaled.safetensors", "Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/text_encoders", "text_encoders"),
        ("wan_2.1_vae.safetensors", "Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/vae", "vae"),
    )
}
"""File -> where the page offers to download it from."""

_LAY_OUT = """
async ([prompt, note]) => {
  await app.loadApiJson(prompt, 'example');
  await new Promise(done => setTimeout(done, 300));
  const nodes = app.graph._nodes, depth = new Map();
  const depthOf = node => {
    if (!depth.has(node.id)) {
      const sources = (node.inputs || []).map((_, slot) => node.getInputNode(slot)).filter(Boolean);
      depth.set(node.id, sources.length ? 1 + Math.max(...sources.map(depthOf)) : 0);
    }
    return depth.get(node.id);
  };
  nodes.forEach(depthOf);
  const columns = [];
  nodes.forEach(node => (columns[depth.get(node.id)] ||= []).push(node));
  let x = 0;
  for (const column of columns) {
    let y = 150, width = 0;
    for (const node of column) {
      const small = node.computeSize();
      const picture = ['AdaIN_SamplePicture', 'LoadImage', 'ImageCompare', 'SaveImage', 'SaveVideo', 'LoadVideo'].includes(node.type);
      node.setSize([Math.max(small[0], 250), picture ? Math.max(small[1], 340) : small[1]]);
      node.pos = [x, y];
      y += node.size[1] + 60;
      width = Math.max(width, node.size[0]);
    }
    x += width + 70;
  }
  const text = LiteGraph.createNode('MarkdownNote');
  text.pos = [0, 0];
  app.graph.add(text);
  text.setSize([520, 100]);
  text.widgets[0].value = note;
  app.graph.setDirtyCanvas(true, true);
  return app.graph.serialize();
}
"""

# With an id of its own: the page keeps the values of widgets by the ids of their nodes.
_ALONE = """
kind => {
  app.graph.clear();
  const node = LiteGraph.createNode(kind);
  node.id = Date.now() % 1e9;
  node.pos = [0, 0];
  app.graph.add(node);
}
"""

_LOOK = "modern => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', modern)"

# As a graph, not as a form.
_LOAD = """
async graph => {
  await app.loadGraphData({ ...graph, extra: { ...graph.extra, linearMode: false } });
  await new Promise(done => setTimeout(done, 300));
}
"""

# Below the page's bars, which lie over the canvas.
_FIT = """
([left, top, width, height]) => {
  const canvas = app.canvas.canvas.getBoundingClientRect();
  const scale = Math.min(1, (canvas.width - 200) / width, (canvas.height - 220) / height);
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [-left + 100 / scale, -top + 140 / scale];
  app.canvas.draw(true, true);
  return [canvas.left + 100, canvas.top + 140, width * scale, height * scale];
}
"""

_BOUNDS = """
() => {
  const boxes = app.graph._nodes.map(node => [node.pos[0], node.pos[1] - 32, node.pos[0] + node.size[0], node.pos[1] + node.size[1]]);
  const [left, top] = [0, 1].map(i => Math.min(...boxes.map(box => box[i])));
  const [right, bottom] = [2, 3].map(i => Math.max(...boxes.map(box => box[i])));
  return [left, top, right - left, bottom - top];
}
"""

_PLAIN = """
() => {
  document.querySelectorAll('.graph-canvas-menu, .p-splitter-gutter, [data-testid=minimap]').forEach(e => e.style.display = 'none');
  for (const [key, value] of [['Comfy.Minimap.Visible', false], ['Comfy.Graph.CanvasInfo', false]])
    app.extensionManager.setting.set(key, value);
}
"""


def main(names: list[str]) -> None:
    def wanted(name: str) -> bool:
        return not names or name in names

    _PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), faults=False, name="adain-style-transfer") as comfy:
        cat = _sample("cat")
        comfy.put_image("clip.png", cat[:, :, : cat.shape[2] // 2 * 2, : cat.shape[3] // 2 * 2])  # video codecs want even sizes
        model = weights.load_model(device="cpu")
        comfy.put_image("painted.png", adain.stylize(model, _sample(_FIRST), weights.load_preset(model, "starry-night")))
        comfy.make_clip("clip.png")
        if _JUDGE:
            put_judge(comfy.base / "models" / "adain", Path(_JUDGE))
        checkpoint = comfy.base / "models" / "checkpoints" / example("guided_text_to_image")["1"]["inputs"]["ckpt_name"]
        checkpoint.parent.mkdir()
        checkpoint.touch()  # else the page covers the graph with a notice that it is missing
        with page_of(comfy.address) as page:
            page.evaluate(_PLAIN)
            for path in sorted(path for path in (EXAMPLES / "api").glob("*.json") if wanted(path.stem)):
                if path.stem == "video_without_drift":
                    thumbnail = _drift(comfy, cat)
                    _save(thumbnail, _PICTURES / "drift.jpg", 900)
                else:
                    before, result = _paint(comfy, path.stem)
                    thumbnail = _side_by_side(before, result) if path.stem != "style_grid" else adain.media.images.to_pil(result)
                if path.stem in _CAPTIONS:
                    thumbnail = _captioned(thumbnail, _CAPTIONS[path.stem])
                _save(thumbnail, EXAMPLES / f"{path.stem}.jpg", 640)
                graph = page.evaluate(_LAY_OUT, [example(path.stem), _NOTES[path.stem]])
                _offer_downloads(graph)
                if path.stem in _FORMS:
                    _open_as_form(graph, _FORMS[path.stem])
                (EXAMPLES / f"{path.stem}.json").write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n")
                page.evaluate(_LOOK, path.stem in _COMPARING)
                page.evaluate(_LOAD, graph)
                if path.stem in _SHOWN:
                    if path.stem not in _ASKING:
                        _run(page)
                    _shoot(page, page.evaluate(_BOUNDS), _PICTURES / f"{path.stem}.jpg", 1200)
            page.evaluate(_LOOK, False)
            for kind in sorted(kind for kind in comfy.json("/object_info") if kind.startswith("AdaIN_") and wanted(kind)):
                page.evaluate(_ALONE, kind)
                page.wait_for_timeout(300)
                _shoot(page, page.evaluate(_BOUNDS), _PICTURES / f"{kind}.jpg", 600)


def put_judge(folder: Path, file: Path) -> None:
    """Put `file` into the models `folder`, with an entry of a catalogue that finds it by its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    entry = f'[{_OWN_JUDGE}]\nrepo_id = "none/none"\n[[{_OWN_JUDGE}.files]]\npath = "{file.name}"\n'
    (folder / "catalog.toml").write_text(f'{entry}bytes = {file.stat().st_size}\nsha256 = "{digest}"\n')


def _sample(name: str) -> Tensor:
    return adain.read_picture(sample_path(name)).rgb


def _paint(comfy: ComfyServer, name: str) -> tuple[Tensor, Tensor]:
    """The picture that the workflow begins with, and the one that it ends with.

    A preset stands in for a painting, a sample picture for what a checkpoint makes.
    """
    prompt = example(name)
    last = next(key for key, node in prompt.items() if node["class_type"].startswith("Save"))
    samples = [node["inputs"]["picture"] for node in prompt.values() if node["class_type"] == "AdaIN_SamplePicture"]
    sample = samples[0] if samples else "cat" if prompt[last]["class_type"] == "SaveVideo" else _FIRST
    for node in prompt.values():
        if node["class_type"] == "AdaIN_Refine" and _JUDGE:
            node["inputs"]["judge"] = _OWN_JUDGE
        if node["class_type"] == "AdaIN_EncodeStyle":
            node.update(class_type="AdaIN_StylePreset", inputs={"adain_model": node["inputs"]["adain_model"], "preset": "kuniyoshi"})
        if node["class_type"] == "VAEDecode" and name in _PAINTED:
            node.update(class_type="LoadImage", inputs={"image": "painted.png"})
        elif node["class_type"] == "VAEDecode":
            node.update(class_type="AdaIN_SamplePicture", inputs={"picture": sample})
    if prompt[last]["class_type"] == "SaveVideo":
        prompt["frames"] = {"class_type": "GetVideoComponents", "inputs": {"video": prompt[last]["inputs"]["video"]}}
        prompt[last] = {"class_type": "SaveImage", "inputs": {"images": ["frames", 0], "filename_prefix": "frame"}}
    return _sample(sample), comfy.image(comfy.run(prompt).images[last][-1])


def _offer_downloads(graph: dict[str, Any]) -> None:
    """Say in `graph` where the models come from that its loaders name; the page offers to fetch those that are missing."""
    for node in graph["nodes"]:
        offered = [_MODELS[value] for value in node.get("widgets_values", []) if value in _MODELS]
        if offered:
            node["properties"]["models"] = offered


def _open_as_form(graph: dict[str, Any], fields: tuple[Field, ...]) -> None:
    """Make `graph` open in App Mode, with these `fields` and what its last nodes save."""
    nodes = {str(node["id"]): node for node in graph["nodes"]}
    for field in fields:
        (slot,) = (slot for slot in nodes[field.node]["inputs"] if slot["name"] == field.widget)
        slot["label"] = field.name
    saved = [node["id"] for node in graph["nodes"] if node["type"].startswith("Save")]
    graph["extra"] |= {"linearMode": True, "linearData": {"inputs": [[int(f.node), f.widget] for f in fields], "outputs": saved}}


def _captioned(picture: Image.Image, caption: str) -> Image.Image:
    """`picture` at the width of a thumbnail with a line of text below it."""
    picture = picture.resize((640, round(picture.height * 640 / picture.width)), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (640, picture.height + 30), "white")
    whole.paste(picture, (0, 0))
    ImageDraw.Draw(whole).text((320, picture.height + 15), caption, (40, 40, 40), ImageFont.load_default(18), "mm")
    return whole


def _drift(comfy: ComfyServer, content: Tensor) -> Image.Image:
    """Frames whose colours drift, above the same frames tied to the first: AdaIN Latent on pixels, where a video model would be."""
    count = 5
    warmth = torch.tensor([0.22, 0.02, -0.2]).view(1, 3, 1, 1)
    drifting = [((content - 0.5) * (1 - 0.35 * t) + 0.5 + warmth * t).clamp(0, 1) for t in torch.linspace(0, 1, count)]
    prompt: Prompt = {"vae": {"class_type": "VAELoader", "inputs": {"vae_name": "pixel_space"}}}
    settings = {"strength": 1.0, "frames": "each frame", "style_frames": "together", "window": 0}
    for i, frame in enumerate(drifting):
        prompt |= {
            f"frame{i}": {"class_type": "LoadImage", "inputs": {"image": comfy.put_image(f"frame{i}.png", frame)}},
            f"latent{i}": {"class_type": "VAEEncode", "inputs": {"pixels": [f"frame{i}", 0], "vae": ["vae", 0]}},
            f"tied{i}": {"class_type": "AdaIN_Latent", "inputs": {"samples": [f"latent{i}", 0], "style": ["latent0", 0]} | settings},
            f"decoded{i}": {"class_type": "VAEDecode", "inputs": {"samples": [f"tied{i}", 0], "vae": ["vae", 0]}},
            f"saved{i}": {"class_type": "SaveImage", "inputs": {"images": [f"decoded{i}", 0], "filename_prefix": "tied"}},
        }
    saved = comfy.run(prompt).images
    tied = [comfy.image(saved[f"saved{i}"][0]) for i in range(count)]
    return adain.media.images.to_pil(contact_sheet([drifting, tied], row_labels=["drifting", "AdaIN Latent"], cell=256))


def _run(page: Page) -> None:
    page.evaluate("() => { window.ended = new Promise(r => app.api.addEventListener('execution_success', r)); app.queuePrompt(0, 1) }")
    page.evaluate("() => window.ended.then(() => true)")
    page.wait_for_timeout(2000)  # until the picture and the notice of the finished job are there


def _shoot(page: Page, bounds: list[float], path: Path, width: int) -> None:
    left, top, across, down = page.evaluate(_FIT, bounds)
    page.mouse.move(5, 5)
    page.wait_for_function(r"() => !/jobs? (completed|queued)/i.test(document.body.innerText)")
    page.wait_for_timeout(500)
    shot = page.screenshot(clip={"x": left - _MARGIN, "y": top - _MARGIN, "width": across + 2 * _MARGIN, "height": down + 2 * _MARGIN})
    _save(Image.open(io.BytesIO(shot)), path, width)


def _side_by_side(content: Tensor, result: Tensor) -> Image.Image:
    left, right = adain.media.images.to_pil(content), adain.media.images.to_pil(result)
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def _save(image: Image.Image, path: Path, width: int) -> None:
    """Save `image` as JPEG of at most `width` pixels and 60 kB."""
    image = image.convert("RGB")
    image.thumbnail((width, width), Image.Resampling.LANCZOS)
    for quality in range(90, 30, -5):
        image.save(path, quality=quality, optimize=True)
        if path.stat().st_size < 60_000:
            return


if __name__ == "__main__":
    main(sys.argv[1:])

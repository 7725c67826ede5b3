"""Makes subgraphs/*.json anew: subgraphs that ComfyUI lists among its nodes, whole graphs as one node.

cd tests && python -m comfy.blueprints [NAME...]
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .browser import page_of
from .server import REPOSITORY, Prompt, running

FOLDER = REPOSITORY / "subgraphs"

Exposed = tuple[str, str, str]
"""A node, its input or output, and the name that it has outside."""


@dataclass(frozen=True)
class Blueprint:
    """A graph of which `inputs` (sockets and widgets) and `outputs` are what the node shows."""

    description: str
    aliases: tuple[str, ...]
    prompt: Prompt
    inputs: tuple[Exposed, ...]
    outputs: tuple[Exposed, ...]


def _node(kind: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs} | ({"_meta": {"title": title}} if title else {})


_MODEL = _node("AdaIN_LoadModel", model="adain-lite", precision="auto")
_PAINT = {"strength": 1.0, "color": "style", "content_scale": 1.0, "frames_per_chunk": 0}

BLUEPRINTS = {
    "Paint Like a Picture (AdaIN)": Blueprint(
        "Paints a photograph in the style of a picture: its colours, its contrast, its strokes.",
        ("style transfer", "paint like", "artistic style", "neural style", "reference style"),
        {
            "1": _MODEL,
            "2": _node("AdaIN_EncodeStyle", adain_model=["1", 0], batch="average", stroke_size=0, name=""),
            "3": _node("AdaIN_Transfer", adain_model=["1", 0], style=["2", 0], **_PAINT),
        },
        (
            ("3", "image", "image"),
            ("2", "image", "style_image"),
            ("3", "strength", "strength"),
            ("3", "color", "color"),
            ("2", "stroke_size", "stroke_size"),
        ),
        (("3", "image", "image"),),
    ),
    "Paint a Video (AdaIN)": Blueprint(
        "Paints a video in the style of a painting, of any length, held together against flicker; sound is kept.",
        ("video style transfer", "stylize video", "painted video", "video filter"),
        {
            "1": _MODEL,
            "2": _node("AdaIN_StylePreset", adain_model=["1", 0], preset="red-horse"),
            "3": _node("AdaIN_Stability", radius=8, hold=0.65, flow=False),
            "4": _node("AdaIN_Video", adain_model=["1", 0], style=["2", 0], stability=["3", 0], strength=1.0, color="style"),
        },
        (
            ("4", "video", "video"),
            ("2", "preset", "preset"),
            ("4", "strength", "strength"),
            ("4", "color", "color"),
            ("3", "hold", "hold"),
        ),
        (("4", "video", "video"),),
    ),
    "Sky and Ground (AdaIN)": Blueprint(
        "Paints the white part of a mask, such as the sky, in one style and the rest in another, with a soft border.",
        ("two styles", "regional style", "masked style transfer", "style region"),
        {
            "1": _MODEL,
            "2": _node("AdaIN_StylePreset", "Sky", adain_model=["1", 0], preset="kuniyoshi"),
            "3": _node("AdaIN_StylePreset", "Ground", adain_model=["1", 0], preset="red-horse"),
            "4": _node("AdaIN_StyleRegion", style=["2", 0], base=["3", 0], feather=48.0),
            "5": _node("AdaIN_Transfer", adain_model=["1", 0], style=["4", 0], **_PAINT),
        },
        (
            ("5", "image", "image"),
            ("4", "mask", "sky"),
            ("2", "preset", "sky_preset"),
            ("3", "preset", "ground_preset"),
            ("4", "feather", "feather"),
            ("5", "strength", "strength"),
        ),
        (("5", "image", "image"),),
    ),
    "Match the Colors of a Clip (AdaIN)": Blueprint(
        "Gives a video the colours of a picture: one change for all of its frames, so that nothing flickers; sound is kept.",
        ("color match video", "color grading", "transfer color", "match colours", "deflicker"),
        {
            "1": _node("GetVideoComponents"),
            "2": _node(
                "AdaIN_MatchColors",
                image=["1", 0],
                method="covariance",
                strength=1.0,
                space="rgb",
                statistics="whole batch",
                frame=0,
                lut="",
            ),
            "3": _node("CreateVideo", images=["2", 0], audio=["1", 1], fps=["1", 2]),
        },
        (
            ("1", "video", "video"),
            ("2", "reference", "reference"),
            ("2", "method", "method"),
            ("2", "strength", "strength"),
            ("2", "space", "space"),
        ),
        (("3", "VIDEO", "video"),),
    ),
    "Draft and Finish (AdaIN)": Blueprint(
        "Paints a picture twice in a style: a draft in an instant, and one finished by Refine with the style's own strokes, which takes "
        "minutes on a CPU and downloads VGG-19 (80 MB) once.",
        ("refine style", "neural style transfer", "gatys", "high quality style transfer"),
        {
            "1": _MODEL,
            "2": _node("AdaIN_StylePreset", adain_model=["1", 0], preset="starry-night"),
            "3": _node("AdaIN_Transfer", adain_model=["1", 0], style=["2", 0], **_PAINT),
            "4": _node(
                "AdaIN_Refine",
                style=["2", 0],
                quality="draft",
                style_weight=4.0,
                strength=1.0,
                color="style",
                stroke_size=0,
                judge="vgg-normalised",
            ),
        },
        (
            ("3", "image", "image"),
            ("4", "image", "image"),
            ("2", "preset", "preset"),
            ("4", "quality", "quality"),
            ("4", "style_weight", "style_weight"),
        ),
        (("3", "image", "draft"), ("4", "image", "finished")),
    ),
}

# Inputs of one name share one socket.
_MAKE = """
async ([name, prompt, inputs, outputs]) => {
  await app.loadApiJson(prompt, name);
  await new Promise(done => setTimeout(done, 300));
  const depth = node => Math.max(0, ...node.inputs.map((_, slot) => node.getInputNode(slot)).filter(Boolean).map(n => 1 + depth(n)));
  const rows = {};
  for (const node of app.graph._nodes) {
    const column = depth(node);
    node.setSize([Math.max(node.computeSize()[0], 250), node.computeSize()[1]]);
    node.pos = [column * 330, rows[column] ?? 0];
    rows[column] = node.pos[1] + node.size[1] + 60;
  }
  const { subgraph, node } = app.graph.convertToSubgraph(new Set(app.graph._nodes));
  const made = new Map();
  for (const [id, slot, outside] of inputs) {
    const inner = subgraph.getNodeById(id), input = inner.inputs.find(input => input.name === slot);
    if (!made.has(outside)) made.set(outside, subgraph.addInput(outside, input.type));
    made.get(outside).connect(input, inner);
  }
  for (const [id, slot, outside] of outputs) {
    const inner = subgraph.getNodeById(id), output = inner.outputs.find(output => output.name === slot);
    subgraph.addOutput(outside, output.type).connect(output, inner);
  }
  subgraph.name = node.title = name;
  node.pos = [0, 0];
  node.setSize(node.computeSize());
  const { definitions, ...graph } = app.graph.serialize();
  return { ...graph, definitions };
}
"""


def main(names: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), faults=False, name="adain-style-transfer") as comfy:
        for name, blueprint in BLUEPRINTS.items():
            if names and name not in names:
                continue
            with page_of(comfy.address) as page:
                graph = page.evaluate(_MAKE, [name, blueprint.prompt, blueprint.inputs, blueprint.outputs])
            (definition,) = graph["definitions"]["subgraphs"]
            definition |= {"description": blueprint.description, "category": "AdaIN"}
            graph["extra"] = {"BlueprintDescription": blueprint.description, "BlueprintSearchAliases": list(blueprint.aliases)}
            (FOLDER / f"{name}.json").write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Workflows that version 0.1.0 saved, opened in today's page and run by today's nodes.

saved/first.json is the first graph of quick_start there was, saved/sampled.json the one of the first day of today's presets, and
saved/sampled.png what the nodes of that day made of it, at a quarter of its size.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")

from adain_style_transfer import adain, weights

SAVED = Path(__file__).parent / "saved"


def prompt_of(page, name):
    """What the page sends for the graph; its nodes are all known, and none of its links got lost."""
    graph = json.loads((SAVED / f"{name}.json").read_text())
    page.evaluate("async graph => { await app.loadGraphData(graph); await new Promise(done => setTimeout(done, 300)) }", graph)
    assert not page.evaluate("app.graph._nodes.filter(n => !LiteGraph.registered_node_types[n.type]).map(n => n.type)")
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    for _, origin, slot, target, index, _ in graph["links"]:
        (node,) = (node for node in graph["nodes"] if node["id"] == target)
        assert prompt[str(target)]["inputs"][node["inputs"][index]["name"]] == [str(origin), slot]
    return prompt


def painted(comfy, prompt):
    outcome = comfy.run(prompt)
    assert not outcome.error
    return comfy.image(outcome.images["5"][0])


def test_the_first_graph(page, comfy, model, load):
    prompt = prompt_of(page, "first")
    transfer = prompt["4"]["inputs"]
    assert {key: transfer[key] for key in ("strength", "color", "content_scale", "frames_per_chunk")} == {
        "strength": 1,
        "color": "style",
        "content_scale": 1,
        "frames_per_chunk": 0,
    }
    expected = adain.stylize(model, load("example.png"), weights.load_preset(model, "great-wave"))
    got = painted(comfy, prompt)
    assert got.shape == expected.shape
    assert (got - expected).abs().mean() < 1.5 / 255


def test_a_graph_paints_what_it_painted(page, comfy):
    got = painted(comfy, prompt_of(page, "sampled"))
    kept = adain.read_picture(SAVED / "sampled.png").rgb
    small = got.unfold(2, 4, 4).unfold(3, 4, 4).mean((-1, -2))
    assert small.shape == kept.shape
    assert (small - kept).abs().mean() < 1 / 255
    assert (small - kept).abs().max() < 8 / 255

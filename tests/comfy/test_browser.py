"""The example workflows in ComfyUI's page."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")

from comfy.browser import find_chromium, page_of, wait_for_nodes
from comfy.server import EXAMPLES, example

GRAPHS = sorted(EXAMPLES.glob("*.json"))

# Names that a fresh ComfyUI lists: what a checkpoint or a video is called is for the user to choose.
_FILES = {"LoadImage", "LoadVideo", "CheckpointLoaderSimple"}


@pytest.fixture(scope="module")
def page(comfy):
    if find_chromium() is None:
        pytest.skip("no chromium found: install it, or set CHROMIUM")
    with page_of(comfy.address) as opened:
        yield opened


def prompt_of(page, path):
    page.evaluate(
        "async graph => { await app.loadGraphData(graph); await new Promise(r => setTimeout(r, 200)) }", json.loads(path.read_text())
    )
    return page.evaluate("async () => (await app.graphToPrompt()).output")


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_graph_is_whole_and_equals_its_api_form(page, path):
    prompt = prompt_of(page, path)
    assert not page.evaluate("app.graph._nodes.filter(n => !LiteGraph.registered_node_types[n.type]).map(n => n.type)")
    expected = example(path.stem)
    got = {key: node for key, node in prompt.items() if node["class_type"] != "MarkdownNote"}
    assert got.keys() == expected.keys()
    for key, node in expected.items():
        assert got[key]["class_type"] == node["class_type"]
        if node["class_type"] not in _FILES:
            assert {k: v for k, v in got[key]["inputs"].items() if k in node["inputs"]} == node["inputs"]


def test_first_click(page):
    prompt_of(page, EXAMPLES / "quick_start.json")
    outcome = page.evaluate("""() => new Promise(done => {
      for (const kind of ['execution_success', 'execution_error']) app.api.addEventListener(kind, () => done(kind), {once: true});
      app.queuePrompt(0, 1);
    })""")
    assert outcome == "execution_success"


def test_weights_of_a_blend_are_sliders_that_follow_the_number_of_styles(page):
    prompt_of(page, EXAMPLES / "two_styles_blended.json")
    widgets = """(count) => {
      const node = app.graph._nodes.find(n => n.type === 'AdaIN_BlendStyles');
      if (count) { node.widgets[0].value = count; node.widgets[0].callback?.(count); }
      return [node.widgets.map(w => w.type), node.inputs.filter(i => i.name.includes('style_')).map(i => i.link !== null)];
    }"""
    assert page.evaluate(widgets, "") == [["combo", "slider", "slider"], [True, True]]
    kinds, linked = page.evaluate(widgets, "4")
    assert kinds == ["combo"] + ["slider"] * 4
    assert sorted(linked) == [False, False, True, True]


def test_sockets_that_appear_while_connecting_are_translated(page):
    """Style Grid's list grows on the page, where the translations of its sockets have to be found."""
    set_language(page, "zh")
    names = page.evaluate("() => LiteGraph.createNode('AdaIN_StyleGrid').inputs.map(input => [input.name, input.localized_name])")
    assert dict(names)["styles.style_0"] == "风格 1"
    assert dict(names)["images"] == "图像"


def set_language(page, language):
    page.evaluate("language => app.extensionManager.setting.set('Comfy.Locale', language)", language)
    page.reload(timeout=120_000)
    wait_for_nodes(page)

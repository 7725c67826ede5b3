"""The example workflows in ComfyUI's page."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")

from adain_style_transfer.weights.presets import FIRST_PRESET
from comfy.browser import wait_for_nodes
from comfy.server import EXAMPLES, example

GRAPHS = sorted(EXAMPLES.glob("*.json"))

# Names that a fresh ComfyUI lists: what a checkpoint or a video is called is for the user to choose.
_FILES = {"LoadImage", "LoadVideo", "CheckpointLoaderSimple"}


def prompt_of(page, path):
    page.evaluate(
        "async graph => { await app.loadGraphData(graph); await new Promise(r => setTimeout(r, 200)) }", json.loads(path.read_text())
    )
    return page.evaluate("async () => (await app.graphToPrompt()).output")


def run(page):
    return page.evaluate("""() => new Promise(done => {
      for (const kind of ['execution_success', 'execution_error']) app.api.addEventListener(kind, () => done(kind), {once: true});
      app.queuePrompt(0, 1);
    })""")


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
    assert run(page) == "execution_success"


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


def test_weights_of_a_blend_stay_when_their_number_changes(page):
    prompt_of(page, EXAMPLES / "two_styles_blended.json")
    weights = """(count) => {
      const node = app.graph._nodes.find(n => n.type === 'AdaIN_BlendStyles');
      if (count) { node.widgets[0].value = count; node.widgets[0].callback?.(count); }
      return node.widgets.slice(1).map(w => w.value);
    }"""
    assert page.evaluate(weights, "") == [0.7, 0.3]
    assert page.evaluate(weights, "3") == [0.7, 0.3, 1]
    page.evaluate("() => { app.graph._nodes.find(n => n.type === 'AdaIN_BlendStyles').widgets[3].value = 0.25 }")
    assert page.evaluate(weights, "2") == [0.7, 0.3]
    assert page.evaluate(weights, "4") == [0.7, 0.3, 0.25, 1]
    sent = page.evaluate("async () => (await app.graphToPrompt()).output['5'].inputs")
    assert [sent[f"styles.weight_{i}"] for i in (1, 2, 3, 4)] == [0.7, 0.3, 0.25, 1]


def test_sockets_of_a_growing_list_count_from_1(page):
    names = """() => {
      const node = app.graph._nodes.find(n => n.type === 'AdaIN_StyleGrid');
      return node.inputs.filter(i => i.name.startsWith('styles.')).map(i => i.label ?? i.localized_name);
    }"""
    prompt_of(page, EXAMPLES / "style_grid.json")
    assert page.evaluate(names) == [f"style {i}" for i in range(1, 7)]
    page.evaluate("""() => {
      const preset = LiteGraph.createNode('AdaIN_StylePreset'), grid = app.graph._nodes.find(n => n.type === 'AdaIN_StyleGrid');
      app.graph.add(preset);
      preset.connect(0, grid, grid.inputs.findIndex(i => i.name === 'styles.style_5'));
    }""")
    assert page.evaluate(names) == [f"style {i}" for i in range(1, 8)]


def test_save_style_says_where(page):
    prompt_of(page, EXAMPLES / "quick_start.json")
    page.evaluate("""() => {
      const save = LiteGraph.createNode('AdaIN_SaveStyle');
      app.graph.add(save);
      app.graph._nodes.find(n => n.type === 'AdaIN_StylePreset').connect(0, save, 0);
    }""")
    assert run(page) == "execution_success"
    node = "app.graph._nodes.find(n => n.type === 'AdaIN_SaveStyle')"
    page.wait_for_function(f"() => {node}.widgets.length === 2")
    said = page.evaluate(f"() => {node}.widgets[1].value")
    assert said.startswith("Saved as ") and said.endswith("my style.safetensors")
    assert page.evaluate(f"() => {node}.serialize().widgets_values") == ["my style"]
    assert run(page) == "execution_success"
    assert page.evaluate(f"() => {node}.widgets.length") == 2


def test_match_colors_says_where_the_cube_file_is(page):
    page.evaluate("""() => {
      app.graph.clear();
      const [sample, match, preview] = ['AdaIN_SamplePicture', 'AdaIN_MatchColors', 'PreviewImage'].map(type => LiteGraph.createNode(type));
      [sample, match, preview].forEach(node => app.graph.add(node));
      sample.connect(0, match, 0);
      sample.connect(0, match, 1);
      match.connect(0, preview, 0);
      match.widgets.find(widget => widget.name === 'lut').value = 'look';
    }""")
    assert run(page) == "execution_success"
    node = "app.graph._nodes.find(n => n.type === 'AdaIN_MatchColors')"
    page.wait_for_function(f"() => {node}.widgets.some(widget => widget.name === 'text')")
    said = page.evaluate(f"() => {node}.widgets.find(widget => widget.name === 'text').value")
    assert said.startswith("Saved as ") and said.endswith("look.cube")
    assert page.evaluate(f"() => {node}.serialize().widgets_values") == ["covariance", 1, "rgb", "each frame", 0, "look"]


def test_load_style_says_that_nothing_is_saved(page):
    assert page.evaluate("() => LiteGraph.createNode('AdaIN_LoadStyle').widgets[0].value") != "undefined"


def test_a_saved_workflow_of_stylize_keeps_its_links_and_values(page):
    """Its style picture was required and there was no preset."""
    graph = """async () => {
      const node = (id, type, outputs, inputs, values) => ({
        id, type, pos: [300 * id, 0], size: [250, 200], flags: {}, order: id, mode: 0, properties: {}, outputs, inputs,
        widgets_values: values });
      const image = links => [{ name: 'IMAGE', type: 'IMAGE', links }];
      const slot = (name, type, link) => ({ name, type, link });
      await app.loadGraphData({ last_node_id: 4, last_link_id: 3, version: 0.4, groups: [], config: {}, extra: {}, links: [
        [1, 1, 0, 3, 0, 'IMAGE'], [2, 2, 0, 3, 1, 'IMAGE'], [3, 3, 0, 4, 0, 'IMAGE']], nodes: [
        node(1, 'LoadImage', image([1]), [], ['photo.png', 'image']),
        node(2, 'LoadImage', image([2]), [], ['painting.png', 'image']),
        node(3, 'AdaIN_Stylize', image([3]), [slot('image', 'IMAGE', 1), slot('style_image', 'IMAGE', 2), slot('mask', 'MASK', null),
          slot('adain_model', 'ADAIN_MODEL', null)], [0.6, 'keep', 256]),
        node(4, 'SaveImage', [], [slot('images', 'IMAGE', 3)], ['old'])] });
      await new Promise(done => setTimeout(done, 300));
      return (await app.graphToPrompt()).output['3'].inputs;
    }"""
    linked = {"image": ["1", 0], "style_image": ["2", 0]}
    kept = {"strength": 0.6, "color": "keep", "stroke_size": 256}
    default = {"preset": FIRST_PRESET, "invert_mask": False, "grow": 0, "feather": 0}
    assert page.evaluate(graph) == linked | kept | default


def test_sockets_that_appear_while_connecting_are_translated(chinese):
    """Style Grid's list grows on the page, where the translations of its sockets have to be found."""
    names = chinese.evaluate("() => LiteGraph.createNode('AdaIN_StyleGrid').inputs.map(input => [input.name, input.localized_name])")
    assert dict(names)["styles.style_0"] == "风格 1"
    assert dict(names)["images"] == "图像"


@pytest.fixture
def chinese(page):
    """The page in Chinese; in English again afterwards, as the server keeps the choice for every later page."""
    set_language(page, "zh")
    yield page
    set_language(page, "en")


def set_language(page, language):
    page.evaluate("language => app.extensionManager.setting.set('Comfy.Locale', language)", language)
    page.reload(timeout=120_000)
    wait_for_nodes(page)

"""Choosing a preset by looking, in ComfyUI's page."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")

from adain_style_transfer.weights.presets import presets
from comfy.server import EXAMPLES


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "Nodes 2.0"])
def page(page, request):
    set_to = "value => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', value)"
    page.evaluate(set_to, request.param)
    yield page
    page.evaluate(set_to, False)


def open_graph(page, name):
    graph = json.loads((EXAMPLES / f"{name}.json").read_text())
    graph["extra"]["linearMode"] = False  # the nodes, not the form
    page.evaluate("async graph => { await app.loadGraphData(graph); await new Promise(r => setTimeout(r, 500)) }", graph)


def chosen(page, kind):
    """The value of `preset`, the name of the picture that is shown, and whether that picture is there."""
    return page.evaluate(
        """kind => {
          const node = app.graph._nodes.find(n => n.type === kind);
          const image = node.widgets.find(w => w.name === 'preset_picture').element;
          return [node.widgets.find(w => w.name === 'preset').value, image.src.match(/([^/]+)[.]jpg$/)[1], image.naturalWidth > 0];
        }""",
        kind,
    )


@pytest.mark.parametrize(("graph", "kind"), [("quick_start", "AdaIN_StylePreset"), ("one_node", "AdaIN_Stylize")])
def test_a_node_shows_its_preset_and_all_of_them_by_one_click(page, graph, kind):
    open_graph(page, graph)
    before = page.evaluate("async () => (await app.graphToPrompt()).output")
    name, shown, there = chosen(page, kind)
    assert name == shown and there
    image = f"app.graph._nodes.find(n => n.type === '{kind}').widgets.find(w => w.name === 'preset_picture').element"
    page.evaluate(f"{image}.click()")
    dialog = page.locator("dialog.adain-presets")
    assert dialog.locator("img").count() == len(presets())
    dialog.get_by_role("searchbox").fill("KLIMT adele")
    visible = dialog.locator("section button:visible")
    assert visible.count() == 1
    visible.click()
    dialog.wait_for(state="detached")
    page.wait_for_function(f"{image}.complete && {image}.naturalWidth > 0")
    assert chosen(page, kind) == ["adele", "adele", True]
    after = page.evaluate("async () => (await app.graphToPrompt()).output")
    changed = {(key, name) for key in after for name in after[key]["inputs"] if after[key]["inputs"][name] != before[key]["inputs"][name]}
    assert {name for _, name in changed} == {"preset"}  # and nothing of the picture is sent


def test_a_saved_workflow_keeps_its_values_beside_the_picture(page):
    open_graph(page, "one_node")
    values = """() => app.graph._nodes.find(n => n.type === 'AdaIN_Stylize').widgets.filter(w => w.serialize !== false).map(w => w.value)"""
    before = page.evaluate(values)
    saved = page.evaluate("app.graph.serialize()")
    page.evaluate("async graph => { await app.loadGraphData(graph); await new Promise(r => setTimeout(r, 500)) }", saved)
    assert page.evaluate(values) == before


def test_the_command_adds_a_node_with_the_preset(page):
    page.evaluate("app.graph.clear()")
    page.evaluate("app.extensionManager.command.execute('AdaIN.ChoosePreset')")
    page.locator("dialog.adain-presets section button").first.click()
    name, shown, _ = chosen(page, "AdaIN_Stylize")
    assert name == shown == next(iter(presets()))


def test_it_closes_by_escape(page):
    page.evaluate("app.extensionManager.command.execute('AdaIN.ChoosePreset')")
    page.keyboard.press("Escape")
    page.locator("dialog.adain-presets").wait_for(state="detached")

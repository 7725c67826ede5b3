"""Example workflows as forms: ComfyUI's App Mode, on a phone."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")

from adain_style_transfer import adain, weights
from adain_style_transfer.weights.presets import FIRST_PRESET
from adain_style_transfer.weights.samples import sample_names, sample_path
from comfy.browser import find_chromium, page_of
from comfy.server import EXAMPLES, REPOSITORY

GRAPHS = {path.stem: json.loads(path.read_text()) for path in sorted(EXAMPLES.glob("*.json"))}
FORMS = [name for name, graph in GRAPHS.items() if graph["extra"].get("linearMode")]

_LOADERS = {"CheckpointLoaderSimple", "UNETLoader"}
_FIELD = "[data-testid=app-mode-widget-item]"


@pytest.fixture(scope="module")
def phone(comfy):
    if find_chromium() is None:
        pytest.skip("no chromium found: install it, or set CHROMIUM")
    with page_of(comfy.address, width=390, height=844) as opened:
        yield opened


def show(page, name):
    page.evaluate(
        "async graph => { await app.loadGraphData(graph); await new Promise(done => setTimeout(done, 500)) }",
        GRAPHS[name],
    )
    if not page.get_by_test_id("linear-mobile").count():
        pytest.skip("this release of ComfyUI has no App Mode for phones: its frontend is older than 1.41.13")
    page.get_by_text("Edit & Run").click()


def run(page):
    page.evaluate("""() => { window.ended = new Promise(done => {
      for (const kind of ['execution_success', 'execution_error']) app.api.addEventListener(kind, () => done(kind), {once: true});
    }) }""")
    page.get_by_test_id("linear-run-button").get_by_role("button", name="Run", exact=True).click()
    assert page.evaluate("window.ended") == "execution_success"


def test_what_needs_no_model_of_the_users_is_a_form():
    without = {name for name, graph in GRAPHS.items() if not any(node["type"] in _LOADERS for node in graph["nodes"])}
    assert set(FORMS) == without


@pytest.mark.parametrize("name", FORMS)
def test_every_field_is_there_and_tells_itself_from_the_others(phone, name):
    show(phone, name)
    fields = [field.inner_text().split("\n")[0] for field in phone.locator(_FIELD).all()]
    assert len(fields) == len(GRAPHS[name]["extra"]["linearData"]["inputs"]) == len(set(fields))
    assert fields[0] == ("file" if "video" in name or "time" in name else "picture")
    assert "strength" in fields
    assert all(field.is_visible() for field in phone.locator(_FIELD).all())


@pytest.mark.parametrize("name", FORMS)
def test_what_a_form_shows_is_what_its_graph_saves(name):
    graph = GRAPHS[name]
    saved = [node["id"] for node in graph["nodes"] if node["type"] in ("SaveImage", "SaveVideo")]
    assert graph["extra"]["linearData"]["outputs"] == saved != []


def test_a_photograph_from_the_phone_is_painted(phone, comfy, model, tmp_path):
    photo = tmp_path / "from the phone.jpg"
    adain.write_picture(photo, adain.read_picture(sample_path("cat")).resized((96, 144)).rgb)
    show(phone, "quick_start")
    phone.locator(f"{_FIELD} input[type=file]").first.set_input_files(photo)
    phone.locator(_FIELD, has_text=photo.name).wait_for()
    run(phone)
    phone.get_by_text("Outputs", exact=True).click()
    shown = phone.locator("[data-testid=linear-mobile] img[src*='quick_start']").first
    shown.wait_for()
    size = "image => image.decode().then(() => [image.naturalHeight, image.naturalWidth])"
    assert shown.evaluate(size) == [96, 144]
    painted = adain.read_picture(sorted((comfy.base / "output" / "adain").glob("quick_start_*.png"))[-1]).rgb
    expected = adain.stylize(model, adain.read_picture(photo).rgb, weights.load_preset(model, FIRST_PRESET))
    assert (painted - expected).abs().mean() < 1.5 / 255


def test_samples_are_chosen_by_looking(phone):
    """They are not in the input folder, where the page looks for them."""
    show(phone, "quick_start")
    phone.locator(f"{_FIELD} button", has_text=sample_names()[0]).click()
    for name in sample_names():
        thumbnail = phone.get_by_alt_text(name, exact=True)
        thumbnail.wait_for()
        phone.wait_for_function("name => document.querySelector(`img[alt=${name}]`).naturalWidth > 0", arg=name)
    phone.keyboard.press("Escape")


def test_the_page_knows_every_sample():
    script = (REPOSITORY / "web" / "adain.js").read_text()
    assert f"const SAMPLES = {sample_names()!r}".replace('"', "'") in script
    assert {path.stem for path in (REPOSITORY / "web" / "samples").iterdir()} == set(sample_names())

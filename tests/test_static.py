"""The static page in chromium, against the library; built once, which needs npm."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from contextlib import contextmanager

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.app.static_server import static_server
from adain_style_transfer.app.static_site import static_site
from adain_style_transfer.cli import main as cli
from adain_style_transfer.cli.app import _write_model  # pyright: ignore[reportPrivateUsage]

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")
pytest.importorskip("onnxscript", reason="building the page needs the extra: pip install adain-style-transfer[onnx]")

from comfy.browser import find_chromium
from playwright.sync_api import sync_playwright

OFFLINE = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built page."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, which builds the page")
    if find_chromium() is None:
        pytest.skip("no chromium found: install it, or set CHROMIUM")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAIN_MODELS", str(tmp_path_factory.mktemp("models")))
        try:
            yield static_site(_write_model, lambda: None)
        except adain.AdaINError as error:
            if any(word in str(error) for word in OFFLINE):
                pytest.skip(f"the npm registry cannot be reached: {error}")
            raise


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """What GitHub Pages does: files, without any header of ours."""

    def log_message(self, format, *_):
        pass


def plain_server(folder):
    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        flags += ["--use-fake-device-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        yield browser
        browser.close()


@contextmanager
def visit(browser, address, **options):
    """A page at `address`, painted once. What its console says, and whom it asks, is in `said` and `asked`; errors fail the test."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, "locale": "en-US", **options})
    page = context.new_page()
    page.said, page.asked = [], set()
    page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.said.append(f"error: {error}"))
    context.on("request", lambda request: page.asked.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
    page.goto(address)
    try:
        yield page
    finally:
        context.close()
    assert page.said == [] and page.asked == {address.split("/")[2]}


def painted(page):
    page.wait_for_selector("body[data-painted=yes]", timeout=90_000)


@pytest.fixture(scope="module")
def page(site, browser):
    with serving(static_server(site, "127.0.0.1", 0)) as address, visit(browser, address) as opened:
        painted(opened)
        opened.address = address
        yield opened


@pytest.fixture(scope="module")
def model():
    return weights.load_model(device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    photo = adain.read_picture(weights.samples.sample_path("cat")).resized((211, 300))
    adain.write_picture(folder / "photo.png", photo.rgb)
    adain.write_picture(folder / "art.png", samples.picture(90, 130, seed=1))
    return folder


def open_photo(page, path):
    page.locator("#file").set_input_files(path)
    page.wait_for_selector("body[data-painted='']", state="attached")
    painted(page)


def choose(page, name, slot=0):
    page.locator(".slot").nth(slot).click()
    page.locator(f".card[data-name='{name}']").click()


def download(page):
    with page.expect_download(timeout=180_000) as found:
        page.locator("#save").click()
    return found.value


def difference(page, expected):
    """Of the downloaded picture from the library's, in 255ths, and the file's name."""
    found = download(page)
    got = adain.read_picture(found.path())
    assert got.rgb.shape == expected.shape
    return float((got.rgb - expected).abs().max() * 255), found.suggested_filename


def test_a_preset_a_strength_and_a_blend_equal_the_librarys(page, files, model):
    open_photo(page, files / "photo.png")
    photo = adain.read_picture(files / "photo.png")
    great_wave, scream = (weights.load_preset(model, name) for name in ("great-wave", "the-scream"))
    choose(page, "great-wave")
    apart, name = difference(page, adain.stylize(model, photo, great_wave))
    assert apart < 2 and name == "photo-great-wave.png"
    for strength in (0.5, 1.6):
        page.locator("#strength").fill(str(strength))
        assert difference(page, adain.stylize(model, photo, great_wave, strength=strength))[0] < 2
    page.locator("#strength").fill("1")
    choose(page, "the-scream", slot=1)
    page.locator("#weight").fill("25")
    painted(page)
    blend = adain.Style.blend([great_wave, scream], [0.75, 0.25])
    assert difference(page, adain.stylize(model, photo, blend))[0] < 2
    page.locator(".remove").click()
    painted(page)


def test_a_painting_of_ones_own_equals_the_librarys(page, files, model):
    open_photo(page, files / "photo.png")
    page.locator("#own").set_input_files(files / "art.png")
    page.wait_for_selector(".card[data-name^=own][aria-pressed=true]", timeout=60_000)
    style = model.encode_style(adain.read_picture(files / "art.png"))
    assert difference(page, adain.stylize(model, adain.read_picture(files / "photo.png"), style))[0] < 2


def test_the_command_writes_the_page(site, tmp_path, capsys, monkeypatch):
    assert cli(["app", "--static", "--out", str(tmp_path / "page")]) == 0
    assert (tmp_path / "page" / "index.html").is_file() and (tmp_path / "page" / "model" / "pixels.onnx").is_file()
    assert cli(["app", "--static", "--out", str(tmp_path / "page")]) == 1
    assert "is there already" in capsys.readouterr().err
    assert cli(["app", "--out", str(tmp_path / "page")]) == 1
    assert "Add --static" in capsys.readouterr().err


def test_without_npm(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ADAIN_MODELS", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert cli(["app", "--static"]) == 1
    assert "needs npm, which was not found. Install Node.js" in capsys.readouterr().err

"""The static page in chromium, against the library; built once, which needs npm."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.media.images import to_pil
from adain_style_transfer.app.static_server import static_server
from adain_style_transfer.app.static_site import static_site
from adain_style_transfer.cli import main as cli
from adain_style_transfer.cli.app import _write_model  # pyright: ignore[reportPrivateUsage]
from PIL import Image

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")
pytest.importorskip("onnxscript", reason="building the page needs the extra: pip install adain-style-transfer[onnx]")

from comfy.browser import find_chromium
from playwright.sync_api import sync_playwright


def lacking():
    """What building the page lacks here; empty if nothing."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "Node.js is not installed, which builds the page"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    if tuple(map(int, version.lstrip("v").split(".")[:2])) < (20, 19):
        return f"building the page needs Node.js 20.19 or later, not {version}"
    if find_chromium() is None:
        return "no chromium found: install it, or set CHROMIUM"
    reached = subprocess.run(["npm", "view", "vite", "version", "--fetch-retries=0"], capture_output=True, timeout=120)
    return "the npm registry cannot be reached" if reached.returncode else ""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built page."""
    if reason := lacking():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAIN_MODELS", str(tmp_path_factory.mktemp("models")))
        yield Path(os.environ["ADAIN_TEST_PAGE"]) if "ADAIN_TEST_PAGE" in os.environ else static_site(_write_model, lambda: None)


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
    context.on("request", lambda request: page.asked.add(urlsplit(request.url).netloc) if request.url.startswith("http") else None)
    page.goto(address)
    try:
        yield page
    finally:
        context.close()
    assert page.said == [] and page.asked <= {urlsplit(address).netloc}


def painted(page, before=""):
    """Wait until what was asked for is painted; that is another picture than the one with the number `before`."""
    page.wait_for_selector(f"body[data-painted]:not([data-painted='']):not([data-painted='{before}'])", timeout=90_000)


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
    before = page.locator("body").get_attribute("data-painted")
    page.locator("#file").set_input_files(path)
    painted(page, before)


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


@pytest.fixture(scope="module")
def large(files):
    """Four megapixels, with soft and hidden parts."""
    photo = adain.read_picture(weights.samples.sample_path("coffee"))
    rgb = torch.nn.functional.interpolate(photo.rgb, (1640, 2460), mode="bicubic").clamp(0, 1)
    alpha = torch.nn.functional.interpolate(samples.soft_mask(41, 60), (1640, 2460), mode="bilinear")
    alpha[..., :700, 1500:] = 0
    adain.write_picture(files / "large.png", rgb, alpha)
    return files / "large.png"


def test_a_large_download_in_tiles_equals_the_librarys(page, large, model):
    open_photo(page, large)
    choose(page, "red-horse")
    assert page.locator("#size").input_value() == "2460"
    assert page.locator("#size option").all_inner_texts() == ["768 × 512 (as shown)", "2048 × 1365", "2460 × 1640 (full size)"]
    found = adain.read_picture(download(page).path())
    photo = adain.read_picture(large)
    in_bytes = (photo.rgb * 255).round() / 255  # as the page holds hidden pixels too
    expected = adain.stylize(model, replace(photo, rgb=in_bytes), weights.load_preset(model, "red-horse"))
    assert found.rgb.shape == expected.shape and found.alpha is not None and photo.alpha is not None
    assert (found.alpha - photo.alpha).abs().max() < 0.5 / 255
    assert ((found.rgb - expected) * (photo.alpha > 0)).abs().max() * 255 < 2
    assert "2460 × 1640" in page.inner_text("#status")


def test_a_download_is_cancelled(page, large, files):
    open_photo(page, large)
    page.locator("#save").click()
    page.locator("#cancel").click()
    page.get_by_text("The download was cancelled.").wait_for(timeout=60_000)
    assert page.locator("#save").is_visible() and not page.locator("#progress").is_visible()
    open_photo(page, files / "photo.png")  # and the page goes on
    assert download(page).suggested_filename.startswith("photo-")


# Files that visitors have


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    picture = samples.picture(300, 300)
    adain.write_picture(folder / "whole.png", picture)
    data = (folder / "whole.png").read_bytes()
    (folder / "damaged.png").write_bytes(data[:60] + bytes(3000))
    (folder / "notes.png").write_text("no picture")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + data)
    (folder / "scan.tif").write_bytes(b"II*\0" + data)
    return folder


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("notes.png", "This is not a picture. Choose a JPEG"),
        ("damaged.png", "This picture is damaged"),
        ("empty.jpg", "This file is empty"),
        ("phone.heic", "cannot read HEIC photographs. Save it as JPEG"),
        ("scan.tif", "cannot read TIFF"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(page, bad, files, name, words):
    for place in ("#file", "#own"):
        page.locator(place).set_input_files(bad / name)
        page.locator("#problem", has_text=words).wait_for()
        open_photo(page, files / "photo.png")  # which takes the sentence away
        assert not page.locator("#problem").is_visible()


def test_of_what_moves_the_first_picture_is_painted(page, files):
    frames = [to_pil(samples.picture(40, 60, seed=i)) for i in range(3)]
    for name in ("moving.gif", "moving.png", "moving.webp"):
        frames[0].save(files / name, save_all=True, append_images=frames[1:])
        open_photo(page, files / name)
        assert "Its first image is painted" in page.inner_text("#notice")
    open_photo(page, files / "photo.png")
    assert not page.locator("#notice").is_visible()


def test_photographs_of_phones(page, files):
    """Sixty megapixels, on their side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(weights.samples.sample_path("coffee")).resize((9000, 6700)).save(files / "phone.jpg", exif=exif)
    open_photo(page, files / "phone.jpg")
    assert page.locator("#size option").all_inner_texts()[-1] == "6700 × 9000 (full size)"
    open_photo(page, files / "photo.png")


def test_a_photograph_is_dropped_and_pasted(page, files):
    script = """async ([kind, bytes]) => {
      const transfer = new DataTransfer()
      transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.png', {type: 'image/png'}))
      const given = kind === 'drop' ? new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true})
                                    : new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true})
      document.querySelector('#stage').dispatchEvent(given)
    }"""
    for kind in ("drop", "paste"):
        page.evaluate(script, [kind, list((files / "art.png").read_bytes())])
        page.wait_for_selector("#size option:has-text('130 × 90')", state="attached")
        open_photo(page, files / "photo.png")


# What it is like to use


def test_the_slider_is_moved_by_keys(page):
    handle = page.get_by_role("slider", name="Before and after")
    handle.focus()
    seen = []
    for key in ("Home", "ArrowRight", "ArrowUp", "PageUp", "ArrowLeft", "End", "PageDown"):
        page.keyboard.press(key)
        seen.append(int(handle.get_attribute("aria-valuenow")))
    assert seen == [0, 2, 4, 14, 12, 100, 90]
    box = page.locator("#stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 20)
    assert handle.get_attribute("aria-valuenow") == "25"


def test_styles_are_searched_for(page):
    page.get_by_label("Artist, title or kind of art").fill("van gogh night")
    assert page.locator("#gallery button.card:visible").evaluate_all("cards => cards.map(card => card.dataset.name)") == [
        "starry-night",
        "cafe-terrace",
    ]
    page.get_by_label("Artist, title or kind of art").fill("nobody")
    assert page.locator("#nothing").is_visible()
    page.get_by_label("Artist, title or kind of art").fill("")


def test_everything_has_a_name(page):
    """Buttons, fields and pictures, for screen readers; and tabulators reach them."""
    nameless = page.evaluate("""() => [...document.querySelectorAll('button, select, input, img, [role=slider]')].filter(element =>
        element.checkVisibility() && !element.hasAttribute('alt') && !element.getAttribute('aria-label') &&
        !element.textContent.trim() && !element.labels?.length && !element.querySelector('img[alt]:not([alt=""])')
    ).map(element => element.outerHTML)""")
    assert nameless == []


def test_it_speaks_the_visitors_language(site, browser):
    with serving(static_server(site, "127.0.0.1", 0)) as address:
        for locale, words in (("zh-CN", "打开照片"), ("ja-JP", "写真を開く"), ("de-DE", "Open a photograph")):
            with visit(browser, address, locale=locale) as page:
                assert page.locator("#sources label").inner_text() == words
                page.locator("#language").select_option("ja")
                assert page.locator("#save").inner_text() == "PNG をダウンロード" and page.title() == "AdaIN スタイル変換"
                painted(page)
                assert "スレッドで描いています" in page.inner_text("#engine")


# Where it runs

THREADS = "threads." if (os.cpu_count() or 1) > 1 else "one thread."


def test_it_says_what_paints(page):
    assert page.inner_text("#engine").endswith(THREADS)


def test_it_works_without_a_network_after_the_first_visit(site, browser):
    with visit(browser, "about:blank") as page:
        with serving(static_server(site, "127.0.0.1", 0)) as address:
            page.goto(address)
            page.get_by_text("This page now works without a network too.").wait_for(timeout=90_000)
        page.context.set_offline(True)  # the server is gone as well
        page.reload()
        painted(page)
        choose(page, "great-wave")
        painted(page)
        assert page.inner_text("#engine").endswith(THREADS)
        image = page.locator(".card[data-name=adele] img")  # not seen before
        image.scroll_into_view_if_needed()
        assert image.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 100
        page.asked.discard(urlsplit(address).netloc)


def test_in_a_folder_of_a_host_that_sends_no_headers(site, browser, tmp_path):
    """As on GitHub Pages: the page gives itself the headers, unless service workers are forbidden too."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "page").symlink_to(site)
    with serving(plain_server(tmp_path)) as address:
        with visit(browser, f"{address}some/page/") as page:
            page.wait_for_selector(f"#engine:has-text('{THREADS}')", timeout=90_000)
            painted(page)
        with visit(browser, f"{address}some/page/", service_workers="block") as page:
            painted(page)
            assert "one thread: the server does not send the headers" in page.inner_text("#engine")
            page.said.remove("warning: Service Worker registration blocked by Playwright")


def test_where_storage_is_denied(site, browser):
    deny = """for (const name of ['localStorage', 'sessionStorage', 'caches'])
      Object.defineProperty(window, name, {get() { throw new DOMException('denied', 'SecurityError') }})
    navigator.serviceWorker.register = () => Promise.reject(new DOMException('denied', 'SecurityError'))"""
    with serving(static_server(site, "127.0.0.1", 0)) as address, visit(browser, "about:blank") as page:
        page.add_init_script(deny)
        page.goto(address)
        painted(page)
        page.locator("#language").select_option("zh")
        assert page.title() == "AdaIN 风格迁移"
        page.asked.discard(urlsplit(address).netloc)


@pytest.fixture
def altered(site, tmp_path):
    """A copy of the page."""
    return Path(shutil.copytree(site, tmp_path / "page"))


def test_where_files_of_the_model_are_missing(altered, browser):
    (altered / "model" / "pixels.onnx").unlink()
    with serving(static_server(altered, "127.0.0.1", 0)) as address, visit(browser, address) as page:
        page.get_by_text("Files of this page’s model are missing on the server").wait_for(timeout=60_000)
        assert [line for line in page.said if "404" not in line] == []
        page.said.clear()


SHORT_OF_MEMORY = """
import * as whole from './whole.mjs'
export const { env, Tensor } = whole
export const InferenceSession = {
  async create(...given) {
    const session = await whole.InferenceSession.create(...given)
    const run = feeds => {
      const [, , height, width] = feeds.picture?.dims ?? [1, 1, 1, 1]
      return height * width > MOST ? Promise.reject(new Error('std::bad_alloc')) : session.run(feeds)
    }
    return { run }
  }
}
"""


@pytest.mark.parametrize("most", [120_000, 10])
def test_where_memory_is_short(altered, browser, model, most):
    runtime = altered / "runtime" / "ort.wasm.min.mjs"
    runtime.rename(runtime.with_name("whole.mjs"))
    runtime.write_text(SHORT_OF_MEMORY.replace("MOST", str(most)))
    with serving(static_server(altered, "127.0.0.1", 0)) as address, visit(browser, address) as page:
        if most == 10:
            page.get_by_text("The memory of this device was not enough.").wait_for(timeout=60_000)
            return
        painted(page)
        coffee = adain.read_picture(weights.samples.sample_path("coffee"))
        page.locator("#file").set_input_files(files_of(coffee, altered))
        assert difference(page, adain.stylize(model, coffee, weights.load_preset(model, "red-horse")))[0] < 2


def files_of(picture, folder):
    """`picture` as a file whose decoding nobody disagrees on."""
    adain.write_picture(folder / "photo.png", picture.rgb)
    return folder / "photo.png"


# The camera


def test_the_camera(site, browser, files):
    with serving(static_server(site, "127.0.0.1", 0)) as address, visit(browser, address, permissions=["camera"]) as page:
        painted(page)
        page.locator("#camera").click()
        page.locator("#rate", has_text="pictures a second").wait_for(timeout=60_000)
        assert page.locator("#after").evaluate("canvas => Math.max(canvas.width, canvas.height)") == 320
        page.locator("#take").click()
        page.wait_for_selector("#sources:visible")
        assert download(page).suggested_filename == "camera-red-horse.png"


def test_a_camera_that_is_not_allowed(page):
    page.locator("#camera").click()
    page.locator("#problem", has_text="The camera was not allowed").wait_for()


# The command


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

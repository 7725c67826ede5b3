"""Where the page runs: without a network, headers, storage, files or memory; and the command that writes it."""

from __future__ import annotations

import os
import re
import shutil
from urllib.parse import urlsplit

import pytest
from adain_style_transfer import adain, weights
from adain_style_transfer.app import static_site
from adain_style_transfer.app.static_server import static_server
from adain_style_transfer.cli import main as cli
from static_page.visits import THREADS, choose, difference, painted, plain_server, serving, visit


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


def test_what_else_is_at_its_address_is_not_its_own(altered, browser):
    """Such as `adain app`, served there later: of that the browser asks the server, each time."""
    other = altered / "other.html"
    with serving(static_server(altered, "127.0.0.1", 0)) as address, visit(browser, address) as page:
        page.get_by_text("This page now works without a network too.").wait_for(timeout=90_000)
        for words in ("first", "second"):
            other.write_text(f"<link rel=icon href=icon.svg>{words}")
            os.utime(other, (0, len(words)))  # a date of its own, by which browsers ask
            page.goto(f"{address}other.html")
            assert page.inner_text("body") == words


def test_a_new_version_is_there_when_the_page_is_opened_again(altered, browser):
    """Even on a host whose files may be kept for a while: the new page is not made of old files."""
    with serving(plain_server(altered)) as address, visit(browser, address) as page:
        page.get_by_text("This page now works without a network too.").wait_for(timeout=90_000)
        begin, script = altered / "index.html", altered / "sw.js"
        begin.write_text(begin.read_text().replace("<noscript>", "<i>newer</i><noscript>"))
        script.write_text(re.sub(r'(VERSION = ")\w+', r"\1newer", script.read_text()))
        context = page.context
        page.close()
        page = context.new_page()
        page.goto(address)
        painted(page)
        assert page.locator("i", has_text="newer").count() == 0
        page.evaluate("""async () => {
          const known = await navigator.serviceWorker.getRegistration()
          await known.update()
          while (!known.waiting) await new Promise(resolve => setTimeout(resolve, 100))
        }""")
        page.close()
        page = context.new_page()
        for _ in range(20):  # until the browser has put the new one in the place of the old one
            page.wait_for_timeout(1000)
            page.goto(address)
            if page.locator("i", has_text="newer").count():
                break
            page.goto("about:blank")
        painted(page)
        assert page.locator("i", has_text="newer").count() == 1


def test_where_pages_are_not_secure(site, browser):
    """Plain http, as in a network at home."""
    with serving(static_server(site, "127.0.0.1", 0)) as address, visit(browser, address.replace("127.0.0.1", "adain.test")) as page:
        painted(page)
        assert "browsers give more only to pages with https" in page.inner_text("#engine")
        page.locator("#camera").click()
        page.locator("#problem", has_text="Browsers give the camera only to pages with https").wait_for()
        page.said[:] = [line for line in page.said if "Cross-Origin-Opener-Policy header has been ignored" not in line]


def test_opened_from_a_disk(site, browser):
    with visit(browser, f"{site.as_uri()}/index.html") as page:
        page.get_by_text("This page could not start").wait_for(timeout=15_000)
        page.said.clear()


STUB_OF_GPU = "Object.defineProperty(navigator, 'gpu', {value: {requestAdapter: async () => ({info: {}})}});"


def test_a_gpu_that_cannot_paint(altered, browser):
    """WebAssembly paints instead."""
    (worker,) = (altered / "assets").glob("worker-*.js")
    worker.write_text(STUB_OF_GPU + worker.read_text())
    with serving(static_server(altered, "127.0.0.1", 0)) as address, visit(browser, "about:blank") as page:
        with page.context.expect_event("request", lambda request: "ort.jspi" in request.url, timeout=90_000):
            page.goto(address)
            painted(page)  # before the GPU is tried
        before = page.locator("body").get_attribute("data-painted")
        choose(page, "adele")
        painted(page, before)
        assert page.inner_text("#engine").endswith(THREADS) and "WebAssembly" in page.inner_text("#engine")
        page.asked.discard(urlsplit(address).netloc)
        page.said[:] = [line for line in page.said if line != "error: Aborted()"]  # ONNX Runtime's word on it


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


@pytest.mark.parametrize("missing", ["model/pixels.onnx", "content.json", "samples/coffee.jpg", "assets/worker-*.js"])
def test_where_files_are_missing(altered, browser, missing):
    """The reason stays said when other files, which take longer, have come."""
    (file,) = altered.glob(missing)
    file.unlink()
    late = ["coffee.jpg", "model.json"]
    with serving(plain_server(altered, late)) as address, visit(browser, address, service_workers="block") as page:
        said = page.get_by_text("Files of this page’s model are missing on the server")
        said.wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        assert said.is_visible()
        assert [line for line in page.said if "404" not in line and "Service Worker" not in line] == []
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


def test_the_command_writes_the_page(site, models, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ADAIN_MODELS", str(models))
    assert cli(["app", "--static", "--out", str(tmp_path / "page")]) == 0
    assert (tmp_path / "page" / "index.html").is_file() and (tmp_path / "page" / "model" / "pixels.onnx").is_file()
    assert cli(["app", "--static", "--out", str(tmp_path / "page")]) == 1
    assert "is there already" in capsys.readouterr().err
    assert cli(["app", "--out", str(tmp_path / "page")]) == 1
    assert "Add --static" in capsys.readouterr().err


def test_a_page_is_built_anew_when_what_it_shows_changes(monkeypatch):
    before = static_site._stamp()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(static_site, "FIRST_PRESET", "great-wave")
    assert static_site._stamp() != before  # pyright: ignore[reportPrivateUsage]


def test_without_npm(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ADAIN_MODELS", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert cli(["app", "--static"]) == 1
    assert "needs npm, which was not found. Install Node.js" in capsys.readouterr().err

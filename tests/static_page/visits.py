"""Visits to the static page: a server, a browser's page on it, and what a visitor does there."""

from __future__ import annotations

import functools
import http.server
import os
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

from adain_style_transfer import adain

THREADS = "threads." if (os.cpu_count() or 1) > 1 else "one thread."
"""How the page's sentence of what paints ends on this machine."""


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


class Plain(http.server.SimpleHTTPRequestHandler):
    """What GitHub Pages does: files that may be kept for ten minutes, without any header of ours. Names in `late` are slow."""

    def __init__(self, *given, late, **more):
        self._late = late
        super().__init__(*given, **more)

    def do_GET(self):
        if self.path.rpartition("/")[2] in self._late:
            time.sleep(2)
        super().do_GET()

    def end_headers(self):
        self.send_header("Cache-Control", "max-age=600")
        super().end_headers()

    def log_message(self, format, *_):
        pass


def plain_server(folder, late=()):
    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Plain, directory=str(folder), late=late))


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

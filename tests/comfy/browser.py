"""Pages in Debian's or any other chromium, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_QUIET += ["--disable-component-update", "--disable-sync"]


def find_chromium() -> str | None:
    """CHROMIUM, or the one on the PATH."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def wait_for_nodes(page: Page) -> None:
    """Return when all nodes are registered and the page has settled."""
    page.wait_for_function("window.app?.extensionManager && Object.keys(LiteGraph.registered_node_types).length > 100", timeout=120_000)
    page.wait_for_timeout(1500)


@contextmanager
def empty_page(width: int = 1600, height: int = 900) -> Iterator[Page]:
    """A page of a browser of its own, to be sent somewhere."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=_QUIET)
        yield browser.new_page(viewport={"width": width, "height": height})
        browser.close()


@contextmanager
def page_of(address: str, width: int = 1600, height: int = 900) -> Iterator[Page]:
    """ComfyUI's page at `address`, when all nodes are registered."""
    with empty_page(width, height) as page:
        page.goto(f"http://{address}/", timeout=120_000)
        wait_for_nodes(page)
        page.keyboard.press("Escape")  # the template browser, which a new user sees first
        yield page

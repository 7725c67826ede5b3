"""The static page, built once, which needs npm."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.app.static_server import static_server
from adain_style_transfer.app.static_site import static_site
from adain_style_transfer.cli.app import _write_model  # pyright: ignore[reportPrivateUsage]
from comfy.browser import find_chromium
from static_page.visits import painted, serving, visit


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


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The folder of models, which keeps the built page."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def site(models):
    """The built page."""
    pytest.importorskip("onnxscript", reason="building the page needs the extra: pip install adain-style-transfer[onnx]")
    if reason := lacking():
        pytest.skip(reason)
    if "ADAIN_TEST_PAGE" in os.environ:
        return Path(os.environ["ADAIN_TEST_PAGE"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAIN_MODELS", str(models))
        return static_site(_write_model, lambda: None)


@pytest.fixture(scope="module")
def browser(site):
    """Chromium, closed after a file of tests: playwright can be started only once at a time in a process."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright: pip install .[test]")
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        flags += ["--use-fake-device-for-media-stream", "--host-resolver-rules=MAP adain.test 127.0.0.1"]
        browser = started.chromium.launch(executable_path=find_chromium(), args=flags)
        yield browser
        browser.close()


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


@pytest.fixture
def altered(site, tmp_path):
    """A copy of the page."""
    return Path(shutil.copytree(site, tmp_path / "page"))

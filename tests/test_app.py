"""The demo app: its painting against the library, and its page in chromium, with no other server than this one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the app needs the extra: pip install adain-style-transfer[app]")

import gradio as gr
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.app import painting
from adain_style_transfer.app.page import _paint, launch  # pyright: ignore[reportPrivateUsage]
from adain_style_transfer.app.painting import Ingredient, model_choices, paint
from adain_style_transfer.cli import main as cli
from adain_style_transfer.weights.loss_network import load_judge


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A photograph with transparency, two artworks, a file that is no image; all of other shapes."""
    folder = tmp_path_factory.mktemp("uploads")
    adain.write_picture(folder / "photo.png", samples.picture(90, 120), samples.soft_mask(90, 120))
    adain.write_picture(folder / "art.png", samples.picture(80, 64, seed=1))
    adain.write_picture(folder / "other.png", samples.picture(64, 72, seed=2))
    (folder / "notes.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def model():
    return weights.load_model()


def style_of(model, path):
    return model.encode_style(adain.read_picture(path).rgb)


def close(path, expected):
    got = adain.read_picture(path)
    visible = 1.0 if got.alpha is None else (got.alpha > 0).float()
    assert got.rgb.shape == expected.shape and ((got.rgb - expected) * visible).abs().max() <= 2 / 255


def quietly(share, what):
    pass


def test_a_blend_equals_the_librarys(files, model, tmp_path):
    styles = [Ingredient(files / "art.png", None, 1.0), Ingredient(None, weights.preset_names()[0], 0.5)]
    styles.append(Ingredient(files / "other.png", weights.preset_names()[1], 0.25))  # the picture goes first
    told = []
    settings = {"strength": 0.8, "color": "match", "size": 48, "model": model.name, "folder": tmp_path}
    done = paint(files / "photo.png", styles, **settings, progress=lambda *now: told.append(now))
    photo = adain.read_picture(files / "photo.png")
    small = photo.resized((48, 64))
    torch.testing.assert_close(small.rgb, torch.nn.functional.interpolate(photo.rgb, (48, 64), mode="bicubic", antialias=True).clamp(0, 1))
    parts = [
        style_of(model, files / "art.png"),
        weights.load_preset(model, weights.preset_names()[0]),
        style_of(model, files / "other.png"),
    ]
    close(done.after, adain.stylize(model, small, adain.Style.blend(parts, [1.0, 0.5, 0.25]), strength=0.8, color="match"))
    close(done.before, small.rgb)
    assert adain.read_picture(done.after).alpha is not None and done.after.name == "photo-painted.png"
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[0] == 0 and "Painting" in [what for _, what in told]


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        ([], "No style has a weight"),
        ([Ingredient(None, "great-wave", 0.0)], "No style has a weight"),
        ([Ingredient(None, None, 1.0)], "neither a picture nor a preset"),
    ],
)
def test_requests_that_make_no_sense(files, model, tmp_path, styles, words):
    with pytest.raises(adain.StyleError, match=words):
        paint(files / "photo.png", styles, strength=1.0, color="style", size=0, model=model.name, folder=tmp_path, progress=quietly)


def test_a_visitors_mistake_is_no_traceback_in_the_terminal(files, model):
    settings = [1.0, "style", 0, model.name]
    for content in (None, str(files / "notes.png")):
        with pytest.raises(gr.Error) as told:
            next(_paint(content, *settings, None, "great-wave", 1.0, progress=lambda *_, **__: None))
        assert not told.value.print_exception


def test_models_of_the_users_own(files, tmp_path, monkeypatch):
    monkeypatch.setenv("ADAIN_MODELS", str(tmp_path))
    weights.save_model(samples.small_lite(), tmp_path / "mine.safetensors", {})
    choices = dict(model_choices())
    assert choices["adain-lite (embedded)"] == "adain-lite" and "kuko6-puddle (available, 23 MB)" in choices
    mine = weights.load_model(tmp_path / "mine.safetensors")
    settings = {"strength": 1.0, "color": "style", "size": 0, "model": choices["mine.safetensors"], "folder": tmp_path, "progress": quietly}
    done = paint(files / "photo.png", [Ingredient(files / "art.png", None, 1.0)], **settings)
    close(done.after, adain.stylize(mine, adain.read_picture(files / "photo.png"), style_of(mine, files / "art.png")))
    with pytest.raises(adain.StyleError, match="Presets are measured by adain-lite"):
        paint(files / "photo.png", [Ingredient(None, "great-wave", 1.0)], **settings)


def test_without_gradio(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("adain_style_transfer.app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli(["app"]) == 1
    assert "needs gradio, which is not installed. Run `pip install gradio`" in capsys.readouterr().err


@pytest.mark.parametrize("proxy", [{"HTTP_PROXY": "http://127.0.0.1:9"}, {"ALL_PROXY": "socks://127.0.0.1:9"}])
def test_it_starts_behind_any_proxy(proxy):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "-m", "adain_style_transfer", "app", "--port", str(port)]
    with subprocess.Popen(command, env=os.environ | proxy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as app:
        assert app.stdout is not None
        said = app.stdout.readline()
        app.terminate()
        assert f"http://127.0.0.1:{port}" in said, said + app.stdout.read()


# In a browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page, and in `asked` the servers that it and this process have asked for anything."""
    pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")
    from comfy.browser import empty_page, find_chromium

    if find_chromium() is None:
        pytest.skip("no chromium found: install it, or set CHROMIUM")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    asked = set()
    connect = socket.socket.connect

    def recorded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            asked.add(address[0])
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAIN_MODELS", str(tmp_path_factory.mktemp("models")))
        patch.setattr(socket.socket, "connect", recorded)
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        app = launch(port=port, block=False)
        try:
            with empty_page(1280, 1500) as opened:
                opened.on("request", lambda request: asked.add(request.url.split("/")[2].split(":")[0]) if "://" in request.url else None)
                opened.goto(f"http://127.0.0.1:{port}", timeout=120_000)
                opened.get_by_role("button", name="Paint").wait_for(timeout=120_000)
                opened.asked, opened.port = asked, port
                yield opened
        finally:
            app.close()


def upload(page, slot, path):
    """Put a file into the photograph (slot 0) or a style; one that is there already is replaced."""
    block = page.locator("[data-testid='image']").nth(slot)
    if block.get_by_label("Clear").count():
        block.get_by_label("Clear").click()
    with page.expect_response(lambda answer: "/upload" in answer.url):
        page.locator("input[type=file]").nth(slot).set_input_files(path)
    page.wait_for_timeout(500)


def test_a_visitor_paints_and_downloads(page, files, model):
    upload(page, 0, files / "photo.png")
    upload(page, 1, files / "art.png")
    page.get_by_role("button", name="Paint").click()
    link = page.get_by_role("link", name="Download").or_(page.get_by_role("button", name="Download"))
    page.wait_for_function("[...document.querySelectorAll('img')].filter(i => i.src.includes('photo-painted')).length > 0", timeout=60_000)
    with page.expect_download() as found:
        link.first.click()
    photo = adain.read_picture(files / "photo.png")
    expected = adain.stylize(model, photo, style_of(model, files / "art.png"))
    close(found.value.path(), expected)
    assert found.value.suggested_filename == "photo-painted.png"
    shown = page.evaluate("[...document.querySelectorAll('img')].filter(i => /before|photo-painted/.test(i.src)).map(i => i.naturalWidth)")
    assert shown == [120, 120]
    assert not list(Path(tempfile.gettempdir()).glob("adain-*"))  # gradio has its own copies, and clears them


def test_a_visitor_finishes_a_picture(page, files, tmp_path, monkeypatch):
    judge = load_judge(samples.distilled_file(tmp_path / "judge.safetensors"))
    monkeypatch.setattr(painting, "_judge", lambda _: judge)  # a real one, in place of the one that is downloaded
    upload(page, 0, files / "photo.png")
    upload(page, 1, files / "other.png")
    page.get_by_role("button", name="Finish").click()
    page.get_by_text("Finishing").first.wait_for(timeout=60_000)  # a progress bar while it works
    link = page.get_by_role("link", name="Download").or_(page.get_by_role("button", name="Download"))
    page.wait_for_function("() => !document.body.innerText.includes('Finishing')", timeout=120_000)
    page.wait_for_timeout(1000)
    with page.expect_download() as found:
        link.first.click()
    picture = adain.read_picture(files / "photo.png")
    got, visible = adain.read_picture(found.value.path()), (picture.alpha > 0).float()
    expected = adain.refine(judge, picture, judge.encode_style(adain.read_picture(files / "other.png").rgb), adain.Finish("draft"))
    assert ((got.rgb - expected) * visible).abs().mean() < 2 / 255
    assert ((got.rgb - picture.rgb) * visible).abs().mean() > 10 / 255


def test_what_is_wrong_is_said(page, files):
    upload(page, 1, files / "notes.png")
    page.get_by_role("button", name="Paint").click()
    page.get_by_text("notes.png is not an image that can be read here").wait_for(timeout=60_000)


def test_no_other_server_is_asked(page):
    assert page.asked == {"127.0.0.1"}
    policy = page.request.get(f"http://127.0.0.1:{page.port}").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")


def test_a_port_that_is_taken_and_a_host_that_is_not_here(page):
    with pytest.raises(adain.AdaINError, match="Choose another --port"):
        launch("256.1.1.1", port=page.port, block=False)
    with pytest.raises(adain.AdaINError, match="Choose another --port"):
        launch(port=page.port, block=False)

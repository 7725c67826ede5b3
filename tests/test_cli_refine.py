"""`adain refine`, `adain stylize --refine` and the app's Finish against the library, with a small judge."""

from __future__ import annotations

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain import Finish, Style
from adain_style_transfer.cli import main

SMALL = ("--device", "cpu", "--dtype", "float32", "--quiet", "--refine", "draft")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    for i, name in enumerate(("photo.png", "art.png", "begin.png")):
        adain.write_picture(folder / name, samples.picture(48, 64, seed=i))
    samples.distilled_file(folder / "judge.safetensors")
    return folder


@pytest.fixture(scope="module")
def judge(desk):
    return weights.load_judge(desk / "judge.safetensors", "cpu", torch.float32)


def refined(judge, desk, **more):
    style = judge.encode_style(adain.read_picture(desk / "art.png"))
    return adain.refine(judge, adain.read_picture(desk / "photo.png"), style, Finish("draft"), **more)


def near(path, expected):
    assert (adain.read_picture(path).rgb - expected).abs().mean() < 1 / 255


@pytest.mark.parametrize("command", ["refine", "stylize"])
def test_a_picture_is_the_librarys(desk, judge, command, tmp_path):
    out = tmp_path / "out.png"
    words = [command, desk / "photo.png", "--style", desk / "art.png", "--judge", desk / "judge.safetensors", "-o", out, *SMALL]
    assert main([str(word) for word in words]) == 0
    near(out, refined(judge, desk))
    words += ["--start", desk / "begin.png", "--overwrite"]
    assert main([str(word) for word in words]) == 0
    near(out, refined(judge, desk, start=adain.read_picture(desk / "begin.png").rgb))


def test_a_saved_style_brings_what_the_judge_measured(desk, judge, tmp_path, capsys):
    style, out = tmp_path / "art.safetensors", tmp_path / "out.png"
    save = ["style", "save", desk / "art.png", "--judge", desk / "judge.safetensors", "--device", "cpu", "--dtype", "float32", "-o", style]
    assert main([str(word) for word in save]) == 0
    loaded = Style.load(style)
    assert [other.fingerprint for other in loaded.others] == [judge.fingerprint]
    assert main(["style", "show", str(style)]) == 0 and "loss network" in capsys.readouterr().out
    words = ["refine", desk / "photo.png", "--style", style, "--judge", desk / "judge.safetensors", "-o", out, *SMALL]
    assert main([str(word) for word in words]) == 0
    near(out, adain.refine(judge, adain.read_picture(desk / "photo.png"), loaded, Finish("draft")))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--style", "red-horse", "--judge", "judge.safetensors"], "'red-horse' cannot be used to refine"),
        (["--style", "art.png", "--judge", "nothing.safetensors"], "no loss network at nothing.safetensors"),
        (["--style", "art.png", "--judge", "art.png"], "art.png is not read: it is damaged"),
    ],
)
def test_what_is_refused_before_anything_is_painted(desk, words, sentence, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(desk)
    assert main(["refine", "photo.png", *words, "-o", str(tmp_path / "out.png"), *SMALL]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_a_start_without_refining_is_refused(desk, tmp_path, capsys):
    words = ["stylize", str(desk / "photo.png"), "--style", "red-horse", "--start", "x.png", "-o", str(tmp_path / "out.png")]
    assert main(words) == 1
    assert "Add --refine" in capsys.readouterr().err


def test_the_app_finishes_a_picture(desk, judge, tmp_path, monkeypatch):
    pytest.importorskip("gradio", reason="the app needs the extra: pip install adain-style-transfer[app]")
    from adain_style_transfer.app import painting

    monkeypatch.setattr(painting, "_judge", lambda: judge)  # a real one, in place of the one that is downloaded
    told = []
    settings = {"strength": 1.0, "color": "style", "size": 0, "model": "adain-lite", "folder": tmp_path}
    styles = [painting.Ingredient(desk / "art.png", None, 1.0)]
    done = painting.paint(desk / "photo.png", styles, progress=lambda *step: told.append(step), finish=Finish("draft"), **settings)
    near(done.after, refined(judge, desk))
    assert any(what == "Finishing" for _, what in told)

"""`adain refine`, `adain stylize --refine` and the app's Finish against the library, with a small judge."""

from __future__ import annotations

from contextlib import suppress

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
    adain.write_picture(folder / "tall.png", samples.picture(64, 48))
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
        (["--style", "art.png", "--judge", "judge.safetensors", "--start", "none.png"], "There is no file at none.png"),
        (["--style", "art.png", "--judge", "judge.safetensors", "--start", "tall.png"], "would be stretched"),
        (["--style", "art.png", "--judge", "judge.safetensors", "--dtype", "float16"], "cannot judge in float16"),
        (["--style", "art.png", "--resume"], "cannot be refined"),
    ],
)
def test_what_is_refused_before_anything_is_painted(desk, words, sentence, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(desk)
    assert main(["refine", "photo.png", *SMALL, *words, "-o", str(tmp_path / "out.png")]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("option", ["--start", "--judge", "--style-weight"])
def test_what_belongs_to_refining_is_refused_without_it(desk, tmp_path, option, capsys):
    words = ["stylize", str(desk / "photo.png"), "--style", "red-horse", option, "3", "-o", str(tmp_path / "out.png")]
    assert main(words) == 1
    assert f"{option} belongs to refining" in capsys.readouterr().err


def test_a_judge_is_never_written_over_and_its_own_styles_are_taken(desk, judge, tmp_path):
    own, style, out = tmp_path / "judge.safetensors", tmp_path / "style.safetensors", tmp_path / "out.png"
    own.write_bytes((desk / "judge.safetensors").read_bytes())
    assert main(["style", "save", str(desk / "art.png"), "--judge", str(own), "-o", str(own), "--overwrite"]) == 1
    assert own.read_bytes() == (desk / "judge.safetensors").read_bytes()
    judge.encode_style(adain.read_picture(desk / "art.png")).save(style)
    assert main(["refine", *map(str, (desk / "photo.png", "--style", style, "--judge", own, "-o", out)), *SMALL]) == 0
    near(out, refined(judge, desk))


def test_a_start_is_never_written_over(desk, tmp_path, capsys):
    begin = tmp_path / "begin.png"
    begin.write_bytes((desk / "begin.png").read_bytes())
    words = [
        "refine",
        desk / "photo.png",
        "--style",
        desk / "art.png",
        "--judge",
        desk / "judge.safetensors",
        "--start",
        begin,
        "-o",
        begin,
    ]
    assert main([*map(str, words), "--overwrite", *SMALL]) == 1
    assert begin.read_bytes() == (desk / "begin.png").read_bytes()


def test_a_start_of_another_size_and_the_same_shape(desk, judge, tmp_path):
    begin, out = tmp_path / "begin.png", tmp_path / "out.png"
    adain.write_picture(begin, adain.read_picture(desk / "begin.png").resized((95, 127)).rgb)
    words = ["refine", desk / "photo.png", "--style", desk / "art.png", "--judge", desk / "judge.safetensors", "--start", begin, "-o", out]
    assert main([*map(str, words), *SMALL]) == 0
    near(out, refined(judge, desk, start=adain.read_picture(begin).resized((48, 64)).rgb))


def test_videos_are_not_refined_and_say_why(desk, tmp_path, capsys):
    clip, judged = tmp_path / "clip.mp4", ["--judge", str(desk / "judge.safetensors"), *SMALL]
    clip.write_bytes(bytes(4) + b"ftypisom" + bytes(40))
    for words, sentence in ((["video", str(clip), "--refine"], "would flicker"), (["refine", str(clip), *judged], "clip.mp4 is a video")):
        with suppress(SystemExit):
            assert main([*words, "--style", str(desk / "art.png"), "-o", str(tmp_path / "out.png")]) == 1
        assert sentence in capsys.readouterr().err


def test_the_app_finishes_a_picture(desk, judge, tmp_path, monkeypatch):
    pytest.importorskip("gradio", reason="the app needs the extra: pip install adain-style-transfer[app]")
    from adain_style_transfer.app import painting

    monkeypatch.setattr(painting, "_judge", lambda _: judge)  # a real one, in place of the one that is downloaded
    told = []
    settings = {"strength": 1.0, "color": "style", "size": 0, "model": "adain-lite", "folder": tmp_path}
    styles = [painting.Ingredient(desk / "art.png", None, 1.0)]
    done = painting.paint(desk / "photo.png", styles, progress=lambda *step: told.append(step), finish=Finish("draft"), **settings)
    near(done.after, refined(judge, desk))
    assert any(what == "Finishing" for _, what in told)

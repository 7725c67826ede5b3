"""The command line, as a subprocess with the embedded model."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from adain_style_transfer import adain, cli, weights
from adain_style_transfer.adain.media.images import read_picture
from adain_style_transfer.cli import stylize
from adain_style_transfer.weights.presets import preset_names
from PIL import Image


def run(*arguments: object, code: int = 0, **options: str) -> subprocess.CompletedProcess[str]:
    """`adain ARGUMENTS`, which must end with `code` and, whatever happens, without a traceback."""
    result = subprocess.run(
        [sys.executable, "-m", "adain_style_transfer", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | options,
    )
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """photo.png 40 x 56, cut.png with alpha, art.png and other.png; all of smooth random colours."""
    rng = np.random.default_rng(0)

    def save(name: str, channels: int, size: tuple[int, int]) -> None:
        values = rng.integers(0, 256, (4, 5, channels), dtype=np.uint8)
        Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).save(tmp_path / name)

    save("photo.png", 3, (56, 40))
    save("cut.png", 4, (56, 40))
    save("art.png", 3, (64, 48))
    save("other.png", 3, (48, 48))
    return tmp_path


def test_one_picture_equals_the_library(pictures: Path) -> None:
    out = pictures / "out.png"
    options = ["--strength", 0.7, "--color", "match", "--dtype", "float32"]  # rounded to bfloat16, other thread counts differ more
    result = run("stylize", pictures / "photo.png", "--style", pictures / "art.png", "-o", out, *options)
    assert result.stdout == f"{out.resolve()}\n" and result.stderr == ""  # no progress bar when piped

    model = weights.load_model(dtype=torch.float32)
    style = model.encode_style(read_picture(pictures / "art.png").rgb)
    expected = adain.stylize(model, read_picture(pictures / "photo.png").rgb, style, strength=0.7, color="match")
    assert (read_picture(out).rgb - expected).abs().max() <= 0.5 / 255 + 1e-6


def test_folder_pairs_names_alpha_and_one_broken_file(pictures: Path) -> None:
    contents = pictures / "in" / "deeper"
    contents.mkdir(parents=True)
    for name in ("photo.png", "cut.png"):
        (pictures / name).rename(contents / name)
    (contents / "broken.jpg").write_bytes(b"no image at all")
    out = pictures / "out"
    result = run(
        "stylize",
        pictures / "in",
        "--style",
        pictures / "art.png",
        "--style",
        pictures / "other.png",
        "--pairs",
        "-o",
        out,
        "--batch",
        2,
        code=1,
    )
    assert "broken.jpg is not an image" in result.stderr
    out /= "deeper"
    assert sorted(p.name for p in out.iterdir()) == ["cut__art.png", "cut__other.png", "photo__art.png", "photo__other.png"]
    alpha = read_picture(out / "cut__art.png").alpha
    assert alpha is not None and torch.equal(alpha, read_picture(contents / "cut.png").alpha)  # type: ignore[arg-type]
    assert Image.open(out / "photo__art.png").size == (56, 40)


def test_blend_weights_mask_size_and_saved_style(pictures: Path) -> None:
    run("style", "save", pictures / "other.png", "-o", pictures / "other.safetensors")
    assert "encoder" in run("style", "show", pictures / "other.safetensors").stdout

    mask = np.zeros((20, 28), np.uint8)
    mask[:, 14:] = 255
    Image.fromarray(mask).save(pictures / "mask.png")
    out = pictures / "masked.png"
    run(
        "stylize", pictures / "photo.png", "--style", pictures / "art.png", "--style", pictures / "other.safetensors",
        "--weights", "3,1", "--mask", pictures / "mask.png", "-o", out,
    )  # fmt: skip
    before, after = read_picture(pictures / "photo.png").rgb, read_picture(out).rgb
    assert torch.equal(before[..., :20], after[..., :20])
    assert not torch.equal(before[..., 36:], after[..., 36:])

    run(
        "stylize", pictures / "photo.png", "--style", pictures / "art.png", "--mask", pictures / "mask.png",
        "--invert-mask", "--grow", -4, "--feather", 4, "-o", out, "--overwrite",
    )  # fmt: skip
    before, after = read_picture(pictures / "photo.png").rgb, read_picture(out).rgb
    assert torch.equal(before[..., 28:], after[..., 28:])  # the edge at 28 pixels is now at 24, and soft to about 27
    assert not torch.equal(before[..., 24:26], after[..., 24:26]) and not torch.equal(before[..., :20], after[..., :20])

    run("stylize", pictures / "photo.png", "--style", preset_names()[0], "--size", 20, "-o", pictures / "small.jpg")
    assert Image.open(pictures / "small.jpg").size == (28, 20)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["stylize", "missing.png", "--style", "art.png", "-o", "o.png"], 1, "no file at"),
        (["stylize", "photo.png", "--style", "missing.png", "-o", "o.png"], 1, "no file at"),
        (["stylize", "photo.png", "--style", "no-such-preset", "-o", "o.png"], 1, "no preset"),
        (["stylize", "photo.png", "--style", "Starry Nigth", "-o", "o.png"], 1, "no preset 'Starry Nigth'. Did you mean starry-night?"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "o.png", "--strength", "3"], 2, "number from 0 to 2"),
        (["stylize", "photo.png", "--style", "art.png", "--weights", "-1", "-o", "o.png"], 2, "weights"),
        (["stylize", "photo.png", "--style", "art.png", "--weights", "0", "-o", "o.png"], 2, "must be numbers >= 0"),
        (["stylize", "photo.png", "--style", "art.png", "--weights", "1,2", "-o", "o.png"], 1, "2 weights for 1 style."),
        (["stylize", "photo.png", "--style", "art.png", "--mask", "black.png", "-o", "o.png"], 1, "black everywhere"),
        (["stylize", "photo.png", "--style", "art.png", "--grow", "3", "-o", "o.png"], 1, "Give one with --mask"),
        (["stylize", "photo.png", "--style", "art.png", "--mask", "black.png", "--feather", "-1", "-o", "o.png"], 2, "0 to 1024"),
        (["stylize", "photo.png", "--style", "art.png", "--model", "art.png", "-o", "o.png"], 1, "not a readable safetensors"),
        (["stylize", "photo.png", "--style", "art.png", "--device", "warp", "-o", "o.png"], 1, "(no such device). Try --device cpu."),
        (["stylize", "photo.png", "--style", "art.png", "-o", "taken/o.png"], 1, "output folder"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "o.heic"], 1, "does not end with .bmp"),
        (
            ["stylize", "photo.png", "--style", "art.png", "--style", "cut.png", "--pairs", "--weights", "1,2", "-o", "o"],
            1,
            "--pairs keeps",
        ),
        (["stylize", "photo.png", "--style", "art.png", "--size", "9999999", "-o", "o.png"], 1, "million pixels"),
        (["stylize", "photo.png", "--style", "art.png", "--style-size", "9999999", "-o", "o.png"], 1, "million pixels"),
        (["demo", "-o", "taken/sheet.png"], 1, "output folder"),
        (["style", "save", "art.png", "-o", "o.png"], 1, "does not end with .safetensors"),
        (["stylize", "photo.png", "cut.png", "--style", "art.png", "-o", "o.png"], 1, "one file"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "photo.png", "--overwrite"], 1, "one of the files to read"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "art.png", "--overwrite"], 1, "one of the files to read"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "black.png"], 1, "is there already. Give --overwrite"),
        (["style", "save", "photo.png", "-o", "taken.safetensors"], 1, "is there already. Give --overwrite"),
        (["demo", "-o", "black.png"], 1, "is there already. Give --overwrite"),
        (["convert", "art.png", "-o", "taken.safetensors"], 1, "is there already. Give --overwrite"),
        (["convert", "taken.safetensors", "-o", "taken.safetensors", "--overwrite"], 1, "one of the files to read"),
        (["style", "save", "art.png", "--model", "taken.safetensors", "-o", "taken.safetensors", "--overwrite"], 1, "files to read"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "o.png", "--overwrite", "--skip-existing"], 2, "not allowed with"),
        (["stylize", "photo.png", "--style", "", "-o", "o.png"], 2, "an empty name"),
        (["stylize", "", "--style", "art.png", "-o", "o.png"], 2, "an empty name"),
        (["stylize", "photo.png", "--style", "art.png", "-o", ""], 2, "an empty name"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "-"], 1, "standard output"),
        (["stylize", "x" * 300 + ".png", "--style", "art.png", "-o", "o.png"], 1, "x.png"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "x" * 300 + ".png"], 1, "too long"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "o.png", "--device", "meta"], 1, "device 'meta' cannot be used"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "o.png", "--threads", "0"], 2, "at least 1"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "o.png", "--model", "x" * 300], 1, "cannot be used (File name too long)"),
        (["style", "show", "x" * 300], 1, "cannot be used (File name too long)"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "o.png", "--quality", "0"], 2, "from 1 to 100"),
        (["app", "--port", "99999"], 2, "not a port"),
        (["style", "show", "art.png"], 1, "not a readable safetensors"),
        (["models", "get", "no-such-model"], 1, "no model 'no-such-model' in the catalogue"),
        (["convert", "art.png", "-o", "o.safetensors"], 1, "art.png"),
        (["publish", "art.png", "--repo-id", "me/mine"], 1, "not a readable safetensors"),
    ],
)
def test_mistakes_get_a_sentence_and_leave_nothing(
    pictures: Path, arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "taken").write_text("a file where a folder is wanted")
    Image.new("L", (8, 8)).save(pictures / "black.png")
    (pictures / "taken.safetensors").write_text("a file that is there")
    before = sorted(pictures.rglob("*"))
    named = [str(pictures / a) if "." in a and not a.replace(".", "").isdigit() else a for a in arguments]
    try:
        assert cli.main(named) == code
    except SystemExit as stopped:  # argparse's own way out
        assert stopped.code == code
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert sorted(pictures.rglob("*")) == before


@pytest.mark.parametrize("arguments", [["stylize"], ["stylise", "a.png"], ["style", "save", "a.png"]])
def test_wrong_usage_gets_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    told = capsys.readouterr().err
    assert stopped.value.code == 2 and len(told.splitlines()) == 1 and "--help`." in told


def test_a_defect_of_ours_gets_a_sentence_too(pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unable to find an engine\nto execute this computation")

    monkeypatch.setattr(cli.stylize, "stylize", broken)
    arguments = ["stylize", str(pictures / "photo.png"), "--style", str(pictures / "art.png"), "-o", str(pictures / "o.png")]
    assert cli.main(arguments) == 1
    assert "RuntimeError: unable to find an engine to execute" in capsys.readouterr().err
    with pytest.raises(RuntimeError):
        cli.main([*arguments, "--debug"])


def test_a_name_that_ends_with_a_slash_is_a_folder(pictures: Path) -> None:
    assert cli.main(["stylize", str(pictures / "photo.png"), "--style", str(pictures / "art.png"), "-o", f"{pictures}/v1.2/"]) == 0
    assert (pictures / "v1.2" / "photo__art.png").is_file()


def test_one_bad_item_never_ends_a_run(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents, out = pictures / "in", pictures / "out"
    contents.mkdir()
    (pictures / "photo.png").rename(contents / "z.png")
    (pictures / "cut.png").rename(contents / "y.png")
    (contents / "broken.png").write_text("no image")
    (contents / "sub").mkdir()
    (pictures / "other.png").rename(contents / "sub" / "x.png")
    out.mkdir()
    (out / "sub").write_text("a file where a folder is wanted")
    styles = ["--style", str(pictures / "art.png"), "--style", str(contents / "broken.png"), "--style", "venice", "--pairs"]
    assert cli.main(["stylize", str(contents), *styles, "-o", str(out), "--batch", "3"]) == 1
    printed = capsys.readouterr()
    painted = [out / f"{name}__{style}.png" for name in "yz" for style in ("art", "venice")]
    assert sorted(printed.out.split()) == sorted(map(str, painted)) and all(path.is_file() for path in painted)
    assert printed.err.count("broken.png is not an image") == 2 and printed.err.count("output folder") == 2  # as content and style
    assert len(list(out.iterdir())) == 5


def test_what_is_there_is_painted_anew_or_skipped_when_asked(pictures: Path) -> None:
    command = ["stylize", str(pictures / "photo.png"), str(pictures / "other.png"), "--style", "venice", "-o", str(pictures / "out")]
    photo, other = (pictures / "out" / f"{name}__venice.png" for name in ("photo", "other"))
    assert cli.main(command) == 0
    first, mark = photo.read_bytes(), b"changed by hand"
    photo.write_bytes(mark)
    other.unlink()
    assert cli.main(command) == 1 and photo.read_bytes() == mark and not other.exists()
    assert cli.main([*command, "--skip-existing"]) == 0 and photo.read_bytes() == mark and other.is_file()
    assert cli.main([*command, "--overwrite"]) == 0 and photo.read_bytes() == first


@pytest.mark.parametrize("option", ["", "--skip-existing", "--overwrite"])
@pytest.mark.parametrize("limit", [2**30, 1])
def test_what_another_process_has_made_meanwhile(pictures, monkeypatch, capsys, option, limit) -> None:
    """Painted in one piece, and as a large picture."""
    pytest.importorskip("pyvips")
    monkeypatch.setattr(adain.tiling.large, "LARGE_PIXELS", limit)
    out, load = pictures / "out.png", stylize.load_model

    def slowly(options: argparse.Namespace) -> adain.StyleTransferModel:
        out.write_bytes(b"of another")
        return load(options)

    monkeypatch.setattr(stylize, "load_model", slowly)
    given = [str(pictures / "photo.png"), "--style", "great-wave", "-o", str(out), *filter(None, [option])]
    assert cli.main(["stylize", *given]) == (not option)
    assert (out.read_bytes() == b"of another") == (option != "--overwrite")
    assert ("out.png is there already" in capsys.readouterr().err) == (not option)


@pytest.mark.parametrize("name", ["-dash.png", "ep1:pilot.png", "new\nline.png", "~tilde.png", "[1].png", os.fsdecode(b"lat\xe9in.png")])
def test_names_are_names(pictures: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(pictures)
    try:
        (pictures / "photo.png").rename(pictures / name)
    except OSError:
        pytest.skip("no file system for this name")
    assert cli.main(["stylize", "--style", "art.png", "-o", "out/", "--", name]) == 0
    assert [path.name for path in (pictures / "out").iterdir()] == [f"{name.removesuffix('.png')}__art.png"]


def test_home_in_every_path(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(pictures))
    monkeypatch.setenv("USERPROFILE", str(pictures))
    (pictures / "empty").mkdir()
    monkeypatch.chdir(pictures / "empty")
    assert cli.main(["style", "save", "~/art.png", "--mask=~/photo.png", "-o", "~/art.safetensors"]) == 0
    assert cli.main(["stylize", "~/photo.png", "--style=~/art.safetensors", "--mask=~/other.png", "--output=~/out/"]) == 0
    assert cli.main(["styles", "~/"]) == 0
    assert (pictures / "out" / "photo__art.png").is_file() and not list(Path().iterdir())


def test_terminals_obey_no_name(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = weights.load_model()
    style = model.encode_style(read_picture(pictures / "art.png").rgb, name="\x1b]0;owned\x07\x1b[31m red")
    style.save(pictures / "red.safetensors")
    assert cli.main(["style", "show", str(pictures / "red.safetensors")]) == 0
    assert cli.main(["stylize", str(pictures / "no\x1b[31m.png"), "--style", "venice", "-o", str(pictures / "o.png")]) == 1
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err and "31m red" in printed.out and "no\\x1b[31m.png" in printed.err
    assert len(repr(style)) < 200


def test_formats_and_quiet(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["stylize", str(pictures / "photo.png"), "--style", "venice", "-o", str(pictures / "out"), "--format", "jpg"]
    assert cli.main([*command, "--quiet"]) == 0
    assert Image.open(pictures / "out" / "photo__venice.jpg").format == "JPEG"
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


def test_styles_are_listed_with_who_made_them(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["style", "save", str(pictures / "art.png"), "-o", str(pictures / "mine.safetensors")]) == 0
    assert cli.main(["styles", str(pictures)]) == 0
    lines = capsys.readouterr().out
    assert all(name in lines for name in preset_names()) and "Edvard Munch, 1893: The Scream" in lines and "mine.safetensors  art" in lines


@pytest.mark.parametrize(("arguments", "word"), [([], "examples:"), (["--help"], "stylize"), (["--version"], "adain ")])
def test_help_needs_no_torch(arguments: list[str], word: str) -> None:
    code = (
        "import sys; from adain_style_transfer.cli import main\n"
        f"try: main({arguments})\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and word in done.stdout, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes break in another way on Windows")
def test_who_stops_listening_stops_no_work(pictures: Path) -> None:
    command = [sys.executable, "-m", "adain_style_transfer", "stylize", pictures / "photo.png", pictures / "other.png"]
    with subprocess.Popen(
        [*command, "--style", "venice", "-o", pictures / "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None and process.stderr.read() == b"" and process.wait() == 0
    assert len(list((pictures / "out").iterdir())) == 2


TERMINATED = """
import signal, sys, time
from adain_style_transfer.adain.media.atomic import replacing
from adain_style_transfer.cli import main, stylize

def slowly(path, *_):
    with replacing(path) as temporary:
        temporary.write_bytes(b"half")
        print("writing", flush=True)
        time.sleep(60)

stylize.write_picture = slowly
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which tests that run under nohup inherit ignored
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_to_end_leaves_nothing(pictures: Path, name: str) -> None:
    command = [sys.executable, "-c", TERMINATED, "stylize", pictures / "photo.png", "--style", "venice", "-o", pictures / "out/"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "writing\n"
        process.send_signal(getattr(signal, name))
        assert process.communicate(timeout=30)[1] == "adain: stopped\n" and process.returncode == 1
    assert not list((pictures / "out").iterdir())


def test_debug_shows_the_traceback(pictures: Path) -> None:
    missing, art = str(pictures / "missing.png"), str(pictures / "art.png")
    with pytest.raises(adain.ImageError, match="no file at"):
        cli.main(["stylize", "--debug", art, "--style", missing, "-o", str(pictures / "o.png")])


def test_models_and_demo(tmp_path: Path) -> None:
    assert "adain-lite" in run("models").stdout
    sheet = tmp_path / "sheet.png"
    result = run("demo", "-o", sheet)
    assert result.stdout.strip() == str(sheet.resolve())
    values = np.asarray(Image.open(sheet), dtype=np.float32)
    assert min(values.shape[:2]) > 500 and values.std() > 20  # pictures, not a blank page


def test_what_a_format_cannot_hold_is_said(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Image.new("RGB", (24, 16), color) for color in ("red", "blue", "green")]
    frames[0].save(pictures / "moving.gif", save_all=True, append_images=frames[1:])
    contents = [str(pictures / name) for name in ("photo.png", "cut.png", "moving.gif")]
    command = ["stylize", *contents, "--style", "venice", "--format", "jpg", "-o", str(pictures / "out")]
    assert cli.main([*command, "--quality", "95"]) == 0
    said = capsys.readouterr().err
    assert said.count("hold no transparency") == 1 and "cut__venice.jpg is opaque" in said
    assert "moving.gif has 3 frames or pages" in said and said.count("\n") == 2
    fine = (pictures / "out" / "photo__venice.jpg").stat().st_size
    assert cli.main([*command, "--quality", "20", "--overwrite"]) == 0
    assert (pictures / "out" / "photo__venice.jpg").stat().st_size < 0.7 * fine

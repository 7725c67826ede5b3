"""The command line, as a subprocess with the embedded model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from adain_style_transfer import adain, cli, weights
from adain_style_transfer.adain.images import read_picture
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

    run("stylize", pictures / "photo.png", "--style", preset_names()[0], "--size", 20, "-o", pictures / "small.jpg")
    assert Image.open(pictures / "small.jpg").size == (28, 20)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["stylize", "missing.png", "--style", "art.png", "-o", "o.png"], 1, "no file at"),
        (["stylize", "photo.png", "--style", "missing.png", "-o", "o.png"], 1, "no file at"),
        (["stylize", "photo.png", "--style", "no-such-preset", "-o", "o.png"], 1, "no preset"),
        (["stylize", "photo.png", "--style", "art.png", "-o", "o.png", "--strength", "2"], 2, "number from 0 to 1"),
        (["stylize", "photo.png", "--style", "art.png", "--weights", "-1", "-o", "o.png"], 2, "weights"),
        (["stylize", "photo.png", "--style", "art.png", "--weights", "0", "-o", "o.png"], 2, "must be numbers >= 0"),
        (["stylize", "photo.png", "--style", "art.png", "--weights", "1,2", "-o", "o.png"], 1, "2 weights for 1 styles"),
        (["stylize", "photo.png", "--style", "art.png", "--mask", "black.png", "-o", "o.png"], 1, "zero everywhere"),
        (["stylize", "photo.png", "--style", "art.png", "--model", "art.png", "-o", "o.png"], 1, "not a readable safetensors"),
        (["stylize", "photo.png", "--style", "art.png", "--device", "warp", "-o", "o.png"], 1, "device"),
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
    before = sorted(pictures.rglob("*"))
    named = [str(pictures / a) if "." in a and not a.replace(".", "").isdigit() else a for a in arguments]
    try:
        assert cli.main(named) == code
    except SystemExit as stopped:  # argparse's own way out
        assert stopped.code == code
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert sorted(pictures.rglob("*")) == before


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

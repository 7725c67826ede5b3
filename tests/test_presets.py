"""Presets: what measures them and paints them, and the pages that show them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.training import presets as command
from adain_style_transfer.weights import save_model
from adain_style_transfer.weights.presets import presets
from PIL import Image
from samples import distilled_file, picture, small_lite

ROOT = Path(__file__).parent.parent
THUMBNAILS = ROOT / "web" / "docs" / "images" / "presets"


def judge_in(folder):
    """The path of a small loss network in `folder`."""
    return str(distilled_file(folder / "judge.safetensors"))


def test_each_preset_names_a_work_of_its_own() -> None:
    table = presets()
    assert len(table) >= 24
    assert len({(p.title, p.artist) for p in table.values()}) == len({p.file for p in table.values()}) == len(table)


@pytest.mark.parametrize(
    ("name", "words"),
    [("starrynight", "Did you mean starry-night"), ("The Scream", "Did you mean the-scream"), ("x", "'x'. Choose one of"), (3, "is a int")],
)
def test_a_name_that_is_none_is_told(name: str, words: str) -> None:
    with pytest.raises(adain.StyleError, match=words):
        weights.load_preset(weights.load_model(), name)


@pytest.mark.parametrize("page", ["docs/presets.md", "web/docs/AdaIN_StylePreset.md"])
def test_the_galleries_show_every_preset(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = {
        line.split("presets/")[1].split(".jpg")[0]
        for line in text.replace("![", "\n![").splitlines()
        if "presets/" in line and "![" in line
    }
    assert shown == set(presets())
    between = "<br>" if page.startswith("docs") else ", "
    assert all(f"*{preset.title}*{between}{preset.artist}" in text for preset in presets().values())


def test_every_thumbnail_is_small_and_of_a_preset() -> None:
    assert {path.stem for path in THUMBNAILS.iterdir()} == set(presets())
    for path in THUMBNAILS.iterdir():
        assert path.stat().st_size <= command.THUMBNAIL_BYTES
        assert max(Image.open(path).size) == command.THUMBNAIL_SIDE


class TestCommand:
    @pytest.fixture(autouse=True)
    def another_model(self, monkeypatch, tmp_path):
        """A model, presets and a photograph in place of those that ship."""
        path = tmp_path / "model.safetensors"
        save_model(small_lite(), path, {}, torch.float32)
        monkeypatch.setitem(weights.EMBEDDED, "adain-lite", path)
        (tmp_path / "presets.toml").write_text('[dusk]\ntitle = "Dusk"\nartist = "Nobody"\nkind = "Modern"\nfile = "dusk.png"\nsize = 32\n')
        monkeypatch.setattr("adain_style_transfer.weights.presets._FOLDER", tmp_path)
        adain.write_picture(tmp_path / "photograph.jpg", picture(200, 300, seed=1))
        monkeypatch.setattr(command, "PHOTOGRAPH", tmp_path / "photograph.jpg")

    def test_measures_and_paints(self, tmp_path):
        works = tmp_path / "works"
        works.mkdir()
        adain.write_picture(works / "dusk.png", picture(64, 48))
        assert command.main([str(tmp_path), str(works), "--judge", judge_in(tmp_path), "--thumbnails", str(tmp_path / "thumbnails")]) == 0

        model = weights.load_model(device="cpu", dtype=torch.float32)
        style = weights.load_preset(model, "dusk")
        measured = model.encode_style(adain.read_picture(works / "dusk.png").rgb, size=32)
        for a, b in zip(style.levels, measured.levels, strict=True):
            torch.testing.assert_close(a.mean, b.mean)
        judge = weights.load_judge(judge_in(tmp_path), "cpu", torch.float32)
        judged = judge.encode_style(adain.read_picture(works / "dusk.png").rgb, size=32)
        seen = style.seen_by(judge.fingerprint)
        assert seen is not None
        torch.testing.assert_close(seen.levels[4].mean, judged.levels[4].mean)
        thumbnail = tmp_path / "thumbnails" / "dusk.jpg"
        assert thumbnail.stat().st_size <= command.THUMBNAIL_BYTES
        painted = adain.stylize(model, adain.read_picture(command.PHOTOGRAPH).rgb, style)
        shown = adain.resample.resize(adain.read_picture(thumbnail).rgb, (20, 30))
        assert (shown - adain.resample.resize(painted, (20, 30))).abs().mean() < 0.02

    def test_a_missing_work_is_named(self, tmp_path, caplog):
        assert command.main([str(tmp_path / "elsewhere")]) == 1
        assert "The picture dusk.png of the preset dusk is in none of the folders" in caplog.text

    def test_a_preset_of_this_model_may_stay_without_its_work(self, tmp_path, caplog):
        adain.write_picture(tmp_path / "dusk.png", picture(64, 48))
        assert command.main([str(tmp_path), "--judge", judge_in(tmp_path)]) == 0
        measured = (tmp_path / "dusk.safetensors").read_bytes()
        assert command.main([str(tmp_path / "elsewhere")]) == 0
        assert "dusk stays as it is: dusk.png is in none of the folders" in caplog.text
        assert (tmp_path / "dusk.safetensors").read_bytes() == measured
        save_model(small_lite(seed=1), weights.EMBEDDED["adain-lite"], {}, torch.float32)
        assert command.main([str(tmp_path / "elsewhere")]) == 1

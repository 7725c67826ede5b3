from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import pytest
from adain_style_transfer import training
from adain_style_transfer.training import start
from adain_style_transfer.training.recipe import Recipe, RecipeError, add_options, read_recipe

RECIPES = sorted((Path(training.__file__).parent / "recipes").glob("*.toml"))


def test_options_override_the_file_which_overrides_the_defaults(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('steps = 7\nlr = 1\nlicense = "CC0"')
    recipe = read_recipe(str(path), {"steps": 9})
    assert (recipe.steps, recipe.lr, recipe.license, recipe.batch) == (9, 1, "CC0", Recipe().batch)
    assert read_recipe(None, {}) == Recipe()


def test_every_setting_is_an_option():
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert vars(parser.parse_args([])) == {}  # so that only what is given overrides
    given = vars(parser.parse_args(["--style-weight", "7", "--loss-network", "vgg", "--steps", "3"]))
    assert given == {"style_weight": 7.0, "loss_network": "vgg", "steps": 3}
    for item in dataclasses.fields(Recipe):
        assert f"--{item.name.replace('_', '-')}" in parser.format_help()
    with pytest.raises(SystemExit):
        parser.parse_args(["--steps", "many"])


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_the_recipes_that_ship_are_valid(path):
    assert isinstance(read_recipe(str(path), {}), Recipe)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("content_weight = 0.0\nstyle_weight = 0.0", "nothing to learn"),
        ("crop = 100", "crop is 100.*multiple of 8"),
        ("step = 5", "unknown key 'step'.*Known keys: .*steps"),
        ('steps = "5"', "gives steps = '5'; expected int"),
        ("steps = 1.5", "gives steps = 1.5; expected int"),
        ("lr = 'fast'", "gives lr = 'fast'; expected float"),
        ("steps = ", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        ("steps = 0", "steps is 0.*at least 1"),
        ("batch = -1", "batch is -1"),
        ("zoom_low = 2.0\nzoom_high = 1.0", "zoom_low 2.0 and zoom_high 1.0"),
        ("zoom_low = 0.0", "must be positive"),
        ('precision = "bf17"', "precision is 'bf17'.*no, fp16, bf16"),
        ('device = "tpu"', "device is 'tpu'.*auto, cpu"),
        ('architecture = "resnet"', "architecture is 'resnet'.*lite, base, vgg19"),
    ],
)
def test_recipes_that_cannot_be_used(tmp_path, text, words):
    path = tmp_path / "a.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RecipeError, match=words):
        read_recipe(str(path), {})


def test_recipes_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(RecipeError, match="cannot be read"):
            read_recipe(str(path), {})


@pytest.mark.parametrize("package", ["accelerate", "tensorboard", "torchvision"])
def test_a_missing_package_is_named(package, monkeypatch, capsys):
    for name in ("train", "data"):  # what imports them
        monkeypatch.delitem(sys.modules, f"adain_style_transfer.training.{name}", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == package or name == "torch.utils.tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert start.main() == 1
    assert f"Training needs {package}, which is not installed. Run `pip install {package}`" in capsys.readouterr().err

"""Whole training runs, tiny: 32 px crops, a random loss network, the CPU."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

pytest.importorskip("accelerate", reason="training needs the extra: pip install adain-style-transfer[train]")
pytest.importorskip("tensorboard", reason="training needs the extra: pip install adain-style-transfer[train]")

import adain_style_transfer
from adain_style_transfer import adain, weights
from adain_style_transfer.adain import AdaINError
from adain_style_transfer.adain.aim import Aim
from adain_style_transfer.adain.architectures.kuko6 import SOURCE_ENCODER
from adain_style_transfer.adain.architectures.vgg19 import NAOTO_ENCODER, WIDTHS
from adain_style_transfer.adain.media.images import read_picture
from adain_style_transfer.adain.pipeline import Painter
from adain_style_transfer.training import checkpoint, train
from adain_style_transfer.training.objective import Batch
from adain_style_transfer.training.recipe import Recipe, RecipeError, read_recipe
from adain_style_transfer.training.train import Trainer
from adain_style_transfer.training.transposed import start_from_encoder
from samples import loss_network_file, picture, small_lite, vgg19

ROOT = os.path.dirname(str(adain_style_transfer.__file__))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of pictures, some broken, and a loss network."""
    root = tmp_path_factory.mktemp("data")
    for kind, count in (("content", 6), ("style", 5)):
        for i in range(count):
            path = root / kind / ("deep" if i % 2 else ".") / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            adain.write_picture(path, picture(40 + i, 60, seed=i + (100 if kind == "style" else 0)))
        (root / kind / "0 broken.jpg").write_text("no image")
    loss_network_file(root / "vgg.safetensors")
    return root


@pytest.fixture
def recipe(data, tmp_path):
    """A function that makes a recipe of a small run into tmp_path / `out`."""

    def make(out="run", **settings):
        tiny = {"steps": 6, "batch": 2, "crop": 32, "warmup": 1, "precision": "no", "device": "cpu"}
        rare = {"log_every": 1000, "save_every": 1000, "preview_every": 1000}
        folders = {kind: str(data / kind) for kind in ("content", "style")}
        given = folders | {"loss_network": str(data / "vgg.safetensors"), "out": str(tmp_path / out)} | tiny | rare | settings
        return Recipe(**given)

    return make


def arguments(recipe):
    fresh = Recipe()
    pairs = ((name, value) for name, value in vars(recipe).items() if value != getattr(fresh, name))
    return [part for name, value in pairs for part in (f"--{name.replace('_', '-')}", str(value))]


def run(recipe, resume=False):
    trainer = Trainer(recipe, resume)
    trainer.run()
    return trainer


def assert_same_run(one, other):
    """Weights, their average and the optimizer, bit for bit."""
    for a, b in ((one.model, other.model), (one.average, other.average)):
        for (key, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
            assert torch.equal(x, y), key
    states = [trainer.optimizer.state_dict()["state"] for trainer in (one, other)]
    for a, b in zip(states[0].values(), states[1].values(), strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
    exports = [load_file(next(trainer.folder.glob("adain-*.safetensors"))) for trainer in (one, other)]
    assert all(torch.equal(exports[0][key], exports[1][key]) for key in exports[0])


class Killed(BaseException):
    pass


def run_until(recipe, step, resume=False):
    """Like a run that is killed after `step` steps: nothing is tidied up."""
    trainer = Trainer(recipe, resume)
    original = trainer.train_step

    def train_step(*batch):
        if trainer.step == step:
            raise Killed
        original(*batch)

    trainer.train_step = train_step
    with pytest.raises(Killed):
        trainer.run()
    return trainer


def test_the_loss_falls(recipe):
    trainer = Trainer(recipe(steps=36, variants=1, lr=3e-3, range_weight=1.0), False)
    seen = []
    original = trainer.train_step

    def train_step(*batch):
        original(*batch)
        seen.append(trainer.losses["loss"][-1].item())

    trainer.train_step = train_step
    trainer.run()
    assert len(seen) == 36 and np.isfinite(seen).all()
    assert np.mean(seen[-8:]) < 0.8 * np.mean(seen[:8])


@pytest.mark.parametrize("settings", [{"variants": 0}, {"variants": 2}, {"variants": 2, "workers": 1, "identity_weight": 5.0}])
def test_resume_equals_uninterrupted(recipe, settings):
    whole = run(recipe("whole", **settings))
    run_until(recipe("parts", save_every=2, **settings), 3)  # trained to 3, saved at 2
    run_until(recipe("parts", save_every=1, **settings), 5, resume=True)
    assert_same_run(run(recipe("parts", **settings), resume=True), whole)


def test_the_seed_decides_the_run(recipe):
    one, same, other = (run(recipe(f"{i}", steps=2, seed=seed)) for i, seed in enumerate((0, 0, 1)))
    assert_same_run(one, same)
    assert not torch.equal(one.model.encoder.down2.weight, other.model.encoder.down2.weight)


def test_a_killed_process_is_resumed_bit_for_bit(recipe):
    """kill -9 as the operating system does it, at a moment nobody chose."""
    settings = {"steps": 14, "variants": 2, "save_every": 1}
    killed = recipe("killed", **settings)
    command = [sys.executable, os.path.join(ROOT, "training", "train.py"), *arguments(killed)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    path = os.path.join(killed.out, checkpoint.NAME)
    while not os.path.exists(path) and process.poll() is None:
        time.sleep(0.01)
    time.sleep(random.uniform(0, 1))
    process.send_signal(signal.SIGKILL)
    errors = process.communicate()[1].decode()
    assert os.path.exists(path), errors
    if torch.load(path, weights_only=True)["step"] == killed.steps:
        pytest.skip("the process was done before it was killed")
    assert_same_run(run(killed, resume=True), run(recipe("whole", **settings)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_kill_while_a_checkpoint_is_written_leaves_a_whole_one(tmp_path):
    recipe, model = Recipe(), small_lite().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters())
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    checkpoint.save(tmp_path, recipe, 0, model, model, optimizer)
    last = 0
    for attempt in range(12):
        child = os.fork()
        if child == 0:  # writes checkpoints until it is killed
            step = last
            while True:
                step += 1
                with torch.no_grad():
                    model.decoder.pixels.bias.fill_(step)
                checkpoint.save(tmp_path, recipe, step, model, model, optimizer)
        time.sleep(random.Random(attempt).uniform(0.01, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        restored = small_lite(seed=9)
        step = checkpoint.load(tmp_path, recipe, restored, restored, torch.optim.Adam(restored.parameters()))
        assert step >= last and (step == 0 or (restored.decoder.pixels.bias == step).all())
        last = step
    assert last > 0


def test_a_failed_checkpoint_leaves_the_last_one(tmp_path, monkeypatch):
    model = small_lite()
    optimizer = torch.optim.Adam(model.parameters())
    checkpoint.save(tmp_path, Recipe(), 1, model, model, optimizer)

    def full(state, path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, Recipe(), 2, model, model, optimizer)
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.NAME]
    assert checkpoint.load(tmp_path, Recipe(), model, model, optimizer) == 1


def test_what_a_run_leaves(recipe, caplog):
    with caplog.at_level(logging.INFO):
        often = {"log_every": 2, "save_every": 2, "preview_every": 4}
        trainer = run(recipe(steps=4, license="CC0", data_note="noise", identity_weight=3.0, seed=1, **often))
    path = trainer.folder / "adain-lite.safetensors"
    names = {p.name for p in trainer.folder.iterdir()}
    assert names == {"adain-lite.safetensors", checkpoint.NAME, "preview-000004.png", "tensorboard"}
    assert list((trainer.folder / "tensorboard").iterdir())
    # The exported model is the averaged one, and loads as any other.
    model = weights.read_model(path)
    for key, value in trainer.averaged().state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value, rtol=2e-3, atol=1e-6)
    assert adain.stylize(model, picture(20, 20), model.encode_style(picture(20, 20))).isfinite().all()
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata.keys() >= {"architecture", "license", "data", "losses", "steps", "version"}
    assert (metadata["architecture"], metadata["license"], metadata["data"], metadata["steps"]) == ("lite", "CC0", "noise", "4")
    assert "identity 3" in metadata["losses"]
    # Broken images are named, and the preview does without them.
    assert any("0 broken.jpg" in record.getMessage() for record in caplog.records)
    assert any("s/step" in record.getMessage() for record in caplog.records)
    assert read_picture(trainer.folder / "preview-000004.png").rgb.shape[1:] == (3, 192 * 5, 192 * 5)


def published_encoder(path, model):
    """The encoder of `model`, a file as `vgg_normalised.pth` names its layers."""
    names = {name: index for index, name in NAOTO_ENCODER.items()}
    parts = (key.rsplit(".", 1) for key in model.encoder.state_dict())
    save_file({f"{names[n]}.{kind}": model.encoder.state_dict()[f"{n}.{kind}"] for n, kind in parts} | {"31.weight": torch.ones(2)}, path)
    return str(path)


def test_a_vgg19_decoder_leaves_the_encoder_untouched(recipe, tmp_path):
    source = vgg19()
    encoder = published_encoder(tmp_path / "encoder.safetensors", source)
    trainer = run(recipe(steps=2, architecture="vgg19", encoder=encoder, ema=0.5))
    model = weights.read_model(trainer.folder / "adain-vgg19.safetensors")
    for key, value in source.encoder.state_dict().items():
        assert torch.equal(trainer.model.encoder.state_dict()[key], value)
        assert torch.equal(trainer.average.module.encoder.state_dict()[key], value)
        assert torch.equal(model.encoder.state_dict()[key], value.half().float())
    fresh = train.build_model(trainer.recipe)
    assert not torch.equal(trainer.model.decoder.conv1_1.weight, fresh.decoder.conv1_1.weight)


def test_a_decoder_learns_to_rebuild_pictures(recipe, tmp_path):
    """Neither content nor style loss: every picture of the batch comes back as it was, and the styles are not looked at."""
    encoder = published_encoder(tmp_path / "encoder.safetensors", vgg19())
    losses = {"content_weight": 0.0, "style_weight": 0.0, "identity_weight": 1.0}
    trainer = Trainer(recipe(steps=30, architecture="vgg19", encoder=encoder, variants=1, log_every=30, lr=3e-3, **losses), False)
    trainer.run()
    seen = [value.item() for value in trainer.losses["identity"]]
    assert set(trainer.losses) == {"identity", "loss"} and len(seen) == 30
    assert np.mean(seen[-5:]) < 0.7 * np.mean(seen[:5])


@pytest.mark.parametrize("variants", [0, 1])
def test_content_can_be_compared_with_the_photograph_itself(recipe, variants):
    objective = {target: Trainer(recipe(content_target=target, variants=variants), False).objective for target in ("adain", "content")}
    keys = torch.tensor([0])
    batch = Batch(picture(32, 32, seed=1), keys, picture(32, 32, seed=2), keys)
    terms = {target: compare(lambda batch: batch.contents, lambda own, _: own, batch) for target, compare in objective.items()}
    assert terms["content"]["content"] == 0 < terms["adain"]["content"]
    assert terms["content"]["style"] == terms["adain"]["style"] > 0


@pytest.mark.parametrize("variants", [0, 1])
def test_a_frozen_encoder_is_asked_the_same_as_the_whole_model(recipe, tmp_path, variants):
    """What the trainer paints from kept features is what the model paints."""
    encoder = published_encoder(tmp_path / "encoder.safetensors", vgg19())
    trainer = Trainer(recipe(architecture="vgg19", encoder=encoder, variants=variants), False)
    keys = torch.tensor([0])
    content, _, style, _ = batch = Batch(picture(32, 32, seed=1), keys, picture(32, 32, seed=2), keys)

    def painter(image):
        return Painter(trainer.model, Aim([trainer.model.statistics_of(image)]))

    with torch.no_grad():
        for _ in range(2):  # measured, then kept
            painted = trainer.paint(batch)
            torch.testing.assert_close(painted, painter(style).render(content), atol=1e-4, rtol=1e-4)
            repainted = trainer.repaint(content, keys)
            own = painter(content).render(content)
            torch.testing.assert_close(repainted, own, atol=1e-4, rtol=1e-4)


def test_a_decoder_by_the_seed_recipe(recipe, tmp_path, data):
    """The recipe as it ships, but for its size, with an encoder in the layout of timm's file."""
    generator = torch.Generator().manual_seed(0)
    encoder = {}
    for index, name in SOURCE_ENCODER.items():
        inputs, outputs = WIDTHS[name]
        encoder[f"features.{index}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        encoder[f"features.{index}.bias"] = torch.zeros(outputs)
    save_file(encoder, tmp_path / "timm.safetensors")
    shipped = os.path.join(ROOT, "training", "recipes", "seed.toml")
    small = {"steps": 2, "batch": 2, "crop": 32, "workers": 0, "device": "cpu", "out": str(tmp_path / "run")}
    files = {"content": str(data / "content"), "style": str(data / "style")}
    files |= dict.fromkeys(("encoder", "loss_network"), str(tmp_path / "timm.safetensors"))
    trainer = run(read_recipe(shipped, small | files))
    model = weights.read_model(trainer.folder / "adain-kuko6.safetensors")
    assert model.architecture == "kuko6"
    assert torch.equal(model.encoder.conv4_1.weight, encoder["features.19.weight"].half().float())
    for key, value in trainer.model.state_dict().items():  # the last weights, no average
        assert torch.equal(model.state_dict()[key], value.half().float())
    # What the encoder says of a picture and what the loss network says of it are the same, where no border reaches.
    image = picture(160, 160)
    inside = (..., slice(7, -7), slice(7, -7))
    torch.testing.assert_close(trainer.loss_network(image)[-1][inside], trainer.model.encode(image)[0][inside], atol=1e-3, rtol=1e-3)


def test_weights_by_name_come_from_the_catalogue(tmp_path, monkeypatch):
    monkeypatch.setenv("ADAIN_MODELS", str(tmp_path))
    (tmp_path / "any name").write_bytes(b"weights")
    entry = f'[mine]\n[[mine.files]]\npath = "a.safetensors"\nbytes = 7\nsha256 = "{hashlib.sha256(b"weights").hexdigest()}"\n'
    (tmp_path / "catalog.toml").write_text(entry)
    assert train.weights_path("mine") == tmp_path / "any name"
    assert train.weights_path("no such thing") == Path("no such thing")


def test_more_steps_may_be_asked_for_later(recipe):
    run(recipe(steps=2, save_every=1))
    assert run(recipe(steps=3), resume=True).step == 3


# Bad input


def test_runs_that_cannot_be_resumed(recipe, tmp_path):
    with pytest.raises(RecipeError, match="no checkpoint at .*without --resume"):
        Trainer(recipe(), True)
    run(recipe(steps=2))
    with pytest.raises(RecipeError, match="reached its 2 steps"):
        run(recipe(steps=2), resume=True)
    with pytest.raises(RecipeError, match="other settings: lr = 0.001, now 0.5"):
        Trainer(recipe(steps=3, lr=0.5), True)
    path = tmp_path / "run" / checkpoint.NAME
    for content in (path.read_bytes()[:5000], b"", b"no checkpoint"):
        path.write_bytes(content)
        with pytest.raises(RecipeError, match="checkpoint.pt is damaged"):
            Trainer(recipe(steps=3), True)


def test_a_checkpoint_of_another_program_or_damaged(recipe, tmp_path):
    run(recipe(steps=2))
    path = tmp_path / "run" / checkpoint.NAME
    whole = path.read_bytes()
    state = torch.load(path, weights_only=True)
    key = next(iter(state["model"]))
    for other in ({"state_dict": {}}, [1], {"recipe": {}}, {**state, "recipe": 3}, torch.zeros(3)):
        torch.save(other, path)
        with pytest.raises(RecipeError, match=r"is no checkpoint of adain-train"):
            Trainer(recipe(steps=3), True)
    for part in ("model", "average", "optimizer"):
        torch.save({**state, part: {"x": torch.zeros(3)}}, path)
        with pytest.raises(RecipeError, match="does not fit the recipe's model"):
            Trainer(recipe(steps=3), True)
    torch.save({**state, "model": {**state["model"], key: state["model"][key] * torch.nan}}, path)
    with pytest.raises(RecipeError, match=rf"damaged: model\.{key} holds NaN"):
        Trainer(recipe(steps=3), True)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(RecipeError, match=r"damaged: .*[Cc]hecksum|damaged: .*CRC"):
        Trainer(recipe(steps=3), True)


def test_a_run_is_not_destroyed_by_a_forgotten_resume(recipe, tmp_path, caplog):
    command = arguments(recipe(steps=2))
    assert train.main(command) == 0
    assert train.main(command) == 1
    assert "There is a run in" in caplog.text and "--resume" in caplog.text and "--overwrite" in caplog.text
    (tmp_path / "run" / checkpoint.NAME).unlink()  # the exported model alone
    assert train.main(command) == 1
    assert train.main([*command, "--overwrite"]) == 0
    assert (tmp_path / "run" / checkpoint.NAME).is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_saves(recipe, tmp_path, number):
    steps = 3000
    command = [sys.executable, "-m", "adain_style_transfer.training.train", *arguments(recipe(steps=steps, log_every=1))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "step 2 " in line:
                break
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 1 and "Traceback" not in rest
    last = rest.strip().splitlines()[-1]
    assert "which is saved. The same command with --resume goes on from there" in last, rest
    saved = torch.load(tmp_path / "run" / checkpoint.NAME, weights_only=True)
    assert f"Stopped after step {saved['step']}," in last and saved["step"] < steps
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]
    assert Trainer(recipe(steps=steps), True).step == saved["step"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"content": ""}, "no content.*--content"),
        ({"style": ""}, "no style"),
        ({"loss_network": ""}, "no loss_network.*--loss-network"),
        ({"content": "nowhere"}, "no images below nowhere"),
        ({"loss_network": "nothing"}, "no loss network at nothing"),
        ({"architecture": "vgg19"}, "no encoder at ''.*--encoder vgg-normalised"),
        ({"architecture": "kuko6"}, "no encoder at ''.*--encoder vgg19-torchvision"),
    ],
)
def test_settings_that_name_nothing(recipe, settings, words):
    with pytest.raises(AdaINError, match=words):
        run(recipe(**settings))


def test_a_decoder_starts_from_its_encoder():
    model = vgg19(seed=3)
    start_from_encoder(model)
    for name in ("conv4_1", "conv2_1", "conv1_1"):  # proportional to the transpose
        given = model.encoder.get_submodule(name).weight.transpose(0, 1).flip(2, 3)
        ratio = model.decoder.get_submodule(name).weight / given
        assert ratio.std() < 1e-3 * ratio.mean()
    painted = model.decode(torch.empty(0), model.encode(picture(64, 64)), [])
    assert 0.1 < painted.mean() < 0.9 and 0.05 < painted.std() < 0.6  # random weights would give next to nothing


def test_a_run_starts_from_the_weights_of_a_model(recipe, tmp_path):
    model = train.Lite()
    weights.save_model(model, tmp_path / "start.safetensors", {}, torch.float32)
    trainer = Trainer(recipe(start=str(tmp_path / "start.safetensors"), seed=5), False)
    for (key, given), taken in zip(model.state_dict().items(), trainer.model.state_dict().values(), strict=True):
        assert torch.equal(given, taken), key


def test_a_run_does_not_start_from_another_architecture(recipe, tmp_path):
    weights.save_model(vgg19(), tmp_path / "vgg.safetensors", {})
    with pytest.raises(RecipeError, match="is vgg19, but this run trains lite"):
        Trainer(recipe(start=str(tmp_path / "vgg.safetensors")), False)


def test_an_encoder_of_another_layout(recipe, data):
    with pytest.raises(RecipeError, match="not VGG-19 in the layout of vgg-normalised"):
        Trainer(recipe(architecture="vgg19", encoder=str(data / "vgg.safetensors")), False)


def test_a_loss_that_is_no_longer_finite_stops_the_run(recipe):
    with pytest.raises(AdaINError, match="no longer finite at step"):
        run(recipe(steps=4, log_every=2, style_weight=float("inf")))


def test_the_command_line_says_what_is_wrong(recipe, caplog, tmp_path):
    assert train.main(["--recipe", str(tmp_path / "missing.toml")]) == 1
    assert "cannot be read" in caplog.text
    (tmp_path / "file").write_text("")
    assert train.main([*arguments(recipe()), "--out", str(tmp_path / "file" / "run")]) == 1
    assert "Not a directory" in caplog.text
    with pytest.raises(SystemExit) as stop:
        train.main(["--no-such-option"])
    assert stop.value.code == 2


def test_two_processes(recipe):
    """accelerate launch: both see different crops, and one model comes out."""
    settings = recipe(steps=2, save_every=1, identity_weight=1.0)
    launcher = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--cpu"]
    options = ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command = [*launcher, *options, os.path.join(ROOT, "training", "train.py"), *arguments(settings)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert weights.read_model(os.path.join(settings.out, "adain-lite.safetensors")).architecture == "lite"

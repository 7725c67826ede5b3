from __future__ import annotations

import math

import pytest
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain import ModelError
from adain_style_transfer.adain.architectures import ARCHITECTURES
from adain_style_transfer.weights.loading import default_dtype, model_from_state
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from samples import picture, small_lite, vgg19


@pytest.fixture
def saved(lite, tmp_path):
    """A model file, the tensors in it, and a function that writes other tensors under its name."""
    path = tmp_path / "mine.safetensors"
    weights.save_model(lite, path, {"license": "MIT"}, torch.float32)
    state = load_file(path)

    def write(changes):
        changed = {k: v for k, v in (state | changes).items() if v is not None}
        save_file(changed, path)
        return path

    return path, state, write


@pytest.mark.parametrize("build", [small_lite, vgg19])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_saved_model_comes_back(tmp_path, build, dtype):
    model = build()
    path = tmp_path / "mine.safetensors"
    weights.save_model(model, path, {"license": "MIT", "data": "none"}, dtype)
    loaded = weights.read_model(path)
    assert type(loaded) is type(model) and loaded.name == "mine" and not loaded.training
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.to(dtype).float())
    assert not any(p.requires_grad for p in loaded.parameters())
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"architecture": model.architecture, "license": "MIT", "data": "none"}
    if dtype == torch.float32:
        assert loaded.fingerprint == model.fingerprint
        assert torch.equal(loaded.encode_style(picture(16, 16)).levels[-1].mean, model.encode_style(picture(16, 16)).levels[-1].mean)


def test_names_and_metadata_play_no_part_in_detection(saved):
    path, _, write = saved
    write({})  # without metadata
    other = path.with_name("vgg19.bin")
    path.rename(other)
    assert weights.read_model(other).architecture == "lite"


def test_only_one_architecture_claims_a_file():
    for build in (small_lite, vgg19):
        model = build()
        assert [name for name, module in ARCHITECTURES.items() if module.detect(model.state_dict())] == [model.architecture]


@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16, torch.float32])
def test_the_fingerprint_is_that_of_the_file(saved, dtype):
    path, *_ = saved
    model = weights.load_model(path, "cpu", dtype)
    assert model.fingerprint == weights.read_model(path).fingerprint
    assert model.dtype == (dtype or default_dtype(torch.device("cpu"))) and model.device.type == "cpu"
    assert adain.stylize(model, picture(9, 9), model.encode_style(picture(8, 8))).isfinite().all()


def test_the_fingerprint_is_of_the_encoder_alone(saved):
    path, state, write = saved
    before = weights.read_model(path).fingerprint
    key = "decoder.pixels.bias"
    assert weights.read_model(write({key: state[key] + 1})).fingerprint == before
    key = "encoder.at8.bias"
    assert weights.read_model(write({key: state[key] + 1})).fingerprint != before


# Files that are no model


def fails(*words):
    return pytest.raises(ModelError, match="(?s)" + "".join(f"(?=.*{word})" for word in words))


def test_a_model_that_does_not_exist(tmp_path):
    with fails("no model", "nothing.safetensors", "adain-lite"):
        weights.load_model(tmp_path / "nothing.safetensors")
    with fails("no model 'adain-heavy'", "adain-lite"):
        weights.load_model("adain-heavy")
    for read in (weights.read_model, weights.load_model):
        with fails(str(tmp_path.name)):
            read(tmp_path)


def test_files_that_are_not_safetensors(tmp_path, saved):
    path, *_ = saved
    data = path.read_bytes()
    for content in (b"", b"\x80\x02 a pickle", data[:7], data[:200], data[: len(data) // 2], data[:-1]):
        path.write_bytes(content)
        with fails("mine.safetensors is not a readable safetensors file", "again"):
            weights.read_model(path)


def test_a_file_of_an_unknown_architecture(saved):
    path, *_ = saved
    save_file({"lora_up.weight": torch.ones(2), "alpha": torch.ones(1)}, path)
    with fails("mine.safetensors holds no model", "lite, vgg19", "alpha, lora_up.weight", "adain-train"):
        weights.read_model(path)
    save_file({}, path)
    with fails("holds no model", "none"):
        weights.read_model(path)


@pytest.mark.parametrize("key", ["encoder.at4.weight", "encoder.down8.weight", "decoder.pixels.bias", "modulation.bias"])
def test_missing_misshapen_and_infinite_tensors(saved, key):
    _, state, write = saved
    with fails("lite", "does not fit", key):
        weights.read_model(write({key: None}))
    for wrong in (state[key][:-1], state[key][None], torch.tensor(1.0), state[key][:0]):
        with fails("lite", "does not fit"):
            weights.read_model(write({key: wrong.contiguous()}))
    for value in (math.nan, math.inf):
        broken = state[key].clone()
        broken.view(-1)[-1] = value
        with fails("damaged", key, "NaN or infinite"):
            weights.read_model(write({key: broken}))


def test_unexpected_tensors(saved):
    _, _, write = saved
    with fails("does not fit", "extra.weight"):
        weights.read_model(write({"extra.weight": torch.ones(1)}))


def test_a_vgg19_file_with_a_misshapen_tensor():
    state = vgg19().state_dict()
    with fails("here looks like vgg19 but does not fit it", "encoder.conv3_1.weight"):
        model_from_state(state | {"encoder.conv3_1.weight": torch.ones(2, 2)}, "here")


def test_models_that_cannot_be_written(lite, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with fails("mine.safetensors cannot be written"):
            weights.save_model(lite, folder / "mine.safetensors", {})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


# The embedded model

embedded = pytest.mark.skipif(
    not all(path.is_file() for path in weights.EMBEDDED.values()), reason="the embedded weights are not in this checkout"
)


@embedded
def test_the_embedded_model_is_the_default():
    model = weights.load_model(device="cpu", dtype=torch.float32)
    assert model.name == next(iter(weights.EMBEDDED)) and model.architecture == "lite"
    content, style = picture(48, 64), model.encode_style(picture(64, 48, seed=1))
    out = adain.stylize(model, content, style)
    assert out.shape == content.shape and not torch.equal(out, content)


@embedded
def test_the_embedded_model_gives_a_picture_in_its_own_style_back():
    """Strength 0 and the own style ask for nothing: the picture stays recognisable."""
    model = weights.load_model(device="cpu", dtype=torch.float32)
    content = torch.nn.functional.interpolate(picture(9, 12), (72, 96), mode="bicubic").clamp(0, 1)
    for out in (
        adain.stylize(model, content, model.encode_style(picture(64, 48, seed=1)), strength=0),
        adain.stylize(model, content, model.encode_style(content)),
    ):
        assert (out - content).abs().mean() < 0.08


@embedded
def test_every_preset_belongs_to_the_embedded_model():
    model = weights.load_model(device="cpu", dtype=torch.float32)
    for name in weights.preset_names():
        assert len(weights.load_preset(model, name)) == 1
    with pytest.raises(adain.StyleError, match="no preset 'nothing'"):
        weights.load_preset(model, "nothing")
    with pytest.raises(adain.StyleError, match="cannot be used with the lite encoder"):
        weights.load_preset(small_lite(), weights.preset_names()[0])


def test_loading_leaves_the_random_numbers_as_they_were(saved):
    path, *_ = saved
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    weights.load_model(path, device="cpu")
    assert torch.equal(torch.rand(4), expected)

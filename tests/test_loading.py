from __future__ import annotations

import math
import os

import pytest
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain import ModelError
from adain_style_transfer.adain.media.tensor_files import metadata_of
from adain_style_transfer.weights.convert import convert
from adain_style_transfer.weights.files import model_from_state
from adain_style_transfer.weights.loading import default_dtype
from safetensors.torch import load_file, save_file
from samples import picture, small_base, small_lite, vgg19
from torch.utils._python_dispatch import TorchDispatchMode


@pytest.fixture
def saved(lite, tmp_path):
    """A model file, the tensors in it, and a function that writes other tensors under its name."""
    path = tmp_path / "mine.safetensors"
    weights.save_model(lite, path, {"license": "MIT"}, torch.float32)
    state = {key: value.clone() for key, value in load_file(path).items()}  # not mapped from the file that `write` replaces

    def write(changes):
        changed = {k: v for k, v in (state | changes).items() if v is not None}
        save_file(changed, path)
        return path

    return path, state, write


@pytest.mark.parametrize("build", [small_lite, small_base, vgg19])
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
    assert metadata_of(path) == {"architecture": model.architecture, "license": "MIT", "data": "none"}
    if dtype == torch.float32:
        assert loaded.fingerprint == model.fingerprint
        assert torch.equal(loaded.encode_style(picture(16, 16)).levels[-1].mean, model.encode_style(picture(16, 16)).levels[-1].mean)


def test_names_and_metadata_play_no_part_in_detection(saved):
    path, _, write = saved
    write({})  # without metadata
    other = path.with_name("vgg19.bin")
    path.rename(other)
    assert weights.read_model(other).architecture == "lite"


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
    with fails("mine.safetensors holds no model", "lite, base, vgg19", "alpha, lora_up.weight", "adain-train"):
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


# Damage, absurd values, sizes that are only claimed


class Sizes(TorchDispatchMode):
    """Notes the bytes of every tensor on the CPU that an operation gives."""

    def __init__(self, noted):
        super().__init__()
        self.noted = noted

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.device.type == "cpu":
            self.noted.append(result.nbytes)
        return result


def test_one_flipped_bit_is_noticed(saved):
    path, *_ = saved
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="its numbers are not those that were saved"):
        weights.read_model(path)


def test_the_embedded_models_are_read_without_complaint():
    for path in weights.EMBEDDED.values():
        assert weights.read_model(path).fingerprint


@pytest.mark.parametrize("key", ["decoder.at2.weight", "encoder.down2.bias", "modulation.weight"])
@pytest.mark.parametrize("value", [3e38, -1e38])
def test_absurd_values_are_refused(saved, key, value):
    _, state, write = saved
    absurd = state[key].clone()
    absurd.flatten()[:] = value
    with pytest.raises(ModelError, match=rf"what it paints is not finite\. Its largest value is \d.*{key}"):
        weights.read_model(write({key: absurd}))


def test_a_loaded_model_does_not_depend_on_its_file(saved):
    path, state, _ = saved
    model = weights.read_model(path)
    with path.open("r+b") as file:
        file.seek(-path.stat().st_size // 2, os.SEEK_END)
        file.write(bytes(path.stat().st_size // 2))
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())


def test_claimed_sizes_cost_nothing(saved):
    path, *_ = saved
    # 320 bytes that ask for a network of 1.9 GB
    save_file({f"encoder.{name}.weight": torch.empty(2000, 0, 3, 3) for name in ("down2", "down4", "down8")}
              | {"decoder.first8.first.weight": torch.empty(0)}, path)  # fmt: skip
    made = []
    with pytest.raises(ModelError, match="looks like lite but does not fit it"), Sizes(made):
        weights.read_model(path)
    assert max(made) < 2**26  # what is reserved for any network


def test_numbers_that_are_repeated_by_their_strides(tmp_path, lite):
    state = lite.state_dict() | {"encoder.down2.weight": torch.zeros(1).expand(10**10, 12, 3, 3)}
    torch.save(state, tmp_path / "strides.pth")
    with pytest.raises(ModelError, match=r"damaged: encoder\.down2\.weight claims \d+ numbers, of which the file has fewer"):
        convert([tmp_path / "strides.pth"], tmp_path / "out.safetensors")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float64])
def test_other_floating_point_numbers_are_read(saved, dtype):
    _, state, write = saved
    path = write({key: value.to(dtype) for key, value in state.items()})
    model = weights.read_model(path)
    assert model.dtype == torch.float32 and model.decoder.at2.weight.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.int64])
def test_other_numbers_are_refused(saved, dtype):
    _, state, write = saved
    key = "decoder.at2.weight"
    with pytest.raises(ModelError, match=r"has numbers of the kind torch\.\w+ in decoder\.at2\.weight"):
        weights.read_model(write({key: state[key].to(dtype)}))

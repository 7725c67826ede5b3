"""Conversion of published checkpoints, each against a literal restatement of its source's published layers."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.architectures.vgg19 import VGG19
from adain_style_transfer.adain.errors import ModelError
from adain_style_transfer.weights.convert import LAYOUTS, convert, extract, extract_decoder, made_from
from safetensors import safe_open
from safetensors.torch import save_file

# The published layer lists, written out: a number is a convolution's key and its (inputs, outputs).
KUKO6_ENCODER = [(0, 3, 64), (2, 64, 64), "floor pool", (5, 64, 128), (7, 128, 128), "floor pool"]
KUKO6_ENCODER += [(10, 128, 256), (12, 256, 256), (14, 256, 256), (16, 256, 256), "floor pool", (19, 256, 512)]
KUKO6_DECODER = ["up", (1, 512, 256), "up", (4, 256, 256), (6, 256, 128), "up", (9, 128, 128), (11, 128, 64), (13, 64, 64), (15, 64, 3)]

NAOTO_ENCODER = [(2, 3, 64), (5, 64, 64), "ceil pool", (9, 64, 128), (12, 128, 128), "ceil pool"]
NAOTO_ENCODER += [(16, 128, 256), (19, 256, 256), (22, 256, 256), (25, 256, 256), "ceil pool", (29, 256, 512)]
NAOTO_DECODER = [(1, 512, 256), "up", (5, 256, 256), (8, 256, 256), (11, 256, 256), (14, 256, 128), "up"]
NAOTO_DECODER += [(18, 128, 128), (21, 128, 64), "up", (25, 64, 64), (28, 64, 3)]

KERAS_BLOCKS = ["block1_conv1", "block1_conv2", "floor pool", "block2_conv1", "block2_conv2", "floor pool"]
KERAS_BLOCKS += ["block3_conv1", "block3_conv2", "block3_conv3", "block3_conv4", "floor pool", "block4_conv1"]
KERAS_WIDTHS = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 256), (256, 512)]
KERAS_DECODER = [(0, 512, 512), "up", (1, 512, 256), (2, 256, 256), (3, 256, 256), (4, 256, 256), "up", (5, 256, 128), (6, 128, 128), "up"]
KERAS_DECODER += [(7, 128, 64), (8, 64, 3)]

TOLERANCE = 1 / 255 / 64
"""float32 against float32, in another order of operations."""


def random_layer(inputs, outputs, size=3):
    """He initialisation keeps signals and their statistics at a normal scale, so that no difference can hide."""
    return torch.randn(outputs, inputs, size, size) * (2 / (inputs * size * size)) ** 0.5, torch.randn(outputs) * 0.05


def random_state(layers, prefix=""):
    state = OrderedDict()
    for layer in layers:
        if not isinstance(layer, str):
            index, inputs, outputs = layer
            state[f"{prefix}{index}.weight"], state[f"{prefix}{index}.bias"] = random_layer(inputs, outputs)
    return state


def run(layers, state, x, prefix="", reflect=True, last_relu=True):
    """The published list, layer by layer."""
    for i, layer in enumerate(layers):
        if layer == "up":
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        elif layer == "floor pool":
            x = F.max_pool2d(x, (2, 2), (2, 2), ceil_mode=False)
        elif layer == "ceil pool":
            x = F.max_pool2d(x, (2, 2), (2, 2), ceil_mode=True)
        else:
            x = F.pad(x, (1, 1, 1, 1), mode="reflect" if reflect else "constant")
            x = F.conv2d(x, state[f"{prefix}{layer[0]}.weight"], state[f"{prefix}{layer[0]}.bias"])
            x = x.relu() if last_relu or i < len(layers) - 1 else x
    return x


def adain_of(content, style, unbiased):
    def statistics(x):
        return x.mean((2, 3), keepdim=True), (x.var((2, 3), keepdim=True, correction=int(unbiased)) + 1e-5).sqrt()

    (mean_c, std_c), (mean_s, std_s) = statistics(content), statistics(style)
    return std_s * (content - mean_c) / std_c + mean_s


@pytest.fixture
def pictures():
    torch.manual_seed(5)
    return torch.rand(1, 3, 48, 64), torch.rand(1, 3, 40, 56)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def stylized(path, pictures, strength=1.0):
    content, style = pictures
    model = weights.load_model(path, "cpu", torch.float32)
    return model, adain.stylize(model, content, model.encode_style(style), strength=strength)


def kuko6_state():
    return random_state(KUKO6_ENCODER, "encoder.") | random_state(KUKO6_DECODER, "decoder.")


def kuko6_picture(state, pictures, alpha):
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    content, style = (run(KUKO6_ENCODER, state, (x - mean) / std, "encoder.") for x in pictures)
    t = (1 - alpha) * content + alpha * adain_of(content, style, unbiased=False)
    return (run(KUKO6_DECODER, state, t, "decoder.", last_relu=False).tanh() * std + mean).clip(0, 1)


@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_kuko6_is_reproduced(tmp_path, pictures, alpha):
    state = kuko6_state()
    torch.save(state, tmp_path / "anything.bin")
    told = convert([tmp_path / "anything.bin"], tmp_path / "out.safetensors")
    model, picture = stylized(tmp_path / "out.safetensors", pictures, alpha)
    expected = kuko6_picture(state, pictures, alpha)
    assert expected.std() > 0.05  # not all clipped
    assert (picture - expected).abs().max() < TOLERANCE
    assert model.architecture == "kuko6" and "kuko6's model" in told and "5.8 million" in told


def test_kuko6_training_checkpoint(tmp_path, pictures):
    state = kuko6_state()
    torch.save({"iter": 70000, "model_state": state, "optimizer_state": {"state": {0: {"step": torch.tensor(1.0)}}}}, tmp_path / "c.pt")
    convert([tmp_path / "c.pt"], tmp_path / "out.safetensors")
    _, picture = stylized(tmp_path / "out.safetensors", pictures)
    assert (picture - kuko6_picture(state, pictures, 1.0)).abs().max() < TOLERANCE


def naoto_states():
    encoder = OrderedDict()
    encoder["0.weight"], encoder["0.bias"] = random_layer(3, 3, 1)
    encoder |= random_state(NAOTO_ENCODER)
    encoder |= random_state([(32, 512, 512), (35, 512, 512)])  # layers after relu4_1, as in the published file
    return encoder, random_state(NAOTO_DECODER)


def naoto_encode(state, x):
    return run(NAOTO_ENCODER, state, F.conv2d(x, state["0.weight"], state["0.bias"]))


@pytest.mark.parametrize("legacy", [False, True])
def test_naoto0804_is_reproduced(tmp_path, pictures, legacy):
    encoder, decoder = naoto_states()
    for name, state in (("e.pth", encoder), ("d.pth", decoder)):
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    told = convert([tmp_path / "d.pth", tmp_path / "e.pth"], tmp_path / "out.safetensors")  # in any order
    assert "4 more tensors left out, from 32.weight to 35.bias" in told
    model, picture = stylized(tmp_path / "out.safetensors", pictures)
    content, style = (naoto_encode(encoder, x) for x in pictures)
    expected = run(NAOTO_DECODER, decoder, adain_of(content, style, unbiased=True), last_relu=False).clamp(0, 1)
    assert expected.std() > 0.05
    assert (picture - expected).abs().max() < TOLERANCE
    biased = run(NAOTO_DECODER, decoder, adain_of(content, style, unbiased=False), last_relu=False).clamp(0, 1)
    assert (picture - biased).abs().max() > TOLERANCE  # 48 against 35 positions: the deviation's kind shows
    assert model.architecture == "vgg19"


@pytest.mark.parametrize("size", [(48, 64), (45, 61), (17, 33)])
def test_encoders_pool_like_their_sources_at_any_size(tmp_path, size):
    image = torch.rand(1, 3, *size)
    encoder, decoder = naoto_states()
    save_file(dict(encoder), tmp_path / "e.safetensors")
    save_file(dict(decoder), tmp_path / "d.safetensors")
    convert([tmp_path / "e.safetensors", tmp_path / "d.safetensors"], tmp_path / "n.safetensors")
    torch.testing.assert_close(weights.read_model(tmp_path / "n.safetensors").encode(image)[0], naoto_encode(encoder, image))

    state = kuko6_state()
    torch.save(state, tmp_path / "k.pt")
    convert([tmp_path / "k.pt"], tmp_path / "k.safetensors")
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    expected = run(KUKO6_ENCODER, state, (image - mean) / std, "encoder.")
    torch.testing.assert_close(weights.read_model(tmp_path / "k.safetensors").encode(image)[0], expected)


@pytest.mark.parametrize("suffix", [":0", ""])
def test_keras_pair_is_reproduced(tmp_path, pictures, suffix):
    h5py = pytest.importorskip("h5py")
    names = [name for name in KERAS_BLOCKS if "pool" not in name]
    layers = iter([(name, *width) for name, width in zip(names, KERAS_WIDTHS, strict=True)])
    encoder_list = [name if "pool" in name else next(layers) for name in KERAS_BLOCKS]
    encoder, decoder = random_state(encoder_list), random_state(KERAS_DECODER)

    def write(path, state, layer_name):
        with h5py.File(path, "w") as file:
            for key, value in state.items():
                layer, kind = key.split(".")
                array = value.permute(2, 3, 1, 0).numpy() if kind == "weight" else value.numpy()  # OIHW to Keras' HWIO
                group = f"model_weights/{layer_name(layer)}/{'kernel' if kind == 'weight' else 'bias'}{suffix}"
                file[group] = array
                file[f"optimizer_weights/Adam/{layer_name(layer)}/{'kernel' if kind == 'weight' else 'bias'}/m:0"] = array

    write(tmp_path / "e.h5", encoder, lambda layer: f"mini_vgg19/{layer}")
    # Keras counts layers on through a session, in the order of creation and with no number on the very first.
    write(tmp_path / "d.h5", decoder, lambda layer: f"conv2d_{int(layer) + 3}/conv2d_{int(layer) + 3}")
    convert([tmp_path / "e.h5", tmp_path / "d.h5"], tmp_path / "out.safetensors")
    model, picture = stylized(tmp_path / "out.safetensors", pictures)
    content, style = (run(encoder_list, encoder, x, reflect=False) for x in pictures)
    t = adain_of(content, style, unbiased=False)
    expected = run(KERAS_DECODER, decoder, t, reflect=False, last_relu=False).sigmoid()
    assert (picture - expected).abs().max() < TOLERANCE
    assert model.architecture == "keras"


def test_our_training_checkpoint_gives_the_averaged_model(tmp_path):
    model = VGG19()
    average = {"n_averaged": torch.tensor(3)} | {f"module.{key}": value + 0.001 for key, value in model.state_dict().items()}
    checkpoint = {"step": 3, "recipe": {"lr": 0.1}, "model": model.state_dict(), "average": average, "optimizer": {}}
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    told = convert([tmp_path / "checkpoint.pt"], tmp_path / "out.safetensors")
    loaded = weights.read_model(tmp_path / "out.safetensors")
    torch.testing.assert_close(loaded.state_dict()["decoder.conv1_1.bias"], model.state_dict()["decoder.conv1_1.bias"] + 0.001)
    assert "vgg19" in told


def test_a_decoder_of_ours_joins_the_published_encoder(tmp_path):
    encoder, _ = naoto_states()
    torch.save(encoder, tmp_path / "e.pth")
    decoder = {f"decoder.{key}": value.half().clone() for key, value in VGG19().decoder.state_dict().items()}
    save_file(decoder, tmp_path / "d.safetensors")
    convert([tmp_path / "e.pth", tmp_path / "d.safetensors"], tmp_path / "out.safetensors")
    joined = weights.read_model(tmp_path / "out.safetensors").state_dict()
    torch.testing.assert_close(joined["encoder.conv4_1.weight"], encoder["29.weight"])
    torch.testing.assert_close(joined["decoder.conv1_1.weight"], decoder["decoder.conv1_1.weight"].float())


def test_a_decoder_of_ours_joins_torchvisions_encoder(tmp_path):
    """What training on `vgg19-torchvision` leaves, and what the catalogue keeps of timm's file."""
    state = kuko6_state()
    torch.save(state, tmp_path / "model.pt")
    convert([tmp_path / "model.pt"], tmp_path / "whole.safetensors")
    extract_decoder(tmp_path / "whole.safetensors", tmp_path / "d.safetensors")
    features = {key.replace("encoder.", "features."): value for key, value in state.items() if key.startswith("encoder.")}
    save_file(features, tmp_path / "e.safetensors")
    convert([tmp_path / "e.safetensors", tmp_path / "d.safetensors"], tmp_path / "out.safetensors")
    whole, joined = (weights.read_model(tmp_path / name) for name in ("whole.safetensors", "out.safetensors"))
    assert joined.architecture == "kuko6" and joined.fingerprint == whole.fingerprint
    torch.testing.assert_close(joined.decoder.conv3_2.weight, whole.decoder.conv3_2.weight.half().float(), atol=0, rtol=0)


def test_sources_are_recorded(tmp_path):
    torch.save(kuko6_state(), tmp_path / "model.pt")
    convert([tmp_path / "model.pt"], tmp_path / "out.safetensors", {"license": "unknown"})
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        found = file.metadata()
    assert found["architecture"] == "kuko6" and found["source"] == "model.pt" and found["license"] == "unknown"
    assert made_from(tmp_path / "out.safetensors", [found["source_sha256"]])
    assert not made_from(tmp_path / "out.safetensors", ["0" * 64]) and not made_from(tmp_path / "model.pt", [])


class Malicious:
    """A pickle that makes a file when it is loaded the careless way."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_would_run_code_does_not(tmp_path, legacy):
    evil = {"encoder.0.weight": torch.zeros(64, 3, 3, 3), "x": Malicious(tmp_path / "ran")}
    torch.save(evil, tmp_path / "evil.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=r"more than tensors \(it calls (posix|nt)\.mkdir\)\. Nothing in it was run"):
        convert([tmp_path / "evil.pt"], tmp_path / "out.safetensors")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Malicious(tmp_path / "ran")))
    with pytest.raises(ModelError, match="Nothing in it was run"):
        convert([tmp_path / "bare.pt"], tmp_path / "out.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.pt", "evil.pt"]


def test_what_is_not_recognised_is_said(tmp_path):
    save_file({"features.0.weight": torch.zeros(2, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"first tensors are features\.0\.weight \[2, 3\]") as caught:
        convert([tmp_path / "other.safetensors"], tmp_path / "out.safetensors")
    assert all(layout.looked_for() in str(caught.value) for layout in LAYOUTS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged, no PyTorch file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"<!doctype html><title>Not found</title>", "a web page"),
        (b"\x10\0\0\0\0\0\0\0{broken", "not a readable safetensors file"),
        (b"PK\x03\x04 cut short", "damaged, no PyTorch file"),
        (bytes(range(256)) * 16, "damaged, no PyTorch file"),
        (pickle.dumps([1, 2]), "holds a list|no PyTorch file"),
    ],
    ids=["empty", "pointer", "page", "safetensors", "zip", "noise", "list"],
)
def test_files_that_are_no_models(tmp_path, content, words):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ModelError, match=words):
        convert([tmp_path / "file"], tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_parts_that_make_no_model(tmp_path):
    encoder, decoder = naoto_states()
    torch.save(encoder, tmp_path / "e.pth")
    torch.save(decoder, tmp_path / "d.pth")
    out = tmp_path / "out.safetensors"
    with pytest.raises(ModelError, match="The encoder alone makes no picture"):
        convert([tmp_path / "e.pth"], out)
    with pytest.raises(ModelError, match="The decoder alone makes no picture"):
        convert([tmp_path / "d.pth"], out)
    with pytest.raises(ModelError, match="came with another file already"):
        convert([tmp_path / "e.pth", tmp_path / "e.pth"], out)
    with pytest.raises(ModelError, match="No file was given"):
        convert([], out)
    with pytest.raises(ModelError, match="cannot be read"):
        convert([tmp_path / "missing.pth"], out)
    del decoder["11.bias"]
    torch.save(decoder, tmp_path / "d.pth")
    with pytest.raises(ModelError, match=r"looks like naoto0804's decoder but lacks 11\.bias"):
        convert([tmp_path / "e.pth", tmp_path / "d.pth"], out)
    decoder["11.bias"] = torch.full((256,), float("nan"))
    torch.save(decoder, tmp_path / "d.pth")
    with pytest.raises(ModelError, match="NaN"):
        convert([tmp_path / "e.pth", tmp_path / "d.pth"], out)
    decoder["11.bias"] = torch.zeros(3)
    torch.save(decoder, tmp_path / "d.pth")
    with pytest.raises(ModelError, match="does not fit"):
        convert([tmp_path / "e.pth", tmp_path / "d.pth"], out)
    assert not out.exists()


def test_extract_keeps_only_some_layers(tmp_path):
    encoder, _ = naoto_states()
    torch.save(encoder, tmp_path / "e.pth")
    extract(tmp_path / "e.pth", ["0", "29"], tmp_path / "part.safetensors", {"license": "CC BY 4.0"})
    with safe_open(tmp_path / "part.safetensors", "pt") as file:
        assert sorted(file.keys()) == ["0.bias", "0.weight", "29.bias", "29.weight"]
        assert torch.equal(file.get_tensor("29.weight"), encoder["29.weight"])
    with pytest.raises(ModelError, match=r"lacks 99\.weight, 99\.bias"):
        extract(tmp_path / "e.pth", ["99"], Path(tmp_path / "no.safetensors"), {})

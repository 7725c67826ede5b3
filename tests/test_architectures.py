"""Every architecture: its files are known from all others, its sizes are read from shapes, and what its class says of it is so."""

from __future__ import annotations

import pytest
import samples
import torch
from adain_style_transfer.adain.architectures import ARCHITECTURES, architecture_of
from adain_style_transfer.adain.architectures.base import Base
from adain_style_transfer.adain.architectures.lite import Lite
from samples import picture

with torch.device("meta"):  # names and shapes, without memory or numbers
    STATES = {name: dict(architecture.model().state_dict()) for name, architecture in ARCHITECTURES.items()}


def claims(state):
    return [name for name, architecture in ARCHITECTURES.items() if architecture.detect(state)]


def loaded(state):
    """The name of the architecture whose network `state` makes up, without a tensor too few or too many."""
    if (architecture := architecture_of(state)) is None:
        return None
    try:
        with torch.device("meta"):
            model = architecture.build(state)
        model.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError):
        return None
    return architecture.name


def half(name, part):
    """The tensors of the encoder, or all others."""
    return {key: value for key, value in STATES[name].items() if key.startswith("encoder.") == (part == "encoder")}


def test_there_is_one_small_network_of_each():
    assert list(samples.SMALL) == list(ARCHITECTURES)
    for name, architecture in ARCHITECTURES.items():
        assert architecture.name == name and type(samples.SMALL[name]()) is architecture.model


# Detection


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_file_is_claimed_by_its_own_architecture_alone(name):
    assert claims(STATES[name]) == [name]
    assert loaded(STATES[name]) == architecture_of(STATES[name]).name == name
    assert claims(STATES[name] | {"more.weight": torch.empty(1)}) == [name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_half_a_file_is_claimed_by_none(name):
    assert claims(half(name, "encoder")) == claims(half(name, "decoder")) == claims({}) == []


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_file_that_lacks_a_tensor_is_claimed_by_no_other(name):
    unknown = set()
    for missing in STATES[name]:
        state = {key: value for key, value in STATES[name].items() if key != missing}
        assert loaded(state) is None
        if claims(state) != [name]:
            assert not claims(state)
            unknown.add(missing)
    assert len(unknown) == 2  # whatever else is missing, the file is known and the message can name it


@pytest.mark.parametrize("encoder", ARCHITECTURES)
@pytest.mark.parametrize("decoder", ARCHITECTURES)
def test_halves_of_two_architectures_make_no_model(encoder, decoder):
    mixed = half(encoder, "encoder") | half(decoder, "decoder")
    # The Keras example has torchvision's layers, with other weights: no file tells these two encoders apart.
    same = {encoder, decoder} == {"keras", "kuko6"} or encoder == decoder
    assert loaded(mixed) == (decoder if same else None)


# Sizes


@pytest.mark.parametrize("model", [Lite((3, 5, 7)), Lite((8, 8, 8)), Base((3, 5, 7, 9), 11), Base((9, 7, 5, 3), 2)])
def test_sizes_are_read_from_shapes(model):
    state = model.state_dict()
    built = ARCHITECTURES[model.architecture].build(state)
    assert type(built) is type(model) and built.level_channels == model.level_channels
    assert {key: value.shape for key, value in built.state_dict().items()} == {key: value.shape for key, value in state.items()}


@pytest.mark.parametrize("size", ["usual", "small"])
@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.inference_mode()
def test_levels_are_as_stated(name, size):
    model = ARCHITECTURES[name].model() if size == "usual" else samples.SMALL[name]()
    size = (4 * model.stride, 6 * model.stride)
    image = picture(*size, batch=2)
    features = model.encode(image)
    stated = zip(model.level_channels, model.level_strides, strict=True)
    assert [f.shape for f in features] == [(2, channels, size[0] // stride, size[1] // stride) for channels, stride in stated]
    assert model.stride == model.level_strides[-1]  # the coarsest level is the last, whose grid tiles keep to
    maps = model.modulate(model.statistics_of(image))
    assert model.decode(image, features, maps).shape == image.shape


# Precision


@pytest.mark.parametrize("make", [samples.small_lite, samples.small_base])
@torch.inference_mode()
def test_modulations_are_as_exact_as_statistics(make):
    model = make()
    target = model.statistics_of(picture(32, 32))
    exact = model.modulate(target)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = model.modulate(target)
    for one, other in zip(exact, under_autocast, strict=True):
        assert torch.equal(one.scale, other.scale) and torch.equal(one.shift, other.shift)
    assert {part.dtype for maps in model.bfloat16().modulate(target) for part in maps} == {torch.float32}


# Halos


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request):
    return samples.SMALL[request.param]().double()


def deepest(model, size=512):
    """How far the features and the picture of a row of pixels depend on pixels outside the area that they show."""
    images = picture(32, size).double()
    plain = [lambda x: x] * 16

    def run(images):
        features = model.encode(images)
        return features, model.decode(images, features, plain[: len(model.decoder.modulated) if hasattr(model.decoder, "modulated") else 0])

    features, out = run(images)
    seen = painted = 0
    # Every position on the network's grid, because downsampling looks further from some pixels than from others.
    for pixel in range(size // 2, size // 2 + 2 * model.stride):
        other = images.clone()
        other[..., pixel] += 0.3
        other_features, other_out = run(other)
        for x, y, stride in [*zip(features, other_features, model.level_strides, strict=True), (out, other_out, 1)]:
            changed = (x - y).abs().amax((0, 1, 2)).nonzero().flatten() * stride
            reach = max(pixel - changed.min().item() - stride + 1, changed.max().item() - pixel)
            seen, painted = (seen, max(painted, reach)) if x is out else (max(seen, reach), painted)
    return seen, painted


def test_the_halo_is_what_the_network_sees_and_not_a_stride_more(network):
    seen, painted = deepest(network)
    assert network.encoder_halo - network.stride < seen <= network.encoder_halo
    assert network.halo - network.stride < painted <= network.halo
    assert network.encoder_halo % network.stride == network.halo % network.stride == 0


def reach_of(network, run, features, strides, size=512):
    """How far what `run` makes of `features` depends on cells outside the area that they show, in pixels."""
    painted = run(features)
    cell_size = size // painted.shape[-1]
    reach = 0
    for level, stride in enumerate(strides):
        for cell in range(size // 2 // stride, (size // 2 + 16) // stride):
            others = [f.clone() for f in features]
            others[level][..., cell] += 0.3
            changed = (run(others) - painted).abs().amax((0, 1, 2)).nonzero() * cell_size
            reach = max(reach, cell * stride - changed.min().item(), changed.max().item() + cell_size - (cell + 1) * stride)
    return reach


def test_the_decoder_and_its_halves_see_no_further_than_their_halos(network):
    images = picture(32, 512).double()
    features, strides = network.encode(images), network.level_strides
    plain = [lambda x: x] * (len(network.decoder.modulated) if hasattr(network.decoder, "modulated") else 0)
    whole = reach_of(network, lambda f: network.decode(images, f, plain), features, strides)
    assert network.decoder_halo - 2 * network.stride < whole <= network.decoder_halo
    assert reach_of(network, lambda f: network.prepare(f[0], plain), features[-1:], strides[-1:]) == network.prepare_halo
    prepared = [*features[:-1], network.prepare(features[-1], plain)]
    rest = reach_of(network, lambda f: network.finish(images, f, plain), prepared, strides)
    assert network.finish_halo - 2 * network.stride < rest <= network.finish_halo

"""RandomStyle inside torchvision's v2 pipelines and torch's loaders."""

from __future__ import annotations

import copy
import pickle

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.precision import to_bytes
from adain_style_transfer.adain.style_set import StyleDistribution, joined, taken
from PIL import Image
from torch.utils.data import DataLoader

torchvision = pytest.importorskip("torchvision")
from adain_style_transfer.transforms import RandomStyle  # noqa: E402 - needs torchvision
from torchvision import datasets, tv_tensors  # noqa: E402
from torchvision.transforms import v2  # noqa: E402

PRESET = "great-wave"


@pytest.fixture(scope="module")
def model():
    return weights.load_model(device="cpu")


@pytest.fixture(scope="module")
def rgb():
    return samples.picture(40, 56)


def expected(model, rgb, strength=1.0):
    return adain.stylize(model, rgb, weights.load_preset(model, PRESET), strength=strength)


def bytes_of(rgb):
    return to_bytes(rgb)


# What is painted


def test_floats_are_painted_as_by_stylize(model, rgb):
    out = RandomStyle(p=1, styles=[PRESET], strength=0.5)(rgb)
    assert torch.equal(out, expected(model, rgb, 0.5)) and not torch.equal(out, rgb)


def test_bytes_and_pil_give_the_same(model, rgb):
    eight = bytes_of(rgb)
    transform = RandomStyle(p=1, styles=[PRESET])
    out = transform(eight)
    assert out.dtype == torch.uint8 and torch.equal(out, bytes_of(expected(model, eight / 255)))
    painted = transform(Image.fromarray(eight[0].permute(1, 2, 0).numpy()))
    assert isinstance(painted, Image.Image) and painted.mode == "RGB"
    assert torch.equal(v2.functional.pil_to_tensor(painted), out[0])
    assert torch.equal(transform(eight[0]), out[0])  # without a batch


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1"])
def test_every_mode_of_pil(rgb, mode):
    image = Image.fromarray(bytes_of(rgb)[0].permute(1, 2, 0).numpy()).convert("RGB" if mode in ("P", "CMYK") else mode).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    out = RandomStyle(p=1, styles=[PRESET])(image)
    assert out.size == image.size and out.mode == (mode if mode in ("L", "LA", "RGBA") else "RGB")
    if mode == "RGBA":
        assert out.getchannel("A").tobytes() == image.getchannel("A").tobytes()


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float64])
def test_channels_and_dtypes_stay(channels, dtype):
    values = torch.rand(2, channels, 24, 32)
    given = bytes_of(values) if dtype == torch.uint8 else values.to(dtype)
    before = given.clone()
    out = RandomStyle(p=1, styles=[PRESET])(given)
    assert out.shape == given.shape and out.dtype == dtype and torch.equal(given, before)
    assert not torch.equal(out[:, 0], given[:, 0])
    if channels != 1:
        assert torch.equal(out[:, -1], given[:, -1])


def test_boxes_masks_and_labels_are_untouched(rgb):
    sample = {
        "image": tv_tensors.Image(bytes_of(rgb)[0]),
        "boxes": tv_tensors.BoundingBoxes(torch.tensor([[1, 2, 20, 30]]), format="XYXY", canvas_size=(40, 56)),  # pyright: ignore[reportCallIssue] - it has two ways to be called
        "mask": tv_tensors.Mask(torch.randint(2, (1, 40, 56), dtype=torch.uint8)),
        "label": torch.tensor(3),
    }
    out = RandomStyle(p=1)(sample)
    assert isinstance(out["image"], tv_tensors.Image) and not torch.equal(out["image"], sample["image"])
    assert all(out[name] is sample[name] for name in ("boxes", "mask", "label"))


def test_each_picture_of_a_batch_has_its_own_style_and_a_clip_has_one(rgb):
    torch.manual_seed(0)
    transform = RandomStyle(p=1)
    batch = transform(rgb.expand(4, -1, -1, -1))
    assert not any(torch.equal(batch[0], other) for other in batch[1:])
    clips = transform(tv_tensors.Video(rgb.expand(2, 3, -1, -1, -1)))
    assert clips.shape == (2, 3, 3, 40, 56) and isinstance(clips, tv_tensors.Video)
    assert all(torch.allclose(clip[0], frame, atol=1e-5) for clip in clips for frame in clip)
    assert not torch.allclose(clips[0, 0], clips[1, 0], atol=1e-2)


def test_p_is_the_share_of_pictures(rgb):
    torch.manual_seed(0)
    batch = torch.nn.functional.interpolate(rgb, (8, 8)).expand(200, -1, -1, -1)
    painted = (RandomStyle(p=0.3, styles=[PRESET])(batch) != batch).flatten(1).any(1)
    assert 40 < int(painted.sum()) < 80
    assert RandomStyle(p=0)(rgb) is rgb


# Chance


def test_torchs_generator_decides(rgb):
    transform = RandomStyle(p=0.7, strength=(0.2, 1))

    def run(seed):
        torch.manual_seed(seed)
        return torch.cat([transform(rgb) for _ in range(4)])

    assert torch.equal(run(1), run(1)) and not torch.equal(run(1), run(2))


def test_sampled_styles_have_the_distribution_of_the_given_ones(model):
    given = joined([weights.load_preset(model, name) for name in weights.preset_names()])
    drawn = StyleDistribution(given).sample(4000, torch.Generator().manual_seed(0))
    model.check_style(drawn)
    for own, other in zip(drawn.levels, given.levels, strict=True):
        spread = other.mean.std(0)
        assert ((own.mean.mean(0) - other.mean.mean(0)).abs() < 0.1 * spread).all()
        assert ((own.mean.std(0) / spread - 1).abs() < 0.1).all()
    for own, other in zip(drawn.levels[1:], given.levels[1:], strict=True):
        assert (own.std > 0).all() and ((own.std.log().mean(0) - other.std.log().mean(0)).abs() < 0.1 * other.std.log().std(0) + 1e-4).all()
    assert (torch.linalg.eigvalsh(drawn.levels[0].std) > 0).all()


def test_a_distribution_of_equal_styles_is_that_style(model):
    style = weights.load_preset(model, PRESET)
    drawn = StyleDistribution(taken(style, [0, 0, 0])).sample(2)
    for own, other in zip(drawn.levels, style.levels, strict=True):
        assert torch.allclose(own.mean, other.mean.expand_as(own.mean), atol=1e-5)
        assert torch.allclose(own.std, other.std.expand_as(own.std), atol=1e-4)


# Processes


def test_it_is_pickled_without_the_network(rgb):
    transform = RandomStyle(p=1, strength=(0.5, 1), sampled=True)
    data = pickle.dumps(transform)
    assert len(data) < 200_000
    for twin in (pickle.loads(data), copy.deepcopy(transform)):
        torch.manual_seed(3)
        out = twin(rgb)
        torch.manual_seed(3)
        assert torch.equal(transform(rgb), out)


def loaded(workers, context, transform, length=8):
    torch.manual_seed(5)
    data = datasets.FakeData(length, (3, 48, 40), num_classes=3, transform=v2.Compose([v2.RandomCrop(32), transform, v2.ToImage()]))
    loader = DataLoader(data, batch_size=2, num_workers=workers, multiprocessing_context=context, timeout=120 if workers else 0)
    return torch.cat([images for images, _ in loader])


def test_forked_workers(rgb):
    transform = RandomStyle(p=1, strength=(0.5, 1))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        transform(rgb)  # a parent that has painted with threads, which its children lack
    finally:
        torch.set_num_threads(threads)
    first = loaded(4, "fork", transform)
    assert first.shape == (8, 3, 32, 32) and torch.equal(first, loaded(4, "fork", transform))
    assert not torch.equal(first, loaded(4, "fork", RandomStyle(p=0)))


def test_spawned_workers_paint_as_forked_ones():
    transform = RandomStyle(p=1, strength=(0.5, 1))
    assert torch.equal(loaded(2, "spawn", transform, 4), loaded(2, "fork", transform, 4))


def test_a_training_loop_learns_on_it():
    """A loop as Lightning's: epochs over a loader, a loss that falls, and other pictures in each epoch."""
    torch.manual_seed(0)
    data = datasets.FakeData(
        6, (3, 32, 32), num_classes=2, transform=v2.Compose([RandomStyle(p=0.5), v2.ToImage(), v2.ToDtype(torch.float32, True)])
    )
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 2))
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    losses, seen = [], []
    for _ in range(6):
        for images, labels in DataLoader(data, batch_size=6):
            loss = torch.nn.functional.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            seen.append(images)
    assert losses[-1] < losses[0] and not torch.equal(seen[0], seen[1])


# Bad input


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"p": 1.5}, "probability p is 1.5"),
        ({"strength": (0.8, 0.2)}, "lower one first"),
        ({"strength": 3}, "number in 0..2"),
        ({"styles": ["great-wav"]}, "Did you mean great-wave"),
        ({"styles": []}, "no style"),
        ({"styles": [PRESET], "sampled": True}, "two styles or more"),
        ({"color": "blue"}, "colour mode 'blue'"),
        ({"model": "no-such-model"}, "no model 'no-such-model'"),
    ],
)
def test_mistakes_are_told_when_it_is_made(options, sentence):
    with pytest.raises(adain.AdaINError, match=sentence):
        RandomStyle(**options)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (torch.zeros(3, 8, 8, dtype=torch.int32), "torch.int32"),
        (torch.zeros(5, 8, 8), r"shape \[5, 8, 8\]"),
        (torch.rand(3, 8, 8) * 255, "divide 8-bit values"),
        (torch.rand(3, 8, 8) * 2 - 1.2, "halve values of -1..1"),
    ],
)
def test_tensors_that_are_no_pictures(image, sentence):
    with pytest.raises(adain.ImageError, match=sentence):
        RandomStyle(p=1)(image)

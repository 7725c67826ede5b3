from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from adain_style_transfer.adain import AdaINError, ImageError, Style, StyleError, stylize
from adain_style_transfer.adain.moments import Statistics
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from samples import picture, small_lite, soft_mask


@pytest.fixture(scope="module")
def styles(lite):
    return [lite.encode_style(picture(24, 32, seed=i), name=f"style {i}") for i in range(3)]


def tensors(style):
    return [tensor for level in style.levels for tensor in level]


def assert_same(a, b, **tolerance):
    for x, y in zip(tensors(a), tensors(b), strict=True):
        torch.testing.assert_close(x, y, **(tolerance or {"rtol": 0, "atol": 0}))


# Blending


@given(weights=st.lists(st.floats(0, 100), min_size=3, max_size=3).filter(lambda w: sum(w) > 1e-3))
def test_a_blend_is_the_normalised_weighted_mean(styles, weights):
    got = Style.blend(styles, weights)
    for i, tensor in enumerate(tensors(got)):
        expected = sum(w / sum(weights) * tensors(s)[i].double() for w, s in zip(weights, styles, strict=True))
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-5, atol=1e-6)


@given(weights=st.tuples(*[st.floats(0.01, 1)] * 3), factor=st.floats(0.01, 100))
def test_a_blend_depends_on_ratios_and_not_on_the_order(styles, weights, factor):
    one = Style.blend(styles, weights)
    assert_same(one, Style.blend(styles, [w * factor for w in weights]), rtol=1e-5, atol=1e-6)
    assert_same(one, Style.blend(styles[::-1], weights[::-1]), rtol=1e-5, atol=1e-6)


def test_blends_of_blends_are_blends(styles):
    inner = Style.blend(styles[:2], [1, 3])
    assert_same(Style.blend([inner, styles[2]], [4, 4]), Style.blend(styles, [1, 3, 4]), rtol=1e-5, atol=1e-6)


def test_simple_blends(styles):
    assert_same(Style.blend(styles[:1]), styles[0])
    assert_same(Style.blend(styles, [0, 1, 0]), styles[1])
    assert_same(Style.blend(styles), Style.blend(styles, [7, 7, 7]))
    assert Style.blend(styles).name == "style 0 + style 1 + style 2"


def test_batches(lite, styles):
    batch = lite.encode_style(torch.cat([picture(24, 32, seed=i) for i in range(3)]))
    assert len(batch) == 3 and len(styles[0]) == 1
    for i in range(3):
        assert_same(batch[i], styles[i], rtol=1e-5, atol=1e-6)
    assert_same(batch[-1], batch[2])
    assert_same(batch.average(), Style.blend(styles), rtol=1e-5, atol=1e-6)
    with pytest.raises(IndexError):
        batch[3]


@pytest.mark.parametrize("weights", [[0, 0, 0], [1, -1, 1], [math.nan, 1, 1], [math.inf, 1, 1], [-1, -1, -1], [1e308] * 3])
def test_weights_that_cannot_be_used(styles, weights):
    with pytest.raises(StyleError, match=r"weights .* cannot be used: .* >= 0, at least one above 0\."):
        Style.blend(styles, weights)


def test_numbers_of_weights_that_do_not_fit(styles):
    for weights, words in (([1], "is 1 weight"), ([1, 2], "are 2 weights"), ([1, 2, 3, 4], "are 4 weights")):
        with pytest.raises(StyleError, match=f"^There {words} for 3 styles"):
            Style.blend(styles, weights)
    with pytest.raises(StyleError, match="no style to blend"):
        Style.blend([])
    with pytest.raises(StyleError, match="batches of 2 and 3"):
        Style.blend([Style.blend([styles[0]]), *(_batch(styles[0], n) for n in (2, 3))])


def test_a_batch_and_single_styles_blend_to_a_batch(styles):
    blended = Style.blend([_batch(styles[0], 2), styles[1]], [1, 3])
    assert len(blended) == 2
    for i in range(2):
        assert_same(blended[i], Style.blend(styles[:2], [1, 3]), rtol=0, atol=0)


@pytest.mark.parametrize("fingerprint", ["0" * 64, "g" * 64])  # before and after any other
@pytest.mark.parametrize(("name", "words"), [("dots", r"The style 'dots' was"), ("", r"The style was")])
def test_styles_of_different_models_do_not_blend(styles, fingerprint, name, words):
    other = replace(styles[1], fingerprint=fingerprint, name=name)
    with pytest.raises(StyleError, match=rf"^{words} made by the lite encoder {fingerprint[:12]} and cannot be used with the lite encoder"):
        Style.blend([styles[0], other])
    with pytest.raises(ValueError, match="shorter"):  # of one model, but not of one piece
        Style.blend([styles[0], replace(styles[1], levels=styles[1].levels[:-1])])


def _batch(style, count):
    levels = tuple(Statistics(*(t.repeat(count, *[1] * (t.ndim - 1)) for t in level)) for level in style.levels)
    return Style(levels, style.fingerprint, style.architecture)


# Encoding


@given(top=st.integers(0, 3), left=st.integers(0, 3))
def test_a_mask_takes_the_style_from_a_part(lite, top, left):
    """Away from its border, the part under a mask is measured as if it were cut out: level 0 exactly."""
    image = picture(32, 32, seed=1)
    inside = (..., slice(8 * top, None), slice(8 * left, None))
    mask = torch.zeros(1, 1, 32, 32)
    mask[inside] = 1
    masked, cut = lite.encode_style(image, mask), lite.encode_style(image[inside])
    for a, b in zip(masked.levels[0], cut.levels[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_what_a_mask_hides_does_not_count(lite64):
    image = picture(24, 96).double()
    other = image.clone()
    other[..., 80:] = 0.9
    mask = torch.zeros(1, 1, 24, 96)
    mask[..., :48] = 1
    assert_same(lite64.encode_style(image, mask), lite64.encode_style(other, mask), rtol=0, atol=1e-12)


def test_size_scales_the_short_side(lite):
    image = picture(60, 90)
    scaled = torch.nn.functional.interpolate(image, (20, 30), mode="bicubic", antialias=True).clamp(0, 1)
    assert_same(lite.encode_style(image, size=20), lite.encode_style(scaled))
    assert_same(lite.encode_style(image, size=60), lite.encode_style(image))
    mask = soft_mask(60, 90)
    assert lite.encode_style(image, mask, size=20).levels[2].std.isfinite().all()
    assert lite.encode_style(picture(3, 200), size=16).levels[2].std.isfinite().all()


def test_a_style_mask_for_each_image(lite):
    images, masks = picture(24, 32, batch=2), torch.cat([soft_mask(24, 32, seed=i) for i in range(2)])
    both = lite.encode_style(images, masks)
    for i in range(2):
        assert_same(both[i], lite.encode_style(images[i : i + 1], masks[i : i + 1]), rtol=1e-5, atol=1e-6)
    empty = torch.cat([masks[:1], torch.zeros_like(masks[:1])])
    with pytest.raises(ImageError, match="style mask is black everywhere"):
        lite.encode_style(images, empty)


# Files


def test_a_saved_style_comes_back(styles, tmp_path):
    path = tmp_path / "one.safetensors"
    for style in (styles[0], Style.blend(styles), _batch(styles[0], 3)):
        style.save(path)
        loaded = Style.load(path)
        assert_same(loaded, style)
        assert (loaded.fingerprint, loaded.architecture, loaded.name) == (style.fingerprint, style.architecture, style.name)
        loaded.check_made_for(style.fingerprint, style.architecture)
        assert path.stat().st_size < 10_000
    assert list(tmp_path.iterdir()) == [path]


def test_saving_where_nothing_can_be_written(styles, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(AdaINError, match=r"cannot be written"):
            styles[0].save(folder / "one.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def damaged(path, tensors=None, **metadata):
    """`path` saved again with other tensors or metadata; None drops a key."""
    keys = {"format": "adain-style-1", "fingerprint": "f" * 64, "architecture": "lite", "name": "n"} | metadata
    whole = load_file(path) | (tensors or {})
    save_file({k: v for k, v in whole.items() if v is not None}, path, {k: v for k, v in keys.items() if v is not None})


@pytest.mark.parametrize(
    ("tensors", "metadata", "words"),
    [
        ({}, {"format": None}, "not a style"),
        ({}, {"format": "adain-style-9"}, "not a style"),
        ({}, {"fingerprint": None}, "damaged"),
        ({}, {"architecture": None}, "damaged"),
        ({"level1.std": None}, {}, "damaged: part 2 of its statistics"),
        ({"level1.std": torch.full((1, 4), math.nan)}, {}, "damaged: part 2 of its statistics"),
        ({"level2.mean": torch.full((1, 6), math.inf)}, {}, "damaged: part 3 of its statistics"),
        ({"level1.std": torch.ones(1, 5)}, {}, "damaged: part 2 of its statistics"),
        ({"level1.std": torch.ones(2, 4)}, {}, "damaged: part 2 of its statistics"),
        ({"level1.mean": torch.ones(4), "level1.std": torch.ones(4)}, {}, "damaged: part 2 of its statistics"),
        ({"level0.std": torch.ones(1, 3, 4)}, {}, "damaged: part 1 of its statistics"),
        ({"level1.std": torch.zeros(1, 4)}, {}, None),
        ({"level1.std": torch.ones(1, 4).to(torch.float8_e4m3fn)}, {}, None),
        ({"level1.std": torch.full((1, 4), 3e30)}, {}, "damaged: part 2 of its statistics"),
        ({"level1.std": torch.full((1, 4), -1.0)}, {}, "damaged: part 2 of its statistics"),
        ({"level1.mean": torch.full((1, 4), -1e5)}, {}, "damaged: part 2 of its statistics"),
        ({"level0.mean": torch.full((1, 3), 40.0)}, {}, "damaged: part 1 of its statistics"),
        ({"level0.std": torch.rand(1, 3, 3)}, {}, "damaged: part 1 of its statistics"),
        ({"level0.std": -torch.eye(3)[None]}, {}, "damaged: part 1 of its statistics"),
        ({"level0.std": 2.5 * torch.eye(3)[None]}, {}, "damaged: part 1 of its statistics"),
        ({"level0.std": torch.tensor([[[0.5, 0, 0.15], [0, 0.5, 0], [0.1, 0, 0.5]]])}, {}, "damaged: part 1 of its statistics"),
        ({"level0.std": torch.zeros(1, 3, 3)}, {}, None),
        ({"level1.mean": torch.ones(1, 2, 2), "level1.std": torch.ones(1, 2, 2)}, {}, "damaged: part 2 of its statistics"),
        ({"level1.mean": torch.ones(2, 4), "level1.std": torch.ones(2, 4)}, {}, "damaged"),
        ({f"level{i}.{kind}": None for i in range(4) for kind in ("mean", "std")}, {}, "damaged"),
        ({"level0.mean": torch.ones(1, 0), "level0.std": torch.ones(1, 0)}, {}, "damaged: part 1 of its statistics"),
        ({"level1.mean": None, "level1.std": None}, {}, "damaged"),
        ({}, {"tensors_sha256": "0" * 64}, "damaged: its numbers"),
        ({"level0.mean": None}, {}, "damaged"),
    ],
)
def test_damaged_style_files(styles, tmp_path, tensors, metadata, words):
    path = tmp_path / "one.safetensors"
    styles[0].save(path)
    damaged(path, tensors, **metadata)
    if words is None:
        Style.load(path)
        return
    with pytest.raises(StyleError, match=rf"one\.safetensors is .*{words}"):
        Style.load(path)


def test_flipped_bits_are_noticed(styles, tmp_path):
    path = tmp_path / "one.safetensors"
    styles[0].save(path)
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    for place in range(start, len(data), 37):
        for bit in (0, 6):
            data[place] ^= 1 << bit
            path.write_bytes(data)
            with pytest.raises(StyleError, match=r"one\.safetensors is damaged"):
                Style.load(path)
            data[place] ^= 1 << bit


def test_a_style_without_its_last_level_is_refused_in_a_sentence(lite, styles):
    short = replace(styles[0], levels=styles[0].levels[:-1])
    flat = replace(styles[0], levels=(Statistics(torch.rand(1, 3), torch.rand(1, 3)), *styles[0].levels[1:]))
    for style in (short, flat):
        with pytest.raises(StyleError, match="is incomplete: it holds statistics of"):
            stylize(lite, picture(16, 16), style)


def test_names_cannot_command_a_terminal(styles, tmp_path):
    path = tmp_path / "one.safetensors"
    replace(styles[0], name="a\x1b[31mred\n星夜").save(path)
    assert Style.load(path).name == "a[31mred星夜"


def test_files_that_are_no_style(tmp_path):
    missing, empty, text, model = (tmp_path / name for name in ("missing", "empty", "text", "model"))
    empty.write_bytes(b"")
    text.write_text("not safetensors at all")
    save_file({"weight": torch.ones(2)}, model)
    expected = ("no style file", "no style file", "not a readable", "not a readable", "not a style")
    for path, words in zip((missing, tmp_path, empty, text, model), expected, strict=True):
        with pytest.raises(StyleError, match=words):
            Style.load(path)


def test_a_truncated_style_file(styles, tmp_path):
    path = tmp_path / "one.safetensors"
    styles[0].save(path)
    data = path.read_bytes()
    for length in (1, 8, 100, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(StyleError, match="not a readable safetensors file"):
            Style.load(path)


# What other networks measured


@pytest.fixture(scope="module")
def other():
    return small_lite(seed=7)


@pytest.fixture(scope="module")
def twofold(lite, other):
    """Three styles that two networks measured, and the fingerprint of the second."""
    pictures = [picture(24, 32, seed=i) for i in range(3)]
    return [replace(lite.encode_style(p, name=f"style {i}"), others=(other.encode_style(p),)) for i, p in enumerate(pictures)]


def test_what_another_network_measured_comes_along(twofold, other, tmp_path):
    pictures = [picture(24, 32, seed=i) for i in range(3)]
    own = [other.encode_style(p) for p in pictures]
    assert_same(twofold[0].seen_by(other.fingerprint), own[0])
    assert_same(twofold[0].seen_by(twofold[0].fingerprint), twofold[0])
    assert twofold[0].seen_by("nobody") is None
    blend = Style.blend(twofold, [1, 2, 1])
    assert_same(blend.seen_by(other.fingerprint), Style.blend(own, [1, 2, 1]))
    assert Style.blend([twofold[0], replace(twofold[1], others=())]).others == ()  # not all of them have it
    twofold[1].save(tmp_path / "style.safetensors")
    loaded = Style.load(tmp_path / "style.safetensors")
    assert_same(loaded, twofold[1])
    assert_same(loaded.seen_by(other.fingerprint), own[1])
    assert loaded.to("cpu").rows(slice(0, 1)).seen_by(other.fingerprint) is not None


def test_a_file_without_all_that_another_network_measured_is_damaged(twofold, tmp_path):
    path = tmp_path / "style.safetensors"
    twofold[0].save(path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    for change in ({"other0.level0.mean": None}, {"other1.level0.mean": torch.zeros(1, 4)}, {"other0.level0.std": torch.zeros(1, 3)}):
        changed = {key: value for key, value in (state | change).items() if value is not None}
        save_file(changed, path, metadata)
        with pytest.raises(StyleError, match="damaged"):
            Style.load(path)

"""What a pixel of a file means, to Pillow and to libvips alike: profiles, alpha, bit depth, kinds of colours, turns; damaged files."""

from __future__ import annotations

import io
import os
import random
import struct
import threading
import time
import zlib

import numpy as np
import pytest
import torch
from adain_style_transfer import adain
from adain_style_transfer.adain import ImageError, read_mask, read_picture
from adain_style_transfer.adain.masks import MaskEdit
from adain_style_transfer.adain.media import decoding
from adain_style_transfer.adain.media.profiles import srgb, to_srgb
from adain_style_transfer.adain.tiling import large
from PIL import Image, ImageCms
from samples import picture, small_lite

HEIGHT, WIDTH = 40, 56


def smooth(seed=0):
    """uint8 [40, 56, 3] that survives JPEG."""
    return np.array(adain.media.images.to_pil(adain.resample.resize(picture(5, 7, seed), (HEIGHT, WIDTH))))


def array_of(tensor):
    return tensor[0].permute(1, 2, 0).numpy()


def png(values, *chunks):
    """A PNG of uint8 or uint16 [H, W, 1 to 4]; Pillow writes no 16-bit colours."""
    height, width, bands = values.shape
    depth, kind = values.itemsize * 8, (0, 4, 2, 6)[bands - 1]
    rows = b"".join(b"\0" + row.astype(f">u{values.itemsize}").tobytes() for row in values)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)),
        *chunks,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def wide_gamut(gamma=2.2):
    """An ICC profile with primaries beyond sRGB's (Adobe RGB's), written by hand; littleCMS makes none through Pillow."""

    def s15(*values):
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ " + bytes(4) + s15(0.60974, 0.31111, 0.01947),
        b"gXYZ": b"XYZ " + bytes(4) + s15(0.20528, 0.62567, 0.06087),
        b"bXYZ": b"XYZ " + bytes(4) + s15(0.14919, 0.06322, 0.74457),
    }
    tags |= {name: b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2) for name in (b"rTRC", b"gTRC", b"bTRC")}
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    return (head + bytes(28) + s15(0.9642, 1.0, 0.8249)).ljust(128, b"\0") + table + body


def as_wide_gamut(values):
    """uint8 sRGB as the numbers that say the same in `wide_gamut`."""
    profiles = [ImageCms.ImageCmsProfile(io.BytesIO(p)) for p in (srgb(), wide_gamut())]
    return np.array(ImageCms.profileToProfile(Image.fromarray(values), *profiles, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC))


def saved(path, image, **options):
    image.save(path, **options)
    return path


# Profiles


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.tif", {}), ("a.jpg", {"quality": 100, "subsampling": 0})])
def test_a_profile_is_applied(tmp_path, name, options):
    path = saved(tmp_path / name, Image.fromarray(as_wide_gamut(smooth())), icc_profile=wide_gamut(), **options)
    assert np.abs(np.array(Image.open(path)).astype(int) - smooth()).mean() > 4  # the numbers differ
    for got in (array_of(read_picture(path).rgb) * 255, np.array(decoding.decode_bytes(path)).astype(int)):
        assert np.abs(got - smooth()).mean() < 1
    sixteen = tmp_path / "deep.png"
    sixteen.write_bytes(png(as_wide_gamut(smooth()).astype(np.uint16) * 257, (b"iCCP", b"w\0\0" + zlib.compress(wide_gamut()))))
    np.testing.assert_allclose(array_of(read_picture(sixteen).rgb) * 255, smooth(), atol=4)


def test_profiles_that_change_nothing(tmp_path):
    assert to_srgb(srgb(), "RGB") is None  # so pictures that were written by us are read bit for bit
    assert to_srgb(wide_gamut(), "L") is None and to_srgb(wide_gamut(), "CMYK") is None  # not for these
    assert to_srgb(b"no profile", "RGB") is None
    path = saved(tmp_path / "a.png", Image.fromarray(smooth()), icc_profile=b"no profile")
    np.testing.assert_array_equal(np.rint(array_of(read_picture(path).rgb) * 255), smooth())


def test_what_is_written_says_that_it_is_srgb(tmp_path):
    for name in ("a.png", "a.jpg", "a.tif", "a.webp"):
        adain.write_picture(tmp_path / name, picture(8, 8))
        assert Image.open(tmp_path / name).info["icc_profile"] == srgb()
    adain.write_picture(tmp_path / "b.png", picture(8, 8))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# Depth


def test_sixteen_bits_are_read(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(np.uint16)
    deep[..., 3] |= 1  # nothing is hidden
    for bands in (1, 2, 3, 4):
        values = deep[..., [0, 3]] if bands == 2 else deep[..., :bands]
        (tmp_path / "a.png").write_bytes(png(values))
        got = read_picture(tmp_path / "a.png")
        np.testing.assert_allclose(array_of(got.rgb), (values[..., :3] if bands > 2 else values[..., [0, 0, 0]]) / 65535, atol=1e-6)
        if bands in (2, 4):
            np.testing.assert_allclose(array_of(got.alpha), values[..., -1:] / 65535, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"compression": "lzw", "predictor": "horizontal"}, {"tile": True, "compression": "deflate"}])
def test_sixteen_bit_tiff(tmp_path, options):
    pyvips = pytest.importorskip("pyvips")
    values = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    pyvips.Image.new_from_array(values).copy(interpretation="rgb16").write_to_file(str(tmp_path / "a.tif"), **options)
    np.testing.assert_allclose(array_of(read_picture(tmp_path / "a.tif").rgb), values / 65535, atol=1e-6)


def test_a_colour_that_is_called_transparent_in_16_bits(tmp_path):
    values = np.full((2, 2, 3), 1000, np.uint16)
    values[0, 0] = 1001  # the same in 8 bits
    (tmp_path / "a.png").write_bytes(png(values, (b"tRNS", struct.pack(">HHH", 1000, 1000, 1000))))
    assert array_of(read_picture(tmp_path / "a.png").alpha)[..., 0].tolist() == [[1, 0], [0, 0]]
    (tmp_path / "b.png").write_bytes(png(values[..., :1], (b"tRNS", struct.pack(">H", 1000))))
    assert array_of(read_picture(tmp_path / "b.png").alpha)[..., 0].tolist() == [[1, 0], [0, 0]]


# Alpha


def cutout(hidden, seed=0):
    """RGBA with `hidden` as the colour under a transparent frame and a soft edge."""
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    alpha[8:-8, 10:-10] = 128
    alpha[10:-10, 12:-12] = 255
    return np.concatenate([np.where(alpha > 0, smooth(seed), np.array(hidden, np.uint8)), alpha], 2)


def test_hidden_colours_are_seen_by_nobody(tmp_path):
    model = small_lite()
    black, green = (saved(tmp_path / f"{i}.png", Image.fromarray(cutout(c))) for i, c in enumerate([(0, 0, 0), (0, 255, 0)]))
    first, second = read_picture(black), read_picture(green)
    assert torch.equal(first.rgb, second.rgb) and torch.equal(first.alpha, second.alpha)
    visible = first.alpha[0, 0] > 0
    np.testing.assert_array_equal(np.rint(array_of(first.rgb) * 255)[visible], cutout((0, 0, 0))[..., :3][visible])
    style = model.encode_style(first)
    whole = model.encode_style(read_picture(saved(tmp_path / "whole.png", Image.fromarray(smooth()[10:-10, 12:-12]))))
    assert (style.levels[0].mean - whole.levels[0].mean).abs().max() < 0.02  # not the frame's
    assert (style.levels[0].mean - model.encode_style(first.rgb).levels[0].mean).abs().max() > 1e-4  # alpha counts
    assert torch.equal(adain.stylize(model, first, style), adain.stylize(model, second, style))
    assert np.array_equal(np.array(decoding.decode_bytes(black)), np.array(decoding.decode_bytes(green)))


@pytest.mark.parametrize("color", ["style", "keep", "match"])
def test_alpha_counts_whole_and_in_tiles(color):
    model = small_lite()
    style = model.encode_style(picture(40, 32, seed=3))
    alpha = torch.zeros(1, 1, 72, 88)
    alpha[..., 20:60, 9:70] = 0.5
    alpha[..., 30:50, 20:60] = 1
    rgb = picture(72, 88, seed=1)
    content = adain.media.images.Picture(adain.media.transparency.filled(rgb, alpha), alpha)
    mask = torch.zeros(1, 1, 72, 88)
    mask[..., :44] = 1
    for limit in (None, mask):
        whole = adain.stylize(model, content, style, color=color, mask=limit)
        tiled = adain.stylize(model, content, style, color=color, mask=limit, tile=24)
        assert (whole - tiled).abs().max() < 1e-4
        assert (whole - adain.stylize(model, content.rgb, style, color=color, mask=limit)).abs().max() > 1e-3 or color == "keep"


def test_transparent_frames_of_a_batch():
    model = small_lite()
    style = model.encode_style(picture(40, 32, seed=3))
    alpha = torch.stack([torch.zeros(1, 24, 24), torch.ones(1, 24, 24)])  # nothing but zeros is no alpha
    batch = adain.media.images.Picture(picture(24, 24, batch=2), alpha)
    assert torch.equal(adain.stylize(model, batch, style), adain.stylize(model, batch.rgb, style))
    assert torch.equal(adain.media.transparency.filled(batch.rgb, alpha), batch.rgb)


def test_a_style_of_transparent_pixels_alone_is_refused():
    alpha = torch.ones(1, 1, 24, 24)
    alpha[..., :12] = 0
    with pytest.raises(ImageError, match="style mask is black everywhere, or wherever the picture is not transparent"):
        small_lite().encode_style(adain.media.images.Picture(picture(24, 24), alpha), 1 - alpha)


@pytest.mark.parametrize("value", [0, 255])
def test_an_alpha_that_says_nothing(tmp_path, value):
    values = np.concatenate([smooth(), np.full((HEIGHT, WIDTH, 1), value, np.uint8)], 2)
    path = saved(tmp_path / "a.png", Image.fromarray(values))
    got = read_picture(path)
    assert got.alpha is None
    np.testing.assert_array_equal(np.rint(array_of(got.rgb) * 255), smooth())
    np.testing.assert_allclose(array_of(read_mask(path))[..., 0], smooth().mean(2) / 255, atol=1e-6)


# What stays with a photograph


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_metadata_are_kept(tmp_path, name):
    exif = Image.Exif()
    exif[0x112], exif[0x132], exif[0x8298], exif[0x13B] = 6, "2024:05:01 10:00:00", "Copyright someone", "A. Photographer"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 10:00:00"
    exif.get_ifd(0x8769)[0x927C] = b"offsets" * 100
    exif.get_ifd(0x8769)[0xA001] = 2
    source = saved(tmp_path / "photo.jpg", Image.fromarray(smooth()), exif=exif, dpi=(300, 240), icc_profile=wide_gamut())
    got = read_picture(source)
    adain.write_picture(tmp_path / name, got.rgb, metadata=got.metadata)
    written = Image.open(tmp_path / name)
    kept = written.getexif()
    assert (kept[0x132], kept[0x8298], kept[0x13B]) == ("2024:05:01 10:00:00", "Copyright someone", "A. Photographer")
    inside = kept.get_ifd(0x8769)
    assert inside[0x9003] == "2024:05:01 10:00:00" and 0x927C not in inside and 0xA001 not in inside
    assert 0x8825 not in kept  # there is no place to be kept
    assert kept.get(0x112, 1) == 1 and written.size == (HEIGHT, WIDTH)  # upright
    if name != "a.webp":  # which holds no resolution
        assert [round(v) for v in written.info["dpi"]] == [240, 300]  # turned, too


def test_damaged_exif_spoils_no_picture(tmp_path):
    exif = Image.Exif()
    exif[0x112], exif[0x132] = 6, "2024:05:01 10:00:00"
    whole = exif.tobytes()
    rational = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x1a\x01\x0a\0\x01\0\0\0\x26\0\0\0\0\0\0\0"
    rational += struct.pack("<ii", -1, 0)  # Pillow cannot write that again
    for data in (rational, whole[:30], whole[:-12], b"Exif\0\0" + b"\xff" * 40, b"Exif\0\0MM\0*\0\0\xff\xff"):
        path = saved(tmp_path / "a.jpg", Image.fromarray(smooth()), exif=data, quality=100, subsampling=0)
        got = read_picture(path)
        adain.write_picture(tmp_path / "b.jpg", got.rgb, metadata=got.metadata)
        assert got.rgb.shape[1:] in ((3, HEIGHT, WIDTH), (3, WIDTH, HEIGHT))
    assert read_picture(saved(tmp_path / "a.jpg", Image.fromarray(smooth()), exif=rational)).rgb.shape == (1, 3, WIDTH, HEIGHT)


# Formats


def test_damaged_exif_is_no_news(tmp_path, recwarn):
    file = tmp_path / "photo.jpg"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    assert decoding.is_known(file)
    assert decoding.count_frames(file) == 1
    read_picture(file)
    assert not recwarn.list


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_pipes_are_refused_unread(tmp_path):
    file = tmp_path / "photo.png"
    os.mkfifo(file)
    pipe = os.open(file, os.O_RDWR | os.O_NONBLOCK)
    os.write(pipe, bytes(100))
    end = threading.Timer(5, os.close, [pipe])  # so that whoever waits for the rest of a picture fails
    end.start()
    assert not large.is_large(file)
    with pytest.raises(ImageError, match="pipe"):
        read_picture(file)
    assert os.read(pipe, 1000) == bytes(100)
    end.cancel()
    os.close(pipe)


def test_heic_and_avif(tmp_path, monkeypatch):
    pytest.importorskip("pillow_heif")
    decoding._formats()
    for name in ("a.heic", "a.avif"):
        path = saved(tmp_path / name, Image.fromarray(smooth()), quality=95)
        assert np.abs(array_of(read_picture(path).rgb) * 255 - smooth()).mean() < 4
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ImageError, match=rf"{name}.* damaged"):
            read_picture(path)
        monkeypatch.setattr(decoding, "_formats", lambda: ["PNG"])
        with pytest.raises(ImageError, match=rf"{name} is an? (HEIC|AVIF) picture, which needs .*pip install"):
            read_picture(path)
        monkeypatch.undo()


def test_no_other_program_is_started(tmp_path):
    """Pillow gives PostScript to Ghostscript, under any name; this program never ends."""
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop")
    with pytest.raises(ImageError, match="a.png is not an image that can be read here"):
        read_picture(path)
    with pytest.raises(ImageError, match="a.png is not an image"):
        decoding.decode_bytes(path)
    assert not large.is_large(path)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\0\0\0\x18ftypisom", "is a video"),
        (b"\0\0\0\x14ftypqt  ", "is a video"),
        (b"\x1a\x45\xdf\xa3" + bytes(8), "is a video"),
        (b"RIFF\0\0\0\0AVI ", "is a video"),
        (b"\0\0\0\x18ftypcrx ", "is not an image that can be read here"),
        (b"\0\0\0\x18ftypM4A ", "is not an image that can be read here"),
    ],
)
def test_videos_are_told_from_other_files(tmp_path, head, words):
    (tmp_path / "a").write_bytes(head + bytes(60))
    with pytest.raises(ImageError, match=words):
        read_picture(tmp_path / "a")


def test_long_texts_in_a_png(tmp_path):
    text = b"workflow\0\0\0" + zlib.compress(b"x" * 2_000_000)
    (tmp_path / "a.png").write_bytes(png(smooth(), (b"zTXt", text[:10] + text[11:])))
    np.testing.assert_array_equal(np.rint(array_of(read_picture(tmp_path / "a.png").rgb) * 255), smooth())


def test_files_of_macos_and_files_that_may_not_be_read(tmp_path):
    (tmp_path / "._photo.png").write_bytes(b"\0\x05\x16\x07" + bytes(100))
    with pytest.raises(ImageError, match="._photo.png is not an image but what macOS notes"):
        read_picture(tmp_path / "._photo.png")
    with pytest.raises(ImageError, match="There is no file"):
        read_picture(tmp_path / ("x" * 300 + ".png"))


# The same through libvips


def zoo():
    exif = Image.Exif()
    exif[0x112] = 6
    grey = Image.fromarray(smooth()).convert("L")
    deep = png(np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(np.uint16) | 1024)
    return {
        "rgb.png": Image.fromarray(smooth()),
        "turned.jpg": (Image.fromarray(smooth()), {"exif": exif, "quality": 95}),
        "grey.png": grey,
        "grey-alpha.png": Image.merge("LA", [grey, grey]),
        "palette.png": Image.fromarray(smooth()).quantize(16),
        "one-bit.png": grey.convert("1"),
        "cmyk.jpg": (Image.fromarray(smooth()).convert("CMYK"), {"quality": 95}),
        "cmyk.tif": Image.fromarray(smooth()).convert("CMYK"),
        "float.tif": Image.fromarray(smooth()[..., 0].astype(np.float32) / 100),
        "cutout.png": Image.fromarray(cutout((9, 200, 30))),
        "opaque.png": Image.fromarray(smooth()).convert("RGBA"),
        "blank.png": Image.fromarray(np.concatenate([smooth(), np.zeros((HEIGHT, WIDTH, 1), np.uint8)], 2)),
        "wide.png": (Image.fromarray(as_wide_gamut(smooth())), {"icc_profile": wide_gamut()}),
        "srgb.png": (Image.fromarray(smooth()), {"icc_profile": srgb()}),
        "wide-cutout.tif": (Image.fromarray(cutout((9, 200, 30))), {"icc_profile": wide_gamut()}),
        "deep.png": deep,
        "deep-grey.png": png(np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 1)).astype(np.uint16)),
        "animation.gif": Image.fromarray(smooth()),
        "photo.webp": (Image.fromarray(cutout((0, 0, 0))), {"quality": 90}),
    }


@pytest.mark.parametrize("name", zoo())
def test_libvips_and_pillow_agree(tmp_path, name):
    pytest.importorskip("pyvips", reason="large pictures need libvips: pip install .[large]")
    made, path = zoo()[name], tmp_path / name
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        image, options = made if isinstance(made, tuple) else (made, {})
        image.save(path, **options)
    expected = read_picture(path)
    image, _ = large._open_upright(path)
    rgb, alpha = large._unpack(image, tmp_path)
    assert (alpha is None) == (expected.alpha is None)
    limit = 6 if "jpg" in name else 2  # two decoders of JPEG
    assert (rgb - expected.rgb * 255).abs().max() <= limit
    if alpha is not None:
        assert (alpha - expected.alpha * 255).abs().max() <= 1
    (tmp_path / "mask").mkdir()
    mask = large._unpack_mask(path, tmp_path / "mask", rgb.shape[-2:], MaskEdit())
    assert (mask - read_mask(path) * 255).abs().max() <= limit


# Damage


def seeds():
    image, exif = Image.fromarray(smooth()), Image.Exif()
    exif[0x112] = 6
    cut, photo = Image.fromarray(cutout((0, 9, 0))), {"icc_profile": wide_gamut(), "exif": exif}
    cases = [
        ("png", image, photo),
        ("png", cut, {}),
        ("png", image.quantize(9), {"transparency": 3}),
        ("jpeg", image, photo),
        ("jpeg", image.convert("CMYK"), {}),
        ("webp", cut, {"exif": exif}),
        *(("tiff", image, {"compression": name}) for name in ("raw", "tiff_lzw", "jpeg", "tiff_adobe_deflate")),
        ("tiff", image.convert("F"), {}),
        ("tiff", image.convert("CMYK"), {"exif": exif}),
        *((form, image, {}) for form in ("gif", "bmp", "ppm", "jpeg2000", "pcx", "sgi")),
        *((form, cut, {}) for form in ("avif", "ico", "qoi", "dds", "heif")),
        ("tga", cut, {"compression": "tga_rle"}),
    ]
    for form, picture_, options in cases:
        if form.upper() in Image.SAVE:
            stream = io.BytesIO()
            picture_.save(stream, form, **options)
            yield stream.getvalue()
    yield png(np.random.default_rng(1).integers(0, 65536, (9, 7, 3)).astype(np.uint16))
    yield png(np.random.default_rng(1).integers(0, 65536, (9, 7, 2)).astype(np.uint16))


def damaged(data, rng, others):
    content = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 4, 16))):
        content[rng.randrange(len(content))] = rng.choice((0, 255, 127, rng.randrange(256)))
    for _ in range(rng.choice((0, 0, 1, 3))):  # headers are at the beginning
        content[rng.randrange(min(len(content), 120))] = rng.randrange(256)
    if rng.random() < 0.2:
        other = rng.choice(others)
        at = rng.randrange(len(content))
        content[at : at + rng.randrange(200)] = other[rng.randrange(len(other)) :][: rng.randrange(400)]
    return bytes(content[: rng.randrange(1, len(content) + 1)] if rng.random() < 0.3 else content)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about the damage
@pytest.mark.parametrize("seed", [0])
def test_whatever_is_damaged_gives_a_picture_or_a_sentence(tmp_path, seed, rounds=400):
    Image.init()
    rng, files = random.Random(seed), list(seeds())
    path = tmp_path / "a.png"
    for _ in range(rounds):
        path.write_bytes(damaged(rng.choice(files), rng, files))
        began = time.monotonic()
        try:
            got = read_picture(path)
        except ImageError as error:
            assert str(error).startswith(str(path)) and str(error).endswith(".")
        else:
            assert got.rgb.isfinite().all() and got.rgb.min() >= 0 and got.rgb.max() <= 1
            if got.rgb.numel() < 10**6:
                adain.write_picture(tmp_path / "out.jpg", got.rgb, metadata=got.metadata)
        assert time.monotonic() - began < 20  # a few hundred megapixels are allowed, on a slow machine too

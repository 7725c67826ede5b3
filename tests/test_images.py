from __future__ import annotations

import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest
import torch
from adain_style_transfer.adain import AdaINError, ImageError, read_mask, read_picture, write_picture
from adain_style_transfer.adain.media.atomic import replacing
from adain_style_transfer.adain.media.images import to_pil
from adain_style_transfer.adain.resample import at_short_side, resize
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import picture

ORIENTATION = 0x0112


def bytes_picture(height=6, width=9, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8).squeeze()


def read(image, path, **options):
    image.save(path, **options)
    return read_picture(path)


def to_array(tensor):
    return tensor[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "a.ppm", "noextension"])
def test_rgb(tmp_path, name):
    values = bytes_picture()
    options = {"lossless": True} if name == "a.webp" else {}
    got = read(Image.fromarray(values), tmp_path / name, format=None if "." in name else "PNG", **options)
    assert got.alpha is None and got.rgb.shape == (1, 3, 6, 9) and got.rgb.dtype == torch.float32
    np.testing.assert_allclose(to_array(got.rgb), values / 255, atol=1e-6)


def test_grey(tmp_path):
    values = bytes_picture(channels=1)
    got = read(Image.fromarray(values), tmp_path / "a.png")
    np.testing.assert_allclose(to_array(got.rgb), np.repeat(values[..., None], 3, 2) / 255, atol=1e-6)


def test_one_bit(tmp_path):
    values = bytes_picture(channels=1) > 127
    got = read(Image.fromarray(values), tmp_path / "a.png")
    assert got.alpha is None
    np.testing.assert_array_equal(to_array(got.rgb)[..., 0], values)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha(tmp_path, mode):
    values = bytes_picture(channels=len(mode))
    got = read(Image.fromarray(values, mode) if mode == "LA" else Image.fromarray(values), tmp_path / "a.png")
    assert got.alpha is not None
    colors = values[..., :-1] if mode == "RGBA" else np.repeat(values[..., :1], 3, 2)
    visible = values[..., -1] > 0
    np.testing.assert_allclose(to_array(got.rgb)[visible], colors[visible] / 255, atol=1e-6)
    np.testing.assert_allclose(to_array(got.alpha), values[..., -1:] / 255, atol=1e-6)


PALETTE = [255, 0, 0, 0, 255, 0, 0, 0, 255]


def palette_picture():
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8)).convert("L")
    indexed = Image.new("P", image.size)
    indexed.putdata(list(image.tobytes()))
    indexed.putpalette(PALETTE)
    return indexed, np.array(PALETTE).reshape(3, 3)[np.array([[0, 1, 2], [2, 1, 0]])] / 255


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palette(tmp_path, name):
    indexed, expected = palette_picture()
    got = read(indexed, tmp_path / name)
    assert got.alpha is None
    np.testing.assert_allclose(to_array(got.rgb), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "transparency", "alpha"),
    [("a.png", 1, [1, 0, 1]), ("a.gif", 2, [1, 1, 0]), ("a.png", bytes([255, 51, 0]), [1, 0.2, 0])],
)
def test_palette_with_transparency(tmp_path, name, transparency, alpha):
    indexed, expected = palette_picture()
    got = read(indexed, tmp_path / name, transparency=transparency)
    assert got.alpha is not None
    np.testing.assert_allclose(to_array(got.alpha)[0, :, 0], alpha, atol=1e-6)
    visible = to_array(got.alpha)[..., 0] > 0
    np.testing.assert_allclose(to_array(got.rgb)[visible], expected[visible], atol=1e-6)


def test_rgb_with_a_transparent_color(tmp_path):
    got = read(Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)), tmp_path / "a.png", transparency=(4, 5, 6))
    assert got.alpha is not None and got.alpha.flatten().tolist() == [1, 0]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_grey(tmp_path, name):
    values = np.array([[0, 1, 256, 32768, 65535]], np.uint16)
    got = read(Image.fromarray(values), tmp_path / name)
    np.testing.assert_allclose(to_array(got.rgb)[..., 1], values / 65535, atol=1e-6)


def test_sixteen_bit_rgb_png(tmp_path):
    """Written by hand, because Pillow has no such mode."""
    values = np.array([[[0, 32768, 65535], [65535, 0, 257]]], ">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    (tmp_path / "a.png").write_bytes(png_bytes(2, 1, depth=16, color=2, data=zlib.compress(rows)))
    np.testing.assert_allclose(to_array(read_picture(tmp_path / "a.png").rgb), values / 65535, atol=1 / 255)


def test_float_tiff(tmp_path):
    values = np.array([[0, 0.25, 1]], np.float32)
    np.testing.assert_allclose(to_array(read(Image.fromarray(values), tmp_path / "a.tif").rgb)[..., 0], values, atol=1e-6)
    np.testing.assert_allclose(to_array(read(Image.fromarray(values * 200), tmp_path / "b.tif").rgb)[..., 0], values, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_float_tiff_with_values_that_are_no_numbers(tmp_path, value):
    Image.fromarray(np.array([[0, value, 1]], np.float32)).save(tmp_path / "a.tif")
    with fails(tmp_path / "a.tif", "NaN or infinite"):
        read_picture(tmp_path / "a.tif")


def test_cmyk_jpeg(tmp_path):
    values = np.array([[200, 100, 50]], np.uint8).repeat(256, 0).reshape(16, 16, 3)
    got = read(Image.fromarray(values).convert("CMYK"), tmp_path / "a.jpg", quality=95)
    assert got.alpha is None
    np.testing.assert_allclose(to_array(got.rgb).mean((0, 1)), np.array([200, 100, 50]) / 255, atol=0.02)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_exif_orientation(tmp_path, orientation, name):
    """The file holds the picture turned as the tag says; it is read upright, alpha too."""
    colors = [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 0], [0, 0, 0], [255, 255, 255]]]
    upright = np.kron(np.array(colors, np.uint8), np.ones((16, 16, 1), np.uint8))
    inverse = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x),
        7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
        8: lambda x: np.rot90(x, -1),
    }
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = Image.fromarray(np.ascontiguousarray(inverse[orientation](upright)))
    got = read(stored, tmp_path / name, exif=exif, quality=95)
    assert got.rgb.shape == (1, 3, 32, 48)
    np.testing.assert_allclose(to_array(got.rgb)[8::16, 8::16], upright[8::16, 8::16] / 255, atol=0.1)


def test_mask_is_alpha_or_brightness(tmp_path):
    values = bytes_picture(channels=4)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_allclose(to_array(read_mask(tmp_path / "a.png"))[..., 0], values[..., 3] / 255, atol=1e-6)
    grey = bytes_picture(channels=1)
    Image.fromarray(grey).save(tmp_path / "b.png")
    np.testing.assert_allclose(to_array(read_mask(tmp_path / "b.png"))[..., 0], grey / 255, atol=1e-6)


# Files that cannot be read


def png_bytes(width, height, depth=8, color=2, data=b""):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def fails(path, *words):
    pattern = "".join(f"(?=.*{word})" for word in (path.name, *words))
    return pytest.raises(ImageError, match=rf"(?s){pattern}.*\.$")


def test_files_that_are_missing_empty_or_no_image(tmp_path):
    missing, empty, text, truncated = (tmp_path / f"{name}.png" for name in ("missing", "empty", "text", "truncated"))
    empty.write_bytes(b"")
    text.write_text("This is a sentence.")
    Image.fromarray(bytes_picture(64, 64)).save(truncated)
    truncated.write_bytes(truncated.read_bytes()[:4000])
    for path, words in ((missing, "no file"), (tmp_path, "folder"), (empty, "empty"), (text, "not an image"), (truncated, "truncated")):
        with fails(path, words):
            read_picture(path)
        with fails(path, words):
            read_mask(path)


def test_a_decompression_bomb(tmp_path):
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_bytes(60_000, 60_000, data=zlib.compress(b"")))
    with fails(bomb, "too large", "3600000000|60,?000", "Scale it down"):
        read_picture(bomb)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about the damage
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.tif", "a.webp", "a.bmp", "a.ppm"])
@given(data=st.data())
def test_any_damage_gives_a_picture_or_an_image_error(tmp_path, name, data):
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image = Image.fromarray(bytes_picture(17, 23))
    image.save(stream, Image.registered_extensions()[f".{name[2:]}"], **({"exif": exif} if name[2:] in ("png", "jpg", "webp") else {}))
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / name
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        got = read_picture(path)
    except ImageError:
        return
    assert got.rgb.isfinite().all() and got.rgb.min() >= 0 and got.rgb.max() <= 1


def test_reading_leaves_no_file_open(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(bytes_picture()).save(path)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    if before is None:
        pytest.skip("counting open files needs /proc")
    for _ in range(5):
        read_picture(path)
    assert len(os.listdir("/proc/self/fd")) == before


# Writing


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpg", "a.jpeg", "a.webp", "a.tif", "a.tiff", "a.bmp", "a.gif", "a.ppm"])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_a_written_picture_comes_back(tmp_path, name, with_alpha):
    rgb = resize(picture(4, 5), (32, 40))
    alpha = resize(picture(4, 5, seed=1)[:, :1], (32, 40)) if with_alpha else None
    write_picture(tmp_path / name, rgb, alpha)
    got = read_picture(tmp_path / name)
    lossless = name.lower()[2:] in ("png", "tif", "tiff", "bmp", "ppm")
    assert (got.rgb - rgb).abs().mean() < (0.002 if lossless else 0.1)
    if with_alpha and name.lower()[2:] in ("png", "tif", "webp"):
        assert got.alpha is not None and (got.alpha - alpha).abs().max() < 0.01


def test_eight_bit_values_survive_reading_and_writing(tmp_path):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    got = read(Image.fromarray(values), tmp_path / "a.png")
    write_picture(tmp_path / "b.png", got.rgb)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "b.png")), values)


def test_values_are_rounded_and_clamped():
    image = to_pil(torch.tensor([-0.5, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 7.0]).view(1, 1, 1, 6).repeat(1, 3, 1, 1))
    assert list(np.array(image)[0, :, 0]) == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("name", ["a", "a.", "a.xyz", "a.txt", "a.psd", "a.mpg", "a.hdf5"])
def test_extensions_that_cannot_be_written(tmp_path, name):
    with pytest.raises(ImageError, match=r"extension .* no image format.* \.png"):
        write_picture(tmp_path / name, picture(4, 4))
    assert not list(tmp_path.iterdir())


def test_a_picture_where_its_path_belongs():
    with pytest.raises(ImageError, match=r"Call write_picture\(path, rgb\)"):
        write_picture(picture(4, 4), "a.png")


def test_pictures_that_a_format_cannot_hold(tmp_path):
    with pytest.raises(AdaINError, match=r"a\.webp cannot be written"):
        write_picture(tmp_path / "a.webp", torch.zeros(1, 3, 1, 20_000))
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(AdaINError, match=r"a\.png cannot be written .*\.$"):
            write_picture(folder / "a.png", picture(4, 4))
    (tmp_path / "a.png").mkdir()
    with pytest.raises(AdaINError, match=r"a\.png cannot be written"):
        write_picture(tmp_path / "a.png", picture(4, 4))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "file"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    class Stop(BaseException):
        pass

    with pytest.raises(Stop), replacing(path) as temporary:
        temporary.write_text("half")
        raise Stop
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with replacing(path) as temporary:
        assert path.read_text() == "old"
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_swept_up(tmp_path):
    old, recent, other = (tmp_path / name for name in (".adain-tmp-old.png", ".adain-tmp-recent.png", ".other.png"))
    for path in (old, recent, other):
        path.write_text("half")
    for path in (old, other):
        os.utime(path, (0, 0))
    with replacing(tmp_path / "a.png") as temporary:
        assert temporary.name.startswith(".adain-tmp-") and temporary.suffix == ".png"
    assert not old.exists() and recent.exists() and other.exists()


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with replacing(tmp_path / "replaced") as temporary:
        temporary.write_text("")
    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "replaced").stat().st_mode


def test_writing_from_several_threads(tmp_path):
    threads = [threading.Thread(target=write_picture, args=(tmp_path / "a.png", picture(16, 16, seed=i))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_picture(tmp_path / "a.png").rgb.shape == (1, 3, 16, 16) and len(list(tmp_path.iterdir())) == 1


# Resizing


@given(height=st.integers(1, 40), width=st.integers(1, 40), new_height=st.integers(1, 40), new_width=st.integers(1, 40))
def test_resize_has_the_size_and_stays_in_range(height, width, new_height, new_width):
    for x in (picture(height, width).round(), picture(height, width)[:, :1].round()):
        got = resize(x, (new_height, new_width))
        assert got.shape[-2:] == (new_height, new_width) and got.min() >= 0 and got.max() <= 1


@pytest.mark.parametrize(
    ("size", "short_side", "expected"), [((40, 56), 0, (40, 56)), ((40, 56), 20, (20, 28)), ((7000, 3), 1, (2333, 1)), ((1, 1), 9, (9, 9))]
)
def test_size_at_a_short_side(size, short_side, expected):
    assert at_short_side(torch.Size(size), short_side) == expected


def test_sizes_that_no_picture_may_have():
    with pytest.raises(ImageError, match="7000 x 3 .* 119.* x 512, more than 178 million"):
        at_short_side(torch.Size((3, 7000)), 512)


def test_resize_keeps_flat_colors():
    torch.testing.assert_close(resize(torch.full((1, 3, 9, 7), 0.3), (20, 3)), torch.full((1, 3, 20, 3), 0.3))

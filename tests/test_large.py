"""Pictures that are painted from file to file. The same code as for 600 million pixels, from a lower size on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain import ImageError
from adain_style_transfer.adain.look import Look
from adain_style_transfer.adain.masks import MaskEdit
from adain_style_transfer.adain.tiling import large
from adain_style_transfer.adain.tiling.large import Request, stylize_file
from adain_style_transfer.adain.tiling.painter import TiledPainter
from adain_style_transfer.cli import main
from samples import picture, soft_mask

pyvips = pytest.importorskip("pyvips", reason="large pictures need libvips: pip install .[large]")

HEIGHT, WIDTH = 500, 2100
"""Five tiles on a CPU, in blocks of three and two."""


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(large, "LARGE_PIXELS", 1000)


@pytest.fixture(scope="module")
def style(lite):
    return lite.encode_style(picture(40, 32, seed=100), name="stripes")


@pytest.fixture
def photo(tmp_path):
    adain.write_picture(tmp_path / "photo.png", picture(HEIGHT, WIDTH, seed=1))
    return tmp_path / "photo.png"


def steps_of(*arguments):
    steps = []
    stylize_file(*arguments, lambda done, total: steps.append((done, total)))
    return steps


@pytest.mark.parametrize("color", ["style", "keep", "match"])
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_files_equal_tensors(lite, style, photo, tmp_path, color, extension):
    adain.write_picture(tmp_path / "mask.png", soft_mask(HEIGHT, WIDTH).expand(-1, 3, -1, -1))
    output = tmp_path / f"out.{extension}"
    steps = steps_of(lite, photo, output, Request(Look.of(style, strength=0.8, color=color), tmp_path / "mask.png"), False)
    assert steps[-1] == (10, 10)
    expected = adain.stylize(
        lite, adain.read_picture(photo).rgb, style, strength=0.8, color=color, mask=adain.read_mask(tmp_path / "mask.png")
    )
    assert (adain.read_picture(output).rgb - expected).abs().max() <= 1.01 / 255
    assert not output.with_name(output.name + ".part").exists()


def test_a_mask_is_edited_as_in_memory(lite, style, photo, tmp_path):
    blocks = (soft_mask(6, 9) > 0.5).float()
    mask = torch.nn.functional.interpolate(blocks, (HEIGHT, WIDTH), mode="nearest")
    adain.write_picture(tmp_path / "mask.png", mask.expand(-1, 3, -1, -1))
    edit, picture = MaskEdit(True, 3, 6.0), adain.read_picture(photo).rgb
    steps_of(lite, photo, tmp_path / "out.png", Request(Look.of(style), tmp_path / "mask.png", edit=edit), False)
    expected = adain.stylize(lite, picture, style, mask=edit(mask, picture.shape[-2:]))
    assert (adain.read_picture(tmp_path / "out.png").rgb - expected).abs().max() <= 1.5 / 255
    assert not (tmp_path / "out.png.part").exists()


def test_a_transparent_turned_picture_and_a_smaller_mask(lite, style, tmp_path):
    rgb, alpha = picture(90, 120), soft_mask(90, 120, seed=2)
    image = adain.media.images.to_pil(rgb, alpha)
    exif = image.getexif()
    exif[0x112] = 6  # to be turned by a quarter
    image.save(tmp_path / "turned.png", exif=exif)
    adain.write_picture(tmp_path / "mask.png", torch.ones(1, 3, 31, 17))
    steps_of(lite, tmp_path / "turned.png", tmp_path / "out.png", Request(Look.of(style), tmp_path / "mask.png"), False)
    upright, out = adain.read_picture(tmp_path / "turned.png"), adain.read_picture(tmp_path / "out.png")
    assert out.rgb.shape == upright.rgb.shape == (1, 3, 120, 90)
    assert torch.equal(out.alpha, upright.alpha)
    visible = upright.alpha.expand(-1, 3, -1, -1) > 0
    # What continues the visible pixels below the hidden ones is rounded to 8 bits in the file.
    assert (out.rgb - adain.stylize(lite, upright, style))[visible].abs().max() <= 3 / 255


@pytest.mark.parametrize("color", ["style", "match"])
@pytest.mark.parametrize(("stop", "kept"), [(1, [0]), (7, [5, 6]), (9, [5, 8])])  # 5 tiles are measured, then painted
def test_an_interrupted_run_goes_on_where_it_was(lite, style, photo, tmp_path, monkeypatch, color, stop, kept):
    request = Request(Look.of(style, color=color))

    def interrupt(done, total):
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize_file(lite, photo, tmp_path / "out.png", request, False, interrupt)
    assert not (tmp_path / "out.png").exists()
    with monkeypatch.context() as later:
        later.setattr(lite, "tile_side", lambda size: 256)  # as with less memory than before
        steps = [done for done, _ in steps_of(lite, photo, tmp_path / "out.png", request, True)]
    assert steps[: len(kept)] == kept
    steps_of(lite, photo, tmp_path / "straight.png", request, False)
    assert torch.equal(adain.read_picture(tmp_path / "out.png").rgb, adain.read_picture(tmp_path / "straight.png").rgb)


def test_what_is_left_of_another_request_is_neither_used_nor_lost(lite, style, photo, tmp_path):
    def interrupt(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize_file(lite, photo, tmp_path / "out.png", Request(Look.of(style, strength=0.3)), False, interrupt)
    with pytest.raises(ImageError, match="of another picture, style or options"):
        steps_of(lite, photo, tmp_path / "out.png", Request(Look.of(style)), True)
    assert (tmp_path / "out.png.part" / "content.raw").exists()
    steps_of(lite, photo, tmp_path / "out.png", Request(Look.of(style)), False)
    assert (
        adain.read_picture(tmp_path / "out.png").rgb - adain.stylize(lite, adain.read_picture(photo).rgb, style)
    ).abs().max() <= 1.01 / 255


def test_files_that_cannot_be_used(lite, style, photo, tmp_path):
    photo.write_bytes(photo.read_bytes()[:20000])
    with pytest.raises(ImageError, match="photo.png cannot be painted into .*out.png"):
        stylize_file(lite, photo, tmp_path / "out.png", Request(Look.of(style)), False, lambda done, total: None)
    adain.write_picture(photo, picture(40, 40))
    adain.write_picture(tmp_path / "black.png", torch.zeros(1, 3, 40, 40))
    with pytest.raises(ImageError, match="black.png is black everywhere"):
        stylize_file(lite, photo, tmp_path / "out.png", Request(Look.of(style), tmp_path / "black.png"), False, lambda done, total: None)


def test_the_command_line_paints_small_and_large_pictures(monkeypatch, photo, tmp_path, capsys):
    monkeypatch.setattr(large, "LARGE_PIXELS", HEIGHT * WIDTH)
    adain.write_picture(tmp_path / "small.png", picture(40, 50))
    out = tmp_path / "out"
    arguments = ["stylize", str(photo), str(tmp_path / "small.png"), "--style", "great-wave", "-o", str(out), "--resume", "--device", "cpu"]
    assert main(arguments) == 0
    model = weights.load_model(device="cpu")
    made = weights.presets.load_preset(model, "great-wave")
    for path in (photo, tmp_path / "small.png"):
        expected = adain.stylize(model, adain.read_picture(path).rgb, made)
        got = adain.read_picture(out / f"{path.stem}__great-wave.png").rgb
        assert (got - expected).abs().max() <= 1.01 / 255


def test_what_cannot_hold_it_is_known_before(lite, style, photo, tmp_path):
    for name in ("out.bmp", "out.gif", "out.pgm"):
        with pytest.raises(ImageError, match=r"Give a name that ends in \.png"):
            stylize_file(lite, photo, tmp_path / name, Request(Look.of(style)), False, lambda done, total: None)
    pyvips.Image.black(16384, 1).write_to_file(str(tmp_path / "wide.png"))
    with pytest.raises(ImageError, match="16384 x 1 pixels"):
        stylize_file(lite, tmp_path / "wide.png", tmp_path / "out.webp", Request(Look.of(style)), False, lambda done, total: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "wide.png"]


def test_a_folder_of_the_users_stays(lite, style, photo, tmp_path):
    folder = tmp_path / "out.png.part"
    folder.mkdir()
    (folder / "key").write_text("of a house")
    with pytest.raises(ImageError, match=r"out.png.part, where .* is there already"):
        stylize_file(lite, photo, tmp_path / "out.png", Request(Look.of(style)), False, lambda done, total: None)
    assert (folder / "key").read_text() == "of a house"

    def add(done, total):
        (tmp_path / "other.png.part" / "mine.txt").write_text("put here meanwhile")

    stylize_file(lite, photo, tmp_path / "other.png", Request(Look.of(style)), False, add)
    assert [path.name for path in (tmp_path / "other.png.part").iterdir()] == ["mine.txt"]


STYLIZE = """
import sys
from adain_style_transfer.adain.look import Look
from adain_style_transfer.adain.tiling import large
from adain_style_transfer.adain.tiling.painter import TiledPainter
from adain_style_transfer.cli import main
large.LARGE_PIXELS = 1000
sys.exit(main(["stylize", sys.argv[1], "--style", "great-wave", "-o", sys.argv[2], "--device", "cpu", *sys.argv[3:]]))
"""


def stylize_in_a_process(*arguments):
    return subprocess.run([sys.executable, "-c", STYLIZE, *map(str, arguments)], capture_output=True, text=True)


def test_two_processes_do_not_paint_one_output(lite, style, photo, tmp_path):
    others = []

    def meanwhile(done, total):
        if done == 7:
            others.append(stylize_in_a_process(photo, tmp_path / "out.png", "--overwrite"))

    stylize_file(lite, photo, tmp_path / "out.png", Request(Look.of(style)), False, meanwhile)
    assert others[0].returncode == 1 and "out.png is being painted by another process" in others[0].stderr
    stylize_file(lite, photo, tmp_path / "alone.png", Request(Look.of(style)), False, lambda done, total: None)
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_an_interrupted_painting_is_not_lost_when_resume_is_forgotten(monkeypatch, photo, tmp_path, capsys):
    command = ["stylize", str(photo), "--style", "great-wave", "-o", str(tmp_path / "out.png"), "--device", "cpu", "--quiet"]
    with monkeypatch.context() as once:
        once.setattr(TiledPainter, "paint", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(command) == 1
    assert "--resume" in capsys.readouterr().err
    (tmp_path / "out.png.part" / ".adain-tmp-x.raw").write_bytes(b"as after a kill")
    kept = sorted((tmp_path / "out.png.part").iterdir())
    assert main(command) == 1 and "was interrupted. Give --resume to go on" in capsys.readouterr().err
    assert sorted((tmp_path / "out.png.part").iterdir()) == kept
    assert main([*command, "--resume"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.png"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 7 MB: room for the picture and what is unpacked of it, 3 MB each, but not for what is painted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=7m", "tmpfs", place]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs privileges")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_a_sentence(monkeypatch, photo, small_disk):
    (small_disk / "other").write_bytes(bytes(1_500_000))
    free = shutil.disk_usage(small_disk)
    done = stylize_in_a_process(photo, small_disk / "out.png")
    assert done.returncode == 1 and "No space left on device" in done.stderr, done.stderr  # not SIGBUS
    assert [path.name for path in small_disk.iterdir()] == ["other"]  # nothing had been painted
    assert shutil.disk_usage(small_disk) == free


PAINT = """
import resource, sys
gigabyte = 2**30
resource.setrlimit(resource.RLIMIT_DATA, (int(float(sys.argv[1]) * gigabyte),) * 2)  # private memory; mapped files are not part of it
from adain_style_transfer.adain.tiling.painter import TiledPainter
from adain_style_transfer.cli import main
sys.exit(main(["stylize", sys.argv[2], "--style", "great-wave", "-o", sys.argv[3], "--device", "cpu"]))
"""


@pytest.mark.skipif("ADAIN_TEST_HUGE" not in os.environ, reason="takes many minutes: set ADAIN_TEST_HUGE=1")
def test_300_million_pixels_within_2_gigabytes(tmp_path):
    """As floats picture and result would take 7.2 GB."""
    tile = pyvips.Image.new_from_array((picture(500, 500)[0].permute(1, 2, 0) * 255).byte().numpy())
    tile.replicate(40, 30).write_to_file(str(tmp_path / "huge.png"), compression=1)
    done = subprocess.run([sys.executable, "-c", PAINT, "2", tmp_path / "huge.png", tmp_path / "out.png"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    out = pyvips.Image.new_from_file(str(tmp_path / "out.png"))
    assert (out.width, out.height, out.bands) == (20000, 15000, 3)
    assert out.crop(7000, 7000, 600, 600).deviate() > 5  # a picture, not a flat area

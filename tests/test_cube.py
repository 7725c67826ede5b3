"""Grades as .cube files: read back by another reader, and by FFmpeg's lut3d."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import torch
from adain_style_transfer.adain import ColorMatch, ImageError, read_picture, write_picture
from adain_style_transfer.adain.media.cube import write_cube
from samples import picture

FFMPEG = shutil.which("ffmpeg")


def grade(**settings):
    match = ColorMatch(**settings)
    image, reference = picture(40, 60, seed=1) * 0.8 + 0.1, picture(50, 40, seed=2) * 0.6 + 0.1
    return match.grade(match.measure(image), match.measure(reference))


def read(path):
    """The table [blue, green, red, 3] of a .cube file, by the specification of Adobe (1.0)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    keywords = [line for line in lines if line[:1].isalpha()]
    (side,) = [int(line.split()[1]) for line in keywords if line.startswith("LUT_3D_SIZE")]
    rows = np.array([[float(v) for v in line.split()] for line in lines if line and not line[0].isalpha() and line[0] != "#"])
    assert rows.shape == (side**3, 3) and rows.min() >= 0 and rows.max() <= 1
    assert keywords[0].startswith('TITLE "') and keywords[0].endswith('"') and keywords[0].count('"') == 2
    return rows.reshape(side, side, side, 3)


@pytest.mark.parametrize("settings", [{}, {"method": "histogram", "space": "lab"}, {"method": "chroma", "strength": 1.5}])
def test_what_is_written_is_the_grade(tmp_path, settings):
    own = grade(**settings)
    path = tmp_path / "look.cube"
    write_cube(path, own)
    table = read(path)
    assert table.shape == (33, 33, 33, 3)
    for red, green, blue in ((0, 0, 0), (32, 0, 0), (0, 32, 0), (0, 0, 32), (32, 32, 32), (5, 17, 29)):
        color = torch.tensor([red, green, blue]).view(1, 3, 1, 1) / 32
        np.testing.assert_allclose(table[blue, green, red], own(color).flatten().numpy(), rtol=0, atol=2e-6)


def test_titles_cannot_break_the_file(tmp_path):
    path = tmp_path / "look.cube"
    write_cube(path, grade(), 'a "quoted"\nLUT_3D_SIZE 2')
    assert read(path).shape == (33, 33, 33, 3)


def test_nothing_half_written_stays(tmp_path):
    def breaks(rgb):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_cube(tmp_path / "look.cube", breaks)
    with pytest.raises(ImageError, match=r"look\.cube cannot be written"):
        write_cube(tmp_path / "missing" / "look.cube", grade())
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(FFMPEG is None, reason="FFmpeg's program is not installed")
@pytest.mark.parametrize(
    "settings", [{}, {"space": "lab"}, {"method": "channels", "space": "linear"}, {"method": "chroma", "strength": 1.5}]
)
def test_ffmpeg_makes_the_same_of_it(tmp_path, settings):
    own, image = grade(**settings), picture(64, 80, seed=3)
    write_picture(tmp_path / "in.png", image)
    write_cube(tmp_path / "look.cube", own)
    command = [FFMPEG, "-loglevel", "error", "-i", "in.png", "-vf", "lut3d=look.cube", "-pix_fmt", "rgb24", "out.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = own(read_picture(tmp_path / "in.png").rgb)
    difference = (read_picture(tmp_path / "out.png").rgb - expected).abs() * 255
    assert difference.mean() < 0.6 and difference.max() < 6  # it cuts off what is left below 8 bits
    assert (expected - image).abs().max() > 0.1  # it was worth a table

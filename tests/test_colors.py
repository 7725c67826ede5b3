"""`adain colors`: pictures, videos without flicker, .cube files, and a sentence for whatever is wrong."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import torch
from adain_style_transfer import cli
from adain_style_transfer.adain import ColorMatch, match_colors, read_picture, write_picture
from adain_style_transfer.adain.grading import Colors
from samples import picture

FFMPEG = shutil.which("ffmpeg")
LOSSLESS = ["--codec", "ffv1", "--pixel-format", "bgr0"]


def make_clip(path, frames):
    """A lossless video of the pictures `frames`."""
    av = pytest.importorskip("av", reason="videos need PyAV: pip install .[video]")
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.height, stream.width = frames[0].shape[-2:]
        stream.pix_fmt = "bgr0"
        for frame in frames:
            values = (frame[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
            file.mux(stream.encode(av.VideoFrame.from_ndarray(values, "rgb24")))
        file.mux(stream.encode(None))


def frames_of(path):
    from adain_style_transfer.adain.media.video_files.convert import frames

    return torch.cat([frame.image for frame in frames(path)]).float() / 255


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with two photographs, a painting, a mask, and a clip of a still scene through which something bright comes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, seed, contrast in (("photos/a", 1, 0.9), ("photos/b", 2, 0.4), ("painting", 3, 0.7)):
        write_picture(f"{name}.png", picture(40, 56, seed) * contrast)
    left = torch.zeros(1, 3, 20, 28)
    left[..., :14] = 1
    write_picture("left.png", left)
    write_picture("black.png", torch.zeros_like(left))
    scene = picture(40, 56, 4) * 0.6
    clip = [scene.clone() for _ in range(5)]
    for i, frame in enumerate(clip):
        frame[..., 30:, : 10 * i] = 1
    make_clip("clip.mkv", clip)
    return tmp_path


def run(*arguments, code=0):
    assert cli.main(["colors", *arguments]) == code


def near(got, expected, steps=1.01):
    assert got.shape == expected.shape
    assert (got - expected).abs().max() * 255 <= steps


def load(name):
    return read_picture(name).rgb


def test_a_picture(desk, capsys):
    run("photos/a.png", "--reference", "painting.png", "-o", "out.png")
    near(load("out.png"), match_colors(load("photos/a.png"), load("painting.png")))
    assert capsys.readouterr().out == f"{(desk / 'out.png').resolve()}\n"


def test_every_option_counts(desk):
    choice = ["--method", "histogram", "--space", "lab", "--strength", "1.4", "--mask", "left.png", "--reference-mask", "left.png"]
    run("photos/a.png", "--reference", "painting.png", "-o", "out.png", *choice, "--invert-mask")
    match, mask = ColorMatch("histogram", "lab", 1.4), load("left.png")[:, :1]
    photo, right = load("photos/a.png"), 1 - torch.nn.functional.interpolate(mask, scale_factor=2, mode="bilinear", antialias=True)
    grade = match.grade(match.measure(photo, right), match.measure(load("painting.png"), mask))
    near(load("out.png"), grade(photo, right))


def test_a_folder_together(desk):
    run("photos", "--reference", "painting.png", "-o", "out", "--statistics", "all", "--lut", "luts/look.cube")
    match, names = ColorMatch(), ("a", "b")
    photos = [load(f"photos/{name}.png") for name in names]
    grade = match.grade(Colors.pooled([match.measure(photo) for photo in photos]), match.measure(load("painting.png")))
    for name, photo in zip(names, photos, strict=True):
        near(load(f"out/{name}__painting.png"), grade(photo))
    last = [float(v) for v in (desk / "luts" / "look.cube").read_text().splitlines()[-1].split()]
    torch.testing.assert_close(torch.tensor(last), grade(torch.ones(1, 3, 1, 1)).flatten(), rtol=0, atol=1e-5)


def test_a_folder_by_one_of_its_pictures(desk):
    run("photos", "--reference", "painting.png", "-o", "out", "--statistics", "one", "--frame", "1")
    match = ColorMatch()
    grade = match.grade(match.measure(load("photos/b.png")), match.measure(load("painting.png")))
    near(load("out/a__painting.png"), grade(load("photos/a.png")))


def test_transparency_is_kept_and_counts(desk):
    photo, alpha = load("photos/a.png"), torch.ones(1, 1, 40, 56)
    alpha[..., 20:] = 0
    write_picture("cut.png", photo, alpha)
    run("cut.png", "--reference", "painting.png", "-o", "out.png")
    out = read_picture("out.png")
    assert out.alpha is not None and torch.equal(out.alpha, alpha)
    match = ColorMatch()
    grade = match.grade(match.measure(photo[..., :20]), match.measure(load("painting.png")))
    near(out.rgb[..., :20], grade(photo[..., :20]))


def test_one_unreadable_picture_stops_nothing(desk, capsys):
    (desk / "photos" / "c.png").write_bytes(b"no picture")
    run("photos", "--reference", "painting.png", "-o", "out", "--statistics", "all", code=1)
    assert sorted(path.name for path in (desk / "out").iterdir()) == ["a__painting.png", "b__painting.png"]
    assert capsys.readouterr().err.count("c.png") == 1


# Videos


def test_a_video_does_not_flicker(desk):
    run("clip.mkv", "--reference", "painting.png", "-o", "out.mkv", *LOSSLESS)
    source, out = frames_of("clip.mkv"), frames_of("out.mkv")
    match = ColorMatch()
    own = Colors.pooled([match.measure(frame[None]) for frame in source])
    near(out, match.grade(own, match.measure(load("painting.png")))(source))
    still = out[..., :30, :]  # where the bright thing never comes
    assert torch.equal(still, still[:1].expand_as(still))
    run("clip.mkv", "--reference", "painting.png", "-o", "each.mkv", "--statistics", "each", *LOSSLESS)
    flicker = frames_of("each.mkv")[..., :30, :]
    assert (flicker - flicker[:1]).abs().max() > 0.05  # there was something to prevent
    near(frames_of("each.mkv")[2:3], match_colors(source[2:3], load("painting.png")))


def test_a_video_by_one_frame_and_within_a_mask(desk):
    run("clip.mkv", "--reference", "painting.png", "-o", "out.mkv", "--statistics", "one", "--frame", "3", "--mask", "left.png", *LOSSLESS)
    source, mask = frames_of("clip.mkv"), load("left.png")[:, :1]
    match = ColorMatch()
    grade = match.grade(match.measure(source[3:4], mask), match.measure(load("painting.png")))
    near(frames_of("out.mkv"), grade(source, mask))
    assert torch.equal(frames_of("out.mkv")[..., 30:], source[..., 30:])


@pytest.mark.skipif(FFMPEG is None, reason="FFmpeg's program is not installed")
def test_ffmpeg_makes_the_same_of_the_video(desk):
    assert FFMPEG is not None
    run("clip.mkv", "--reference", "painting.png", "-o", "out.mkv", "--lut", "look.cube", *LOSSLESS)
    filters = ["-vf", "format=rgb24,lut3d=look.cube", "-c:v", "ffv1", "-pix_fmt", "bgr0"]
    subprocess.run([FFMPEG, "-loglevel", "error", "-i", "clip.mkv", *filters, "theirs.mkv"], check=True, cwd=desk)
    difference = (frames_of("theirs.mkv") - frames_of("out.mkv")).abs() * 255
    assert difference.mean() < 0.6 and difference.max() < 5


# What cannot be done


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["photos", "-o", "out", "--frame", "1"], "--frame names the one that is measured, but more are."),
        (["photos", "-o", "out", "--statistics", "one", "--frame", "2"], "There is no picture 2: 2 pictures given, counted from 0."),
        (["photos", "-o", "out", "--lut", "look.cube"], "each of 2 pictures gets its own. Give --statistics all or one."),
        (["photos", "-o", "out", "--lut", "look.txt"], "look.txt does not end with .cube. Choose another name with --lut."),
        (["photos", "-o", "out", "--lut", "there.cube"], "there.cube is there already. Give --overwrite to replace what is there,"),
        (["photos", "-o", "out", "--grow", "2"], "change a mask, but there is none."),
        (["photos", "-o", "out", "--mask", "black.png"], "black.png is black everywhere, so nothing would change."),
        (["photos", "-o", "out", "--reference-mask", "black.png"], "Nothing of painting.png counts"),
        (["photos", "-o", "out", "--codec", "libx264", "--resume"], "is no video, for which --codec and --resume would be."),
        (["photos", "-o", "out.png"], "out.png is one file, but there are 2 pictures to make."),
        (["photos/a.png", "-o", "photos/a.png", "--overwrite"], "is one of the files to read, and would be lost."),
        (["clip.mkv", "-o", "out.mkv", "--skip-existing"], "--skip-existing is for pictures, and clip.mkv is a video."),
        (
            ["clip.mkv", "-o", "out.mkv", "--statistics", "each", "--lut", "a.cube"],
            "each frame gets its own. Give --statistics all or one.",
        ),
        (["clip.mkv", "-o", "out.mkv", "--statistics", "one", "--frame", "5"], "There is no frame 5: clip.mkv has 5 frames"),
        (["clip.mkv", "-o", "out"], "has no extension that would say what to write."),
        (["clip.mkv", "photos", "-o", "out.mkv"], "clip.mkv is a video, and videos are graded one at a time."),
        (["gone.mkv", "-o", "out.mkv"], "There is no file at gone.mkv."),
        (["gone.png", "-o", "out.png"], "There is no file at gone.png."),
    ],
)
def test_what_cannot_be_done_gets_its_sentence(desk, capsys, arguments, sentence):
    (desk / "there.cube").touch()
    run(*arguments, "--reference", "painting.png", code=1)
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1
    assert not list(desk.glob("out*/*")) and not list(desk.glob("out*.*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--strength", "2.1"], "argument --strength: '2.1' is not a number from 0 to 2"),
        (["--frame", "-1"], "argument --frame: '-1' is not a number counted from 0"),
        (["--space", "hsv"], "argument --space: invalid choice: 'hsv'"),
    ],
)
def test_wrong_usage(desk, capsys, arguments, sentence):
    with pytest.raises(SystemExit) as ended:
        cli.main(["colors", "photos", "--reference", "painting.png", "-o", "out", *arguments])
    assert ended.value.code == 2 and sentence in capsys.readouterr().err


def test_an_animation_is_a_video_where_the_output_is_one(desk):
    run("clip.mkv", "--reference", "painting.png", "-o", "clip.gif")
    run("clip.gif", "--reference", "painting.png", "-o", "out.gif")
    run("clip.gif", "--reference", "painting.png", "-o", "out.png")
    assert len(frames_of("out.gif")) == 5 and load("out.png").shape == (1, 3, 40, 56)

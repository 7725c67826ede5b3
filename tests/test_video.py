"""Real clips, made by PyAV: sound, timestamps, rotation, colours, damage, interruptions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
import torch

av = pytest.importorskip("av", reason="the tests of video need PyAV: pip install .[video]")

from adain_style_transfer import cli  # noqa: E402
from adain_style_transfer.adain.errors import VideoError  # noqa: E402
from adain_style_transfer.adain.media.video_files.convert import Encoding, Frame, VideoReader, convert, frames, partial_of  # noqa: E402

FAST = Encoding(preset="ultrafast", crf=10)
RATE = 25


def make(path, count=24, size=(64, 48), codec="libx264", pixels="yuv420p", pts=None, rotation=0, sound="aac", options=None, **color):
    """A clip of a bright block that moves over a dark ground."""
    width, height = size
    with av.open(str(path), "w") as file:
        video = file.add_stream(codec, rate=RATE, options={"g": "8", **(options or {})})
        video.width, video.height, video.pix_fmt = width, height, pixels
        video.codec_context.time_base = Fraction(1, 1000) if pts else Fraction(1, RATE)
        for name, value in color.items():
            setattr(video.codec_context, name, value)
        if rotation:
            video.set_display_rotation(rotation)
        audio = file.add_stream(sound, rate=44100, layout="stereo") if sound else None
        for i in range(count):
            picture = np.full((height, width, 3), (40, 60, 90), np.uint8)
            picture[8:24, i : i + 16] = (230, 180, 60)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
                format=pixels, dst_colorspace=color.get("colorspace"), dst_color_range=color.get("color_range")
            )
            frame.pts, frame.time_base = pts[i] if pts else i, video.codec_context.time_base
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if audio:
            tone = 0.3 * np.sin(np.arange(44100 * count // RATE) / 20).astype(np.float32)
            block = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
            block.sample_rate, block.pts = 44100, 0
            file.mux(audio.encode(block))
            file.mux(audio.encode(None))
    return path


def unchanged(shown):
    for frame in shown:
        if frame.painted:
            yield frame.image.float() / 255 if frame.image.dtype == torch.uint8 else frame.image


def times(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return [frame.pts * stream.time_base for frame in file.decode(stream)]


def sound(path):
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(file.streams.audio[0]) if packet.size]


def pictures(path):
    return [frame.image for frame in frames(path)]


def close(a, b, steps=6):
    assert len(a) == len(b)
    assert max((x.int() - y.int()).abs().float().mean() for x, y in zip(a, b, strict=True)) < steps


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_pictures_times_and_sound_come_through(clip, tmp_path, name):
    seen = []
    out = tmp_path / name
    assert convert(clip, out, unchanged, encoding=FAST, progress=lambda *p: seen.append(p)) == 24
    close(pictures(out), pictures(clip))
    assert sound(out) == sound(clip) and len(sound(clip)) > 20
    shift = times(out)[0] - times(clip)[0]  # Matroska has no times below 0, where AAC starts: all streams are moved alike
    assert all(abs(a - b - shift) < Fraction(1, 900) for a, b in zip(times(out), times(clip), strict=True))
    assert shift == 0 or name == "out.mkv"
    assert seen[-1] == (24, 24)
    assert os.listdir(tmp_path) == [name]


def test_a_variable_frame_rate_is_kept(tmp_path):
    pts = [int(40 * i + 17 * (i % 3) + (300 if i > 10 else 0)) for i in range(20)]
    clip = make(tmp_path / "vfr.mp4", 20, pts=pts)
    convert(clip, tmp_path / "out.mp4", unchanged, encoding=FAST)
    assert times(tmp_path / "out.mp4") == times(clip) == [Fraction(t, 1000) for t in pts]
    assert [round(1000 * frame.seconds) for frame in frames(clip)] == pts


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_rotated_video_is_written_upright(tmp_path, rotation):
    clip = make(tmp_path / "clip.mp4", 4, rotation=rotation)
    first = pictures(clip)[0]
    assert first.shape == ((1, 3, 48, 64) if rotation == 180 else (1, 3, 64, 48))
    turned = np.rot90(pictures(make(tmp_path / "plain.mp4", 4))[0][0].permute(1, 2, 0).numpy(), rotation // 90)
    assert np.abs(turned.astype(int) - first[0].permute(1, 2, 0).numpy()).mean() < 3
    convert(clip, tmp_path / "out.mp4", unchanged, encoding=FAST)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert next(file.decode(video=0)).rotation == 0
    close(pictures(tmp_path / "out.mp4"), pictures(clip))


@pytest.mark.parametrize(("matrix", "span"), [(1, 1), (1, 2), (5, 1), (5, 2), (2, 0)])
def test_matrix_and_range_are_kept(tmp_path, matrix, span):
    clip = make(tmp_path / "clip.mp4", 3, colorspace=matrix, color_range=span, sound="")
    convert(clip, tmp_path / "out.mp4", unchanged, encoding=FAST)
    for path in (clip, tmp_path / "out.mp4"):
        with av.open(str(path)) as file:
            context = file.streams.video[0].codec_context
            assert (context.colorspace, context.color_range) == (matrix, span)
        if matrix != 2:
            ground = pictures(path)[0][0, :, -8:, -8:].float().mean((1, 2))
            assert (ground - torch.tensor([40.0, 60, 90])).abs().max() < 6
    close(pictures(tmp_path / "out.mp4"), pictures(clip), 3)


def test_ten_bits_stay_ten_bits(tmp_path):
    clip = make(tmp_path / "clip.mkv", 3, codec="ffv1", pixels="yuv420p10le", sound="")
    image = pictures(clip)[0]
    assert image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1
    convert(clip, tmp_path / "out.mkv", unchanged, encoding=Encoding("ffv1"))
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
    assert (pictures(tmp_path / "out.mkv")[0] - image).abs().mean() < 0.003


@pytest.mark.parametrize(
    ("clip", "codec", "pixels"),
    [("a.mkv", "ffv1", "yuv444p"), ("a.mov", "png", "rgb24"), ("a.mov", "png", "gray"), ("a.gif", "gif", "bgr8")],
)
def test_odd_sizes_keep_their_size(tmp_path, clip, codec, pixels):
    clip = make(tmp_path / clip, 3, size=(61, 47), codec=codec, pixels=pixels, sound="")
    for name in ("out.mp4", "out.webm", "out.gif"):
        convert(clip, tmp_path / name, unchanged, encoding=Encoding())
        assert pictures(tmp_path / name)[0].shape == (1, 3, 47, 61)


def test_a_part_of_a_video(clip, tmp_path):
    assert convert(clip, tmp_path / "out.mp4", unchanged, encoding=FAST, start=0.4, duration=0.4) == 10
    close(pictures(tmp_path / "out.mp4"), pictures(clip)[10:20])
    assert times(tmp_path / "out.mp4")[0] < Fraction(1, 20)
    assert set(sound(tmp_path / "out.mp4")) < set(sound(clip))


@pytest.mark.parametrize("place", [10, 23])
def test_a_damaged_frame_is_reported_and_bridged(tmp_path, place):
    clip = make(tmp_path / "clip.mkv", codec="mjpeg", pixels="yuvj444p")
    damaged = tmp_path / "damaged.mkv"
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as file:
        packet = [bytes(p) for p in file.demux(file.streams.video[0]) if p.size][place]
    at = data.index(packet)
    data[at : at + len(packet)] = np.random.default_rng(0).bytes(len(packet))
    damaged.write_bytes(data)
    said = []
    assert convert(damaged, tmp_path / "out.mp4", unchanged, encoding=FAST, report=said.append) == 24
    assert len(said) == 1 and f"Frame {place} " in said[0]
    assert len(times(tmp_path / "out.mp4")) == 24
    out, whole = pictures(tmp_path / "out.mp4"), pictures(clip)
    close([out[place]], [whole[place - 1]])
    close(out[:place] + out[place + 1 :], whole[:place] + whole[place + 1 :])


def test_a_file_that_breaks_off_is_painted_as_far_as_it_goes(tmp_path):
    clip = make(tmp_path / "clip.mkv")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    assert 0 < convert(clip, tmp_path / "out.mp4", unchanged, encoding=FAST) < 24


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_an_interrupted_run_can_be_played_and_resumed(clip, tmp_path, name):
    out, partial = tmp_path / name, partial_of(tmp_path / name)

    def stop_at(limit):
        def progress(done, total):
            if done >= limit:
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt):
        convert(clip, out, unchanged, encoding=FAST, settings="A", progress=stop_at(10))
    assert not out.exists() and len(pictures(partial)) == 10
    with pytest.raises(VideoError, match="other settings"):
        convert(clip, out, unchanged, encoding=FAST, settings="B", resume=True)
    with pytest.raises(KeyboardInterrupt):
        convert(clip, out, unchanged, encoding=FAST, settings="A", resume=True, progress=stop_at(17))
    seen, painted = [], []

    def paint(shown):
        for frame in shown:
            seen.append(frame.index)
            if frame.painted:
                painted.append(frame.index)
                yield frame.image.float() / 255

    assert convert(clip, out, paint, encoding=FAST, settings="A", resume=True, warmup=3) == 24
    assert seen == list(range(24)) and painted == list(range(14, 24))
    close(pictures(out), pictures(clip))
    assert sound(out) == sound(clip)
    assert os.listdir(tmp_path) == [name]


def test_memory_holds_the_frames_at_hand_only(clip):
    read = given = 0

    def paint(shown):
        nonlocal read, given
        for frame in shown:
            assert isinstance(frame, Frame)
            read += 1
            yield frame.image.float() / 255
            given += 1
            assert read == given

    convert(clip, clip.with_name("out.mp4"), paint, encoding=FAST)
    assert given == 24


@pytest.mark.parametrize(
    ("name", "encoding", "sentence"),
    [
        ("out.xyz", Encoding(), "cannot be written"),
        ("out.mp4", Encoding("nonsense"), "no video encoder 'nonsense'"),
        ("out.mp4", Encoding("aac"), "does not encode video"),
        ("out.png", Encoding(), "holds no video"),
        ("x" * 260 + ".mp4", Encoding(), "File name too long"),
        ("out.mp4", Encoding("mpeg4", crf=20), "has no crf"),
        ("out.mp4", Encoding(pixel_format="rgb9"), "does not know the pixel format 'rgb9'"),
        ("clip.mp4", Encoding(), "is the video to read"),
    ],
)
def test_what_cannot_be_done_gets_its_sentence(tmp_path, name, encoding, sentence):
    clip = make(tmp_path / "clip.mp4", 2)
    with pytest.raises(VideoError, match=sentence):
        convert(clip, tmp_path / name, unchanged, encoding=encoding)
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_what_cannot_be_read_gets_its_sentence(tmp_path):
    with pytest.raises(VideoError, match="no file at"):
        VideoReader(tmp_path / "missing.mp4")
    with pytest.raises(VideoError, match="is a folder"):
        VideoReader(tmp_path)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match="is empty"):
        VideoReader(tmp_path / "empty.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match="not a video that FFmpeg can read"):
        VideoReader(tmp_path / "text.mp4")


# The command


def test_the_command(clip, tmp_path, capsys):
    keyframes = tmp_path / "keys.txt"
    keyframes.write_text("0s strength=0\n0.5s strength=1 weights=1,0\n0.9s weights=0,1 smooth\n")
    arguments = [
        "video",
        str(clip),
        "-o",
        str(tmp_path / "out.mp4"),
        "--style",
        "great-wave",
        "--style",
        "the-scream",
        "--preset",
        "ultrafast",
    ]
    assert cli.main([*arguments, "--keyframes", str(keyframes), "--radius", "2"]) == 0
    assert capsys.readouterr().out.strip().endswith("out.mp4")
    assert len(pictures(tmp_path / "out.mp4")) == 24
    assert sound(tmp_path / "out.mp4") == sound(clip)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert json.loads(file.metadata["adain_settings"])["style"] == ["great-wave", "the-scream"]

    keyframes.write_text("0 strength=1\nsoon strength=0\n")
    assert cli.main([*arguments, "--keyframes", str(keyframes), "--overwrite"]) == 1
    assert "keys.txt: Line 2: 'soon' is not a time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("moments", "given", "named"),
    [
        ("frame", ["--hold", ".8", "--flow"], "--hold and --flow"),
        ("frame", ["--radius", "4"], "--radius"),
        ("shot", ["--radius", "4"], "--radius"),
    ],
)
def test_stability_that_would_change_nothing_is_refused(clip, tmp_path, capsys, moments, given, named):
    arguments = ["video", str(clip), "-o", str(tmp_path / "out.mp4"), "--style", "great-wave", "--moments", moments, *given]
    assert cli.main(arguments) == 1
    assert f"--moments {moments} makes no use of {named}." in capsys.readouterr().err
    assert not os.listdir(tmp_path)


def test_nothing_that_is_there_is_written_over_unless_asked(clip, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out.mp4"
    arguments = ["video", str(clip), "-o", str(out), "--style", "great-wave", "--moments", "frame", "--preset", "ultrafast"]
    out.write_bytes(b"a film")
    assert cli.main(arguments) == cli.main([*arguments, "--resume"]) == 1
    assert capsys.readouterr().err.count("--overwrite") == 2 and out.read_bytes() == b"a film"
    out.unlink()
    partial_of(out).write_bytes(b"half a film")
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert "--resume" in said and "--overwrite" in said and partial_of(out).read_bytes() == b"half a film"
    assert cli.main([*arguments, "--overwrite"]) == 0
    assert os.listdir(tmp_path) == ["out.mp4"] and len(pictures(out)) == 24
    assert cli.main([*arguments, "--overwrite", "--resume"]) == 1
    for name, sentence in (("nope.mp4", "no file at nope.mp4"), (".", "is a folder")):
        arguments[1] = name
        assert cli.main([*arguments, "--overwrite"]) == 1
        assert sentence in capsys.readouterr().err
    assert len(pictures(out)) == 24
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    assert cli.main(["video", str(clip), "--output=~/out.mp4", *arguments[4:]]) == 0
    assert os.listdir(home) == ["out.mp4"]


@pytest.mark.parametrize("name", ["ep1:pilot.mp4", "-.mp4", "concat:a.mp4", "a\nb – c %d.mp4", "x" * 245 + ".mp4"])
@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows has not")
def test_any_name_is_a_name(clip, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, name)
    os.mkdir("out")
    assert convert(name, f"out/{name}", unchanged, encoding=FAST) == 24
    assert convert(name, "to:out.mp4", unchanged, encoding=FAST) == 24
    assert sorted(os.listdir(".")) == sorted([name, "out", "to:out.mp4"]) and os.listdir("out") == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c(tmp_path):
    clip = make(tmp_path / "clip.mp4", 300, size=(320, 180), options={"preset": "ultrafast"})
    out = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "adain_style_transfer", "video", str(clip), "-o", str(out), "--style", "great-wave", "--radius", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        limit = time.monotonic() + 120
        while not partial_of(out).exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1 and "--resume goes on" in said
    count = len(pictures(partial_of(out)))
    assert f"stopped after {count} frames" in said and 0 < count < 300

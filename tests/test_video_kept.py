"""What else is in a video file than opaque pictures at a steady rate: it is kept, or said to be left out."""

from __future__ import annotations

import io
import os
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

av = pytest.importorskip("av", reason="the tests of video need PyAV: pip install .[video]")

from adain_style_transfer.adain.media.video_files.convert import Encoding, VideoReader, convert, frames  # noqa: E402
from test_video import FAST, close, make, pictures, sound, times, unchanged  # noqa: E402

DEFAULT, FORCED, COVER = 1, 64, 1024


def converted(source, target, encoding=FAST, **options):
    """What was said."""
    said = []
    convert(source, target, unchanged, encoding=encoding, report=said.append, **options)
    assert not [name for name in os.listdir(target.parent) if ".partial." in name]
    return said


def streams(path):
    with av.open(str(path)) as file:
        return [
            (s.type, s.codec_context.name if s.codec_context else None, s.disposition.value & (DEFAULT | FORCED | COVER), s.language)
            for s in file.streams
        ]


# Streams


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Matroska with two languages, of which the second is the default one, forced subtitles, chapters, a font and a cover."""
    folder = tmp_path_factory.mktemp("film")
    clip = make(folder / "clip.mkv", options={"bf": "0"})
    (folder / "text.srt").write_text("1\n00:00:00,100 --> 00:00:00,700\nHello\n")
    with av.open(str(folder / "film.mkv"), "w") as out, av.open(str(clip)) as file, av.open(str(folder / "text.srt")) as text:
        out.metadata["title"] = "My film"
        copies = [(out.add_stream_from_template(s, opaque=True), s, "") for s in file.streams.video]
        for language in ("eng", "jpn"):
            copies.append((out.add_stream_from_template(file.streams.audio[0], opaque=True), file.streams.audio[0], language))
        copies.append((out.add_stream_from_template(text.streams[0], opaque=True), text.streams[0], "fra"))
        for (stream, _, language), disposition in zip(copies, (0, 0, DEFAULT, FORCED), strict=True):
            stream.metadata["language"], stream.disposition = language, disposition
        out.add_attachment("font.ttf", "font/ttf", b"not really a font")
        out.add_attachment("cover.png", "image/png", _png())
        out.set_chapters(
            [
                {"id": i, "start": 500 * i, "end": 500 * i + 500, "time_base": Fraction(1, 1000), "metadata": {"title": name}}
                for i, name in enumerate(("One", "Two"))
            ]
        )
        packets = [(p, copies[0][0]) for p in file.demux(file.streams.video) if p.size]
        for stream, *_ in copies[1:3]:
            file.seek(0)
            packets += [(p, stream) for p in file.demux(file.streams.audio) if p.size]
        packets += [(p, copies[3][0]) for p in text.demux() if p.size]
        for packet, stream in sorted(packets, key=lambda item: item[0].pts * item[0].time_base):
            packet.stream = stream
            out.mux(packet)
    return folder / "film.mkv"


def _png():
    data = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 60, 30)).save(data, "PNG")
    return data.getvalue()


def test_matroska_keeps_all_of_it(film, tmp_path):
    out = tmp_path / "out.mkv"
    assert converted(film, out) == []
    assert sorted(map(str, streams(out))) == sorted(map(str, streams(film)))
    assert [kind for kind, *_ in streams(film)] == ["video", "audio", "audio", "subtitle", "attachment", "video"]
    with av.open(str(out)) as file, av.open(str(film)) as whole:
        assert file.metadata["title"] == "My film"
        assert [(c["start"] * c["time_base"], c["metadata"]) for c in file.chapters()] == [
            (0, {"title": "One"}),
            (Fraction(1, 2), {"title": "Two"}),
        ]
        fonts = [s for f in (file, whole) for s in f.streams if s.type == "attachment"]
        assert fonts[0].data == fonts[1].data and fonts[0].name == "font.ttf"
        texts = [[(p.pts, bytes(p)) for p in f.demux(subtitles=0) if p.size] for f in (file, whole)]
        assert texts[0] == texts[1]
    assert sound(out) == sound(film)
    close(pictures(out), pictures(film))


def test_mp4_keeps_what_it_can_and_says_the_rest(film, tmp_path):
    out = tmp_path / "out.mp4"
    said = converted(film, out)
    assert len(said) == 3 and "srt subtitles" in said[0] and "1 attachment of" in said[1] and "1 cover picture" in said[2]
    assert [(kind, *rest) for kind, *rest in streams(out) if kind != "data"] == [
        ("video", "h264", DEFAULT, "und"),
        ("audio", "aac", 0, "eng"),
        ("audio", "aac", DEFAULT, "jpn"),
    ]
    with av.open(str(out)) as file:
        assert [c["metadata"]["title"] for c in file.chapters()] == ["One", "Two"]
        assert file.metadata["title"] == "My film" and "DURATION" not in file.metadata
    assert converted(out, tmp_path / "again.mp4") == []
    assert streams(tmp_path / "again.mp4") == streams(out)


def test_other_containers_say_what_they_lose(film, tmp_path):
    said = " ".join(converted(film, tmp_path / "out.avi"))
    assert "2 chapters" in said and "1 attachment " in said and "1 cover picture " in said and "subtitles" in said


def test_what_holds_for_two_streams_is_said_once(film, tmp_path):
    said = converted(film, tmp_path / "out.webm", Encoding())
    assert sum("aac sound as it is" in sentence for sentence in said) == 1
    assert [kind for kind, *_ in streams(tmp_path / "out.webm")] == ["video", "audio", "audio"]


def test_chapters_of_a_part(film, tmp_path):
    converted(film, tmp_path / "out.mkv", start=0.6, duration=0.2)
    with av.open(str(tmp_path / "out.mkv")) as file:
        (chapter,) = file.chapters()
        times = [chapter[name] * chapter["time_base"] for name in ("start", "end")]
        assert chapter["metadata"]["title"] == "Two" and times == [0, Fraction(1, 5)]


@pytest.mark.parametrize(("name", "codec"), [("out.mkv", "aac"), ("out.mp4", "aac"), ("out.webm", "opus"), ("out.ogv", "opus")])
def test_sound_that_cannot_be_copied_is_encoded_anew(tmp_path, name, codec):
    clip = make(tmp_path / "clip.avi", sound="adpcm_ms")
    said = converted(clip, tmp_path / name, Encoding())
    assert len(said) == 1 and "encoded anew" in said[0]
    heard = []
    for path in (clip, tmp_path / name):
        with av.open(str(path)) as file:
            stream = file.streams.audio[0]
            assert stream.codec_context.name == codec or path == clip
            resampler = av.AudioResampler("fltp", "mono", 44100)
            heard.append(np.concatenate([r.to_ndarray()[0] for f in file.decode(stream) for r in resampler.resample(f)]))
    lengths = [len(samples) / 44100 for samples in heard]
    assert abs(lengths[0] - lengths[1]) < 0.06
    spectra = [np.abs(np.fft.rfft(samples[8192:24576])) for samples in heard]
    assert abs(int(spectra[0].argmax()) - int(spectra[1].argmax())) <= 1 and 0.8 < spectra[0].max() / spectra[1].max() < 1.25
    assert len(times(tmp_path / name)) == 24


def test_sound_is_copied_where_it_can_be(tmp_path):
    clip = make(tmp_path / "clip.avi", sound="adpcm_ms")
    assert converted(clip, tmp_path / "out.avi") == [] and sound(tmp_path / "out.avi") == sound(clip)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.flv", "out.ts"])
def test_sound_of_broadcasts_is_copied(tmp_path, name):
    """AAC in MPEG-TS has a header in each packet."""
    clip = make(tmp_path / "clip.ts")
    assert converted(clip, tmp_path / name) == []
    packets, out = sound(clip), sound(tmp_path / name)
    assert len(packets) == len(out) > 20 and all(a.endswith(b) and len(a) - len(b) in (0, 7) for a, b in zip(packets, out, strict=True))
    with av.open(str(tmp_path / name)) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) > 40_000


# Pictures


def see_through(path, codec, form, alpha, count=6, height=48):
    """A clip of red whose transparent places are hidden green."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, height, form
        for i in range(count):
            picture = np.zeros((height, 64, 4), np.uint8)
            picture[..., 3] = alpha(i)
            picture[:] = np.where(picture[..., 3:] > 0, (220, 40, 30, 0), (0, 255, 0, 0)) + picture * (0, 0, 0, 1)
            frame = av.VideoFrame.from_ndarray(picture, "rgba").reformat(format=form)
            frame.pts = i
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def left_half(_):
    return np.repeat([[255] * 32 + [0] * 32], 48, 0)


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mkv", "ffv1", "bgra"),
        ("a.apng", "apng", "rgba"),
    ],
)
def test_alpha_is_kept_where_it_can_be(tmp_path, name, codec, form):
    clip = see_through(tmp_path / name, codec, form, left_half)
    for out in ("out.webm", "out.mkv", "out.mov", "out.apng", "out.gif"):
        assert converted(clip, tmp_path / out, Encoding()) == []
        for frame in frames(tmp_path / out):
            alpha = frame.alpha.float() / (1 if frame.alpha.is_floating_point() else 255)
            assert alpha[..., :28].min() > 0.98 and alpha[..., 36:].max() < 0.02
    said = converted(clip, tmp_path / "out.mp4")
    assert len(said) == 1 and "transparent" in said[0]
    shown = next(frames(tmp_path / "out.mp4"))
    assert shown.alpha is None
    assert shown.image[..., 36:].float().mean() < 3 and shown.image[0, 0, :, :28].float().mean() > 180


@pytest.mark.parametrize(("form", "height"), [("yuva444p", 48), ("bgra", 47)])
@pytest.mark.parametrize("out", ["out.webm", "out.mov", "out.webp"])
def test_alpha_is_kept_whatever_the_size_and_form(tmp_path, form, height, out):
    clip = see_through(tmp_path / "a.mkv", "ffv1", form, lambda _: [[255] * 32 + [0] * 32], 2, height)
    assert converted(clip, tmp_path / out, Encoding()) == []
    with av.open(str(tmp_path / out)) as file:
        assert not file.streams.video[0].height or file.streams.video[0].height == height


def test_hidden_colors_are_not_counted(tmp_path):
    clip = see_through(tmp_path / "a.mkv", "ffv1", "bgra", left_half)
    frame = next(frames(clip))
    assert (frame.image[0, 0] > 200).all() and (frame.image[0, 1] < 60).all()
    assert frame.visible(None)[..., :32].min() == 1 and frame.visible(None)[..., 32:].max() == 0
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., 16:48] = 1
    assert frame.visible(mask).sum() == 16 * 48


@pytest.mark.parametrize("alpha", [255, 0])
def test_an_alpha_that_is_the_same_everywhere_is_none(tmp_path, alpha):
    clip = see_through(tmp_path / "a.mkv", "ffv1", "bgra", lambda i: alpha)
    assert next(frames(clip)).alpha is None
    assert converted(clip, tmp_path / "out.mkv") == []
    assert streams(tmp_path / "out.mkv")[0][:2] == ("video", "h264")


def test_a_title_that_fades_in_is_transparent_at_first(tmp_path):
    clip = see_through(tmp_path / "a.mkv", "ffv1", "bgra", lambda i: 40 * i)
    assert [int(frame.alpha.float().mean()) for frame in frames(clip)] == [40 * i for i in range(6)]


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_frames_are_made_whole(tmp_path, order):
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"x264-params": f"{order}=1", "crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for i in range(12):
            fields = [np.full((96, 128, 3), 30, np.uint8) for _ in range(2)]
            for at, field in enumerate(fields):
                field[:, 4 + 8 * i + 4 * at : 20 + 8 * i + 4 * at] = 220
            first = order == "bff"
            woven = fields[0].copy()
            woven[1 - first :: 2] = fields[1][1 - first :: 2]
            frame = av.VideoFrame.from_ndarray(woven).reformat(format="yuv420p")
            frame.pts = i
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with av.open(str(clip)) as file:
        woven = [frame.to_ndarray(format="gray").astype(int) for frame in file.decode(video=0)]
        assert _combing(woven[5]) > 10
    said = converted(clip, tmp_path / "out.mp4")
    assert len(said) == 1 and "interlaced" in said[0]
    assert times(tmp_path / "out.mp4") == times(clip)
    assert len(pictures(clip)) == len(woven)
    for frame in pictures(tmp_path / "out.mp4")[2:-2]:
        assert _combing(frame[0, 1].numpy().astype(int)) < 2


def _combing(picture):
    """How much lines differ from the mean of those above and below them."""
    return np.abs(picture[1:-1] - (picture[:-2] + picture[2:]) / 2).mean()


def test_progressive_video_is_left_alone(tmp_path):
    clip = make(tmp_path / "clip.mkv", codec="ffv1", sound="")
    assert converted(clip, tmp_path / "out.mkv", Encoding("ffv1")) == []
    close(pictures(tmp_path / "out.mkv"), pictures(clip))


def test_a_mirrored_picture_is_written_as_it_is_shown(tmp_path):
    clip, plain = tmp_path / "clip.mp4", make(tmp_path / "plain.mp4", 3, sound="")
    for angle, hflip, expected in ((0, True, lambda x: x.flip(-1)), (90, True, None)):
        with av.open(str(clip), "w") as out, av.open(str(plain)) as file:
            stream = out.add_stream_from_template(file.streams.video[0], opaque=True)
            stream.set_display_rotation(angle, hflip=hflip)
            for packet in file.demux():
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
        if expected:
            assert all((a == expected(b)).all() for a, b in zip(pictures(clip), pictures(plain), strict=True))
        else:
            a, b = pictures(clip)[0], pictures(plain)[0]
            assert any((a == c).all() for c in (b.transpose(-1, -2), b.transpose(-1, -2).flip(-1, -2)))


# Times


def test_a_browsers_recording_has_the_rate_of_its_times(tmp_path):
    clip = tmp_path / "clip.webm"
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("libvpx", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(90):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i, np.uint8)).reformat(format="yuv420p")
            frame.pts, frame.time_base = 1000 * i // 30, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with av.open(str(clip)) as file:
        assert file.streams.video[0].average_rate == 1000
    with VideoReader(clip) as reader:
        assert abs(reader.rate - 30) < 0.1 and abs(reader.length - 90) <= 1
    assert converted(clip, tmp_path / "out.mp4") == []
    assert times(tmp_path / "out.mp4") == times(clip)
    with av.open(str(tmp_path / "out.mp4")) as file:
        keys = [p.pts * p.time_base for p in file.demux(video=0) if p.is_keyframe]
        assert len(keys) == 2 and abs(keys[1] - 2) < 0.1


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_raw_stream_has_the_rate_of_its_header(tmp_path, codec):
    clip = tmp_path / {"libx264": "clip.h264", "libx265": "clip.hevc"}[codec]
    with av.open(str(clip), "w") as file:
        stream = file.add_stream(codec, rate=10, options={"x265-params": "log-level=none:vui-timing-info=1"} if "5" in codec else {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * i, np.uint8)).reformat(format="yuv420p")
            frame.pts = i
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    assert converted(clip, tmp_path / "out.mp4") == []
    assert times(tmp_path / "out.mp4") == [Fraction(i, 10) for i in range(12)]
    shades = [float(picture.float().mean()) for picture in pictures(tmp_path / "out.mp4")]
    assert shades == sorted(shades)


# Containers


@pytest.mark.parametrize(
    "name", ["out.gif", "out.webp", "out.apng", "out.ogv", "out.avi", "out.ts", "out.flv", "out.3gp", "out.m4v", "out.nut"]
)
def test_a_container_gets_a_codec_that_it_holds(tmp_path, name):
    clip = make(tmp_path / "clip.mkv", 12, sound="")
    assert converted(clip, tmp_path / name, Encoding()) == []
    if name.endswith("webp"):  # which FFmpeg writes, but does not read
        with Image.open(tmp_path / name) as image:
            assert image.n_frames == 12 and image.info["loop"] == 0
            shown = []
            for i in range(12):
                image.seek(i)
                shown.append(torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None])
    else:
        shown = pictures(tmp_path / name)
        assert all(abs(a - Fraction(i, 25)) < 0.02 for i, a in enumerate(t - times(tmp_path / name)[0] for t in times(tmp_path / name)))
    close(shown, pictures(clip), 12)


def test_what_cannot_be_continued_begins_again(tmp_path):
    clip = make(tmp_path / "clip.mkv", 12, sound="")

    def stop(done, total):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(clip, tmp_path / "out.gif", unchanged, progress=stop)
    converted(clip, tmp_path / "out.gif", Encoding(), resume=True)
    assert len(pictures(tmp_path / "out.gif")) == 12
    assert sorted(os.listdir(tmp_path)) == ["clip.mkv", "out.gif"]


@pytest.mark.parametrize("name", ["out.gif", "out.avi"])
def test_frames_that_follow_too_fast_are_shown_later(tmp_path, name):
    clip = make(tmp_path / "clip.mp4", 12, pts=[0, 40, 80, 82, 84, 86, 88, 200, 240, 280, 320, 360], sound="")
    said = converted(clip, tmp_path / name, Encoding())
    assert len(said) == 1 and "faster" in said[0]
    assert len(times(tmp_path / name)) == 12 and times(tmp_path / name)[-1] - times(tmp_path / name)[0] < 0.5


def test_a_change_of_size_is_scaled_and_said(tmp_path):
    parts = [make(tmp_path / f"{i}.ts", 8, size=size, sound="").read_bytes() for i, size in enumerate(((64, 48), (96, 64)))]
    (tmp_path / "clip.ts").write_bytes(b"".join(parts))
    said = converted(tmp_path / "clip.ts", tmp_path / "out.mp4")
    assert [sentence for sentence in said if "scaled to 64 x 48" in sentence]
    assert {picture.shape for picture in pictures(tmp_path / "out.mp4")} == {(1, 3, 48, 64)}

"""Files with bytes flipped, lost and cut off: they are painted as far as they go, or refused in a sentence."""

from __future__ import annotations

import random

import pytest

av = pytest.importorskip("av", reason="the tests of video need PyAV: pip install .[video]")

from adain_style_transfer.adain.errors import VideoError  # noqa: E402
from adain_style_transfer.adain.media.video_files.convert import convert  # noqa: E402
from test_video import FAST, make, unchanged  # noqa: E402

KINDS = {
    "clip.mp4": {},
    "clip.mkv": {},
    "clip.ts": {},
    "clip.mov": {"codec": "prores_ks", "pixels": "yuv422p10le", "sound": "pcm_s16le"},
    "clip.avi": {"codec": "mjpeg", "pixels": "yuvj420p", "sound": "adpcm_ms"},
    "clip.webm": {"codec": "libvpx", "sound": ""},
    "clip.wmv": {"codec": "wmv2", "sound": ""},
    "clip.gif": {"codec": "gif", "pixels": "rgb8", "sound": ""},
}


@pytest.mark.parametrize("name", KINDS)
def test_damage_ends_in_a_sentence_or_a_video(tmp_path, name):
    whole = make(tmp_path / name, 8, **KINDS[name]).read_bytes()
    outcomes = []
    for seed in range(25):
        chance = random.Random(seed)
        data = bytearray(whole)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        elif chance.random() < 0.3:
            at = chance.randrange(len(data))
            del data[at : at + chance.randrange(1, 400)]
        else:
            near = chance.choice((600, len(data)))  # headers are small, and most can go wrong in them
            for _ in range(chance.choice((1, 3, 30))):
                data[chance.randrange(min(near, len(data)))] = chance.randrange(256)
        damaged = tmp_path / f"damaged{name[4:]}"
        damaged.write_bytes(data)
        said = []
        try:
            outcomes.append(convert(damaged, tmp_path / "out.mp4", unchanged, encoding=FAST, report=said.append))
        except VideoError as error:
            outcomes.append(str(error))
        told = [sentence.split()[1] for sentence in said if sentence.startswith("Frame ")]
        assert len(set(told)) == len(told), said  # each frame has its own number
    assert any(isinstance(outcome, int) for outcome in outcomes)
    assert all(0 < outcome < 100 for outcome in outcomes if isinstance(outcome, int))

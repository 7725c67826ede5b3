"""AdaIN Video in a real ComfyUI: a file with sound, and a video made of images in the graph."""

from __future__ import annotations

import pytest
from comfy.test_nodes import load_image, node

av = pytest.importorskip("av", reason="the tests of video need PyAV: pip install .[video]")

from test_video import make, sound, times  # noqa: E402


def painted(video, **settings):
    return {
        "2": node("AdaIN_LoadModel", model="adain-lite", precision="fp32"),
        "3": node("AdaIN_StylePreset", adain_model=["2", 0], preset="great-wave"),
        "4": node(
            "AdaIN_Video",
            **{"adain_model": ["2", 0], "video": video, "style": ["3", 0], "strength": 1.0, "color": "style"},
            **{"radius": 2, "hold": 0.5, "flow": False, **settings},
        ),
        "5": node("SaveVideo", video=["4", 0], filename_prefix="video", format="auto", codec="auto"),
    }


def saved(comfy, before=()):
    return sorted(set((comfy.base / "output").glob("video*.mp4")) - set(before))


def test_a_file_keeps_its_times_and_sound(comfy):
    clip = make(comfy.base / "input" / "clip.mp4")
    before = saved(comfy)
    outcome = comfy.run({"1": node("LoadVideo", file="clip.mp4"), **painted(["1", 0])})
    assert not outcome.error
    (out,) = saved(comfy, before)
    assert times(out) == times(clip)
    assert sound(out) == sound(clip)


def test_a_video_made_of_images(comfy):
    before = saved(comfy)
    images = {"1": load_image("photo.png"), "6": node("RepeatImageBatch", image=["1", 0], amount=3)}
    outcome = comfy.run({**images, "7": node("CreateVideo", images=["6", 0], fps=10.0), **painted(["7", 0])})
    assert not outcome.error
    (out,) = saved(comfy, before)
    assert len(times(out)) == 3

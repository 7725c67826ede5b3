"""AdaIN Video in a real ComfyUI: a file with sound, and a video made of images in the graph."""

from __future__ import annotations

import pytest
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from comfy.test_nodes import close, images, load_image, node, transfer

av = pytest.importorskip("av", reason="the tests of video need PyAV: pip install .[video]")

from test_video import make, sound, times  # noqa: E402


def painted(video, style="3"):
    return {
        "2": node("AdaIN_LoadModel", model="adain-lite", precision="fp32"),
        "3": node("AdaIN_StylePreset", adain_model=["2", 0], preset="great-wave"),
        "4": node(
            "AdaIN_Video",
            **{"adain_model": ["2", 0], "video": video, "style": [style, 0], "strength": 1.0, "color": "style"},
            **{"stability": ["8", 0]},
        ),
        "8": node("AdaIN_Stability", radius=2, hold=0.5, flow=False),
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


def test_sound_that_mp4_cannot_hold_is_encoded_anew(comfy):
    make(comfy.base / "input" / "clip.avi", sound="adpcm_ms")
    before = saved(comfy)
    outcome = comfy.run({"1": node("LoadVideo", file="clip.avi"), **painted(["1", 0])})
    assert not outcome.error
    (out,) = saved(comfy, before)
    assert len(times(out)) == 24
    with av.open(str(out)) as file:
        assert file.streams.audio[0].codec_context.name == "aac"
        assert abs(sum(frame.samples for frame in file.decode(audio=0)) / 44100 - 24 / 25) < 0.1


def test_a_video_made_of_images(comfy):
    before = saved(comfy)
    images = {"1": load_image("photo.png"), "6": node("RepeatImageBatch", image=["1", 0], amount=3)}
    outcome = comfy.run({**images, "7": node("CreateVideo", images=["6", 0], fps=10.0), **painted(["7", 0])})
    assert not outcome.error
    (out,) = saved(comfy, before)
    assert len(times(out)) == 3


KEYFRAMES = """0 strength=0.2
2 strength=1"""


def frames_prompt(**inputs):
    """Three different frames, painted by AdaIN Transfer, saved by 5."""
    prompt = transfer(("12", 0), **inputs)
    return {
        **prompt,
        "8": node("AdaIN_Stability", radius=1, hold=0.5, flow=False),
        "9": node("AdaIN_Keyframes", **{"styles.style_0": ["3", 0]}, keyframes=KEYFRAMES, frame_rate=10.0),
        "10": node("ImageScale", image=["1", 0], upscale_method="nearest-exact", width=128, height=96, crop="disabled"),
        "11": node("ImageInvert", image=["10", 0]),
        "13": node("ImageBatch", image1=["10", 0], image2=["1", 0]),
        "12": node("ImageBatch", image1=["13", 0], image2=["11", 0]),
    }


def frames_of(pictures):
    photo = pictures["photo.png"]
    return [photo, photo, 1 - photo]


def expected(model, style, pictures, stability, strengths=(1, 1, 1)):
    frames = frames_of(pictures)
    tasks = [Task(frame, i, adain.Look.of(style, strength=share)) for i, (frame, share) in enumerate(zip(frames, strengths, strict=True))]
    return torch.cat(list(paint_frames(model, tasks, stability)))


@pytest.fixture(scope="module")
def model32():
    return weights.load_model(device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def wave(model32):
    return weights.load_preset(model32, "great-wave")


def test_a_batch_of_frames_with_stability(comfy, model32, wave, pictures):
    got = images(comfy, frames_prompt(stability=["8", 0]))
    close(got, expected(model32, wave, pictures, Stability(1, 0.5)))


@pytest.mark.parametrize("stable", [False, True])
def test_a_batch_of_frames_with_keyframes(comfy, model32, wave, pictures, stable):
    got = images(comfy, frames_prompt(style=["9", 0], **({"stability": ["8", 0]} if stable else {})))
    close(got, expected(model32, wave, pictures, Stability(1, 0.5) if stable else Stability(0, 0), (0.2, 0.6, 1.0)))


def test_a_video_with_keyframes(comfy):
    make(comfy.base / "input" / "clip.mp4")
    before = saved(comfy)
    prompt = painted(["1", 0], style="9")
    keyframes = node("AdaIN_Keyframes", **{"styles.style_0": ["3", 0]}, keyframes="0s strength=1", frame_rate=10.0)
    assert not comfy.run({"1": node("LoadVideo", file="clip.mp4"), "9": keyframes, **prompt}).error
    assert len(saved(comfy, before)) == 1


def test_a_bad_keyframe_names_its_line(comfy):
    prompt = frames_prompt(style=["9", 0])
    prompt["9"]["inputs"]["keyframes"] = "0 strength=1\n\n5 strength=much"
    assert "Line 3: the strength 'much'" in comfy.run(prompt).error


def test_a_style_over_time_goes_only_where_there_is_time(comfy):
    prompt = frames_prompt()
    prompt["5"] = node("AdaIN_SaveStyle", style=["9", 0], name="timed")
    assert "changes over time" in comfy.run(prompt).error


def test_smaller_chunks_when_memory_runs_out(comfy, model32, wave, pictures):
    prompt = frames_prompt(stability=["8", 0], frames_per_chunk=3, adain_model=["7", 0])
    prompt["7"] = node("AdaINTest_Hinder", model=["2", 0], most_frames=1, seconds=0.0)
    close(images(comfy, prompt), expected(model32, wave, pictures, Stability(1, 0.5)))
    prompt["7"]["inputs"]["most_frames"] = 0
    assert "memory is too small for one frame of 128 x 96" in comfy.run(prompt).error

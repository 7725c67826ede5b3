"""Match Colors in a real ComfyUI: what it measures, where, how far, and the .cube file."""

from __future__ import annotations

import pytest
import torch
from adain_style_transfer import adain
from adain_style_transfer.adain.grading import Colors
from adain_style_transfer.adain.resample import resize
from comfy.test_nodes import close, images, load_image, node

OLD = {"image": ["1", 0], "reference": ["2", 0], "method": "covariance", "strength": 1.0}
"""The inputs of the first release."""


def matching(extra=None, **inputs):
    """A prompt that gives photo.png the colours of painting.png; inputs of Match Colors may be replaced, and nodes added."""
    return {
        "1": load_image("photo.png"),
        "2": load_image("painting.png"),
        "3": node("AdaIN_MatchColors", **(OLD | inputs)),
        "5": node("SaveImage", images=["3", 0], filename_prefix="colors"),
    } | (extra or {})


CLIP = {
    "6": node("ImageBatch", image1=["1", 0], image2=["7", 0]),
    "7": node("ImageBatch", image1=["8", 0], image2=["9", 0]),
    "8": node("ImageInvert", image=["1", 0]),
    "9": node("EmptyImage", width=128, height=96, batch_size=1, color=0xFFFFFF),
}
"""Three frames: the photograph, its negative and white."""


@pytest.fixture
def clip(load):
    photo = load("photo.png")
    return [photo, 1 - photo, torch.ones_like(photo)]


def test_prompts_of_the_first_release_give_the_same_picture(comfy, load):
    close(images(comfy, matching()), adain.match_colors(load("photo.png"), load("painting.png")))


@pytest.mark.parametrize("method", ["covariance", "channels", "chroma", "histogram"])
@pytest.mark.parametrize("space", ["rgb", "linear", "lab"])
def test_methods_and_spaces(comfy, load, method, space):
    match = adain.ColorMatch(method, space, 1.3)
    photo, painting = load("photo.png"), load("painting.png")
    expected = match.grade(match.measure(photo), match.measure(painting))(photo)
    close(images(comfy, matching(method=method, space=space, strength=1.3)), expected)


@pytest.mark.parametrize("method", ["covariance", "histogram"])
@pytest.mark.parametrize(("statistics", "measured"), [("whole batch", [0, 1, 2]), ("one frame", [1])])
def test_one_change_for_a_batch(comfy, load, clip, method, statistics, measured):
    got = images(comfy, matching(CLIP, image=["6", 0], method=method, statistics=statistics, frame=1))
    match = adain.ColorMatch(method)
    grade = match.grade(Colors.pooled([match.measure(clip[i]) for i in measured]), match.measure(load("painting.png")))
    close(got, torch.cat([grade(frame) for frame in clip]))


def test_each_frame_is_measured_by_itself_and_white_stays_flat(comfy, load, clip):
    got = images(comfy, matching(CLIP, image=["6", 0]))
    close(got[:2], torch.cat([adain.match_colors(frame, load("painting.png")) for frame in clip[:2]]))
    assert got[2].std((1, 2)).max() == 0


def test_a_batch_is_no_other_reference_than_its_pictures(comfy, load, clip):
    """With statistics of the whole batch any number of references goes together."""
    got = images(comfy, matching(CLIP, reference=["7", 0], statistics="whole batch"))
    match = adain.ColorMatch()
    photo = load("photo.png")
    grade = match.grade(match.measure(photo), Colors.pooled([match.measure(frame) for frame in clip[1:]]))
    close(got, grade(photo))


def test_masks_on_both_pictures(comfy, load):
    shapes = torch.zeros(1, 3, 24, 32)
    shapes[..., :16] = 1
    masks = {
        "10": load_image(comfy.put_image("left.png", shapes)),
        "11": node("ImageToMask", image=["10", 0], channel="red"),
        "12": node("InvertMask", mask=["11", 0]),
    }
    photo, painting, left = load("photo.png"), load("painting.png"), shapes[:, :1]
    got = images(comfy, matching(masks, mask=["11", 0], reference_mask=["12", 0]))
    match = adain.ColorMatch()
    grade = match.grade(match.measure(photo, left), match.measure(painting, 1 - left))
    close(got, grade(photo, left))
    outside = (resize(left, photo.shape[-2:]) == 0).expand_as(photo)
    assert torch.equal(got[outside], photo[outside])


def test_the_cube_file(comfy, load):
    outcome = comfy.run(matching(CLIP, image=["6", 0], statistics="one frame", frame=0, lut="looks/of the painting"))
    assert not outcome.error
    path = comfy.base / "output" / "looks" / "of the painting.cube"
    assert path.read_text(encoding="utf-8").splitlines()[1] == "LUT_3D_SIZE 33"
    white = torch.tensor([float(v) for v in path.read_text(encoding="utf-8").splitlines()[-1].split()])
    match = adain.ColorMatch()
    grade = match.grade(match.measure(load("photo.png")), match.measure(load("painting.png")))
    torch.testing.assert_close(white, grade(torch.ones(1, 3, 1, 1)).flatten(), rtol=0, atol=1e-4)
    (shown,) = [data["output"]["text"] for data in outcome.of("executed") if data["node"] == "3"]
    assert shown == [f"Saved as {path}"]


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"lut": "a"}, "A .cube file holds one change of colours, but each frame would get its own"),
        ({"lut": "../a", "statistics": "whole batch"}, "'../a' cannot be a file name"),
        ({"statistics": "one frame", "frame": 3}, "There is no frame 3: the image has 3 frames, counted from 0"),
        ({"reference": ["7", 0]}, "There are 2 references for 3 images"),
        ({"mask": ["13", 0]}, "The mask is black everywhere"),
        ({"reference_mask": ["13", 0]}, "The reference_mask is black everywhere"),
        ({"reference_mask": 5}, "The input reference_mask is 5"),
        ({"statistics": ["14", 0]}, "The input statistics is 'else'. Choose one of: each frame, whole batch, one frame."),
        ({"space": ["14", 0]}, "The input space is 'else'. Choose one of: rgb, linear, lab."),
    ],
)
def test_sentences(comfy, inputs, sentence):
    black = {"13": node("SolidMask", value=0.0, width=8, height=8), "14": node("AdaINTest_Bring", text="else")}
    assert sentence in comfy.run(matching(CLIP | black, **({"image": ["6", 0]} | inputs))).error

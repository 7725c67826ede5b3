from __future__ import annotations

import pytest
import torch
from adain_style_transfer.adain import StyleError
from adain_style_transfer.adain.errors import KeyframeError
from adain_style_transfer.adain.style import Style
from adain_style_transfer.adain.video.keyframes import EASINGS, Keyframes, StyleTrack
from hypothesis import given
from hypothesis import strategies as st
from samples import picture


@pytest.fixture(scope="module")
def styles(lite):
    return [lite.encode_style(picture(24, 24, seed=i)) for i in range(2)]


def test_values_between_keyframes():
    keys = Keyframes.parse("0 strength=0\n10 strength=1 hold  # and stays\n20 strength=0.5 weights=1,3\n")
    assert [keys.strength(frame, 99) for frame in (0, 5, 10, 19, 20, 100)] == [0, 0.5, 1, 1, 0.5, 0.5]
    assert keys.weight(0, 0) == keys.weight(25, 0) == (0.25, 0.75)


@pytest.mark.parametrize(
    "line", ["0 Strength=0.5 Smooth", "0 strength = 0.5 smooth", "0 STRENGTH= .5 SMOOTH", "0S strength=0.5 weights=1, 0 smooth"]
)
def test_however_it_is_spelled(line):
    keys = Keyframes.parse(f"{line}\n{4 if line[1] == ' ' else '4s'} Strength = 1")
    assert keys.strength(0, 0) == 0.5 and keys.strength(4, 4) == 1
    assert keys.strength(1, 1) == 0.578125  # smooth


def test_seconds_follow_the_time_a_frame_is_shown():
    keys = Keyframes.parse("2.5s strength=1\n0.5s strength=0 linear")
    assert [keys.strength(0, seconds) for seconds in (0, 0.5, 1.5, 2.5, 9)] == [0, 0, 0.5, 1, 1]


def test_weights_move_on_their_own():
    keys = Keyframes.parse("0 weights=1,0\n5 strength=0.2\n10 weights=0,1")
    assert keys.weight(5, 0) == (0.5, 0.5)
    assert keys.strength(0, 0) == 0.2
    assert Keyframes.parse("0 strength=1").weight(3, 0) is None
    assert Keyframes.parse("0 weights=1").strength(3, 0) == 1


@pytest.mark.parametrize("name", EASINGS)
def test_easings_start_and_end_where_they_should(name):
    keys = Keyframes.parse(f"0 strength=0.2 {name}\n100 strength=0.8")
    values = [keys.strength(frame, 0) for frame in range(101)]
    assert values[0] == 0.2 and values[-1] == 0.8
    assert values == sorted(values)


def test_easings_differ_in_the_middle():
    middle = {name: Keyframes.parse(f"0 strength=0 {name}\n4 strength=1").strength(1, 0) for name in EASINGS}
    assert middle == {"linear": 0.25, "smooth": 0.15625, "in": 0.0625, "out": 0.4375, "hold": 0}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 80))
def test_values_stay_between_their_neighbours(values, frame):
    keys = Keyframes.parse("\n".join(f"{10 * i} strength={value}" for i, value in enumerate(values)))
    left, right = values[min(frame // 10, len(values) - 1)], values[min(frame // 10 + 1, len(values) - 1)]
    assert min(left, right) - 1e-12 <= keys.strength(frame, 0) <= max(left, right) + 1e-12


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no keyframe"),
        ("# only a comment", "no keyframe"),
        ("0 strength=1\n\nx strength=1", "Line 3: 'x' is not a time"),
        ("-3 strength=1", "Line 1: '-3' is not a time"),
        ("nans strength=1", "Line 1: 'nans' is not a time"),
        ("1.5 strength=1", "Line 1: '1.5' is not a time"),
        ("0 strength=1\n2s strength=0", "Line 2: '2s' counts in another unit than line 1"),
        ("0 strength=1\n0 weights=1", "Line 2: '0' has a keyframe already, on line 1"),
        ("0 strenght=1", "Line 1: 'strenght=1' cannot be used"),
        ("0 strength", "Line 1: 'strength' cannot be used"),
        ("0 strength=1 strength=0", "Line 1: 'strength=0' cannot be used"),
        ("0 smooth strength=1", "Line 1: 'smooth' cannot be used"),
        ("0 strength=1\n5", "Line 2 sets nothing"),
        ("0 strength=3", "Line 1: the strength '3' is not"),
        ("0 strength=nan", "Line 1: the strength 'nan' is not"),
        ("0 weights=1,x", "Line 1: '1,x' is not a list of weights"),
        ("0 weights=0,0", "Line 1: The weights"),
        ("0 weights=1,0\n5 weights=1", "Line 2 has 1 weight,"),
    ],
)
def test_errors_name_the_line(text, sentence):
    with pytest.raises(KeyframeError, match=sentence):
        Keyframes.parse(text)


def test_a_track_blends_as_style_blend_does(styles):
    style, strength = StyleTrack(styles, Keyframes.parse("0 weights=1,0\n4 weights=0,1 strength=0.5")).at(1, 0)
    expected = Style.blend(styles, [0.75, 0.25])
    assert strength == 0.5
    assert all(torch.equal(a.mean, b.mean) and torch.equal(a.std, b.std) for a, b in zip(style.levels, expected.levels, strict=True))


def test_a_track_of_one_style_leaves_it_as_it_is(styles):
    assert StyleTrack(styles[:1], Keyframes.parse("0 strength=0.3")).at(7, 0) == (styles[0], 0.3)


def test_a_track_without_weights_blends_equally(styles):
    style, _ = StyleTrack(styles, Keyframes.parse("0 strength=1")).at(0, 0)
    assert torch.equal(style.levels[0].mean, Style.blend(styles).levels[0].mean)


def test_a_track_needs_one_weight_for_each_style(styles):
    with pytest.raises(StyleError, match="3 weights for 2 styles"):
        StyleTrack(styles, Keyframes.parse("0 weights=1,0,0"))
    with pytest.raises(StyleError, match="no style"):
        StyleTrack([], Keyframes.parse("0 strength=1"))

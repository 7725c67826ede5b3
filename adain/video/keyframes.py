"""Strength and blend weights that change over time, written as text: one keyframe a line."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..affine import MOST_STRENGTH
from ..errors import KeyframeError, StyleError, counted
from ..style import Style, normalized_weights

EASINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "smooth": lambda x: x * x * (3 - 2 * x),
    "in": lambda x: x * x,
    "out": lambda x: x * (2 - x),
    "hold": lambda x: 0.0,
}
"""How a value moves from a keyframe to the next one, both ends at 0..1; `hold` keeps it and jumps at the next."""

_EXAMPLE = "0 strength=0  or  1.5s strength=1 weights=1,0 smooth"

_Value = TypeVar("_Value", float, tuple[float, ...])


@dataclass(frozen=True)
class _Key(Generic[_Value]):
    time: float
    value: _Value
    easing: str


@dataclass(frozen=True)
class Keyframes:
    """Parsed keyframes. `in_seconds` says whether times are seconds or frames, counted from 0.

    Before its first keyframe a value is that keyframe's, after its last the last one's.
    """

    strengths: tuple[_Key[float], ...]
    weights: tuple[_Key[tuple[float, ...]], ...]
    in_seconds: bool

    @staticmethod
    def parse(text: str) -> Keyframes:
        """Keyframes from lines `TIME [strength=S] [weights=W,W,...] [EASING]`, in any order.

        TIME is a frame (`48`) or seconds (`2s`), the same kind on every line. EASING, one of `EASINGS` (default linear), is how
        the line's values move on to the next line that has them. `#` starts a comment. Raises KeyframeError, which names the line.
        """
        strengths: list[_Key[float]] = []
        weights: list[_Key[tuple[float, ...]]] = []
        units: dict[bool, int] = {}
        times: dict[float, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            # However it is spelled: Strength = 0.5, weights=1, 0
            words = re.sub(r"\s*([=,])\s*", r"\1", line.partition("#")[0].lower()).split()
            if not words:
                continue
            time, in_seconds = _time(words[0], number)
            if times.setdefault(time, number) != number:
                raise KeyframeError(f"Line {number}: {words[0]!r} has a keyframe already, on line {times[time]}. Join the two.")
            units.setdefault(in_seconds, number)
            if len(units) > 1:
                raise KeyframeError(
                    f"Line {number}: {words[0]!r} counts in another unit than line {min(units.values())}. "
                    "Give all times as frames (48) or all as seconds (2s)."
                )
            easing = words.pop() if words[-1] in EASINGS else "linear"
            settings: dict[str, str] = {}
            for word in words[1:]:
                name, equals, value = word.partition("=")
                if name not in ("strength", "weights") or not equals or name in settings:
                    raise KeyframeError(
                        f"Line {number}: {word!r} cannot be used. Expected strength=..., weights=... or an easing at the end "
                        f"({', '.join(EASINGS)}), such as: {_EXAMPLE}"
                    )
                settings[name] = value
            if not settings:
                raise KeyframeError(f"Line {number} sets nothing. Add strength=... or weights=..., such as: {_EXAMPLE}")
            if "strength" in settings:
                strengths.append(_Key(time, _strength(settings["strength"], number), easing))
            if "weights" in settings:
                weights.append(_Key(time, _weights(settings["weights"], number), easing))
                if len(weights[-1].value) != len(weights[0].value):
                    here, first = len(weights[-1].value), len(weights[0].value)
                    raise KeyframeError(
                        f"Line {number} has {counted(here, 'weight')}, the first line with weights {first}. "
                        "Give one weight for each style everywhere."
                    )
        if not times:
            raise KeyframeError(f"There is no keyframe. Write one a line, such as: {_EXAMPLE}")
        strengths.sort(key=lambda key: key.time)
        weights.sort(key=lambda key: key.time)
        return Keyframes(tuple(strengths), tuple(weights), True in units)

    def strength(self, frame: int, seconds: float) -> float:
        """The strength at a frame, which is shown at `seconds`; 1 if no keyframe sets it."""
        return _at(self.strengths, self._time(frame, seconds), lambda a, b, x: a + (b - a) * x) if self.strengths else 1.0

    def weight(self, frame: int, seconds: float) -> tuple[float, ...] | None:
        """The blend weights at a frame, summing to 1; None if no keyframe sets them."""
        if not self.weights:
            return None
        return _at(self.weights, self._time(frame, seconds), lambda a, b, x: tuple(p + (q - p) * x for p, q in zip(a, b, strict=True)))

    def _time(self, frame: int, seconds: float) -> float:
        return seconds if self.in_seconds else frame


@dataclass(frozen=True)
class StyleTrack:
    """Styles whose blend and strength follow keyframes: a style over time.

    Raises StyleError unless the keyframes give one weight for each style (without weights they are blended equally).
    """

    styles: Sequence[Style]
    keyframes: Keyframes
    curve: Callable[[float], float] | None = None
    """What the strength is multiplied by at so many seconds, as well; None: 1."""

    def __post_init__(self) -> None:
        given = {len(key.value) for key in self.keyframes.weights}
        if given and given != {len(self.styles)}:
            weights, styles = counted(given.pop(), "weight"), counted(len(self.styles), "style")
            raise StyleError(f"The keyframes have {weights} for {styles}. Give one weight for each style.")
        Style.blend(self.styles)  # whether they blend at all is found out here, not at some frame

    def at(self, frame: int, seconds: float, strength: float = 1.0) -> tuple[Style, float]:
        """The style and the strength at a frame, which is shown at `seconds`, times `strength`, at most the largest one."""
        weights = self.keyframes.weight(frame, seconds)
        style = self.styles[0] if len(self.styles) == 1 else Style.blend(self.styles, weights)
        strength *= self.keyframes.strength(frame, seconds) * (self.curve(seconds) if self.curve else 1)
        return style, min(MOST_STRENGTH, max(0.0, strength))


def _at(keys: Sequence[_Key[_Value]], time: float, between: Callable[[_Value, _Value, float], _Value]) -> _Value:
    after = bisect.bisect_right(keys, time, key=lambda key: key.time)
    if after == 0:
        return keys[0].value
    start = keys[after - 1]
    if after == len(keys):
        return start.value
    return between(start.value, keys[after].value, EASINGS[start.easing]((time - start.time) / (keys[after].time - start.time)))


def _time(word: str, line: int) -> tuple[float, bool]:
    in_seconds = word.endswith("s")
    try:
        time = float(word[:-1]) if in_seconds else int(word)
    except ValueError:
        time = -1.0
    if not 0 <= time < math.inf:
        raise KeyframeError(f"Line {line}: {word!r} is not a time. Begin with a frame (48) or seconds (2s), such as: {_EXAMPLE}")
    return time, in_seconds


def _strength(text: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST_STRENGTH:
        raise KeyframeError(f"Line {line}: the strength {text!r} is not a number from 0 to {MOST_STRENGTH:g}.")
    return value


def _weights(text: str, line: int) -> tuple[float, ...]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise KeyframeError(f"Line {line}: {text!r} is not a list of weights such as 1,0.5.") from error
    try:
        return tuple(normalized_weights(values, len(values)))
    except StyleError as error:
        raise KeyframeError(f"Line {line}: {error}") from error

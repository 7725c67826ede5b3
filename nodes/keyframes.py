"""Styles and strength that change over time: AdaIN Keyframes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from comfy_api.latest import io

from ..adain import Style, StyleError
from ..adain.video.keyframes import Keyframes, StyleTrack
from .sockets import CATEGORY, ImageOut, StyleLink, StyleSocket, TimedStyle, grown, single_style

_MAX_STYLES = 16

_EXAMPLE = """# time  what it sets   how it moves on: linear, smooth, in, out, hold
0s  strength=0  smooth
2s  strength=1
"""

_CURVE_SECONDS = 2.0


class StyleKeyframes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_Keyframes",
            display_name="AdaIN Keyframes",
            category=CATEGORY,
            description="A style that changes over the frames of a video: its strength, and the weights of several styles, from keyframes.",
            search_aliases=["animate style", "style over time", "schedule", "prompt travel", "fade"],
            inputs=[
                io.Autogrow.Input(
                    "styles",
                    template=io.Autogrow.TemplatePrefix(
                        StyleSocket.Input(
                            "style", tooltip="One of the styles that `weights` mixes, in this order. A new socket appears with every link."
                        ),
                        prefix="style_",
                        min=0,  # a first style that is muted must not stop the others
                        max=_MAX_STYLES,
                    ),
                    tooltip="The styles, up to 16, all from one model. A single one needs no weights.",
                ),
                io.String.Input(
                    "keyframes",
                    multiline=True,
                    default=_EXAMPLE,
                    tooltip="One keyframe a line: a frame (48) or seconds (2s), strength=0..2 and/or weights=1,0 with one weight for each "
                    "style, and how the values move on: linear (default), smooth, in, out or hold. # begins a comment.",
                ),
                io.Float.Input(
                    "frame_rate",
                    default=24.0,
                    min=0.1,
                    max=1000.0,
                    step=0.01,
                    tooltip="Frames per second of a batch of images, for times in seconds. 24 by default. A video brings its own.",
                ),
                *_curve_inputs(),
            ],
            outputs=[StyleSocket.Output("style", tooltip="A style over time, for AdaIN Transfer or AdaIN Video.")],
        )

    @classmethod
    def execute(
        cls,
        keyframes: str,
        frame_rate: float,
        curve: object = None,
        curve_seconds: float = _CURVE_SECONDS,
        styles: Mapping[str, StyleLink | None] | None = None,
        **beyond: Any,
    ) -> ImageOut:
        given: list[Style] = [single_style(link, "used in keyframes").average() for link in grown(styles, beyond, _MAX_STYLES)]
        if not given:
            raise StyleError("No style is connected. Connect one, or several that `weights` mixes.")
        return io.NodeOutput(TimedStyle(StyleTrack(given, Keyframes.parse(keyframes), _over_time(curve, curve_seconds)), frame_rate))


def _curve_inputs() -> list[io.Input]:
    """A curve for the strength, where ComfyUI can draw one (from 0.20 on)."""
    if not hasattr(io, "Curve"):
        return []
    return [
        io.Curve.Input(
            "curve",
            default=[(0.0, 1.0), (1.0, 1.0)],
            optional=True,
            socketless=False,
            tooltip="The strength over time, drawn: from left to right over `curve_seconds`, 0 below and 1 above. It multiplies what "
            "`keyframes` say. A line along the top (default) changes nothing.",
        ),
        io.Float.Input(
            "curve_seconds",
            default=_CURVE_SECONDS,
            min=0.04,
            max=36000.0,
            step=0.1,
            optional=True,
            tooltip="How many seconds `curve` lasts, 2 by default. Afterwards its last value stays; more makes it slower.",
        ),
    ]


def _over_time(curve: object, seconds: float) -> Callable[[float], float] | None:
    """What `curve`, as ComfyUI hands it over, says at so many seconds of the `seconds` that it lasts. Raises StyleError."""
    if curve is None:
        return None
    from comfy_api.input import CurveInput  # where there is one

    try:
        drawn = CurveInput.from_raw(curve)
        if not drawn.points:
            raise ValueError("it has no points")
    except (KeyError, TypeError, ValueError) as error:
        raise StyleError(f"The curve is {curve!r:.60}. Draw one, or give {{'points': [[0, 0], [1, 1]]}}.") from error
    return lambda time: float(drawn.interp(min(1.0, time / seconds)))

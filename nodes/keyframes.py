"""Styles and strength that change over time: AdaIN Keyframes."""

from __future__ import annotations

from collections.abc import Mapping
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
            ],
            outputs=[StyleSocket.Output("style", tooltip="A style over time, for AdaIN Transfer or AdaIN Video.")],
        )

    @classmethod
    def execute(cls, keyframes: str, frame_rate: float, styles: Mapping[str, StyleLink | None] | None = None, **beyond: Any) -> ImageOut:
        given: list[Style] = [single_style(link, "used in keyframes").average() for link in grown(styles, beyond, _MAX_STYLES)]
        if not given:
            raise StyleError("No style is connected. Connect one, or several that `weights` mixes.")
        return io.NodeOutput(TimedStyle(StyleTrack(given, Keyframes.parse(keyframes)), frame_rate))

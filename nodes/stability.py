"""Frames held together over time: AdaIN Stability."""

from __future__ import annotations

from comfy_api.latest import io

from ..adain.temporal import Stability
from .sockets import CATEGORY, ImageOut, StabilitySocket


class StabilityOptions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_Stability",
            display_name="AdaIN Stability",
            category=CATEGORY,
            description="How the frames of a video are held together against flicker, for AdaIN Transfer and AdaIN Video.",
            search_aliases=["deflicker", "temporal consistency", "flicker", "optical flow", "smooth frames"],
            inputs=[
                io.Int.Input(
                    "radius",
                    default=Stability().radius,
                    min=0,
                    max=64,
                    tooltip="Statistics of a frame are averaged over this many frames on either side, never across a cut. 8 by default; "
                    "higher is calmer and needs more memory, 0 takes each frame by itself.",
                ),
                io.Float.Input(
                    "hold",
                    default=Stability().hold,
                    min=0.0,
                    max=0.95,
                    step=0.05,
                    tooltip="How much of the previous painted frame stays where the video did not change or only moved with the camera. "
                    "0.65 by default; higher is steadier, 0 paints every frame anew and does not follow the camera.",
                ),
                io.Boolean.Input(
                    "flow",
                    default=False,
                    tooltip="Follows all that moves by optical flow, not the camera alone, so that it is held too. Off by default: "
                    "it needs OpenCV (pip install opencv-python-headless).",
                ),
            ],
            outputs=[StabilitySocket.Output("stability", display_name="stability", tooltip="For AdaIN Transfer or AdaIN Video.")],
        )

    @classmethod
    def execute(cls, radius: int, hold: float, flow: bool) -> ImageOut:
        return io.NodeOutput(Stability(radius, hold, flow))

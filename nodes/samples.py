"""Sample Picture."""

from __future__ import annotations

from comfy_api.latest import io

from ..adain.media.images import read_picture
from ..weights.samples import sample_names, sample_path
from .sockets import CATEGORY, ImageOut, chosen, to_image


class SamplePicture(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_SamplePicture",
            display_name="Sample Picture",
            category=CATEGORY,
            description="A photograph that ships with the pack, to try styles on. Load Image brings your own.",
            search_aliases=["example image", "test image", "demo picture", "sample photo"],
            inputs=[
                io.Combo.Input(
                    "picture",
                    options=sample_names(),
                    default=sample_names()[0],
                    tooltip="The photograph. The first is the default; all are free to use.",
                ),
            ],
            outputs=[io.Image.Output("image", display_name="image", tooltip="For AdaIN Transfer, Stylize, Style Grid and any other node.")],
        )

    @classmethod
    def execute(cls, picture: str) -> ImageOut:
        return io.NodeOutput(to_image(read_picture(sample_path(chosen(picture, sample_names(), "picture"))).rgb))

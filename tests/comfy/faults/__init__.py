"""Nodes for the tests only: pictures and models with the faults that a user may meet."""

from __future__ import annotations

import copy
import hashlib
import time
from dataclasses import replace

import torch
from comfy_api.latest import ComfyExtension, io

from .diffusion import Conditioning, Latent, Pack, Pair, Watch

Model = io.Custom("ADAIN_MODEL")


class Tamper(io.ComfyNode):
    """Puts NaN into one frame, or values far outside 0..1, or an alpha channel: a ramp, or one of nothing but zeros."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            "AdaINTest_Tamper",
            category="test",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input("fault", options=["nan", "range", "alpha", "no alpha"]),
                io.Int.Input("frame", default=0),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image, fault, frame):
        image = image.clone()
        if fault == "nan":
            image[frame, 3, 5] = float("nan")
        elif fault == "range":
            image *= 255
        else:
            alpha = torch.linspace(0, fault == "alpha", image.shape[2]).expand(image.shape[:3])[..., None]
            image = torch.cat([image, alpha], -1)
        return io.NodeOutput(image)


class Hinder(io.ComfyNode):
    """A model that runs out of memory above some frames at once, and takes its time."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            "AdaINTest_Hinder",
            category="test",
            inputs=[Model.Input("model"), io.Int.Input("most_frames", default=1000), io.Float.Input("seconds", default=0.0)],
            outputs=[Model.Output()],
        )

    @classmethod
    def execute(cls, model, most_frames, seconds):
        patcher = copy.copy(model.patcher)
        patcher.model = copy.deepcopy(model.patcher.model)
        network = patcher.model.network
        encode = network.encode

        def hindered(image):
            if len(image) > most_frames:
                raise torch.OutOfMemoryError(f"test: {len(image)} frames")
            time.sleep(seconds)
            return encode(image)

        network.encode = hindered
        return io.NodeOutput(replace(model, patcher=patcher))


class Bring(io.ComfyNode):
    """Gives its text to an input of any type, as nodes of other packs do."""

    @classmethod
    def define_schema(cls):
        return io.Schema("AdaINTest_Bring", category="test", inputs=[io.String.Input("text")], outputs=[io.AnyType.Output()])

    @classmethod
    def execute(cls, text):
        return io.NodeOutput(text)


class Checksum(io.ComfyNode):
    """Shows a hash of its image, whenever `after` is done."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            "AdaINTest_Checksum",
            category="test",
            is_output_node=True,
            inputs=[io.Image.Input("image"), io.AnyType.Input("after", optional=True)],
        )

    @classmethod
    def execute(cls, image, after=None):
        return io.NodeOutput(ui={"checksum": [hashlib.sha256(image.numpy().tobytes()).hexdigest()]})


class Faults(ComfyExtension):
    async def get_node_list(self):
        return [Tamper, Hinder, Bring, Checksum, Conditioning, Watch, Latent, Pack, Pair]


async def comfy_entrypoint():
    return Faults()

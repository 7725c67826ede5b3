"""Test nodes around a sampler: a conditioning without a text encoder, a recorder of predictions, and what a latent carries."""

from __future__ import annotations

import json
import time
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io


class Conditioning(io.ComfyNode):
    """What a text encoder would give: random numbers of its shape."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            "AdaINTest_Conditioning",
            category="test",
            inputs=[io.Int.Input("width"), io.Int.Input("seed")],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, width, seed):
        return io.NodeOutput([[torch.randn(1, 77, width, generator=torch.Generator().manual_seed(seed)), {}]])


class Watch(io.ComfyNode):
    """A post-CFG function that writes down each prediction as it finds it, in the model's space, and takes its time."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            "AdaINTest_Watch",
            category="test",
            inputs=[io.Model.Input("model"), io.String.Input("name"), io.Float.Input("seconds", default=0.0)],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model, name, seconds):
        folder = Path(folder_paths.get_output_directory()) / name
        folder.mkdir()

        def watch(args):
            time.sleep(seconds)
            step = len(list(folder.iterdir()))
            torch.save({"sigma": float(args["sigma"].max()), "denoised": args["denoised"].clone()}, folder / f"{step:04}.pt")
            return args["denoised"]

        patched = model.clone()
        patched.set_model_sampler_post_cfg_function(watch)
        return io.NodeOutput(patched)


class Pack(io.ComfyNode):
    """Predictions [B, 1, N], as of models that sample a video and its sound in one."""

    @classmethod
    def define_schema(cls):
        return io.Schema("AdaINTest_Pack", category="test", inputs=[io.Model.Input("model")], outputs=[io.Model.Output()])

    @classmethod
    def execute(cls, model):
        patched = model.clone()
        patched.set_model_sampler_post_cfg_function(lambda args: args["denoised"].flatten(1)[:, None])
        return io.NodeOutput(patched)


class Latent(io.ComfyNode):
    """Shows the keys of a LATENT and the sum of its noise mask."""

    @classmethod
    def define_schema(cls):
        return io.Schema("AdaINTest_Latent", category="test", is_output_node=True, inputs=[io.Latent.Input("samples")])

    @classmethod
    def execute(cls, samples):
        mask = samples.get("noise_mask")
        found = {"keys": sorted(samples), "noise_mask": None if mask is None else float(mask.sum())}
        return io.NodeOutput(ui={"latent": [json.dumps(found)]})


class Pair(io.ComfyNode):
    """A video and its sound in one latent, as audio-video models have them."""

    @classmethod
    def define_schema(cls):
        return io.Schema("AdaINTest_Pair", category="test", inputs=[io.Latent.Input("samples")], outputs=[io.Latent.Output()])

    @classmethod
    def execute(cls, samples):
        from comfy.nested_tensor import NestedTensor

        return io.NodeOutput({**samples, "samples": NestedTensor([samples["samples"], samples["samples"]])})

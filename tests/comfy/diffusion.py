"""Prompts that sample small random diffusion models in a real ComfyUI, and what is measured of them.

cd tests && python -m comfy.diffusion     prints what AdaIN Guidance does to the moments
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from .server import ComfyServer, Prompt, find_comfyui, python_of, running

SD_SCALE = 0.18215
"""The factor from a VAE's latents to those of Stable Diffusion 1.5."""

_runs = itertools.count()


def build_models(comfy: ComfyServer) -> None:
    """Put the models of small_models.py where `comfy` looks for them."""
    comfyui = find_comfyui()
    assert comfyui is not None
    script = Path(__file__).with_name("small_models.py")
    subprocess.run([python_of(comfyui), script, comfyui, comfy.base / "models"], check=True, timeout=300)


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def guidance(*styles, weights=(1.0,), strength=1.0, start=0.0, end=1.0, schedule="constant", frames="each frame", **optional):
    """AdaIN Guidance towards the latents of the nodes `styles`; its model is connected by `text_to_image` or `text_to_video`."""
    slots = {f"styles.style_{i}": [style, 0] for i, style in enumerate(styles, 1)}
    slots |= {f"styles.weight_{i}": weight for i, weight in enumerate(weights, 1)}
    settings = {"strength": strength, "start": start, "end": end, "schedule": schedule, "frames": frames}
    return node("AdaIN_Guidance", styles=str(len(styles)), **slots, **settings, **optional)


def watch(name=None, seconds=0.0):
    """A patch that writes down the predictions which reach it."""
    return node("AdaINTest_Watch", name=name or f"watch{next(_runs)}", seconds=seconds)


def text_to_image(*patches, batch=1, **sampler) -> Prompt:
    """A prompt that samples 64 x 80 pixels with these patches, each of which gets the model of the one before it.

    Nodes 6 and 16 are the latents of a painting and a photo; "watch" stands behind the patches and "result" saves the latent.
    """
    settings = {"seed": 3, "steps": 4, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    conditions = {"positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]}
    return _sampled(
        {
            "1": node("CheckpointLoaderSimple", ckpt_name="small.safetensors"),
            "2": node("AdaINTest_Conditioning", width=768, seed=1),
            "3": node("AdaINTest_Conditioning", width=768, seed=2),
            "4": node("EmptyLatentImage", width=64, height=80, batch_size=batch),
            "5": node("LoadImage", image="painting.png"),
            "6": node("VAEEncode", pixels=["5", 0], vae=["1", 2]),
            "15": node("LoadImage", image="photo.png"),
            "16": node("VAEEncode", pixels=["15", 0], vae=["1", 2]),
        },
        patches,
        settings | conditions | sampler,
    )


def text_to_video(*patches, **sampler) -> Prompt:
    """A prompt as that of `text_to_image`, for 3 latent frames of a video model.

    The model's space differs from its VAE's in the mean and deviation of each channel.
    """
    settings = {"seed": 3, "steps": 3, "cfg": 3.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    conditions = {"positive": ["3", 0], "negative": ["3", 0], "latent_image": ["4", 0]}
    return _sampled(
        {
            "1": node("UNETLoader", unet_name="small_wan.safetensors", weight_dtype="default"),
            "2": node("VAELoader", vae_name="small_wan.safetensors"),
            "3": node("AdaINTest_Conditioning", width=4096, seed=1),
            "4": node("EmptyHunyuanLatentVideo", width=64, height=48, length=9, batch_size=1),
            "5": node("LoadImage", image="painting.png"),
            "6": node("VAEEncode", pixels=["5", 0], vae=["2", 0]),
        },
        patches,
        settings | conditions | sampler,
    )


def _sampled(prompt: Prompt, patches, sampler) -> Prompt:
    model = ["1", 0]
    for i, patch in enumerate([*patches, watch()]):
        name = f"patch{i}" if i < len(patches) else "watch"
        prompt[name] = patch | {"inputs": patch["inputs"] | {"model": model}}
        model = [name, 0]
    prompt["sampler"] = node("KSampler", model=model, **sampler)
    return prompt | save("sampler")


def save(source: str) -> Prompt:
    """The node "result", which saves the latent of node `source`."""
    return {"result": node("SaveLatent", samples=[source, 0], filename_prefix=f"latent{next(_runs)}")}


def run(comfy: ComfyServer, prompt: Prompt) -> torch.Tensor:
    """The latent that node "result" saved."""
    outcome = comfy.run(prompt)
    assert not outcome.error
    return load_file(comfy.base / "output" / f"{prompt['result']['inputs']['filename_prefix']}_00001_.latent")["latent_tensor"]


def encoded(comfy: ComfyServer, prompt: Prompt, source: str) -> torch.Tensor:
    """The latent of node `source` of `prompt`."""
    return run(comfy, {key: value for key, value in prompt.items() if key.isdecimal()} | save(source))


def watched(comfy: ComfyServer, prompt: Prompt, watcher: str = "watch") -> list[tuple[float, torch.Tensor]]:
    """Sigma and the model's prediction, in its own space, at each step as `watcher` found it."""
    records = [torch.load(path) for path in sorted((comfy.base / "output" / prompt[watcher]["inputs"]["name"]).iterdir())]
    return [(record["sigma"], record["denoised"]) for record in records]


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of each channel of one picture or clip [C, ...], by their formula; 1e-5 as in AdaIN."""
    values = x.double().flatten(1)
    mean = values.mean(1)
    return mean, (values - mean[:, None]).square().mean(1).add(1e-5).sqrt()


def main() -> None:
    from .conftest import picture

    variants = {
        "no guidance": [],
        "strength 0 (bit-identical)": [guidance("6", strength=0.0)],
        "strength 0.5": [guidance("6", strength=0.5)],
        "strength 1": [guidance("6")],
        "strength 1, fade out": [guidance("6", schedule="fade out")],
        "strength 1, start 0.2, end 0.8": [guidance("6", start=0.2, end=0.8)],
        "half and half with a photo": [guidance("6", "16", weights=[1.0, 1.0])],
    }
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as comfy:
        build_models(comfy)
        comfy.put_image("photo.png", picture(96, 128, seed=2))
        comfy.put_image("painting.png", picture(120, 88, seed=3))
        target = moments(encoded(comfy, text_to_image(), "6")[0])
        print(f"{'20 steps of euler':34}{'mean: off by':>14}{'deviation: ratio':>18}")  # noqa: T201
        for name, patches in variants.items():
            mean, std = moments(run(comfy, text_to_image(*patches, steps=20))[0])
            off, ratio = ((mean - target[0]) / target[1]).abs().max(), std / target[1]
            print(f"{name:34}{off:12.4f} σ{ratio.min():10.3f} - {ratio.max():.3f}")  # noqa: T201


if __name__ == "__main__":
    main()

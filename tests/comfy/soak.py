"""Long runs and timings of the nodes in a real ComfyUI: python -m comfy.soak, in tests/.

Prints the server's memory over 200 prompts of changing sizes, the pack's import time, the time of the quick start beside the
library's own, in the same torch, and the frames per second of AdaIN Video.
"""

from __future__ import annotations

import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import torch

from .server import REPOSITORY, ComfyServer, Prompt, example, find_comfyui, python_of, running

_LIBRARY = """
import sys, time, statistics, torch
sys.path.insert(0, sys.argv[1])
from adain_style_transfer import adain, weights
model = weights.load_model(device="cpu")
style = weights.load_preset(model, "great-wave")
for size in (512, 1024):
    content = torch.rand(1, 3, size, size)
    times = []
    for i in range(8):
        start = time.perf_counter()
        adain.stylize(model, content, style, strength=1 - i / 100)
        times.append(time.perf_counter() - start)
    print(size, statistics.median(times[2:]))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        with running(base / "comfyui", faults=False) as comfy:
            _report(f"import of the pack: {re.search(r'([0-9.]+) seconds: .*in-any.folder', comfy.log)[1]} s")  # type: ignore[index]
            for size in (512, 1024):
                comfy.put_image(f"{size}.png", torch.rand(1, 3, size, size))
                with_nodes = _median(comfy, size, _quick_start)
                without = _median(comfy, size, _blended)
                _report(f"{size}: POST to picture {with_nodes:.3f} s, with Image Blend in place of the nodes {without:.3f} s")
            _soak(comfy)
            _video(comfy, 300)
        (base / "adain_style_transfer").symlink_to(REPOSITORY, target_is_directory=True)
        comfyui = find_comfyui()
        assert comfyui is not None
        _report("library:")
        subprocess.run([python_of(comfyui), "-c", _LIBRARY, folder], check=True)


def _quick_start(size: int, i: int) -> Prompt:
    prompt = example("quick_start")
    prompt["1"] = {"class_type": "LoadImage", "inputs": {"image": f"{size}.png"}}
    prompt["4"]["inputs"]["strength"] = 1 - i / 100  # a new value, or the result would come from the cache
    return prompt


def _blended(size: int, i: int) -> Prompt:
    """What ComfyUI itself needs: the same picture loaded, changed by a core node, and saved."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": f"{size}.png"}},
        "4": {
            "class_type": "ImageBlend",
            "inputs": {"image1": ["1", 0], "image2": ["1", 0], "blend_factor": i / 100, "blend_mode": "normal"},
        },
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "blended"}},
    }


def _median(comfy: ComfyServer, size: int, prompt_of) -> float:
    times = []
    for i in range(8):
        start = time.perf_counter()
        outcome = comfy.run(prompt_of(size, i))
        times.append(time.perf_counter() - start)
        assert not outcome.error
    return statistics.median(times[2:])


def _video(comfy: ComfyServer, count: int) -> None:
    """A clip of 640 x 360 from Load Video to Save Video, twice with AdaIN Stability, of which the first warms up, and without it."""
    sys.path.append(str(REPOSITORY / "benchmarks"))
    import_module("video").make(comfy.base / "input" / "example.mp4", count, 640, 360)  # the clip that the benchmark paints
    prompt = example("style_over_time")
    (options,) = (node["inputs"] for node in prompt.values() if node["class_type"] == "AdaIN_Stability")
    for changes in ({}, {"flow": False}, {"radius": 0, "hold": 0.0}):
        options |= changes
        prompt["7"]["inputs"]["strength"] -= 0.01  # or ComfyUI would give what it has
        start = time.perf_counter()
        assert not comfy.run(prompt).error
        seconds = time.perf_counter() - start
        _report(f"{count} frames of 640 x 360, {options}: {count / seconds:.1f} frames/s, {comfy.rss():.0f} MB resident")


def _soak(comfy: ComfyServer) -> None:
    choose = random.Random(0)
    prompt = example("quick_start")
    prompt["1"] = {"class_type": "LoadImage", "inputs": {"image": "512.png"}}
    prompt["4"]["inputs"]["image"] = ["6", 0]
    prompt["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}}
    for i in range(1, 201):
        width, height = choose.randint(16, 512), choose.randint(16, 512)
        size = {"image": ["1", 0], "width": width, "height": height, "upscale_method": "bilinear", "crop": "disabled"}
        prompt["6"] = {"class_type": "ImageScale", "inputs": size}
        assert not comfy.run(prompt).error
        if i in (10, 50, 100, 150, 200):
            _report(f"after {i} prompts: {comfy.rss():.0f} MB resident")


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

from __future__ import annotations

import pytest
import torch

websocket = pytest.importorskip("websocket", reason="the tests of the nodes need websocket-client: pip install .[test]")

from adain_style_transfer import adain, weights  # noqa: E402
from comfy import server as comfy_server  # noqa: E402 - needs websocket


@pytest.fixture(scope="session")
def pictures():
    """What the input folder holds: file name -> [1, 3, H, W]."""
    sizes = {"photo.png": (96, 128), "painting.png": (120, 88), "small.png": (48, 64)}
    return {name: picture(*size, seed) for seed, (name, size) in enumerate(sizes.items(), 1)}


@pytest.fixture(scope="session")
def comfy(tmp_path_factory, pictures):
    """One ComfyUI for all tests, with this pack and the test nodes of `faults`."""
    if comfy_server.find_comfyui() is None:
        pytest.skip("no ComfyUI found: set COMFYUI_DIR, put this folder into its custom_nodes, or clone it to ~/comfy/ComfyUI")
    with comfy_server.running(tmp_path_factory.mktemp("comfyui")) as server:
        for name, image in pictures.items():
            server.put_image(name, image)
        yield server


@pytest.fixture(scope="module")
def page(comfy):
    """ComfyUI's page in a browser, for the tests of one file."""
    pytest.importorskip("playwright", reason="the browser tests need playwright: pip install .[test]")
    from comfy.browser import find_chromium, page_of

    if find_chromium() is None:
        pytest.skip("no chromium found: install it, or set CHROMIUM")
    with page_of(comfy.address) as opened:
        yield opened


@pytest.fixture(scope="session")
def model():
    """The embedded model as the nodes load it on a CPU."""
    return weights.load_model(device="cpu")


@pytest.fixture(scope="session")
def load(comfy):
    """A picture of the input folder, [1, 3, H, W]."""
    return lambda name: adain.read_picture(comfy.base / "input" / name).rgb


def picture(height, width, seed):
    """A smooth random picture [1, 3, H, W] in 8-bit steps."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 7, 9, generator=generator)
    fine = torch.rand(1, 3, height, width, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return ((0.85 * smooth + 0.15 * fine) * 255).round() / 255

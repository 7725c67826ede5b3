"""Writes the smallest diffusion models, VAEs, ControlNet and LoRA that ComfyUI's loaders recognise, with random weights.

Run by ComfyUI's own Python, since its classes say which tensors there are: PYTHON small_models.py COMFYUI MODELS_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "model_channels": 320,  # by this and the width of the context ComfyUI knows Stable Diffusion 1.5
    "num_res_blocks": [1],
    "channel_mult": [1],
    "num_heads": 8,
    "use_spatial_transformer": True,
    "transformer_depth": [1],
    "transformer_depth_middle": 1,
    "context_dim": 768,
    "legacy": False,
}


def main(comfyui: str, folder: Path) -> None:
    sys.path.insert(0, comfyui)
    from comfy.cli_args import args

    args.cpu = True
    import comfy.ops
    from comfy.cldm.cldm import ControlNet
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
    from comfy.ldm.wan.model import WanModel
    from comfy.ldm.wan.vae import WanVAE
    from comfy.taesd.taesd import TAESD

    ops = comfy.ops.disable_weight_init
    unet = randomized(UNetModel(**UNET, out_channels=4, transformer_depth_output=[1, 1], operations=ops), seed=1)
    vae = randomized(TAESD(latent_channels=4), seed=2) | {"vae_scale": torch.tensor(0.18215)}
    write(folder / "checkpoints" / "small.safetensors", prefixed("model.diffusion_model.", unet) | prefixed("first_stage_model.", vae))

    control = randomized(ControlNet(**UNET, hint_channels=3, operations=ops), seed=3)
    write(folder / "controlnet" / "small.safetensors", prefixed("control_model.", control))

    name = "input_blocks.1.1.transformer_blocks.0.attn2.to_v"
    width, context = unet[f"{name}.weight"].shape
    generator = torch.Generator().manual_seed(4)
    lora = {
        "lora_up.weight": torch.randn(width, 4, generator=generator),
        "lora_down.weight": torch.randn(4, context, generator=generator) / context**0.5,
        "alpha": torch.tensor(4.0),
    }
    write(folder / "loras" / "small.safetensors", prefixed(f"lora_unet_{name.replace('.', '_')}.", lora))

    wan = WanModel(dim=128, ffn_dim=128, num_heads=1, num_layers=1, operations=ops, dtype=torch.float32)
    write(folder / "diffusion_models" / "small_wan.safetensors", randomized(wan, seed=6))
    wan_vae = WanVAE(dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, temperal_downsample=[False, True, True])
    write(folder / "vae" / "small_wan.safetensors", randomized(wan_vae, seed=7))


def randomized(module: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """The module's tensors, filled so that activations stay about 1 from layer to layer."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in module.state_dict().items():
        if value.ndim > 1 and not name.endswith("gamma"):
            state[name] = torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5
        else:
            state[name] = torch.full(value.shape, 0.0 if name.endswith("bias") else 1.0)
    return state


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


def write(path: Path, state: dict[str, torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state.items()}, path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

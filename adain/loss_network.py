"""LossNetwork: VGG-19 up to relu4_1, which says how far a picture is from the content and from the style."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .architectures.vgg19 import ENCODER
from .errors import ModelError
from .network import FeatureNetwork
from .tile_policy import TilePolicy

LEVEL_STRIDES = (1, 2, 4, 8)
"""Pixels for each cell of relu1_1, relu2_1, relu3_1 and relu4_1."""

LEVEL_CHANNELS = (64, 128, 256, 512)

_LEAST_ACTIVE = 1e-2
"""A channel that is active less than that, on average, is not scaled up any further."""

SCALES = 3
"""A style is measured at its size, at half of it and at a quarter: pictures are refined from coarse to fine."""


class LossNetwork(FeatureNetwork):
    """A frozen VGG-19 to relu4_1 with reflected borders, from RGB [B, 3, H, W] in 0..1.

    Channels with a mean activation of about 1 let the four levels weigh alike. A distilled VGG-19 may be narrower if `conv1_1_aux.weight`
    .. are 1x1 layers (with ReLU) back to VGG-19's channels (Wang et al. 2020).
    """

    architecture = "loss network"
    color = True
    stride = 32
    level_strides = tuple(stride * 2**scale for scale in range(SCALES) for stride in LEVEL_STRIDES)
    level_channels = LEVEL_CHANNELS * SCALES
    encoder_halo = 128
    halo = 128
    values_per_pixel = 700  # with what the backward pass needs
    tiling = TilePolicy(side=512, whole=900**2, least=128)

    def __init__(self, layers: Mapping[str, Tensor]) -> None:
        """From `conv1_1.weight` .. `conv4_1.bias`. Raises ModelError if they are no such network."""
        super().__init__()
        self.encoder = nn.Module()
        try:
            for name in (name for name in ENCODER if name != "pool"):
                self.encoder.add_module(name, _conv(layers[f"{name}.weight"]))
                if f"{name}_aux.weight" in layers:
                    self.encoder.add_module(f"{name}_aux", _conv(layers[f"{name}_aux.weight"]))
            self.encoder.load_state_dict(dict(layers))
            with torch.no_grad():
                widths = tuple(feature.shape[1] for feature in self(torch.zeros(1, 3, 16, 16)))
        except KeyError as error:
            raise ModelError(f"{error.args[0]} is missing") from error
        except (RuntimeError, ValueError) as error:
            raise ModelError(str(error).strip()) from error
        if widths != LEVEL_CHANNELS:
            raise ModelError(f"its levels have {list(widths)} channels in place of {list(LEVEL_CHANNELS)}")
        self.requires_grad_(False).eval()
        self.seal()

    def forward(self, image: Tensor) -> list[Tensor]:
        """The features at relu1_1, relu2_1, relu3_1 and relu4_1."""
        features = []
        x = image.to(self.dtype, memory_format=torch.channels_last)
        for name in ENCODER:
            if name == "pool":
                x = F.max_pool2d(x, 2)
                continue
            x = _layer(self.encoder.get_submodule(name), x)
            if name.endswith("_1"):
                aux = getattr(self.encoder, f"{name}_aux", None)
                features.append(x if aux is None else _layer(aux, x))
        return features

    def seal(self) -> None:
        """Record the fingerprint of the layers from conv1_2 to conv3_4.

        They are the same numbers in every copy of a network. How colours are folded into the first layer is up to who reads it, and
        copies of the last one may be rounded.
        """
        digest = hashlib.sha256(self.architecture.encode())
        for name in ENCODER[1:-1]:
            if name != "pool":
                digest.update(self.encoder.get_submodule(name).get_parameter("weight").float().cpu().contiguous().numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    @torch.no_grad()
    def normalize(self, images: Sequence[Tensor]) -> None:
        """Scale the channels of the four levels so that their mean activation over `images` [1, 3, H, W] is 1; the fingerprint stays.

        What a level sees of a picture stays too, but for its unit.
        """
        means = [torch.stack(level).mean(0) for level in zip(*([f.mean((0, 2, 3)) for f in self(image)] for image in images), strict=True)]
        convs = [name for name in ENCODER if name != "pool"]
        for mean, name in zip(means, (name for name in convs if name.endswith("_1")), strict=True):
            scale = 1 / mean.clamp_min(_LEAST_ACTIVE)
            distilled = hasattr(self.encoder, f"{name}_aux")
            conv = self.encoder.get_submodule(f"{name}_aux" if distilled else name)
            conv.get_parameter("weight").mul_(scale[:, None, None, None])
            conv.get_parameter("bias").mul_(scale)
            if not distilled and name != convs[-1]:
                after = self.encoder.get_submodule(convs[convs.index(name) + 1])
                after.get_parameter("weight").div_(scale[None, :, None, None])

    def encode(self, image: Tensor) -> list[Tensor]:
        features = self(image)
        for _ in range(SCALES - 1):
            image = F.avg_pool2d(image, 2)
            features += self(image)
        return features


def _conv(weight: Tensor) -> nn.Conv2d:
    """A convolution for `weight`, as yet without its values."""
    outputs, inputs, side, _ = weight.shape
    return nn.Conv2d(inputs, outputs, side)


def _layer(conv: nn.Module, x: Tensor) -> Tensor:
    return _ConvReLU.apply(x, conv.weight, conv.bias)


class _ConvReLU(torch.autograd.Function):
    """A frozen convolution with reflected borders, and its ReLU.

    Autograd would keep a padded copy of the input beside the output, and reflect at the price of half a convolution.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        reach = weight.shape[-1] // 2
        y = F.conv2d(_reflected(x) if reach else x, weight, bias).relu_()
        ctx.save_for_backward(y)
        ctx.weight = weight  # may have been loaded in inference mode, and never changes
        ctx.input = x.shape
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (y,), weight = ctx.saved_tensors, ctx.weight
        reach = weight.shape[-1] // 2
        batch, channels, height, width = ctx.input
        before = y.new_empty(()).expand(batch, channels, height + 2 * reach, width + 2 * reach)  # only its shape is asked for
        grad = torch.ops.aten.threshold_backward(grad_outputs[0], y, 0)
        (grad, _, _) = torch.ops.aten.convolution_backward(
            grad, before, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, False, False]
        )
        return (_folded(grad) if reach else grad), None, None


def _reflected(x: Tensor) -> Tensor:
    """`x` [B, C, H, W] with a pixel more at each side, mirrored; repeated where there is only one to mirror."""
    batch, channels, height, width = x.shape
    padded = torch.empty((batch, channels, height + 2, width + 2), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    padded[..., 1:-1, 1:-1] = x
    padded[..., 0, 1:-1], padded[..., -1, 1:-1] = x[..., min(1, height - 1), :], x[..., max(-2, -height), :]
    padded[..., 0], padded[..., -1] = padded[..., min(2, width)], padded[..., max(-3, -width - 1)]
    return padded


def _folded(grad: Tensor) -> Tensor:
    """The gradient of what was `_reflected`: that of the border is its mirror's."""
    height, width = grad.shape[-2] - 2, grad.shape[-1] - 2
    grad[..., min(2, width)] += grad[..., 0]
    grad[..., max(-3, -width - 1)] += grad[..., -1]
    grad[..., min(2, height), :] += grad[..., 0, :]
    grad[..., max(-3, -height - 1), :] += grad[..., -1, :]
    return grad[..., 1:-1, 1:-1]

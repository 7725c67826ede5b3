"""Units that have died: channels of a convolution that are positive nowhere, so that the ReLU behind them passes nothing on.

They get no gradient either and do not come back. A whole branch can die unseen: the losses keep falling, by what is left.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..adain.model import StyleTransferModel
from ..adain.passes import render


@torch.inference_mode()
def dead_units(model: StyleTransferModel, contents: Tensor, styles: Tensor) -> dict[str, tuple[int, int]]:
    """Of each convolution with such channels, how many there are and how many channels it has.

    `contents` and `styles` [B, 3, H, W] in 0..1 are painted to see; the more they are, the surer the answer.
    """
    found: dict[str, tuple[int, int]] = {}

    def watch(name: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def look(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            dead = output.amax((0, 2, 3)) <= 0
            if dead.any():
                found[name] = int(dead.sum()), len(dead)
            else:
                found.pop(name, None)

        return layer.register_forward_hook(look)

    watches = [watch(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]
    try:
        render(model, contents, [model.statistics_of(styles)])
    finally:
        for handle in watches:
            handle.remove()
    return found

"""Results where one looks: in the node that made them."""

from __future__ import annotations

from comfy_api.latest import io, ui
from torch import Tensor

from ..adain.resample import resize
from .sockets import ImageOut

_MOST = 8
"""Pictures of a batch that are shown: writing those of a whole clip would take longer than painting them."""

_SIDE = 2048
"""Longer side in pixels of a picture that is shown as it is."""


def shown(node: type[io.ComfyNode], images: Tensor) -> ImageOut:
    """The output `images` [B, H, W, C] of `node`, the first of which are shown in it."""
    seen, longer = images[:_MOST], max(images.shape[1:3])
    if longer > _SIDE:
        height, width = (max(1, round(side * _SIDE / longer)) for side in images.shape[1:3])
        seen = resize(seen.movedim(-1, 1).float(), (height, width)).clamp(0, 1).movedim(1, -1)
    return io.NodeOutput(images, ui=ui.PreviewImage(seen.float(), cls=node))

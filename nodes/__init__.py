"""ComfyUI nodes. Layout conversion and ComfyUI's memory manager live here and nowhere else."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import folders
from .colors import MatchColors
from .grid import StyleGrid
from .guidance import GuideModel
from .keyframes import StyleKeyframes
from .latent import MatchLatent
from .model import LoadModel
from .presets import StylePreset
from .refine import Refine
from .samples import SamplePicture
from .stability import StabilityOptions
from .style_files import LoadStyle, SaveStyle
from .styles import BlendStyles, EncodeStyle, StyleRegion
from .transfer import Stylize, Transfer
from .video import Video

__all__ = ["AdaINExtension"]


class AdaINExtension(ComfyExtension):
    """The pack, as ComfyUI asks for it."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        # Not in on_load, which ComfyUI 0.11 does not call.
        folders.register()
        return [
            SamplePicture,
            Stylize,
            LoadModel,
            EncodeStyle,
            StylePreset,
            BlendStyles,
            StyleRegion,
            Transfer,
            Refine,
            Video,
            StabilityOptions,
            StyleKeyframes,
            MatchColors,
            SaveStyle,
            LoadStyle,
            StyleGrid,
            MatchLatent,
            GuideModel,
        ]

"""AdaIN Latent: the statistics of one latent for another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from comfy_api.latest import io
from torch import Tensor

from ..adain import ImageError
from ..adain.latents import Scope, check_latent, match_latent
from .inputs import strength_input
from .sockets import CATEGORY, ImageOut, from_mask

_STYLE_FRAMES = ["together", "one by one"]


class MatchLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_Latent",
            display_name="AdaIN Latent",
            category=CATEGORY,
            description="Gives a latent the mean and contrast of another, channel by channel: colours, light and texture strength. "
            "Ties the frames of a video to a reference; needs no model.",
            search_aliases=["latent adain", "latent color match", "normalize latent", "latent statistics", "color drift", "ltxv adain"],
            inputs=[
                io.Latent.Input("samples", tooltip="What is changed: latents of pictures or of a video, from any model."),
                io.Latent.Input(
                    "style",
                    tooltip="Whose statistics are wanted: VAE Encode of any picture or clip, of any size, with the same VAE; or frames of "
                    "the latent itself.",
                ),
                latent_strength_input(),
                scope_input(),
                io.Combo.Input(
                    "style_frames",
                    options=_STYLE_FRAMES,
                    default=_STYLE_FRAMES[0],
                    tooltip="What several style pictures or frames mean. together (default): all of them are one style. one by one: "
                    "the first is for the first frame, and so on; there must be as many as frames, or as clips with whole clip.",
                    advanced=True,
                ),
                io.Int.Input(
                    "window",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="0 (default) measures the whole latent. Higher measures around each pixel, by a Gaussian as wide as this many "
                    "latent pixels (1 is 8 picture pixels in most models), and takes the style from the same place: for a reference of "
                    "the same scene. Lower follows the reference more closely, down to copying it.",
                    advanced=True,
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Which part is measured and changed, in white; the rest stays bit for bit. Not connected (default): all. "
                    "Any size; one mask, or one per picture or frame.",
                ),
                io.Mask.Input(
                    "style_mask",
                    optional=True,
                    tooltip="From which part of the style, in white, the statistics are taken. Not connected (default): all of it.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    "result",
                    display_name="samples",
                    tooltip="The changed latents. A noise mask and whatever else came with them is kept.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        samples: Mapping[str, Any],
        style: Mapping[str, Any],
        strength: float,
        frames: Scope,
        style_frames: str,
        window: int,
        mask: Tensor | None = None,
        style_mask: Tensor | None = None,
    ) -> ImageOut:
        changed = match_latent(
            from_latent(samples, "latent"),
            from_latent(style, "style latent"),
            strength=strength,
            scope=frames,
            paired=style_frames != _STYLE_FRAMES[0],
            window=window,
            mask=from_mask(mask),
            style_mask=from_mask(style_mask),
        )
        return io.NodeOutput({**samples, "samples": changed})


def from_latent(latent: Mapping[str, Any], label: str) -> Tensor:
    """The samples of a LATENT, [B, C, H, W] or [B, C, T, H, W]. Raises ImageError for anything else."""
    if not isinstance(latent, Mapping) or "samples" not in latent:
        raise ImageError(f"The {label} is {latent!r}, no latent. Connect what VAE Encode or a sampler gives.")
    samples = latent["samples"]
    if samples.is_nested:
        raise ImageError(
            f"The {label} holds a video and its sound together. Separate them (LTXV Separate AV Latent) and connect the video."
        )
    check_latent(samples, label)
    return samples


def latent_strength_input() -> io.Input:
    return strength_input(
        "How far the statistics move. 1 (default) is all the way to the style's; lower stops earlier, 0 changes nothing; "
        "higher goes beyond."
    )


def scope_input() -> io.Input:
    return io.Combo.Input(
        "frames",
        options=list(get_args(Scope)),
        default=get_args(Scope)[0],
        tooltip="What has statistics of its own. each frame (default): every picture of a batch and every frame of a video, so that none "
        "drifts. whole clip: all frames together, so that their differences stay; a batch of pictures then counts as one clip.",
    )

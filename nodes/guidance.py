"""AdaIN Guidance: steers a diffusion model's moments towards a style while it samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..adain import ImageError, StyleError
from ..adain.latents import Scope, blended_statistics, frames_of, move
from .latent import from_latent, latent_strength_input, scope_input
from .sockets import CATEGORY, ImageOut, chosen, from_mask, linked, weight_input, weighted

_MAX_STYLES = 8

_SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda passed: 1.0,
    "fade out": lambda passed: 1 - passed,
    "fade in": lambda passed: passed,
    "rise and fall": lambda passed: 1 - abs(2 * passed - 1),
}
"""The share of the strength when a share of the way from start to end has passed."""


class GuideModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_Guidance",
            display_name="AdaIN Guidance",
            category=CATEGORY,
            description="Steers a diffusion model while it samples: at each step its picture so far is given the mean and contrast of "
            "a style picture's latent, channel by channel. Works with any model and sampler, beside LoRA, ControlNet and other patches.",
            search_aliases=["style guidance", "adain sampling", "color guidance", "style reference", "latent style", "guidance patch"],
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, patched or not. It is not changed: the output is a copy."),
                io.DynamicCombo.Input(
                    "styles",
                    options=[io.DynamicCombo.Option(str(count), _style_slots(count)) for count in range(1, _MAX_STYLES + 1)],
                    tooltip="How many styles are mixed; each has a socket and a weight. 1 by default.",
                ),
                latent_strength_input(),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="When the guidance begins, as a share of the denoising. 0 (default) is the start; higher leaves the first, "
                    "rough shapes to the model.",
                ),
                io.Float.Input(
                    "end",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="When it ends. 1 (default) is the last step, so that the result has the style's statistics; lower leaves "
                    "the last, fine details to the model.",
                ),
                io.Combo.Input(
                    "schedule",
                    options=list(_SCHEDULES),
                    default="constant",
                    tooltip="The strength between start and end. constant (default): the same. fade out: from all of it to none. fade in: "
                    "from none to all. rise and fall: most in the middle.",
                    advanced=True,
                ),
                scope_input(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Which part of the picture is measured and steered, in white. Not connected (default): all. Any size; chain "
                    "several AdaIN Guidance, each with a mask, for a style in each region.",
                ),
            ],
            outputs=[io.Model.Output("result", display_name="model", tooltip="For KSampler, or another AdaIN Guidance or patch.")],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        strength: float,
        start: float,
        end: float,
        schedule: str,
        frames: Scope,
        mask: Tensor | None = None,
        styles: Mapping[str, Any] | None = None,
        **beyond: Any,
    ) -> ImageOut:
        if start > end:
            raise StyleError(f"The guidance starts at {start:g} and ends at {end:g}. Let it start before it ends.")
        links, weights = weighted(styles, beyond, 1, _MAX_STYLES)
        weights = weights if styles and styles["styles"] != "1" else [1.0] * len(links)
        latents = [from_latent(link, "style latent") for link in links]
        model = linked(model, "model", StyleError)
        for latent in latents:
            _check_channels(latent, model.get_model_object("latent_format"))
        blended_statistics(latents, weights)  # the sentence for unusable weights comes from this node, not from the sampler
        patched = model.clone()
        patched.set_model_sampler_post_cfg_function(
            Guidance(latents, weights, strength, start, end, _SCHEDULES[chosen(schedule, _SCHEDULES, "schedule")], frames, from_mask(mask))
        )
        return io.NodeOutput(patched)


@dataclass(frozen=True, eq=False)
class Guidance:
    """A post-CFG function: moves the denoised prediction's moments. Holds no state between steps."""

    styles: list[Tensor]
    """Latents, as a VAE gives them."""
    weights: list[float]
    strength: float
    start: float
    end: float
    schedule: Callable[[float], float]
    scope: Scope
    mask: Tensor | None

    def __call__(self, args: Mapping[str, Any]) -> Tensor:
        denoised, model = args["denoised"], args["model"]
        if denoised.ndim not in (4, 5):
            raise ImageError(
                f"The model samples latents of the shape {list(denoised.shape)}: sound, or video and sound in one. "
                "AdaIN Guidance steers pictures and video alone; AdaIN Latent can follow, on the video separated from the sound."
            )
        strength = self.strength * self._share(model.model_sampling, float(args["sigma"].max()))
        if not strength:
            return denoised
        # Measured anew at each step, which costs little: patches after this one may have changed the latent format.
        target = blended_statistics([_to_model_space(style, model) for style in self.styles], self.weights)
        return move(denoised, target, strength, scope=self.scope, mask=self.mask)

    def _share(self, sampling: Any, sigma: float) -> float:
        """The schedule's share of the strength at noise level `sigma`; 0 before the start and after the end."""
        first, last = (sampling.percent_to_sigma(percent) for percent in (self.start, self.end))
        if not last <= sigma <= first:
            return 0.0
        # The inverse of percent_to_sigma, which every kind of model has, by bisection.
        low, high = self.start, self.end
        while high - low > 1e-4:
            middle = (low + high) / 2
            low, high = (middle, high) if sampling.percent_to_sigma(middle) > sigma else (low, middle)
        return self.schedule((low - self.start) / (self.end - self.start) if self.end > self.start else 0.0)


def _style_slots(count: int) -> list[io.Input]:
    slots: list[io.Input] = []
    for i in range(1, count + 1):
        slots.append(
            io.Latent.Input(
                f"style_{i}",
                optional=count > 1,
                tooltip="The style: VAE Encode of any picture, of any size, with the model's own VAE. Several pictures or frames "
                "are one style together.",
            )
        )
        # Also beside a single style, where it does not matter: the page cannot make a choice that shows sockets and no widget.
        slots.append(weight_input(i, " With one style it does not matter."))
    return slots


def _to_model_space(latent: Tensor, model: Any) -> Tensor:
    """`latent`, as a VAE gives it, as `model` sees latents: with the dimensions, scale and offset of its own."""
    video = model.latent_format.latent_dimensions == 3
    latent = frames_of(latent) if not video else latent[:, :, None] if latent.ndim == 4 else latent
    return model.process_latent_in(latent)


def _check_channels(latent: Tensor, latent_format: Any) -> None:
    size = [1] * latent_format.latent_dimensions
    # Not latent_channels itself: some formats put two frames of the VAE into one.
    expected = latent_format.process_out(torch.zeros(1, latent_format.latent_channels, *size)).shape[1]
    if latent.shape[1] != expected:
        raise StyleError(
            f"The style latent has {latent.shape[1]} channels and the model's latents have {expected}. "
            "Encode the style picture with the model's own VAE."
        )

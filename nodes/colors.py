"""Match Colors."""

from __future__ import annotations

from collections.abc import Callable

import comfy.model_management as mm
import torch
from comfy_api.latest import io
from torch import Tensor

from ..adain import ImageError
from ..adain.affine import affine
from ..adain.checks import check_image
from ..adain.color import keep_colors
from ..adain.errors import counted
from ..adain.media.images import Picture
from ..adain.media.transparency import usable
from ..adain.moments import Statistics, channel_moments, color_statistics
from .frames import Reporter
from .sockets import CATEGORY, ImageOut, chosen, from_image, to_image


def _covariance(image: Picture, reference: Picture) -> Tensor:
    return _moved(image, reference, color_statistics)


def _channels(image: Picture, reference: Picture) -> Tensor:
    return _moved(image, reference, lambda rgb, seen: channel_moments(rgb, seen).statistics())


def _chroma(image: Picture, reference: Picture) -> Tensor:
    return keep_colors(_covariance(image, reference), image.rgb)


def _moved(image: Picture, reference: Picture, measure: Callable[[Tensor, Tensor | None], Statistics]) -> Tensor:
    """The `image` moved to what `measure` finds in the `reference`; in both, what is transparent does not count."""
    return affine(measure(image.rgb, image.alpha), measure(reference.rgb, reference.alpha))(image.rgb).clamp(0, 1)


_METHODS = {"covariance": _covariance, "channels": _channels, "chroma": _chroma}


class MatchColors(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_MatchColors",
            display_name="Match Colors (AdaIN)",
            category=CATEGORY,
            description="Gives an image the overall colours of another. Useful after any diffusion output; needs no model.",
            search_aliases=["color match", "color transfer", "colour match", "color grading", "match palette", "reinhard"],
            inputs=[
                io.Image.Input("image", tooltip="What gets new colours: one picture or a batch. Transparency is kept as it is."),
                io.Image.Input("reference", tooltip="Whose colours are wanted, of any size: one picture for all, or one per image."),
                io.Combo.Input(
                    "method",
                    options=list(_METHODS),
                    default="covariance",
                    tooltip="covariance (default): red, green and blue moved together, so that hues turn too. channels: mean and contrast "
                    "of each alone, milder. chroma: as covariance, but the image's own light and dark stay.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    display_mode=io.NumberDisplay.slider,
                    tooltip="How far the colours move. 1 (default) is all the way to the reference; lower stays nearer to the "
                    "image, 0 changes nothing.",
                ),
            ],
            outputs=[io.Image.Output("result", display_name="image", tooltip="The image in the reference's colours.")],
        )

    @classmethod
    def execute(cls, image: Tensor, reference: Tensor, method: str, strength: float) -> ImageOut:
        rgb, alpha = from_image(image)
        target, target_alpha = from_image(reference, "reference")
        rgb, target = check_image(rgb, "image"), check_image(target, "reference")
        if len(target) not in (1, len(rgb)):
            raise ImageError(f"There are {len(target)} references for {counted(len(rgb), 'image')}. Give one, or one for each image.")
        report = Reporter(len(rgb))
        out = torch.empty_like(rgb)
        for i in range(len(rgb)):
            mm.throw_exception_if_processing_interrupted()
            frame, there = _row(rgb, alpha, i), _row(target, target_alpha, min(i, len(target) - 1))
            matched = _METHODS[chosen(method, _METHODS, "method")](frame, there)
            out[i] = torch.lerp(frame.rgb, matched, strength)[0]
            report(i + 1, out[i : i + 1])
        return io.NodeOutput(to_image(out, alpha))


def _row(rgb: Tensor, alpha: Tensor | None, i: int) -> Picture:
    """The picture `i` of a batch, with its alpha as it is meant."""
    return Picture(rgb[i : i + 1].float(), None if alpha is None else usable(alpha[i : i + 1].float()))

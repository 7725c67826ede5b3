"""RandomStyle: pictures painted at random in random styles, so that what is trained on them relies on shapes, not on textures."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from ..adain.affine import MOST_STRENGTH
from ..adain.color import ColorMode
from ..adain.errors import StyleError
from ..adain.media.images import Picture
from ..adain.model import StyleTransferModel
from ..adain.style import Style
from ..adain.style_set import StyleDistribution, joined, taken
from ..adain.stylize import stylize
from ..weights import load_model, load_preset, preset_names
from . import images


class RandomStyle(v2.Transform):
    """Paint pictures with probability `p` in a style drawn at random, by torch's generator.

    A transform of torchvision's v2: PIL images, uint8 and float (0..1) tensors [..., C, H, W], videos; boxes, masks and labels pass
    untouched. Put it after random crops and before `v2.Normalize`. Each picture of a batch has a style of its own, the frames of a video
    share one, and so do several images in one sample. Size, dtype, device, channels and alpha stay as they are.

    `strength` is a number in 0..2 or the range (low, high) that one is drawn from for each sample. `styles` are names of presets and Styles
    (default: every preset); with `sampled` they are not taken themselves, but new ones like them are drawn from the normal distribution of
    their statistics (style augmentation, Jackson et al. 2019), which needs two or more. `color` is as for `stylize`.
    `model` is what `load_model` takes, on `device`: the CPU, unless batches are augmented outside of loader workers.

    It is pickled and copied without the network, which every process loads for itself on the first picture.
    Raises StyleError, ModelError or ImageError for what cannot be used.
    """

    def __init__(
        self,
        p: float = 0.5,
        strength: float | tuple[float, float] = 1.0,
        styles: Sequence[str | Style] | None = None,
        *,
        sampled: bool = False,
        color: ColorMode = "style",
        model: str | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise StyleError(f"The probability p is {p}. It must lie between 0 (never) and 1 (always).")
        low, high = (strength, strength) if isinstance(strength, int | float) else strength
        if not 0 <= low <= high <= MOST_STRENGTH:
            raise StyleError(
                f"The strength is {strength}. Give a number in 0..{MOST_STRENGTH:g}, or two such numbers, the lower one first."
            )
        if color not in get_args(ColorMode):
            raise StyleError(f"The colour mode {color!r} is unknown. Choose one of {', '.join(get_args(ColorMode))}.")
        self.p, self.strength, self.sampled = p, (low, high), sampled
        self.color: ColorMode = color
        self.model, self.device = model, str(device)
        network = _loaded(model, self.device)
        given = [styles] if isinstance(styles, str | Style) else preset_names() if styles is None else styles
        self._styles = joined([load_preset(network, style) if isinstance(style, str) else style for style in given]).to("cpu")
        network.check_style(self._styles)
        self._distribution = StyleDistribution(self._styles) if sampled else None

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw which pictures of a sample are painted, how strongly and in which styles."""
        most = max((images.count(image) for image in flat_inputs if images.is_image(image)), default=0)
        low, high = self.strength
        painted = torch.rand(most) < self.p
        strength = low + (high - low) * float(torch.rand(1))
        return {"painted": painted, "strength": strength, "styles": self._draw(most) if painted.any() else None}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The image `inpt` painted as drawn, or itself."""
        if not images.is_image(inpt):
            return inpt
        rows = params["painted"][: images.count(inpt)].nonzero().flatten()
        if not len(rows):
            return inpt
        styles = taken(params["styles"], rows.tolist())
        picture = images.to_picture(inpt)
        if isinstance(inpt, tv_tensors.Video):  # one style for all frames of a clip
            frames = len(picture.rgb) // images.count(inpt)
            styles = taken(styles, torch.arange(len(rows)).repeat_interleave(frames).tolist())
            rows = (rows[:, None] * frames + torch.arange(frames)).flatten()
        return images.like(inpt, self._painted(picture, rows, styles, params["strength"]))

    def _draw(self, count: int) -> Style:
        if self._distribution is not None:
            return self._distribution.sample(count)
        return taken(self._styles, torch.randint(len(self._styles), (count,)).tolist())

    def _painted(self, picture: Picture, rows: torch.Tensor, styles: Style, strength: float) -> Picture:
        network = _loaded(self.model, self.device)
        own = images.chosen(picture, rows)
        made = stylize(network, own, styles.to(network.device), strength=strength, color=self.color)
        rgb = picture.rgb.clone()
        rgb[rows] = made
        return replace(picture, rgb=rgb)


@functools.lru_cache(maxsize=4)
def _loaded(model: str | None, device: str) -> StyleTransferModel:
    """The network of this process; children that are forked have that of their parent."""
    return load_model(model, device).eval()

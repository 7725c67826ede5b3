"""FeatureNetwork: an encoder and the levels at which it measures a style."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .area import Area, plan
from .checks import check_image, check_mask
from .content import ContentMoments, Union
from .errors import ImageError, StyleError
from .media.images import Picture
from .media.transparency import usable
from .memory import free_memory, keep_freed_pages
from .moments import Moments, Statistics, channel_moments, color_moments, color_statistics
from .resample import at_short_side, resize
from .style import Style
from .tile_policy import TilePolicy


class FeatureNetwork(nn.Module):
    """Base of every network that sees pictures: of those that paint, and of the one that judges. Subclasses say what they are like in the
    attributes below, have an `encoder` and define `encode`."""

    architecture: ClassVar[str]
    """Name in the registry and in file metadata."""
    stride: ClassVar[int]
    """Height and width are padded to a multiple of this before `encode`."""
    level_strides: ClassVar[tuple[int, ...]]
    """Downsampling of each feature map that `encode` returns."""
    level_channels: tuple[int, ...]
    """Channels of each feature map that `encode` returns."""
    encoder_halo: ClassVar[int]
    """Pixels around an area, a multiple of `stride`, that its features depend on."""
    halo: ClassVar[int]
    """Pixels around an area, a multiple of `stride`, that all that is made of it depends on."""
    values_per_pixel: ClassVar[int]
    """Numbers alive at once for each pixel: what the largest layers hold, with room for the convolutions' workspace."""
    color: ClassVar[bool] = False
    """Whether level 0, the colours of the image itself, is matched before the encoder."""
    correction: int = 0
    """1 for networks trained with the unbiased standard deviation."""
    encoder: nn.Module
    tiling: TilePolicy = TilePolicy()
    """How pictures are cut into tiles."""

    fingerprint: str = ""
    """Hash of the encoder's stored weights; set by `seal`, remembered by every Style."""
    name: str = ""
    """Where the weights came from, for messages."""

    def __init__(self) -> None:
        super().__init__()
        keep_freed_pages()

    def encode(self, image: Tensor) -> list[Tensor]:
        """Feature maps, of `dtype`, at every level of `image` [B, 3, H, W] of any precision, H and W multiples of `stride`."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the network computes in, but for layers that need more; statistics are float32 or better whatever it is."""
        return next(self.parameters()).dtype

    def tile_side(self, size: torch.Size, memory: int | None = None) -> int:
        """The side of the tiles in which a picture of `size` (height, width) is best painted; one that covers it for in one piece.

        `memory` is what the device has free, in bytes (default: what torch says).
        """
        if self.device.type == "cpu":
            return self.tiling.side if math.prod(size) > self.tiling.whole else max(size)
        pixels = (free_memory(self.device) if memory is None else memory) // (self.values_per_pixel * self.dtype.itemsize)
        return max(size) if math.prod(size) <= pixels else max(self.tiling.least, math.isqrt(pixels) - 2 * self.halo)

    def seal(self) -> None:
        """Record the fingerprint of the encoder's weights. Call once, after loading and before any conversion."""
        digest = hashlib.sha256(self.architecture.encode())
        for key, value in sorted(self.encoder.state_dict().items()):
            digest.update(key.encode())
            digest.update(value.float().cpu().numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def check_style(self, style: Style) -> None:
        """Raise StyleError unless `style` was measured by this model's encoder, at every level."""
        style.check_made_for(self.fingerprint, self.architecture)
        found = [(level.mean.shape[1], level.std.ndim == 3) for level in style.levels]
        needed = [(3, True)] * self.color + [(channels, False) for channels in self.level_channels]
        if found != needed:
            channels = " + ".join(str(count) for count, _ in found)
            raise StyleError(
                f"The style {style.name!r} is incomplete: it holds statistics of {channels} channels, and the {self.architecture} model "
                f"needs {' + '.join(str(count) for count, _ in needed)}. Save the style again."
            )

    def padded(self, size: torch.Size) -> torch.Size:
        """Height and width of what `pad` makes of an image of `size`."""
        # Reflection inside the network needs at least two samples at the coarsest level.
        return torch.Size(max(2 * self.stride, -(-n // self.stride) * self.stride) for n in size)

    def pad(self, image: Tensor) -> Tensor:
        """`image` grown at the right and bottom to a multiple of `stride`: reflected, then repeated where too small."""
        height, width = image.shape[-2:]
        bottom, right = (padded - n for padded, n in zip(self.padded(image.shape[-2:]), (height, width), strict=True))
        if bottom or right:
            reflect = (0, min(right, width - 1), 0, min(bottom, height - 1))
            image = F.pad(image, reflect, mode="reflect")
            image = F.pad(image, (0, right - reflect[1], 0, bottom - reflect[3]), mode="replicate")
        return image

    def measure(self, features: Sequence[Tensor], size: torch.Size, mask: Tensor | None = None) -> list[Moments]:
        """Moments of padded `features` over the part that shows the image of `size` (height, width).

        `mask` [B or 1, 1, height, width] weighs the pixels.
        """
        moments = []
        for feature, stride in zip(features, self.level_strides, strict=True):
            height, width = (-(-n // stride) for n in size)
            level_mask = None if mask is None else F.avg_pool2d(mask, stride, ceil_mode=True, count_include_pad=False)
            moments.append(channel_moments(feature[:, :, :height, :width], level_mask))
        return moments

    @torch.inference_mode()
    def encode_style(self, image: Tensor | Picture, mask: Tensor | None = None, size: int = 0, name: str = "") -> Style:
        """The Style of `image` [S, 3, H, W] in 0..1: one style per image of the batch. Pixels of a Picture count by their alpha.

        `mask` [S or 1, 1, h, w] in 0..1 says which part of the image is the style. `size` is the short side in pixels
        to which the image is scaled first (0: as it is); smaller gives finer strokes. Large images are measured in tiles, with the
        result that they have in one piece. Raises ImageError for bad tensors.
        """
        alpha = None
        if isinstance(image, Picture):
            image, alpha = image.rgb, image.alpha
        image = check_image(image, "style image")
        if mask is not None:
            mask = check_mask(mask, "style mask", len(image))
        if size < 0:
            raise ImageError(f"The style size {size} is negative. Give the short side in pixels, or 0 for as it is.")
        image = resize(image, at_short_side(image.shape[-2:], size))
        if mask is not None:
            mask = resize(mask.to(self.device), image.shape[-2:])
        if alpha is not None and (alpha := usable(check_mask(alpha, "alpha", len(image)))) is not None:
            alpha = resize(alpha.to(self.device), image.shape[-2:])
            mask = alpha if mask is None else mask * alpha
        if mask is not None and not (mask.amax((1, 2, 3)) > 0).all():
            raise ImageError(
                "The style mask is black everywhere, or wherever the picture is not transparent, so no style is left. "
                "Paint the part to use in white."
            )
        singles = []
        for i in range(len(image)):
            single_mask = None if mask is None else mask[min(i, len(mask) - 1)][None]
            singles.append(self._style_of(image[i : i + 1], single_mask))
        levels = tuple(Statistics.cat(level) for level in zip(*singles, strict=True))
        return Style(levels, self.fingerprint, self.architecture, name)

    def _style_of(self, image: Tensor, mask: Tensor | None) -> list[Statistics]:
        """`statistics_of` one image of any size, on any device."""
        size = image.shape[-2:]
        union = Union()
        for tile in plan(Area.whole(size), self.tile_side(size), self.stride):
            outer = tile.grown(self.encoder_halo, size)
            inner = tile.inside(outer)
            seen = outer.of(image).to(self.device).contiguous()  # one order of summation, whatever the layout in memory
            own_mask = None if mask is None else tile.of(mask)
            colors = (color_moments(inner.of(seen), own_mask),) if self.color else ()
            features = self.encode(self.pad(seen).contiguous(memory_format=torch.channels_last))
            own = [inner.at(stride).of(feature) for feature, stride in zip(features, self.level_strides, strict=True)]
            union.add(ContentMoments(colors, (tuple(self.measure(own, tile.size, own_mask)),)))
        (levels,) = union.of(self.device, image).levels
        return [m.statistics(0 if self.color and not i else self.correction) for i, m in enumerate(levels)]

    def statistics_of(self, image: Tensor, mask: Tensor | None = None) -> list[Statistics]:
        """Statistics of every level of `image` [B, 3, H, W], level 0 first if the model has it; differentiable."""
        levels = [color_statistics(image, mask)] if self.color else []
        features = self.encode(self.pad(image).contiguous(memory_format=torch.channels_last))
        return levels + [m.statistics(self.correction) for m in self.measure(features, image.shape[-2:], mask)]


def encode_by(
    networks: Sequence[FeatureNetwork], image: Tensor | Picture, mask: Tensor | None = None, size: int = 0, name: str = ""
) -> Style:
    """The Style of `image` as the first of `networks` measures it, with what the rest do in `Style.others`; the rest as `encode_style`."""
    own, *others = (network.encode_style(image, mask, size, name) for network in networks)
    return replace(own, others=tuple(others))

"""The pipeline: colours -> encode -> moments -> affine -> decode, in two passes that can be taken apart.

The first measures the content's moments, the second paints with them. They can come from more than is painted at once: from the
whole picture for a tile, from the frames around for a frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .affine import RegionalAffine, RegionWeights, affine
from .aim import Aim, mixed
from .area import Area
from .content import ContentMoments
from .features import FeatureMaps
from .model import StyleTransferModel
from .moments import Statistics, color_moments


@dataclass(frozen=True)
class Encoded:
    """Pictures half way through the network."""

    padded: Tensor
    """The recoloured pictures, grown to a multiple of the stride."""
    maps: FeatureMaps


@dataclass(frozen=True)
class Painter:
    """A model and what it aims at. All that it does is differentiable, so training uses it too."""

    model: StyleTransferModel
    aim: Aim

    def crop(self, area: Area) -> Painter:
        """The Painter of a part of the pictures."""
        return replace(self, aim=self.aim.crop(area))

    def render(self, images: Tensor) -> Tensor:
        """The network's picture, not clamped, of `images` [B, 3, H, W]: `paint` with what `measure` finds, but encoded only once."""
        return self.rendered(images)[0]

    def rendered(self, images: Tensor) -> tuple[Tensor, ContentMoments]:
        """What `render` gives, and the moments it was painted with."""
        colors = self.measure_colors(images)
        encoded = self.encode(images, colors)
        content = self.measure_features(encoded, colors)
        return self._decode(encoded, content), content

    def measure(self, images: Tensor) -> ContentMoments:
        """First pass: the moments of `images` in each region.

        Those of the features are those of the recoloured picture (where the model matches colours), so they depend on the aim.
        """
        colors = self.measure_colors(images)
        return self.measure_features(self.encode(images, colors), colors)

    def measure_colors(self, images: Tensor) -> ContentMoments:
        """The beginning of `measure`: the moments of the colours, or nothing if the model does not match them."""
        if not self.model.color:
            return ContentMoments(())
        with torch.autocast(images.device.type, enabled=False):
            return ContentMoments(tuple(color_moments(images, mask) for mask in self.aim.measured))

    def encode(self, images: Tensor, content: ContentMoments, maps: FeatureMaps | None = None) -> Encoded:
        """Recolour `images` by the colours of `content`, if the model does that, and encode them, unless their `maps` are known."""
        if self.model.color:
            with torch.autocast(images.device.type, enabled=False):
                # Far outside the gamut the network has seen nothing; half a range is enough for its residual to correct.
                images = self.aim.recolor(content)(images).clamp_(-0.5, 1.5)
        padded = self.model.pad(images)
        if maps is None:
            features = self.model.encode(padded.contiguous(memory_format=torch.channels_last))
            maps = FeatureMaps(images.shape[-2:], self.model.level_strides, features)
        return Encoded(padded, maps)

    def measure_features(self, encoded: Encoded, colors: ContentMoments, area: Area | None = None) -> ContentMoments:
        """The end of `measure`: `colors` and the moments of the features in an `area`, of multiples of the stride (default: all)."""
        area = area or Area.whole(encoded.maps.size)
        features = encoded.maps.view(area).maps
        masks = [None if mask is None else area.of(mask) for mask in self.aim.measured]
        return replace(colors, features=tuple(tuple(self.model.measure(features, area.size, mask)) for mask in masks))

    def paint(self, images: Tensor, content: ContentMoments, maps: FeatureMaps | None = None) -> Tensor:
        """Second pass: the picture, not clamped, of `images` [B, 3, H, W] whose moments are said to be `content`.

        `maps` are the features of `images`, if they were kept from the first pass, the last of them `prepare`d or not.
        """
        return self._decode(self.encode(images, content, maps), content)

    def prepare(self, coarsest: Tensor, content: ContentMoments) -> Tensor:
        """The first half of decoding, `StyleTransferModel.prepare`, from the `coarsest` features of pictures of moments `content`."""
        maps, modulations = self._affine_maps(content)
        return self.model.prepare(maps[-1](coarsest), modulations)

    def _decode(self, encoded: Encoded, content: ContentMoments) -> Tensor:
        maps, modulations = self._affine_maps(content)
        *finer, coarsest = encoded.maps.maps
        styled = [to_style(feature) for to_style, feature in zip(maps[:-1], finer, strict=True)]
        styled.append(coarsest if encoded.maps.prepared else self.model.prepare(maps[-1](coarsest), modulations))
        picture = self.model.finish(encoded.padded, styled, modulations)
        if self.model.color:
            # Without contrast there is nothing to draw, and the network was never shown that: its colours are all.
            shares = None if self.aim.shares is None else self.model.pad(self.aim.shares)
            drawn = mixed([reach.std for reach in self.aim.reached(content)], shares)
            picture = picture if drawn is None else torch.lerp(encoded.padded, picture, drawn.to(picture))
        return Area.whole(encoded.maps.size).of(picture)

    def _affine_maps(self, content: ContentMoments) -> tuple[list[RegionalAffine], list[RegionalAffine]]:
        """The maps of the feature levels, and those of the decoder's own layers."""
        weights = None if self.aim.shares is None else RegionWeights(self.model.pad(self.aim.shares))
        levels = [self._pairs(content, level) for level in range(len(self.aim.levels[0]))]
        maps = [RegionalAffine([affine(own, aim) for own, aim in pairs], weights) for pairs in levels[int(self.model.color) :]]
        per_region = [self.model.modulate([aim for _, aim in pairs]) for pairs in zip(*levels, strict=True)]
        return maps, [RegionalAffine(regions, weights) for regions in zip(*per_region, strict=True)]

    def _pairs(self, content: ContentMoments, level: int) -> list[tuple[Statistics, Statistics]]:
        """The content's statistics and those to reach at a level, for each region."""
        with torch.autocast(self.model.device.type, enabled=False):
            return self.aim.pairs(content, level, 0 if self.model.color and not level else self.model.correction)

"""The network's work on a picture in two passes: measuring the content's moments, painting with them.

`render` does both on what it is given. Taken apart, the moments can come from more than is painted at once: from the whole image
for a tile, from the frames around for a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .affine import RegionalAffine, RegionWeights, affine
from .coverage import Coverage
from .model import StyleTransferModel
from .moments import Moments, Statistics, color_moments
from .reach import Reach

Targets = Sequence[Sequence[Statistics]]
"""For each region, the style's statistics at every level."""

Content = Sequence[Sequence[Moments]]
"""For each region, the moments of the content at every level: level 0 first if the model has it."""

Adjust = Callable[[int, list[Moments]], list[Moments]]
"""Called as `adjust(level, moments)` with the measured moments of each region; returns those to use, e.g. smoothed over frames.
A level is adjusted before the next is measured."""

Interior = tuple[slice, slice]
"""Rows and columns of an image, from multiples of the stride to such or to the image's end."""


def render(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    coverage: Coverage | None = None,
    strength: float | Tensor = 1.0,
    adjust: Adjust | None = None,
) -> Tensor:
    """The network's picture, not clamped, for `images` [B, 3, H, W]; differentiable, so training uses it too.

    It is `paint` with what `measure` finds, but encodes only once. `coverage` says where each region applies (None: one region,
    everywhere). `strength` blends each target with the content's own statistics, which is the paper's
    interpolation of features. `adjust` may replace what was measured, level by level: see `Adjust`.
    """
    return render_measured(model, images, targets, coverage, strength, adjust)[0]


def render_measured(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    coverage: Coverage | None = None,
    strength: float | Tensor = 1.0,
    adjust: Adjust | None = None,
) -> tuple[Tensor, Content]:
    """What `render` gives, and the moments it was painted with."""
    colors = measure_colors(model, images, coverage, adjust)
    encoded = encode(model, images, colors, targets, coverage, strength)
    content = measure_features(model, encoded, colors, coverage, adjust)
    return _decode(model, encoded, content, targets, coverage, strength), content


def measure(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    coverage: Coverage | None = None,
    strength: float | Tensor = 1.0,
    adjust: Adjust | None = None,
) -> Content:
    """First pass: the moments of every level of `images`, for each region. Arguments as for `render`.

    The feature levels are those of the recoloured image (where the model matches colours), so they depend on `targets`.
    """
    colors = measure_colors(model, images, coverage, adjust)
    return measure_features(model, encode(model, images, colors, targets, coverage, strength), colors, coverage, adjust)


def measure_colors(model: StyleTransferModel, images: Tensor, coverage: Coverage | None = None, adjust: Adjust | None = None) -> Content:
    """Level 0 of `measure`: for each region the moments of the colours, or nothing if the model does not match them."""
    if not model.color:
        return [[] for _ in _masks(coverage)]
    with torch.autocast(images.device.type, enabled=False):
        moments = [color_moments(images, mask) for mask in _masks(coverage)]
    return [[m] for m in (adjust(0, moments) if adjust else moments)]


class Encoded(NamedTuple):
    """Images on their way through the network, between `encode` and `decode`."""

    size: torch.Size
    """Height and width of the image."""
    padded: Tensor
    """The recoloured image, grown to a multiple of the stride."""
    features: Sequence[Tensor]


def encode(
    model: StyleTransferModel,
    images: Tensor,
    colors: Content,
    targets: Targets,
    coverage: Coverage | None = None,
    strength: float | Tensor = 1.0,
    features: Sequence[Tensor] | None = None,
) -> Encoded:
    """Recolour `images` by level 0 of `colors`, if the model has it, and encode them, unless their `features` are known."""
    if model.color:
        with torch.autocast(images.device.type, enabled=False):
            maps = [affine(own, aim) for own, aim in _pairs(model, colors, targets, 0, strength)]
            recolor = RegionalAffine(maps, _shared(coverage))
            # Far outside the gamut the network has seen nothing; half a range is enough for its residual to correct.
            images = recolor(images).clamp_(-0.5, 1.5)
    padded = model.pad(images)
    if features is None:
        features = model.encode(padded.contiguous(memory_format=torch.channels_last))
    return Encoded(images.shape[-2:], padded, features)


def measure_features(
    model: StyleTransferModel,
    encoded: Encoded,
    colors: Content,
    coverage: Coverage | None = None,
    adjust: Adjust | None = None,
    interior: Interior | None = None,
) -> Content:
    """The other levels of `measure`, after `colors`, over the `interior` of what was `encoded` (default: all)."""
    rows, columns = interior or (slice(0, encoded.size[0]), slice(0, encoded.size[1]))
    size = torch.Size((rows.stop - rows.start, columns.stop - columns.start))
    features = [f[:, :, rows.start // s :, columns.start // s :] for f, s in zip(encoded.features, model.level_strides, strict=True)]
    measured = [model.measure(features, size, None if mask is None else mask[:, :, rows, columns]) for mask in _masks(coverage)]
    if adjust:
        first = len(colors[0])
        levels = [adjust(first + i, list(level)) for i, level in enumerate(zip(*measured, strict=True))]
        measured = [list(region) for region in zip(*levels, strict=True)]
    return [[*color, *features] for color, features in zip(colors, measured, strict=True)]


def paint(
    model: StyleTransferModel,
    images: Tensor,
    content: Content,
    targets: Targets,
    coverage: Coverage | None = None,
    strength: float | Tensor = 1.0,
    features: Sequence[Tensor] | None = None,
    prepared: bool = False,
) -> Tensor:
    """Second pass: the picture, not clamped, of `images` [B, 3, H, W] whose moments are said to be `content`.

    They may be those of more than is seen here: of the whole image for a tile, of the frames around for a frame. `features` are those
    of `images`, padded, if they were kept from the first pass; the last of them may be what `prepare` made of it. Other arguments as
    for `render`.
    """
    encoded = encode(model, images, content, targets, coverage, strength, features)
    return _decode(model, encoded, content, targets, coverage, strength, prepared)


def prepare(
    model: StyleTransferModel,
    coarsest: Tensor,
    content: Content,
    targets: Targets,
    coverage: Coverage | None = None,
    strength: float | Tensor = 1.0,
) -> Tensor:
    """The first half of decoding, `StyleTransferModel.prepare`, from the `coarsest` features of images of moments `content`."""
    maps, modulations = _maps(model, content, targets, coverage, strength)
    return model.prepare(maps[-1](coarsest), modulations)


def _decode(
    model: StyleTransferModel,
    encoded: Encoded,
    content: Content,
    targets: Targets,
    coverage: Coverage | None,
    strength: float | Tensor,
    prepared: bool = False,
) -> Tensor:
    maps, modulations = _maps(model, content, targets, coverage, strength)
    *finer, coarsest = encoded.features
    styled = [to_style(feature) for to_style, feature in zip(maps[:-1], finer, strict=True)]
    styled.append(coarsest if prepared else model.prepare(maps[-1](coarsest), modulations))
    height, width = encoded.size
    picture = model.finish(encoded.padded, styled, modulations)
    if model.color:
        # Without contrast there is nothing to draw, and the network was never shown that: its colours are all.
        shares = None if coverage is None or coverage.shares is None else model.pad(coverage.shares)
        drawn = _mixed([reach.std for reach in _reached(content, targets)], shares)
        picture = picture if drawn is None else torch.lerp(encoded.padded, picture, drawn.to(picture))
    return picture[:, :, :height, :width]


def _maps(
    model: StyleTransferModel, content: Content, targets: Targets, coverage: Coverage | None, strength: float | Tensor
) -> tuple[list[RegionalAffine], list[RegionalAffine]]:
    """The maps of the feature levels, and those of the decoder's own layers."""
    regions = _shared(coverage, model.pad)
    levels = [_pairs(model, content, targets, level, strength) for level in range(len(targets[0]))]
    maps = [RegionalAffine([affine(own, aim) for own, aim in pairs], regions) for pairs in levels[int(model.color) :]]
    per_region = [model.modulate([aim for _, aim in pairs]) for pairs in zip(*levels, strict=True)]
    return maps, [RegionalAffine(region_maps, regions) for region_maps in zip(*per_region, strict=True)]


def _shared(coverage: Coverage | None, pad: Callable[[Tensor], Tensor] | None = None) -> RegionWeights | None:
    if coverage is None or coverage.shares is None:
        return None
    return RegionWeights(pad(coverage.shares) if pad else coverage.shares)


def _pairs(
    model: StyleTransferModel, content: Content, targets: Targets, level: int, strength: float | Tensor
) -> list[tuple[Statistics, Statistics]]:
    """The content's statistics and those to reach at a level, for each region."""
    correction = 0 if model.color and not level else model.correction
    with torch.autocast(model.device.type, enabled=False):
        own = [region[level].statistics(correction) for region in content]
        reached = _reached(content, targets)
        return [(o, reach.toward(o, target[level], strength)) for o, target, reach in zip(own, targets, reached, strict=True)]


def shown(content: Content, targets: Targets, coverage: Coverage | None, strength: float | Tensor) -> Tensor | None:
    """How much of what is painted is laid over images whose moments are `content`: [B, 1, H, W] or [B, 1, 1, 1]; None for all of it.

    It is what `coverage` shows, less where a region's style hardly reaches the picture, or its strength is low.
    """
    visible = _mixed([reach.shown(strength) for reach in _reached(content, targets)], None if coverage is None else coverage.shares)
    if coverage is None or visible is None:
        return visible if coverage is None else coverage.cover
    return visible * coverage.cover


def _reached(content: Content, targets: Targets) -> list[Reach]:
    """How far the style of each region reaches."""
    return [Reach.of(region[0], target[0]) for region, target in zip(content, targets, strict=True)]


def _mixed(parts: Sequence[Tensor], shares: Tensor | None) -> Tensor | None:
    """Numbers [B] of each region, mixed by their `shares` at each pixel: [B, 1, H, W] or [B, 1, 1, 1]; None if all are 1."""
    if all(bool((part == 1).all()) for part in parts):
        return None
    everywhere = torch.stack(torch.broadcast_tensors(*parts), 1)[:, :, None, None]
    return everywhere if shares is None else (shares * everywhere).sum(1, keepdim=True)


def _masks(coverage: Coverage | None) -> Sequence[Tensor | None]:
    return [None] if coverage is None else coverage.measured

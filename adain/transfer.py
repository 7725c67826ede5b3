"""The pipeline: colours -> encode -> moments -> affine -> decode, for pictures, batches and frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from .affine import RegionalAffine, RegionWeights, affine
from .color import ColorMode, apply_color_mode
from .errors import ImageError, StyleError
from .images import check_image, check_mask, resize
from .model import StyleTransferModel
from .moments import Moments, Statistics, blend, color_moments
from .style import Region, Style

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)` in frames; raise from it to stop."""

Targets = Sequence[Sequence[Statistics]]
"""For each region, the style's statistics at every level."""

Content = Sequence[Sequence[Moments]]
"""For each region, the moments of the content at every level: level 0 first if the model has it."""

Adjust = Callable[[int, list[Moments]], list[Moments]]
"""Called as `adjust(level, moments)` with the measured moments of each region; returns those to use, e.g. smoothed over frames.
A level is adjusted before the next is measured."""

PIXELS_PER_CHUNK = 2**21
"""Frames are processed together on a GPU up to this many pixels (eight of 512 x 512); beyond it, batches gain nothing."""


def stylize(
    model: StyleTransferModel,
    content: Tensor,
    style: Style | Sequence[Region],
    *,
    strength: float = 1.0,
    mask: Tensor | None = None,
    color: ColorMode = "style",
    chunk: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Paint `content` [B, 3, H, W], float RGB 0..1, in a style; the result has the same batch, size, dtype and device.

    `style` is one style for all, a batch of B styles (one per picture), or regions, each a style with its own mask.
    One picture with S styles gives S pictures. Pixels that no region covers take the base style (the Region without a mask),
    or stay as they are. `mask` [B or 1, 1, h, w] limits everything: where it is 0 the content is returned bit for bit,
    and masked-out pixels take no part in the moments. `strength` 0..1 is the paper's alpha (equation 14).
    `color` is "style", "keep" (content's colours, stylised luma) or "match" (stylised, then moved to the content's
    colour moments). `chunk` is the number of frames processed together (0: chosen).

    Raises ImageError for unusable tensors and StyleError for unusable styles, strengths and colour modes.
    """
    check_image(content, "content")
    if chunk < 0:
        raise ImageError(f"The chunk is {chunk} frames. Give how many to process together, or 0 to have it chosen.")
    regions = [Region(style)] if isinstance(style, Style) else list(style)
    count = check_request(model, content, regions, strength, color)
    weights = region_weights(regions, mask, content)
    styles = [region.style.to(model.device) for region in regions]

    out = torch.empty((count, *content.shape[1:]), dtype=content.dtype, device=content.device)
    chunk = chunk or _frames_per_chunk(model, content)
    for start in range(0, count, chunk):
        frames = slice(start, min(start + chunk, count))
        images = _rows(content, frames).to(model.device).contiguous()  # one order of summation, whatever the layout in memory
        chunk_weights = None if weights is None else _rows(weights, frames).to(images)
        targets = [[Statistics(_rows(s.mean, frames), _rows(s.std, frames)) for s in style.levels] for style in styles]
        out[frames] = _stylize_chunk(model, images, targets, chunk_weights, strength, color).to(out)
        if progress:
            progress(frames.stop, count)
    return out


@torch.inference_mode()
def _stylize_chunk(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    weights: Tensor | None,
    strength: float,
    color: ColorMode,
) -> Tensor:
    images = images if images.dtype == torch.float64 else images.float()
    stylized = render(model, images, targets, weights, strength).clamp(0, 1)
    covered = None if weights is None else weights.sum(1, keepdim=True)
    stylized = apply_color_mode(color, images, stylized, covered)
    stylized = stylized if covered is None else torch.lerp(images, stylized, covered)
    return stylized.clamp(0, 1)


def render(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    weights: Tensor | None = None,
    strength: float | Tensor = 1.0,
    adjust: Adjust | None = None,
) -> Tensor:
    """The network's picture, not clamped, for `images` [B, 3, H, W]; differentiable, so training uses it too.

    It is `paint` with what `measure` finds, but encodes only once. `weights` [B, K, H, W] says where each of K regions applies
    (None: one region, everywhere). `strength` blends each target with the content's own statistics, which is the paper's
    interpolation of features. `adjust` may replace what was measured, level by level: see `Adjust`.
    """
    colors = _measure_colors(model, images, weights, adjust)
    encoded = _encode(model, images, colors, targets, weights, strength)
    content = _measure_features(model, encoded, colors, weights, adjust)
    return _decode(model, encoded, content, targets, weights, strength)


def measure(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    weights: Tensor | None = None,
    strength: float | Tensor = 1.0,
    adjust: Adjust | None = None,
) -> Content:
    """First pass: the moments of every level of `images`, for each region. Arguments as for `render`.

    The feature levels are those of the recoloured image (where the model matches colours), so they depend on `targets`.
    """
    colors = _measure_colors(model, images, weights, adjust)
    encoded = _encode(model, images, colors, targets, weights, strength)
    return _measure_features(model, encoded, colors, weights, adjust)


def paint(
    model: StyleTransferModel,
    images: Tensor,
    content: Content,
    targets: Targets,
    weights: Tensor | None = None,
    strength: float | Tensor = 1.0,
) -> Tensor:
    """Second pass: the picture, not clamped, of `images` [B, 3, H, W] whose moments are said to be `content`.

    They may be those of more than is seen here: of the whole image for a tile, of the frames around for a frame. Other arguments
    as for `render`.
    """
    return _decode(model, _encode(model, images, content, targets, weights, strength), content, targets, weights, strength)


class _Encoded(NamedTuple):
    size: torch.Size
    """Height and width of the image."""
    colors: list[list[tuple[Statistics, Statistics]]]
    """`_pairs` of level 0, if the model has it."""
    padded: Tensor
    """The recoloured image, grown to a multiple of the stride."""
    features: list[Tensor]


def _encode(
    model: StyleTransferModel, images: Tensor, content: Content, targets: Targets, weights: Tensor | None, strength: float | Tensor
) -> _Encoded:
    """Recolour `images` by level 0 of `content`, if the model has it, and encode them."""
    colors = []
    if model.color:
        with torch.autocast(images.device.type, enabled=False):
            colors = [_pairs(content, targets, 0, strength, correction=0)]
            maps = [affine(own, aim) for own, aim in colors[0]]
            recolor = RegionalAffine(maps, None if weights is None else RegionWeights(_share(weights)))
            # Far outside the gamut the network has seen nothing; half a range is enough for its residual to correct.
            images = recolor(images).clamp(-0.5, 1.5)
    padded = model.pad(images)
    return _Encoded(images.shape[-2:], colors, padded, model.encode(padded.to(model.dtype, memory_format=torch.channels_last)))


def _decode(
    model: StyleTransferModel, encoded: _Encoded, content: Content, targets: Targets, weights: Tensor | None, strength: float | Tensor
) -> Tensor:
    regions = None if weights is None else RegionWeights(model.pad(_share(weights)))
    first = len(encoded.colors)
    levels = [_pairs(content, targets, first + i, strength, model.correction) for i in range(len(encoded.features))]
    styled = [
        RegionalAffine([affine(own, aim) for own, aim in pairs], regions)(feature)
        for pairs, feature in zip(levels, encoded.features, strict=True)
    ]
    per_region = [model.modulate([aim for _, aim in pairs]) for pairs in zip(*encoded.colors, *levels, strict=True)]
    modulations = [RegionalAffine(maps, regions) for maps in zip(*per_region, strict=True)]
    height, width = encoded.size
    return model.decode(encoded.padded, styled, modulations)[:, :, :height, :width]


def _measure_colors(model: StyleTransferModel, images: Tensor, weights: Tensor | None, adjust: Adjust | None) -> Content:
    """Level 0, if the model has it, for each region."""
    if not model.color:
        return [[] for _ in _masks(weights)]
    with torch.autocast(images.device.type, enabled=False):
        moments = [color_moments(images, mask) for mask in _masks(weights)]
    return [[m] for m in (adjust(0, moments) if adjust else moments)]


def _measure_features(
    model: StyleTransferModel, encoded: _Encoded, colors: Content, weights: Tensor | None, adjust: Adjust | None
) -> Content:
    """`colors` and the moments of every feature level, for each region."""
    measured = [model.measure(encoded.features, encoded.size, mask) for mask in _masks(weights)]
    if adjust:
        first = len(colors[0])
        levels = [adjust(first + i, list(level)) for i, level in enumerate(zip(*measured, strict=True))]
        measured = [list(region) for region in zip(*levels, strict=True)]
    return [[*color, *features] for color, features in zip(colors, measured, strict=True)]


def _pairs(
    content: Content, targets: Targets, level: int, strength: float | Tensor, correction: int
) -> list[tuple[Statistics, Statistics]]:
    """The content's statistics and those to reach at a level, for each region."""
    own = [region[level].statistics(correction) for region in content]
    return [(o, blend([o, target[level]], [1 - strength, strength])) for o, target in zip(own, targets, strict=True)]


def _masks(weights: Tensor | None) -> list[Tensor | None]:
    return [None] if weights is None else [*weights.split(1, 1)]


def _share(weights: Tensor) -> Tensor:
    """How the style at a pixel is shared among the regions, also where `weights` sum to less than 1 but not to 0."""
    total = weights.sum(1, keepdim=True)
    return weights / total.clamp_min(1e-6)


def region_weights(regions: Sequence[Region], mask: Tensor | None, content: Tensor) -> Tensor | None:
    """How much each region counts at each pixel of `content`: [B or 1, K, H, W], summing to at most 1; None for everywhere.

    Where masks overlap they are scaled to sum to 1; the base style takes the rest. Raises ImageError for a mask that is
    zero everywhere and StyleError for two base styles.
    """
    batch, size = len(content), content.shape[-2:]
    if sum(region.mask is None for region in regions) > 1:
        raise StyleError("Two regions have no mask. Only one base style can fill what the others leave: mask the rest.")
    if mask is None and all(region.mask is None for region in regions):
        return None
    masks = [None if r.mask is None else _usable_mask(r.mask, f"mask of region {i + 1}", batch, size) for i, r in enumerate(regions)]
    given = [m for m in masks if m is not None]
    limit = None if mask is None else _usable_mask(mask, "mask", batch, size)
    rows = max(len(m) for m in [*given, limit] if m is not None)
    total = sum((m.expand(rows, -1, -1, -1) for m in given), torch.zeros(rows, 1, *size, dtype=torch.float32))
    parts = [(1 - total).clamp_min(0) if m is None else (m / total.clamp_min(1)).expand(rows, -1, -1, -1) for m in masks]
    weights = torch.cat(parts, 1)
    return weights if limit is None else weights * limit


def _usable_mask(mask: Tensor, label: str, batch: int, size: torch.Size) -> Tensor:
    mask = resize(check_mask(mask, label, batch).cpu(), size)
    if not mask.amax() > 0:
        raise ImageError(f"The {label} is zero everywhere, so nothing would be stylised. Paint where the style applies in white.")
    return mask


def check_request(model: StyleTransferModel, content: Tensor, regions: Sequence[Region], strength: float, color: str) -> int:
    """The number of pictures that come out."""
    if not regions:
        raise StyleError("No style was given. Pass a Style or at least one Region.")
    if not 0 <= strength <= 1:
        raise StyleError(f"The strength is {strength}. It must lie between 0 (content only) and 1 (full style).")
    if color not in get_args(ColorMode):
        raise StyleError(f"The colour mode {color!r} is unknown. Choose one of {', '.join(get_args(ColorMode))}.")
    counts = {len(content)}
    for region in regions:
        region.style.check_made_for(model.fingerprint, model.architecture)
        counts.add(len(region.style))
    counts.discard(1)
    if len(counts) > 1:
        raise StyleError(
            f"{len(content)} pictures do not pair with styles in batches of {sorted(counts)}. Use 1 or as many styles as pictures."
        )
    return counts.pop() if counts else 1


def _rows(x: Tensor, rows: slice) -> Tensor:
    """`x[rows]`, where a batch of one stands for every row."""
    return x if len(x) == 1 else x[rows]


def _frames_per_chunk(model: StyleTransferModel, content: Tensor) -> int:
    # A CPU gains nothing from batches of pictures this size, and one frame at a time keeps its caches warm.
    if model.device.type == "cpu":
        return 1
    return max(1, PIXELS_PER_CHUNK // (content.shape[-2] * content.shape[-1]))

"""The pipeline: colours -> encode -> moments -> affine -> decode, for pictures, batches and frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import torch
from torch import Tensor

from .checks import check_image, check_mask
from .color import ColorMode, apply_color_mode, lay_over
from .coverage import Coverage, coverage_of
from .errors import ImageError, StyleError
from .media.images import Picture
from .media.transparency import usable
from .model import StyleTransferModel
from .moments import Statistics
from .pipeline import Targets, measure, paint, render, render_measured, shown
from .style import Region, Style
from .tiles import Tile, choose_side, plan
from .tiling.features import feature_maps, keeps
from .tiling.painter import Advance, match_tiles, measure_tiles, paint_tiles

__all__ = ["PIXELS_PER_CHUNK", "Progress", "measure", "paint", "render", "stylize"]

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)` in frames, or in tiles measured and painted; raise from it to stop."""

PIXELS_PER_CHUNK = 2**21
"""Frames are processed together on a GPU up to this many pixels (eight of 512 x 512); beyond it, batches gain nothing."""


def stylize(
    model: StyleTransferModel,
    content: Tensor | Picture,
    style: Style | Sequence[Region],
    *,
    strength: float = 1.0,
    mask: Tensor | None = None,
    color: ColorMode = "style",
    chunk: int = 0,
    tile: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Paint `content` [B, 3, H, W], float RGB 0..1, in a style; the result has the same batch, size, dtype and device.

    Pixels of a Picture count by their alpha in the moments; all are painted.

    `style` is one style for all, a batch of B styles (one per picture), or regions, each a style with its own mask.
    One picture with S styles gives S pictures. Pixels that no region covers take the base style (the Region without a mask),
    or stay as they are. `mask` [B or 1, 1, h, w] limits everything: where it is 0 the content is returned bit for bit,
    and masked-out pixels take no part in the moments. `strength` 0..1 is the paper's alpha (equation 14); at 0
    the content is returned, and near it more and more of it is laid over what the network makes. A picture with next to no contrast or
    light of its own takes as much less of the style (`reach`).
    `color` is "style", "keep" (content's colours, stylised luma) or "match" (stylised, then moved to the content's
    colour moments). `chunk` is the number of frames processed together (0: chosen). Pictures larger than `tile` pixels a side
    (0: chosen for the device and its memory) are painted in tiles, frame by frame, with the result that they have in one piece.

    Raises ImageError for unusable tensors and StyleError for unusable styles, strengths and colour modes.
    """
    alpha = None
    if isinstance(content, Picture):
        content, alpha = content.rgb, content.alpha
    content = check_image(content, "input image")
    alpha = None if alpha is None else usable(check_mask(alpha, "alpha", len(content)).cpu())
    if chunk < 0:
        raise ImageError(f"The chunk is {chunk} frames. Give how many to process together, or 0 to have it chosen.")
    if tile < 0:
        raise ImageError(f"The tile is {tile} pixels. Give the side of the tiles, or 0 to have it chosen.")
    regions = _regions(style)
    count = check_request(model, content, regions, strength, color)
    coverage = coverage_of(regions, mask, content, alpha=alpha)
    styles = [region.style.to(model.device) for region in regions]

    size = content.shape[-2:]
    tiles = plan(size, tile or choose_side(model, size), model.stride)
    tiled = len(tiles) > 1
    chunk = 1 if tiled else chunk or _frames_per_chunk(model, content)
    out = torch.empty((count, *content.shape[1:]), dtype=content.dtype, device=content.device)
    advance = _steps(progress, count * 2 * len(tiles) if tiled else count)
    for start in range(0, count, chunk):
        frames = slice(start, min(start + chunk, count))
        images = _rows(content, frames)
        seen = None if coverage is None else coverage.rows(frames)
        targets = [[Statistics(_rows(s.mean, frames), _rows(s.std, frames)) for s in style.levels] for style in styles]
        if tiled:
            _stylize_tiles(model, images, out[frames], targets, seen, strength, color, tiles, advance)
        else:
            out[frames] = _stylize_chunk(model, images, targets, seen, strength, color).to(out)
            advance(frames.stop - frames.start)
    return out


def _regions(style: object) -> list[Region]:
    if isinstance(style, Style):
        return [Region(style)]
    found = list(style) if isinstance(style, Sequence) and not isinstance(style, str) else [style]
    regions = [region for region in found if isinstance(region, Region)]
    if len(regions) == len(found):
        return regions
    if all(isinstance(one, Style) for one in found):
        raise StyleError("A list of styles does not say where each applies. Mix them with Style.blend, or give a Region for each.")
    raise StyleError(
        f"The style is {style!r:.60}, not a Style. Make one with load_preset(model, name), Style.load(path) or "
        "model.encode_style(read_picture(path))."
    )


def _steps(progress: Progress | None, total: int) -> Advance:
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        if progress:
            progress(done, total)

    return advance


@torch.inference_mode()
def _stylize_chunk(
    model: StyleTransferModel,
    images: Tensor,
    targets: Targets,
    coverage: Coverage | None,
    strength: float,
    color: ColorMode,
) -> Tensor:
    images = images.to(model.device).contiguous()  # one order of summation, whatever the layout in memory
    images = images if images.dtype == torch.float64 else images.float()
    coverage = None if coverage is None else coverage.to(images.device, images.dtype)
    stylized, content = render_measured(model, images, targets, coverage, strength)
    painted = apply_color_mode(color, images, stylized.clamp_(0, 1), None if coverage is None else coverage.counted)
    return lay_over(images, painted, shown(content, targets, coverage, strength))


def _stylize_tiles(
    model: StyleTransferModel,
    images: Tensor,
    out: Tensor,
    targets: Targets,
    coverage: Coverage | None,
    strength: float,
    color: ColorMode,
    tiles: Sequence[Tile],
    advance: Advance,
) -> None:
    size = images.shape[-2:]
    kept = feature_maps(model, size) if keeps(model, size) else None
    content = measure_tiles(model, images, targets, coverage, strength, tiles, advance, kept)
    # Not rounded before it is finished.
    painted = torch.empty_like(out, dtype=torch.promote_types(out.dtype, torch.float32)) if color == "match" else out
    paint_tiles(model, images, painted, content, targets, coverage, strength, color, tiles, advance, kept)
    if color == "match":
        match_tiles(model, images, painted, out, content, targets, coverage, strength, tiles, advance)


def check_request(model: StyleTransferModel, content: Tensor, regions: Sequence[Region], strength: float, color: str) -> int:
    """The number of pictures that come out."""
    if not regions:
        raise StyleError("No style was given. Pass a Style or at least one Region.")
    if not 0 <= strength <= 1:
        raise StyleError(f"The strength is {strength}. It must lie between 0 (the input image itself) and 1 (full style).")
    if color not in get_args(ColorMode):
        raise StyleError(f"The colour mode {color!r} is unknown. Choose one of {', '.join(get_args(ColorMode))}.")
    counts = {len(content)}
    for region in regions:
        model.check_style(region.style)
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

"""Pictures and batches of them, painted: in one piece or in tiles, together or one by one, as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .aim import Aims
from .area import Area, plan
from .checks import check_image, check_mask
from .color import ColorMode, apply_color_mode, lay_over
from .coverage import coverage_of, with_checked_masks
from .errors import ImageError
from .features import FeatureMaps
from .look import Look, Region
from .media.images import Picture
from .media.transparency import usable
from .memory import Portion
from .model import StyleTransferModel
from .moments import rows_of
from .pipeline import Painter
from .precision import wide, wide_dtype
from .progress import Progress, Steps
from .resample import enlarged, resize
from .style import Style
from .tiling.painter import TiledPainter

PIXELS_AT_ONCE = 2**21
"""Pictures are painted together on a GPU up to this many pixels (eight of 512 x 512); beyond it, batches gain nothing."""


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
    the content is returned, and near it more and more of it is laid over what the network makes. From 1 to 2 the strokes go beyond
    the style's, and the colours stay its own. A picture with next to no contrast or light of its own takes as much less of the style
    (`reach`).
    `color` is "style", "keep" (content's colours, stylised luma) or "match" (stylised, then moved to the content's
    colour moments). `chunk` is the number of pictures painted together (0: chosen). Pictures larger than `tile` pixels a side
    (0: chosen for the device and its memory) are painted in tiles, one by one, with the result that they have in one piece.
    When the device's memory runs out, less is painted at once.

    Raises ImageError for unusable tensors and StyleError for unusable styles, strengths and colour modes.
    """
    picture = content if isinstance(content, Picture) else Picture(content)
    rgb = check_image(picture.rgb, "input image")
    if chunk < 0:
        raise ImageError(f"The chunk is {chunk} frames. Give how many to process together, or 0 to have it chosen.")
    if tile < 0:
        raise ImageError(f"The tile is {tile} pixels. Give the side of the tiles, or 0 to have it chosen.")
    look = Look.of(style, strength=strength, mask=mask, color=color)
    out = torch.empty((look.count(len(rgb)), *rgb.shape[1:]), dtype=rgb.dtype, device=rgb.device)
    for _ in paint_pictures(model, Picture(rgb, picture.alpha), look, out, chunk=chunk, tile=tile, progress=progress):
        pass
    return out


def paint_pictures(
    model: StyleTransferModel, content: Picture, look: Look, out: Tensor, *, chunk: int = 0, tile: int = 0, progress: Progress | None = None
) -> Iterator[slice]:
    """Paint `content` into `out` [B, 3, H, W]; yields the rows of it that are finished, as they are. Arguments as for `stylize`."""
    look = with_checked_masks(look, len(out))
    alpha = None if content.alpha is None else check_mask(content.alpha, "alpha", len(content.rgb)).cpu()
    size = scaled(content.rgb.shape[-2:], look.scale)
    portion = Portion(chunk or at_once(model.device, size), model.tiling.least, model.device)
    side = min(tile or model.tile_side(size), max(size))
    aims, expected = Aims(model), _steps(model, size, side)
    steps = Steps(progress, len(out) * expected)
    if expected > 1:
        portion.count = 1

    def compute(rows: Sequence[int]) -> slice:
        frames = slice(rows[0], rows[-1] + 1)
        own, rgb = look.rows(frames), rows_of(content.rgb, frames)
        seen = Picture(rgb, None if alpha is None else usable(rows_of(alpha, frames))).resized((size[0], size[1]))
        aim = aims.of(own, seen.rgb, seen.alpha)
        if aim.coverage is not None and not aim.coverage.cover.any():
            out[frames] = rgb
            steps(len(rows) * expected)
            return frames
        steps.more(len(rows) * (_steps(model, size, portion.side(side)) - expected))
        to_size = out[frames] if size == rgb.shape[-2:] else out.new_empty(len(rows), 3, *size)
        _paint(Painter(model, aim), seen.rgb, to_size, look.color, plan(Area.whole(size), portion.side(side), model.stride), steps)
        if to_size.shape[-2:] != rgb.shape[-2:]:
            out[frames] = laid_back(to_size, rgb, own)
        return frames

    for _, frames in portion.each(range(len(out)), side, max(size), compute):
        yield frames


def at_once(device: torch.device, size: Sequence[int]) -> int:
    """How many pictures of `size` (height, width) are painted together if nobody says."""
    # A CPU gains nothing from batches of pictures this size, and one picture at a time keeps its caches warm.
    return 1 if device.type == "cpu" else max(1, PIXELS_AT_ONCE // (size[0] * size[1]))


def scaled(size: Sequence[int], scale: float) -> torch.Size:
    """(height, width) at which a picture of `size` is seen at `scale`."""
    return torch.Size(max(1, round(n * scale)) for n in size)


def laid_back(painted: Tensor, content: Tensor, look: Look) -> Tensor:
    """`painted` [B, 3, h, w] in the size of `content`, which stays bit for bit where nothing is to be painted, and at strength 0."""
    size = content.shape[-2:]
    if painted.shape[-2:] == size:
        return painted
    if not look.strength:
        return content.expand(len(painted), -1, -1, -1)
    painted = enlarged(painted, size) if painted.shape[-1] < size[1] else resize(painted, size)
    coverage = coverage_of(look, content)
    # Where nothing is to be painted, pixels are the content's own, not resized ones.
    return painted if coverage is None else torch.where(coverage.cover.to(painted) > 0, painted, content.to(painted))


def _steps(model: StyleTransferModel, size: torch.Size, side: int) -> int:
    """How many steps a picture takes: each of its tiles is measured and painted, one in one piece is painted."""
    tiles = len(plan(Area.whole(size), side, model.stride))
    return 1 if tiles == 1 else 2 * tiles


@torch.inference_mode()
def _paint(painter: Painter, images: Tensor, out: Tensor, color: ColorMode, tiles: Sequence[Area], steps: Steps) -> None:
    """`images` painted into `out`, in one piece or in `tiles`."""
    model = painter.model
    if len(tiles) == 1:
        images = wide(images.to(model.device).contiguous())  # one order of summation, whatever the layout in memory
        aim = painter.aim.ready(model.device, images)
        painted, content = Painter(model, aim).rendered(images)
        painted = apply_color_mode(color, images, painted.clamp_(0, 1), aim.counted)
        out.copy_(lay_over(images, painted, aim.shown(content)))
        steps(len(out))
        return
    maps = FeatureMaps.empty(model, images.shape[-2:]) if FeatureMaps.are_kept(model, images.shape[-2:]) else None
    tiled = TiledPainter(painter, images, tiles, steps, maps)
    content = tiled.measure()
    # Not rounded before it is finished.
    painted = torch.empty_like(out, dtype=wide_dtype(out.dtype)) if color == "match" else out
    tiled.paint(content, painted, color)
    if color == "match":
        tiled.match(content, painted, out)

"""Painting batches chunk by chunk: progress, previews, cancelling, and smaller chunks and tiles when memory runs out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import comfy.model_management as mm
import torch
from comfy.utils import ProgressBar
from torch import Tensor

from ..adain import ImageError, ModelError, Region, Style, StyleError, StyleTransferModel, stylize
from ..adain.checks import check_image, check_mask
from ..adain.color import ColorMode
from ..adain.coverage import coverage_of
from ..adain.media.images import Picture, to_pil
from ..adain.media.transparency import filled
from ..adain.moments import Statistics
from ..adain.resample import enlarged, resize
from ..adain.stylize import PIXELS_PER_CHUNK, Progress
from ..adain.tiles import SMALLEST_TILE, choose_side
from .devices import ManagedModel, is_out_of_memory
from .sockets import linked

_PREVIEW_SIZE = 512
_PREVIEW_SECONDS = 0.25
"""The least time between two previews; more of them would cost more than they show."""


class Reporter:
    """ComfyUI's progress bar over `total` pictures, with now and then a finished one as preview."""

    def __init__(self, total: int) -> None:
        self._bar = ProgressBar(total)
        self._total = total
        self._next_preview = 0.0

    def __call__(self, done: float, picture: Tensor | None, before: int = 0) -> None:
        """Report `before` + `done` pictures, the latest being `picture` [1, 3, H, W]; None within one.

        Raises InterruptProcessingException after a cancel.
        """
        mm.throw_exception_if_processing_interrupted()
        preview = None
        if picture is not None and self._total > 1 and time.monotonic() >= self._next_preview:
            scale = min(1, _PREVIEW_SIZE / max(picture.shape[-2:]))
            small = resize(picture, (max(1, round(picture.shape[-2] * scale)), max(1, round(picture.shape[-1] * scale))))
            preview = ("JPEG", to_pil(small.float()), _PREVIEW_SIZE)
            self._next_preview = time.monotonic() + _PREVIEW_SECONDS
        self._bar.update_absolute(before + done, self._total, preview)


def paint(
    managed: ManagedModel,
    content: Tensor,
    regions: Sequence[Region],
    *,
    strength: float = 1.0,
    mask: Tensor | None = None,
    color: ColorMode = "style",
    scale: float = 1.0,
    chunk: int = 0,
    report: Callable[[float, Tensor | None], None] | None = None,
    alpha: Tensor | None = None,
) -> Tensor:
    """What `stylize` gives, [B, 3, H, W] like `content`, painted `chunk` pictures at a time (0: chosen).

    Pixels count by their `alpha` [B, 1, H, W], not by colours that it hides.
    `scale` is the size at which the network sees the pictures; the result has the size of `content` whatever it is.
    Pictures too large for the device's free memory are painted in tiles. When it runs out of memory nevertheless, the chunk is
    halved, then the tiles, and the chunk's pictures are painted again.
    """
    managed = linked(managed, "adain_model", ModelError)
    content = check_image(filled(content, alpha), "image")
    count = count_of(content, regions)
    if mask is not None:
        check_mask(mask, "mask", count)
    for region in regions:
        managed.check(region.style)
        if region.mask is not None:
            check_mask(region.mask, "mask of a region", count)

    seen = torch.Size(max(1, round(n * scale)) for n in content.shape[-2:])
    pixels = seen.numel()
    chunk = chunk or frames_at_once(pixels)
    model = managed.load(pixels * min(chunk, count))
    tile = choose_side(model, seen, mm.get_free_memory(mm.get_torch_device()))
    report = report or Reporter(count)
    out = torch.empty((count, *content.shape[1:]), dtype=content.dtype, device=content.device)
    done = 0
    while done < count:
        mm.throw_exception_if_processing_interrupted()
        frames = slice(done, min(done + chunk, count))
        try:
            chunk_regions = [frames_of(region, frames) for region in regions]
            chunk_mask = None if mask is None else _rows(mask, frames)
            within = partial(_report_part, report, frames)
            picture = Picture(_rows(content, frames), None if alpha is None else _rows(alpha, frames))
            out[frames] = _paint_chunk(model, picture, chunk_regions, strength, chunk_mask, color, seen, tile, within)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if frames.stop - frames.start > 1:
                chunk = (frames.stop - frames.start) // 2
                logging.warning("AdaIN: out of memory with %d frames at once, going on with %d", frames.stop - frames.start, chunk)
            else:
                tile = min(tile, max(seen)) // 2
                if tile < SMALLEST_TILE:
                    height, width = content.shape[-2:]
                    raise ImageError(
                        f"The device's memory is too small for one picture of {width} x {height} ({error}). "
                        "Lower content_scale, scale the image down, or start ComfyUI with --cpu."
                    ) from error
                logging.warning("AdaIN: out of memory, going on with tiles of %d pixels", tile)
        else:
            done = frames.stop
            report(done, out[done - 1 : done])
            continue
        mm.soft_empty_cache()  # only here, after the except clause, nothing holds the failed chunk's tensors
    return out


def frames_at_once(pixels: int) -> int:
    """How many pictures of `pixels` are painted together if nobody says."""
    # As in the core: a CPU gains nothing from more than one picture at a time.
    return 1 if mm.cpu_mode() else max(1, PIXELS_PER_CHUNK // pixels)


def _report_part(report: Callable[[float, Tensor | None], None], frames: slice, part: int, total: int) -> None:
    if part < total:  # the end is reported with the picture
        report(frames.start + (frames.stop - frames.start) * part / total, None)


def _paint_chunk(
    model: StyleTransferModel,
    picture: Picture,
    regions: Sequence[Region],
    strength: float,
    mask: Tensor | None,
    color: ColorMode,
    seen: torch.Size,
    tile: int,
    progress: Progress,
) -> Tensor:
    # A batch's masks must not be all black, but those of some of its frames may be.
    regions = [region for region in regions if region.mask is None or _covers(region.mask)]
    if not regions or (mask is not None and not _covers(mask)):
        return picture.rgb
    small, chunk = picture.resized((seen[0], seen[1])), len(picture.rgb)
    painted = stylize(model, small, regions, strength=strength, mask=mask, color=color, chunk=chunk, tile=tile, progress=progress)
    return laid_back(painted, picture.rgb, regions, mask, strength)


def laid_back(painted: Tensor, content: Tensor, regions: Sequence[Region], mask: Tensor | None, strength: float) -> Tensor:
    """`painted` in the size of `content`, which stays bit for bit where nothing is to be painted, and at `strength` 0."""
    size = content.shape[-2:]
    if painted.shape[-2:] == size:
        return painted
    if not strength:
        return content.expand(len(painted), -1, -1, -1)
    painted = enlarged(painted, size) if painted.shape[-1] < size[1] else resize(painted, size)
    coverage = coverage_of(regions, mask, content, blank=True)
    # Where nothing is to be painted, pixels are the content's own, not resized ones.
    return painted if coverage is None else torch.where(coverage.cover.to(painted) > 0, painted, content.to(painted))


def count_of(content: Tensor, regions: Sequence[Region]) -> int:
    """The number of pictures that come out."""
    counts = {len(content), *(len(region.style) for region in regions)} - {1}
    if len(counts) > 1:
        found = ", ".join(str(len(region.style)) for region in regions)
        raise StyleError(
            f"The image batch has {len(content)} pictures and the styles come in batches of {found}. "
            "Give one style for all pictures, or as many styles as pictures; Encode Style can average a batch into one."
        )
    return counts.pop() if counts else 1


def frames_of(region: Region, frames: slice) -> Region:
    """The rows of a region's style and masks that belong to `frames`."""
    levels = tuple(Statistics(_rows(level.mean, frames), _rows(level.std, frames)) for level in region.style.levels)
    style: Style = replace(region.style, levels=levels)
    return Region(style, None if region.mask is None else _rows(region.mask, frames))


def _rows(x: Tensor, frames: slice) -> Tensor:
    """`x[frames]`, where a batch of one stands for every frame."""
    return x if len(x) == 1 else x[frames]


def _covers(mask: Tensor) -> bool:
    return bool((mask > 0).any())

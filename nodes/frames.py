"""Painting batches under ComfyUI: progress, previews, cancelling, and the memory that other models leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import comfy.model_management as mm
import torch
from comfy.utils import ProgressBar
from torch import Tensor

from ..adain import ImageError, Look, StyleError, StyleTransferModel
from ..adain.checks import check_image, check_mask
from ..adain.media.images import Picture, to_pil
from ..adain.media.transparency import filled
from ..adain.memory import is_out_of_memory
from ..adain.resample import resize
from ..adain.stylize import at_once, paint_pictures, scaled
from .devices import ManagedModel

_PREVIEW_SIZE = 512
_PREVIEW_SECONDS = 0.25
"""The least time before a preview; more of them would cost more than they show."""


class Reporter:
    """ComfyUI's progress bar over `total` pictures, with now and then a finished one as preview."""

    def __init__(self, total: int) -> None:
        self._bar = ProgressBar(total)
        self._total = total
        self._next_preview = time.monotonic() + _PREVIEW_SECONDS

    def __call__(self, done: float, picture: Tensor | None, before: int = 0) -> None:
        """Report `before` + `done` pictures, the latest being `picture` [1, 3, H, W], as far as it is there; None if nothing of it is.

        Raises InterruptProcessingException after a cancel.
        """
        mm.throw_exception_if_processing_interrupted()
        preview = None
        if picture is not None and time.monotonic() >= self._next_preview:
            scale = min(1, _PREVIEW_SIZE / max(picture.shape[-2:]))
            small = resize(picture, (max(1, round(picture.shape[-2] * scale)), max(1, round(picture.shape[-1] * scale))))
            preview = ("JPEG", to_pil(small.float()), _PREVIEW_SIZE)
            self._next_preview = time.monotonic() + _PREVIEW_SECONDS
        self._bar.update_absolute(before + done, self._total, preview)


def paint(
    managed: ManagedModel,
    content: Tensor,
    look: Look,
    *,
    chunk: int = 0,
    report: Callable[[float, Tensor | None], None] | None = None,
    alpha: Tensor | None = None,
) -> Tensor:
    """The pictures of `content` [B, 3, H, W] painted, `chunk` of them at a time (0: chosen).

    Pixels count by their `alpha` [B, 1, H, W], not by colours that it hides. Pictures too large for the device's free memory are painted
    in tiles.
    """
    content = check_image(filled(content, alpha), "image")
    count = checked(managed, look, len(content))
    model, chunk = loaded(managed, scaled(content.shape[-2:], look.scale), count, chunk)
    report = report or Reporter(count)
    out = torch.empty((count, *content.shape[1:]), dtype=content.dtype, device=content.device)
    out.copy_(content)  # to see how far it is while a picture is painted in tiles
    tile = model.tile_side(scaled(content.shape[-2:], look.scale), mm.get_free_memory(mm.get_torch_device()))

    def progress(done: int, total: int) -> None:
        if done * count % total:  # the end of a picture is reported with the picture
            row = done * count // total
            report(done * count / total, out[row : row + 1])

    with explained_lack_of_memory("picture", content.shape[-2:], "Lower content_scale, scale the image down"):
        for rows in paint_pictures(model, Picture(content, alpha), look, out, chunk=chunk, tile=tile, progress=progress):
            report(rows.stop, out[rows.stop - 1 : rows.stop])
    return out


def loaded(managed: ManagedModel, size: torch.Size, count: int, chunk: int = 0) -> tuple[StyleTransferModel, int]:
    """The model, with room for `chunk` of `count` pictures of `size` (height, width) at once (0: chosen), and how many that are."""
    chunk = min(count, chunk or at_once(mm.get_torch_device(), size))
    return managed.load(size.numel() * chunk), chunk


def checked(managed: ManagedModel, look: Look, pictures: int) -> int:
    """How many pictures come out of so many. Raises StyleError and ImageError for a `look` that does not fit them, or the model."""
    counts = {pictures, *(len(region.style) for region in look.regions)} - {1}
    if len(counts) > 1:
        found = ", ".join(str(len(region.style)) for region in look.regions)
        raise StyleError(
            f"The image batch has {pictures} pictures and the styles come in batches of {found}. "
            "Give one style for all pictures, or as many styles as pictures; Encode Style can average a batch into one."
        )
    count = look.count(pictures)
    for region in look.regions:
        managed.check(region.style)
    for mask in (look.mask, *(region.mask for region in look.regions)):
        if mask is not None:
            check_mask(mask, "mask", count)
    return count


@contextmanager
def explained_lack_of_memory(what: str, size: torch.Size, advice: str) -> Iterator[None]:
    """Turn what is raised when the memory does not do for one picture of `size` (height, width) into an ImageError that gives `advice`.

    `what` is what the user calls it.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        height, width = size
        raise ImageError(
            f"The device's memory is too small for one {what} of {width} x {height} ({error}). {advice}, or start ComfyUI with --cpu."
        ) from error

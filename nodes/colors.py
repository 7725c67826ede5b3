"""Match Colors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import comfy.model_management as mm
import folder_paths
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..adain import ImageError, StyleError
from ..adain.checks import check_image, check_mask
from ..adain.color_spaces import ColorSpace
from ..adain.errors import counted
from ..adain.grading import ColorMatch, Colors, Grade, MatchMethod
from ..adain.media.cube import write_cube
from ..adain.media.transparency import usable
from ..adain.resample import resize
from .folders import place_in
from .frames import Reporter
from .inputs import strength_input
from .releases import schema
from .sockets import CATEGORY, ImageOut, chosen, from_image, linked, to_image

_STATISTICS = ["each frame", "whole batch", "one frame"]


class MatchColors(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AdaIN_MatchColors",
            essentials_category="Image Tools",
            display_name="Match Colors (AdaIN)",
            category=CATEGORY,
            description="Gives an image, or all frames of a clip, the overall colours of another. Useful after any diffusion output; needs "
            "no model. Can write a .cube file for video editors.",
            search_aliases=[
                *("color match", "color transfer", "transfer color", "colour match", "color grading", "match palette", "reinhard", "mkl"),
                *("histogram matching", "lut", "cube", "deflicker"),
            ],
            inputs=[
                io.Image.Input("image", tooltip="What gets new colours: one picture or a batch. Transparency is kept as it is."),
                io.Image.Input(
                    "reference",
                    tooltip="Whose colours are wanted, of any size: one picture for all, or one per image. With whole batch or one frame, "
                    "all of them together.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(get_args(MatchMethod)),
                    default="covariance",
                    tooltip="covariance (default): red, green and blue moved together, so that hues turn too. channels: mean and contrast "
                    "of each alone, milder. chroma: as covariance, but the image's own light and dark stay. histogram: the whole "
                    "distribution of each, nearest to the reference and the most likely to show banding.",
                ),
                strength_input(
                    "How far the colours move. 1 (default) is all the way to the reference; lower stays nearer to the image, 0 changes "
                    "nothing. Above 1 goes beyond the reference, up to twice as far."
                ),
                io.Combo.Input(
                    "space",
                    options=list(get_args(ColorSpace)),
                    default="rgb",
                    optional=True,
                    tooltip="In what colours are measured and moved. rgb (default): as they are stored. linear: as light adds up, stronger "
                    "in highlights. lab: as the eye sees differences, with lightness apart from colour; channels with lab is Reinhard's "
                    "method.",
                ),
                io.Combo.Input(
                    "statistics",
                    options=_STATISTICS,
                    default=_STATISTICS[0],
                    optional=True,
                    tooltip="What is measured of a batch. each frame (default): every picture by itself. whole batch: all together, so "
                    "that one and the same change is made to every frame and a video does not flicker. one frame: the one that frame "
                    "names, for a clip that is to be graded by a good moment of it.",
                ),
                io.Int.Input(
                    "frame",
                    default=0,
                    min=0,
                    max=1_000_000,
                    optional=True,
                    tooltip="With one frame: which one is measured, counted from 0 (default).",
                    advanced=True,
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Which part of the image is measured and changed, in white; the rest stays bit for bit. Not connected "
                    "(default): all. Any size; one mask, or one per image.",
                ),
                io.Mask.Input(
                    "reference_mask",
                    optional=True,
                    tooltip="From which part of the reference, in white, the colours are taken. Not connected (default): all of it.",
                ),
                io.String.Input(
                    "lut",
                    default="",
                    optional=True,
                    tooltip="Name of a .cube file for FFmpeg, DaVinci Resolve, Premiere or OBS, written to ComfyUI's output folder; a / "
                    "makes a folder, and one of that name is replaced. Empty (default): none. It holds one change for all frames: with "
                    "several images choose whole batch or one frame.",
                    advanced=True,
                ),
            ],
            outputs=[io.Image.Output("result", display_name="image", tooltip="The image in the reference's colours.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        reference: Tensor,
        method: MatchMethod,
        strength: float,
        space: ColorSpace = "rgb",
        statistics: str = _STATISTICS[0],
        frame: int = 0,
        mask: Tensor | None = None,
        reference_mask: Tensor | None = None,
        lut: str = "",
    ) -> ImageOut:
        match = ColorMatch(chosen(method, get_args(MatchMethod), "method"), chosen(space, get_args(ColorSpace), "space"), strength)
        shared = chosen(statistics, _STATISTICS, "statistics") != _STATISTICS[0]
        pictures, wanted = _Batch(image, mask, "image", "mask"), _Batch(reference, reference_mask, "reference", "reference_mask")
        count = len(pictures.rgb)
        path = _lut_path(lut, shared or count == 1) if lut and lut.strip() else None
        measured = _measured_frames(statistics, frame, count)
        if not shared and len(wanted.rgb) not in (1, count):
            raise ImageError(f"There are {len(wanted.rgb)} references for {counted(count, 'image')}. Give one, or one for each image.")
        report = Reporter(count + len(measured) if shared else count)
        targets = [wanted.measured(match, i) for i in range(len(wanted.rgb))]
        grade: Grade | None = None
        if shared:
            own: list[Colors] = []
            for i in measured:
                own.append(pictures.measured(match, i))
                report(len(own), None)
            grade = match.grade(Colors.pooled(own), Colors.pooled(targets))
        out = torch.empty_like(pictures.rgb)
        for i in range(count):
            mm.throw_exception_if_processing_interrupted()
            used = grade or match.grade(pictures.measured(match, i), targets[min(i, len(targets) - 1)])
            out[i] = used(pictures.rgb[i : i + 1].float(), pictures.mask_of(i))[0]
            report(i + 1, out[i : i + 1], before=len(measured) if shared else 0)
            if path is not None and i == 0:
                write_cube(path, used)
        shown: dict[str, Any] = {} if path is None else {"ui": ui.PreviewText(f"Saved as {path}")}
        return io.NodeOutput(to_image(out, pictures.alpha), **shown)


class _Batch:
    """Pictures with what says where they count: a mask, and their transparency. `name` and `mask_name` are those of the inputs."""

    def __init__(self, image: Tensor, mask: Tensor | None, name: str, mask_name: str) -> None:
        rgb, self.alpha = from_image(image, name)
        self.rgb = check_image(rgb, name)
        self._mask = None
        if mask is not None:
            planes = linked(mask, mask_name, ImageError)
            self._mask = check_mask(planes.reshape(-1, 1, *planes.shape[-2:]), mask_name, len(self.rgb))
            if not self._mask.any():
                raise ImageError(f"The {mask_name} is black everywhere, so nothing would count. Paint in white what is meant.")

    def measured(self, match: ColorMatch, i: int) -> Colors:
        """The colours of the picture `i`, by its mask and its alpha as that is meant."""
        seen = self.mask_of(i)
        if self.alpha is not None and (alpha := usable(self.alpha[i : i + 1].float())) is not None:
            seen = alpha if seen is None else resize(seen, alpha.shape[-2:]) * alpha
        return match.measure(self.rgb[i : i + 1].float(), seen)

    def mask_of(self, i: int) -> Tensor | None:
        return None if self._mask is None else self._mask[min(i, len(self._mask) - 1)][None]


def _measured_frames(statistics: str, frame: int, count: int) -> range:
    """The indices of the pictures that are measured together."""
    if statistics != _STATISTICS[2]:
        return range(count)
    if frame >= count:
        raise ImageError(f"There is no frame {frame}: the image has {counted(count, 'frame')}, counted from 0. Choose one of them.")
    return range(frame, frame + 1)


def _lut_path(name: str, single: bool) -> Path:
    """Where the .cube file `name` goes. Raises StyleError if there is not one grade for it."""
    if not single:
        raise StyleError(
            "A .cube file holds one change of colours, but each frame would get its own. Choose whole batch or one frame in statistics, "
            "or leave lut empty."
        )
    path = place_in(Path(folder_paths.get_output_directory()), name, ".cube")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StyleError(f"The folder {path.parent} cannot be made ({error.strerror}). Choose another name for lut.") from error
    return path

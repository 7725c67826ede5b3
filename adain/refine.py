"""Refining: the losses that networks are trained with, minimised over the pixels of one picture (Gatys et al. 2016, with the
statistics of AdaIN as Li et al. 2017 have them).

A network paints in an instant what is right on average. From coarse to fine, here every picture finds its own strokes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .aim import Aim
from .checks import check_image, check_mask
from .color import apply_color_mode, lay_over
from .coverage import coverage_of, with_checked_masks
from .descent import descend
from .errors import ImageError, StyleError, counted
from .judgement import Demand, Judgement
from .look import Look, Region
from .loss_network import LEVEL_STRIDES, SCALES, LossNetwork
from .media.images import Picture
from .media.transparency import usable
from .memory import free_memory
from .moments import color_moments, rows_of
from .precision import wide
from .progress import Progress, Steps
from .resample import resize, unbounded
from .spectrum import Spectrum
from .style import Style
from .stylize import laid_back, scaled

Quality = Literal["draft", "good", "best"]

_Judge = Callable[[Tensor], tuple[float, Tensor]]

ITERATIONS: dict[str, tuple[int, int, int]] = {"draft": (0, 4, 22), "good": (0, 4, 50), "best": (20, 30, 100)}
"""At a quarter of the size, at half of it and at the size itself. Smaller sizes move larger forms: more style, less of the picture."""

_LEAST_SIDE = 64
"""Pixels: a stage of a smaller picture shows the network too few cells to measure."""

_SMALLEST = 16
"""Pixels: below, there are no two cells of relu4_1 side by side."""

_COLORED = 2
"""Levels whose moments are mostly those of colours: relu1_1 and relu2_1."""

_HELD = 28
"""Times the picture that is held while it descends: ten for what L-BFGS looks back to, its own numbers, the gradient, the spectrum."""


@dataclass(frozen=True)
class Finish:
    """How far pictures are refined. Raises StyleError for what is no such thing."""

    quality: Quality = "good"
    style_weight: float = 4.0
    """The paper's lambda: how much the style counts against the content."""

    def __post_init__(self) -> None:
        if self.quality not in ITERATIONS:
            raise StyleError(f"The quality {self.quality!r} is unknown. Choose one of {', '.join(ITERATIONS)}.")
        if not 0 <= self.style_weight < float("inf"):
            raise StyleError(f"The style weight is {self.style_weight}. Give a number from 0 (the content alone) on; 4 is usual.")


def refine(
    network: LossNetwork,
    content: Tensor | Picture,
    look: Style | Sequence[Region] | Look,
    finish: Finish | None = None,
    *,
    start: Tensor | None = None,
    tile: int = 0,
    progress: Progress | None = None,
    show: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """Refine `content` [B, 3, H, W], float RGB 0..1, until `network` finds it near to content and style; same batch, size and dtype.

    `look` is what `stylize` takes: a Style, one for each picture, regions, or a Look with strength, mask, colour mode and scale; what
    masks leave out stays bit for bit. The styles were measured by `network`, or by others and also by it (`Style.others`).
    `start` [B or 1, 3, H, W] is what it begins with, such as a picture of `stylize` (default: `content` in the style's colours).
    Larger pictures than `tile` pixels a side (0: chosen) are judged in tiles, with the gradient of one piece.
    `progress(done, total)` is called after each iteration: raise from it to stop. `show` is given
    the picture [1, 3, h, w] as it is by then.

    The same input gives the same picture. Raises ImageError and StyleError for what cannot be used.
    """
    picture = content if isinstance(content, Picture) else Picture(content)
    rgb = check_image(picture.rgb, "input image")
    if tile < 0:
        raise ImageError(f"The tile is {tile} pixels. Give the side of the tiles, or 0 to have it chosen.")
    look = judged_by(network, look if isinstance(look, Look) else Look.of(look))
    size = scaled(rgb.shape[-2:], look.scale)
    if min(size) < _SMALLEST:
        seen = "" if size == rgb.shape[-2:] else f", seen at {look.scale:g} times its {rgb.shape[-1]} x {rgb.shape[-2]}"
        raise ImageError(
            f"The picture has {size[1]} x {size[0]} pixels{seen}. To be refined it needs at least {_SMALLEST} a side: scale it up."
        )
    count = look.count(len(rgb))
    look = with_checked_masks(look, count)
    alpha = None if picture.alpha is None else check_mask(picture.alpha, "alpha", len(rgb)).cpu()
    begun = None if start is None else _checked_start(start, rgb, count)
    finish = finish or Finish()
    stages = _stages(size, finish)
    steps = Steps(progress, count * sum(stage.cost * stage.iterations for stage in stages))
    out = torch.empty((count, *rgb.shape[1:]), dtype=rgb.dtype, device=rgb.device)
    for i in range(count):
        row = slice(i, i + 1)
        own, planes = look.rows(row), None if alpha is None else usable(rows_of(alpha, row))
        refiner = _Refiner(network, own, finish, tile, steps, show or (lambda _: None))
        # Gradients are taken where they are needed, of nothing that came from outside, and in the precisions chosen there.
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(network.device.type, enabled=False):
            painted = refiner(rows_of(rgb, row), planes, None if begun is None else rows_of(begun, row), stages)
        out[row] = painted
    return out


def _checked_start(start: Tensor, content: Tensor, count: int) -> Tensor:
    start = check_image(start, "start")
    (height, width), (rows, columns) = start.shape[-2:], content.shape[-2:]
    if (height, width) != (rows, columns):
        raise ImageError(f"The start has {width} x {height} pixels, the picture {columns} x {rows}. Give them one size.")
    if len(start) not in (1, count):
        raise ImageError(f"There are {len(start)} pictures to start from, for {counted(count, 'picture')}. Give one, or one for each.")
    return start


def judged_by(network: LossNetwork, look: Look) -> Look:
    """`look` with its styles as `network` sees them. Raises StyleError for one that it did not measure."""
    regions = []
    for region in look.regions:
        style = region.style.seen_by(network.fingerprint)
        if style is None:
            label = f"The style {region.style.name!r}" if region.style.name else "The style"
            others = [own for own in (region.style, *region.style.others) if own.architecture == network.architecture]
            if others:
                raise StyleError(
                    f"{label} cannot be used to refine: another loss network, {others[0].fingerprint[:12]}, measured it, and not this one, "
                    f"{network.fingerprint[:12]}. Refine with that one (presets: vgg-normalised), or measure the picture with this one."
                )
            raise StyleError(
                f"{label} cannot be used to refine: it holds what the {region.style.architecture} encoder measures, and not what the loss "
                "network does. Give its picture, or save the style with `adain style save --judge`; of the presets, choose another."
            )
        network.check_style(style)
        regions.append(replace(region, style=style))
    return replace(look, regions=regions)


class _Stage(NamedTuple):
    """A part of the descent at one size."""

    size: torch.Size
    scale: int
    """Halvings of the size."""
    iterations: int

    @property
    def cost(self) -> int:
        """What an iteration takes, relative to that of the coarsest stage."""
        return 4 ** (SCALES - 1 - self.scale)


def _stages(size: torch.Size, finish: Finish) -> list[_Stage]:
    stages = []
    for scale, iterations in zip(reversed(range(SCALES)), ITERATIONS[finish.quality], strict=True):
        smaller = scaled(size, 0.5**scale)
        if iterations and (not scale or min(smaller) >= _LEAST_SIDE):
            stages.append(_Stage(smaller, scale, iterations))
    return stages


def _home(network: LossNetwork, size: torch.Size) -> torch.device:
    """Where everything of a picture's `size` is kept; tiles of it go to the network.

    That is the CPU where it would take more than half of the memory that the network's device has left.
    """
    held = _HELD * 3 * size.numel() * torch.float32.itemsize
    crowded = network.device.type != "cpu" and 2 * held > free_memory(network.device)
    return torch.device("cpu") if crowded else network.device


@dataclass(frozen=True)
class _Refiner:
    """Refines one picture."""

    network: LossNetwork
    look: Look
    finish: Finish
    tile: int
    steps: Steps
    show: Callable[[Tensor], None]

    def __call__(self, rgb: Tensor, alpha: Tensor | None, start: Tensor | None, stages: Sequence[_Stage]) -> Tensor:
        """What becomes of `rgb` [1, 3, H, W]."""
        coverage = coverage_of(self.look, rgb)
        if not self.look.strength or (coverage is not None and not coverage.cover.any()):
            self.steps(sum(stage.cost * stage.iterations for stage in stages))
            return rgb
        # Copies: ComfyUI hands over tensors of inference mode, which no gradient goes through. In one layout, for one order of summation.
        content = wide(rgb.to(_home(self.network, stages[-1].size))).clone(memory_format=torch.contiguous_format)
        begun = None if start is None else wide(start.to(content.device)).clone(memory_format=torch.contiguous_format)
        change, picture = None, content
        for stage in stages:
            seen = resize(content, stage.size)
            aim = self._aim(stage, seen, None if alpha is None else resize(alpha, stage.size))
            judgement = Judgement(self.network, seen, aim.measured, self.tile)
            measured = replace(judgement.content, colors=tuple(color_moments(seen, mask) for mask in aim.measured))
            before = aim.recolor(measured)(seen).clamp_(0, 1) if begun is None else resize(begun, stage.size)
            # Only what changed goes on to a larger size: the details that a smaller one cannot show are as they were.
            picture = before if change is None else before + unbounded(change, stage.size)
            # At strengths above 1 colours stay the style's: those are what the finest levels see.
            own = replace(aim, strengths=[min(1.0, part) for part in aim.parts])
            pairs = [(own if level < _COLORED else aim).pairs(measured, 1 + level) for level in range(len(LEVEL_STRIDES))]
            demand = Demand([[target for _, target in levels] for levels in zip(*pairs, strict=True)], self.finish.style_weight)
            # All of the picture, also where nothing of it will be shown: beside what is left as it is, descending paints a glaring rim.
            picture = self._descended(picture, partial(judgement, demand=demand), stage)
            change = picture - before
            if stage is stages[-1]:
                picture = lay_over(seen, apply_color_mode(self.look.color, seen, picture.clamp_(0, 1), aim.counted), aim.shown(measured))
        return laid_back(picture.to(rgb), rgb, self.look)

    def _aim(self, stage: _Stage, content: Tensor, alpha: Tensor | None) -> Aim:
        """The colours of every region's style and its features at the size of a stage."""
        levels, first = len(LEVEL_STRIDES), 1 + stage.scale * len(LEVEL_STRIDES)
        styles = [region.style.to(content.device).levels for region in self.look.regions]
        coverage = coverage_of(self.look, content, alpha)
        return Aim([[own[0], *own[first : first + levels]] for own in styles], coverage, self.look.strengths).ready(content.device, content)

    def _descended(self, picture: Tensor, judge: _Judge, stage: _Stage) -> Tensor:
        """`picture` after the iterations of a stage."""
        left = stage.iterations

        def after(place: Tensor) -> None:
            nonlocal left
            left -= 1
            self.show(place)
            self.steps(stage.cost)

        picture = descend(judge, picture, stage.iterations, after, Spectrum(stage.size, picture))
        self.steps(left * stage.cost)
        return picture

"""What content is to become: a Look, made ready for certain pictures on the device that paints them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .affine import RegionalAffine, RegionWeights, affine
from .area import Area
from .content import ContentMoments
from .coverage import Coverage, coverage_of
from .look import Look
from .model import StyleTransferModel
from .moments import Statistics
from .precision import wide, wide_dtype
from .reach import Reach


@dataclass(frozen=True)
class Aim:
    """The statistics to reach in each of K regions, where those are, and how much of the way is gone."""

    levels: Sequence[Sequence[Statistics]]
    """[K][level], of one picture or of as many as there are."""
    coverage: Coverage | None = None
    """None: one region, everywhere."""
    strengths: Sequence[float] = ()
    """How much of the way is gone in each region; none: all of it in all of them."""

    @staticmethod
    def cat(aims: Sequence[Aim]) -> Aim:
        """The Aim of single pictures, all of the same strengths, as of a batch."""
        given = [aim.coverage for aim in aims if aim.coverage is not None]
        regions = zip(*(aim.levels for aim in aims), strict=True)
        levels = [[Statistics.cat(level) for level in zip(*region, strict=True)] for region in regions]
        return Aim(levels, Coverage.joined(given) if given else None, aims[0].strengths)

    def map(self, function: Callable[[Tensor], Tensor]) -> Aim:
        """This Aim with `function` applied to the planes of its coverage."""
        return self if self.coverage is None else replace(self, coverage=self.coverage.map(function))

    def crop(self, area: Area) -> Aim:
        """The Aim of a part of the pictures."""
        return self.map(area.of)

    def ready(self, device: torch.device, like: Tensor) -> Aim:
        """This Aim with its coverage on `device`, as floats in the precision in which pictures such as `like` are painted."""
        aim = self.map(lambda planes: wide(planes.to(device)))
        return aim if aim.coverage is None else replace(aim, coverage=aim.coverage.to(device, wide_dtype(like.dtype)))

    @property
    def parts(self) -> Sequence[float]:
        """How much of the way is gone in each region."""
        return self.strengths or [1.0] * len(self.levels)

    @property
    def measured(self) -> Sequence[Tensor | None]:
        """For each region [B or 1, 1, H, W]: how much each pixel counts in its moments; None for all of it."""
        return [None] if self.coverage is None else self.coverage.measured

    @property
    def counted(self) -> Tensor | None:
        """[B or 1, 1, H, W]: how much each pixel counts in the colours of what is laid over the picture; None for all of it."""
        return None if self.coverage is None else self.coverage.counted

    @property
    def shares(self) -> Tensor | None:
        """[B or 1, K, H, W], how the regions share each pixel; None if one has it all."""
        return None if self.coverage is None else self.coverage.shares

    def reached(self, content: ContentMoments) -> list[Reach]:
        """How far the style of each region reaches in pictures of moments `content`."""
        return [Reach.of(levels[0], target[0]) for levels, target in zip(content.levels, self.levels, strict=True)]

    def pairs(self, content: ContentMoments, level: int, correction: int = 0) -> list[tuple[Statistics, Statistics]]:
        """The statistics of pictures of moments `content` and those to reach at a `level`, for each region."""
        own = [levels[level].statistics(correction) for levels in content.levels]
        regions = zip(own, self.levels, self.reached(content), self.parts, strict=True)
        return [(mine, reach.toward(mine, target[level], part)) for mine, target, reach, part in regions]

    def recolor(self, content: ContentMoments) -> RegionalAffine:
        """The map of the colours of pictures of moments `content`, level 0, to those to reach."""
        maps = [affine(own, target) for own, target in self.pairs(content, 0)]
        return RegionalAffine(maps, None if self.shares is None else RegionWeights(self.shares))

    def shown(self, content: ContentMoments) -> Tensor | None:
        """How much of what is painted is laid over pictures of moments `content`: [B, 1, H, W] or [B, 1, 1, 1]; None for all of it.

        It is what the coverage shows, less where a region's style hardly reaches the picture, or its strength is low.
        """
        visible = mixed([reach.shown(part) for reach, part in zip(self.reached(content), self.parts, strict=True)], self.shares)
        if self.coverage is None or visible is None:
            return visible if self.coverage is None else self.coverage.cover
        return visible * self.coverage.cover


class Aims:
    """The Aims of pictures one after the other. Where they are masked is worked out anew only when a mask changes.

    They are made `ready` for pictures that are painted in one piece, if asked; else their coverage stays on the CPU.
    """

    def __init__(self, model: StyleTransferModel, ready: bool = False) -> None:
        self._model, self._ready = model, ready
        self._known: tuple[tuple[torch.Size, torch.dtype], Sequence[Tensor | None], Coverage | None] | None = None

    def of(self, look: Look, content: Tensor, alpha: Tensor | None = None) -> Aim:
        """The Aim of `look` for `content` [B, 3, H, W], whose pixels count by `alpha`.

        Masks may be blank. Raises StyleError for styles of another model, and what `coverage_of` raises.
        """
        for region in look.regions:
            self._model.check_style(region.style)
        size, masks = (content.shape, content.dtype), [*(region.mask for region in look.regions), look.mask, alpha]
        if self._known is None or self._known[0] != size or not _same(masks, self._known[1]):
            aim = Aim([], coverage_of(look, content, alpha))
            self._known = size, masks, (aim.ready(self._model.device, content) if self._ready else aim).coverage
        return Aim([region.style.to(self._model.device).levels for region in look.regions], self._known[2], look.strengths)


def _same(masks: Sequence[Tensor | None], known: Sequence[Tensor | None]) -> bool:
    """Whether these are the very same masks."""
    return len(masks) == len(known) and all(a is b for a, b in zip(masks, known, strict=True))


def mixed(parts: Sequence[Tensor], shares: Tensor | None) -> Tensor | None:
    """Numbers [B] of each region, mixed by their `shares` at each pixel: [B, 1, H, W] or [B, 1, 1, 1]; None if all are 1."""
    if all(bool((part == 1).all()) for part in parts):
        return None
    everywhere = torch.stack(torch.broadcast_tensors(*parts), 1)[:, :, None, None]
    return everywhere if shares is None else (shares * everywhere).sum(1, keepdim=True)

"""What a loss network says of a picture, and how each pixel would have to change: the paper's losses and their gradient.

The style loss sees features only through their moments. So its gradient is known for every cell once the moments of the whole picture are:
dL/df = dL/dμ / N + 2 dL/dσ² (f - μ) / N. The content loss looks at each cell by itself. That is why a picture can be judged tile by tile,
with the gradient that it has in one piece: one pass merges the moments, another runs each tile forward and back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .area import Area, plan
from .content import ContentMoments, Union
from .loss_network import LEVEL_CHANNELS, LEVEL_STRIDES, LossNetwork
from .losses import range_loss, statistics_loss, variation_loss
from .memory import is_out_of_memory, release
from .moments import Moments, Statistics, channel_moments
from .precision import wide

HALO = 32
"""Pixels around an area, a multiple of the coarsest stride, that its features depend on."""

_RANGE_WEIGHT = 500.0
_VARIATION_WEIGHT = 10.0

_Result = TypeVar("_Result")
_logger = logging.getLogger(__name__)


class Demand(NamedTuple):
    """What is asked of the style of a picture."""

    levels: Sequence[Sequence[Statistics]]
    """[K][4]: the statistics to reach in each region, from relu1_1 to relu4_1."""
    weight: float
    """The paper's lambda: how much the style counts against the content."""


class Judgement:
    """Judges pictures that are to show `content` [1, 3, H, W], in tiles of at most `side` pixels (0: chosen).

    `masks` [K], [1, 1, H, W] each, say how much each pixel counts in the moments of a region; None for all of it. Tiles become smaller
    when memory runs out.
    """

    def __init__(self, network: LossNetwork, content: Tensor, masks: Sequence[Tensor | None], side: int = 0) -> None:
        self._network, self._masks, self._size = network, masks, content.shape[-2:]
        self._side = min(side or network.tile_side(self._size), max(self._size))
        self._content, self.content = self._within_memory(lambda: self._seen(content))

    content: ContentMoments
    """The moments of the content's features in each region."""

    def __call__(self, picture: Tensor, demand: Demand) -> tuple[float, Tensor]:
        """The loss of `picture` [1, 3, H, W], and its gradient of the same shape. Raises what says that memory ran out."""
        return self._within_memory(lambda: self._judged(picture, demand))

    @torch.no_grad()
    def _seen(self, content: Tensor) -> tuple[Tensor, ContentMoments]:
        """relu4_1 of the whole content, and its moments."""
        height, width = (n // LEVEL_STRIDES[-1] for n in self._size)
        whole = torch.empty((1, LEVEL_CHANNELS[-1], height, width), dtype=self._network.dtype, device=self._network.device)
        union = Union()
        for tile in self._tiles():
            _, features = self._look(tile, content)
            union.add(self._measured(tile, features))
            tile.at(LEVEL_STRIDES[-1]).of(whole).copy_(self._own(tile, features)[-1])
        return whole, union.of(content.device, content)

    def _judged(self, picture: Tensor, demand: Demand) -> tuple[float, Tensor]:
        beside, gradient = _beside(picture)  # first, while nothing else of the picture's size is held
        tiles = self._tiles()
        seen, features, union = picture, [], Union()
        for tile in tiles:
            with torch.set_grad_enabled(len(tiles) == 1):
                seen, features = self._look(tile, picture)
            union.add(self._measured(tile, features))
        moments = union.of(picture.device, picture).levels
        loss, slopes = _style(moments, demand)
        for tile in tiles:
            if len(tiles) > 1:
                with torch.enable_grad():
                    seen, features = self._look(tile, picture)
            pulls = [torch.zeros_like(feature) for feature in features]
            levels = zip(self._own(tile, pulls), self._own(tile, features), LEVEL_STRIDES, strict=True)
            for level, (pull, feature, stride) in enumerate(levels):
                for k, mask in enumerate(self._masks):
                    pull.add_(_pull(feature.detach(), moments[k][level], slopes[k][level], _cells(tile, mask, stride)))
            difference = self._own(tile, features)[-1].detach() - tile.at(LEVEL_STRIDES[-1]).of(self._content)
            loss += wide(difference).square().sum().item() / self._content.numel()
            self._own(tile, pulls)[-1].add_(difference, alpha=2 / self._content.numel())
            (own,) = torch.autograd.grad(features, seen, pulls)
            tile.grown(HALO, self._size).of(gradient).add_(own.to(gradient))
        return loss + beside, gradient

    def _measured(self, tile: Area, features: Sequence[Tensor]) -> ContentMoments:
        own = list(zip(self._own(tile, features), LEVEL_STRIDES, strict=True))
        return ContentMoments((), tuple(tuple(channel_moments(f.detach(), _cells(tile, mask, s)) for f, s in own) for mask in self._masks))

    def _tiles(self) -> list[Area]:
        """Tiles of whole cells of relu4_1; the pixels that are left over at the bottom and at the right belong to the last ones."""
        stride, (height, width) = LEVEL_STRIDES[-1], self._size
        tiles = plan(Area.whole([n // stride * stride for n in self._size]), self._side, stride)
        ends = [(height if height - t.bottom < stride else t.bottom, width if width - t.right < stride else t.right) for t in tiles]
        return [Area.between(t.top, t.left, *end) for t, end in zip(tiles, ends, strict=True)]

    def _look(self, tile: Area, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        """A tile with its surroundings, and the features of both."""
        seen = tile.grown(HALO, self._size).of(picture).detach().to(self._network.device).contiguous()
        seen.requires_grad_(torch.is_grad_enabled())
        return seen, self._network(seen)

    def _own(self, tile: Area, features: Sequence[Tensor]) -> list[Tensor]:
        """What of the features of a tile with its surroundings belongs to the tile itself."""
        inner = tile.inside(tile.grown(HALO, self._size))
        return [inner.at(stride).of(feature) for feature, stride in zip(features, LEVEL_STRIDES, strict=True)]

    def _within_memory(self, work: Callable[[], _Result]) -> _Result:
        """What `work` gives, done in smaller tiles if memory runs out. Raises what says so if those would be too small."""
        while True:
            try:
                return work()
            except Exception as error:
                if not is_out_of_memory(error) or self._side // 2 < self._network.tiling.least:
                    raise
            release(self._network.device)  # only here, after the except clause, nothing holds what the failed attempt made
            self._side //= 2
            _logger.warning("AdaIN: out of memory, going on with tiles of %d pixels", self._side)


def _style(moments: Sequence[Sequence[Moments]], demand: Demand) -> tuple[float, list[list[tuple[Tensor, Tensor]]]]:
    """The weighted style loss, and [K][level] its slope with the mean and with the variance."""
    means = [[m.mean.detach().requires_grad_() for m in levels] for levels in moments]
    variances = [[m.var.detach().requires_grad_() for m in levels] for levels in moments]
    with torch.enable_grad():
        loss = torch.zeros((), dtype=means[0][0].dtype, device=means[0][0].device)
        for levels, mean, var, wanted in zip(moments, means, variances, demand.levels, strict=True):
            own = [Moments(a, b, m.weight).statistics() for a, b, m in zip(mean, var, levels, strict=True)]
            loss = loss + statistics_loss(own, wanted) * (demand.weight / len(moments))
        grads = iter(torch.autograd.grad(loss, [t for pair in zip(means, variances, strict=True) for ts in pair for t in ts]))
    slopes = []
    for levels in moments:
        mean, var = ([next(grads) for _ in levels] for _ in range(2))
        slopes.append(list(zip(mean, var, strict=True)))
    return loss.item(), slopes


def _cells(tile: Area, mask: Tensor | None, stride: int) -> Tensor | None:
    """How much the cells of `stride` pixels of a tile count, by how much its pixels do."""
    return None if mask is None else F.avg_pool2d(tile.of(mask), stride)


def _pull(features: Tensor, moments: Moments, slopes: tuple[Tensor, Tensor], cells: Tensor | None) -> Tensor:
    """The gradient at `features` of a loss that has these `slopes` with the mean and variance of all, whose `moments` are known."""
    (mean, var), count = slopes, moments.weight.clamp_min(torch.finfo(moments.weight.dtype).tiny)[:, None]
    scale = 2 * var / count
    shift = mean / count - scale * moments.mean
    pull = torch.addcmul(shift[:, :, None, None].to(features), features, scale[:, :, None, None].to(features))
    return pull if cells is None else pull.mul_(cells.to(pull))


def _beside(picture: Tensor) -> tuple[float, Tensor]:
    """What keeps a picture a picture, and its gradient: no values outside 0..1, little noise."""
    loss, gradient, count = 0.0, torch.empty_like(picture), picture.shape[1]
    for channel in range(count):  # a mean over all, taken one by one: autograd holds several copies of what it looks at
        rows = slice(channel, channel + 1)
        with torch.enable_grad():
            pixels = picture[:, rows].detach().requires_grad_()
            part = (_RANGE_WEIGHT * range_loss(pixels) + _VARIATION_WEIGHT * variation_loss(pixels)) / count
            (gradient[:, rows],) = torch.autograd.grad(part, pixels)
        loss += part.item()
    return loss, gradient

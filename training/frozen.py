"""What an unchanging network says of each pair: style statistics and content features, kept when crops repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..adain.moments import Statistics, channel_moments
from .losses import adain_target, covariances

Network = Callable[[Tensor], Sequence[Tensor]]
"""A network from images [B, 3, H, W] in 0..1, channels last, to the features of each level."""


class StyleTarget(NamedTuple):
    """What pictures in a style [B] are to reach: its statistics at every level, and its covariances where they are asked for."""

    statistics: list[Statistics]
    covariances: list[Tensor]

    @staticmethod
    def cat(rows: Sequence[StyleTarget]) -> StyleTarget:
        statistics = [Statistics.cat(level) for level in zip(*(row.statistics for row in rows), strict=True)]
        return StyleTarget(statistics, [torch.cat(level) for level in zip(*(row.covariances for row in rows), strict=True)])


class Targets:
    """Asks `network`, whose weights do not change; with `keep`, what it says of a crop (by key) is kept in memory.

    Of three passes through the loss network two do not depend on the model, and a decoder's own frozen encoder never does.
    Kept, a crop of 128 px costs 256 kB for its content features (bfloat16) and 8 kB for its style, and saves about 40 %
    of each step.
    """

    def __init__(self, network: Network, keep: bool, covariances: bool = False) -> None:
        self._network, self._keep, self._covariances = network, keep, covariances
        self._contents: dict[int, Tensor] = {}
        self._styles: dict[int, StyleTarget] = {}

    def contents(self, images: Tensor, keys: Tensor, style: Statistics) -> Tensor:
        """The paper's t: the deepest features of `images` moved to the `style` statistics there."""
        return adain_target(self.features(images, keys), style)

    @torch.no_grad()
    def features(self, images: Tensor, keys: Tensor) -> Tensor:
        """The deepest features of `images`."""
        if not self._keep:
            return self._features(images)[-1]
        for image, key in zip(images, keys.tolist(), strict=True):
            if key not in self._contents:
                # One at a time, so that a resumed run computes the very same bits whatever is already kept.
                self._contents[key] = self._features(image[None])[-1]
        return torch.cat([self._contents[key] for key in keys.tolist()])

    @torch.no_grad()
    def styles(self, images: Tensor, keys: Tensor) -> StyleTarget:
        """What the styles `images` ask for."""
        if not self._keep:
            return self._style(images)
        for image, key in zip(images, keys.tolist(), strict=True):
            if key not in self._styles:
                self._styles[key] = self._style(image[None])
        return StyleTarget.cat([self._styles[key] for key in keys.tolist()])

    def _style(self, images: Tensor) -> StyleTarget:
        features = self._features(images)
        return StyleTarget([channel_moments(f).statistics() for f in features], covariances(features) if self._covariances else [])

    def _features(self, images: Tensor) -> Sequence[Tensor]:
        return self._network(images.contiguous(memory_format=torch.channels_last))

"""What is exported: functions of pictures and vectors. A picture is [B, 3, H, W] in 0..1, a strength [B].

A style is a vector: of each level, colours first, the mean and the deviations, as a `Style` holds them. The statistics of a picture are
alike, with variances for deviations. Numbers come and go as float32, whatever the precision of the network is.

    Whole: picture, style, strength -> painted       Measure: picture -> style

Tiles need the whole picture's statistics in between, which whoever holds the picture merges. They are for models that match colours:

    Colors: colors, style, strength -> recolor       Features: picture, recolor -> feature0, feature1, ...
    Maps: statistics, style, strength -> maps        Pixels: picture, recolor, maps, feature0, ... -> painted
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from ..adain.affine import Affine
from ..adain.model import StyleTransferModel
from ..adain.moments import Moments, Statistics, color_moments
from .painting import Movement, decoded, feature_moments, laid_over, movement, padded, recolored, recoloring
from .vectors import Shape, joined, parted, size_of

_BATCH = Dim("batch")
_VECTOR = {0: _BATCH}
_ANY_SIZE = {0: _BATCH, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}  # with names, torch.export wants to know that the smallest are padded to more

_COLORS: tuple[Shape, ...] = ((3,), (3, 3))

Input = tuple[str, Tensor, dict[int, Any]]
"""The name of an input, an example of it, and its dimensions of any size."""


class Graph(nn.Module):
    """Base of every graph: a part of what `network` does. Subclasses define `forward` and the two properties."""

    def __init__(self, network: StyleTransferModel) -> None:
        super().__init__()
        self.network = network
        channels: list[Shape] = [(count,) for count in network.level_channels for _ in range(2)]
        self.shapes: Sequence[Shape] = [*_COLORS, *channels] if network.color else channels
        """Of the parts of a style, and of the statistics of a picture."""

    @property
    def inputs(self) -> list[Input]:
        """What `forward` takes, in order."""
        raise NotImplementedError

    @property
    def outputs(self) -> list[str]:
        """The names of what it gives."""
        raise NotImplementedError

    @property
    def sizes(self) -> tuple[Any, ...]:
        """The dimensions of any size, by argument of `forward`."""
        return tuple(sizes for _, _, sizes in self.inputs)

    def _style(self, vector: Tensor) -> list[Statistics]:
        parts = parted(vector, self.shapes)
        return [Statistics(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]

    def _example(self, name: str, count: int) -> Input:
        """A vector of `count` numbers for each picture, such as a picture may have."""
        return name, torch.full((2, count), 0.1), _VECTOR

    @property
    def _styles(self) -> list[Input]:
        return [self._example("style", sum(map(size_of, self.shapes))), ("strength", torch.ones(2), _VECTOR)]


class Whole(Graph):
    """A picture of any size in a style."""

    def forward(self, picture: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        model, target = self.network, self._style(style)
        colors = [color_moments(picture)] if model.color else []
        seen = recolored(picture, recoloring(colors[0], target[0], strength)) if model.color else picture
        seen = padded(model, seen)
        features = model.encode(seen)
        own = [*colors, *feature_moments(model, features, picture.shape[2:])]
        move = movement(model, own, target, strength)
        return laid_over(picture, decoded(model, seen, features, move)[:, :, : picture.shape[2], : picture.shape[3]], move)

    @property
    def inputs(self) -> list[Input]:
        return [("picture", torch.rand(2, 3, 75, 90), _ANY_SIZE), *self._styles]

    @property
    def outputs(self) -> list[str]:
        return ["painted"]


class Measure(Graph):
    """The style of a picture of any size."""

    def forward(self, picture: Tensor) -> Tensor:
        model = self.network
        own = [color_moments(picture)] if model.color else []
        own += feature_moments(model, model.encode(padded(model, picture)), picture.shape[2:])
        statistics = [moments.statistics(0 if model.color and not i else model.correction) for i, moments in enumerate(own)]
        return joined(part for level in statistics for part in level)

    @property
    def inputs(self) -> list[Input]:
        return [("picture", torch.rand(2, 3, 75, 90), _ANY_SIZE)]

    @property
    def outputs(self) -> list[str]:
        return ["style"]


class Part(Graph):
    """Base of the graphs for tiles, whose sides are multiples of the model's stride."""

    def __init__(self, network: StyleTransferModel) -> None:
        super().__init__(network)
        none = torch.zeros(1, sum(map(size_of, self.shapes)))
        self.modulated = [move.shift.shape[1] for move in network.modulate(self._style(none))]
        """Channels of each modulated layer of the decoder."""

    def _recolor(self, vector: Tensor) -> Affine:
        scale, shift = parted(vector, [(3, 3), (3,)])
        return Affine(scale, shift)

    @property
    def _tile(self) -> Input:
        stride = self.network.stride
        return "picture", torch.rand(2, 3, 5 * stride, 7 * stride), {0: _BATCH, 2: stride * Dim("rows"), 3: stride * Dim("columns")}


class Colors(Part):
    """The map of a picture's colours, a matrix and a shift, from their mean and covariance."""

    def forward(self, colors: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        mean, covariance = parted(colors, _COLORS)
        return joined(recoloring(Moments(mean, covariance, strength), self._style(style)[0], strength))

    @property
    def inputs(self) -> list[Input]:
        return [self._example("colors", sum(map(size_of, _COLORS))), *self._styles]

    @property
    def outputs(self) -> list[str]:
        return ["recolor"]


class Features(Part):
    """The features of a recoloured tile at each level."""

    def forward(self, picture: Tensor, recolor: Tensor) -> tuple[Tensor, ...]:
        return tuple(feature.float() for feature in self.network.encode(recolored(picture, self._recolor(recolor))))

    @property
    def inputs(self) -> list[Input]:
        return [self._tile, self._example("recolor", 12)]

    @property
    def outputs(self) -> list[str]:
        return [f"feature{i}" for i in range(len(self.network.level_channels))]


class Maps(Part):
    """All that moves a picture's features, from its statistics, whatever moves its colours included."""

    def forward(self, statistics: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        own = [Moments(*pair, strength) for pair in self._style(statistics)]
        move = movement(self.network, own, self._style(style), strength)
        return joined([move.drawn[:, None], move.shown[:, None], *(part for one in (*move.levels, *move.modulations) for part in one)])

    @property
    def inputs(self) -> list[Input]:
        return [self._example("statistics", sum(map(size_of, self.shapes))), *self._styles]

    @property
    def outputs(self) -> list[str]:
        return ["maps"]


class Pixels(Part):
    """A tile painted, from its features."""

    def forward(self, picture: Tensor, recolor: Tensor, maps: Tensor, *features: Tensor) -> Tensor:
        model, move = self.network, self._movement(maps)
        seen = recolored(picture, self._recolor(recolor))
        return laid_over(picture, decoded(model, seen, [feature.to(model.dtype) for feature in features], move), move)

    @property
    def sizes(self) -> tuple[Any, ...]:
        picture, recolor, maps, *features = super().sizes
        return picture, recolor, maps, tuple(features)

    def _movement(self, maps: Tensor) -> Movement:
        drawn, shown, *parts = parted(maps, [(1,), (1,), *((n,) for n in self._channels for _ in range(2))])
        moves = [Affine(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
        count = len(self.network.level_channels)
        return Movement(moves[:count], moves[count:], drawn[:, 0], shown[:, 0])

    @property
    def _channels(self) -> list[int]:
        return [*self.network.level_channels, *self.modulated]

    @property
    def inputs(self) -> list[Input]:
        name, tile, sizes = self._tile
        model = self.network
        features: list[Input] = []
        for i, (channels, stride) in enumerate(zip(model.level_channels, model.level_strides, strict=True)):
            example = torch.rand(2, channels, tile.shape[2] // stride, tile.shape[3] // stride)
            scale = model.stride // stride
            features.append((f"feature{i}", example, {0: _BATCH, 2: scale * Dim("rows"), 3: scale * Dim("columns")}))
        count = 2 + 2 * sum(self._channels)
        return [(name, tile, sizes), self._example("recolor", 12), self._example("maps", count), *features]

    @property
    def outputs(self) -> list[str]:
        return ["painted"]


WHOLE: dict[str, type[Graph]] = {"": Whole, "-style": Measure}
"""The graphs of a whole model, by what is added to its name."""

PARTS: dict[str, type[Graph]] = {"colors": Colors, "features": Features, "maps": Maps, "pixels": Pixels}
"""The graphs for tiles, by name."""

"""A Style: the moments of one or more style images at every level of an encoder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from .errors import StyleError, counted, reason
from .media.tensor_files import open_tensors, save_tensors
from .moments import Statistics, blend

_FORMAT = "adain-style-1"
_FORMAT_OF_SEVERAL = "adain-style-2"
"""A style that several networks measured; who reads only the first format must not take it for damaged."""

_OTHER = "other{}."
"""Before the names of what another network measured, by its number."""

_INCOMPLETE = "{} is damaged: its statistics or the name of its model are incomplete. Save the style again."

_LARGEST = 1e4
"""No encoder makes larger features. Larger numbers come from damage, and would overflow while a picture is painted."""


@dataclass(frozen=True)
class Style:
    """Statistics [S, ...] of S styles at every level, and the fingerprint of the encoder that measured them.

    S is 1 for one style image; a batch of images gives one style each, which pair with as many contents.
    """

    levels: tuple[Statistics, ...]
    fingerprint: str
    architecture: str
    name: str = ""
    others: tuple[Style, ...] = ()
    """The same as other networks see it, such as the one that judges refined pictures."""

    def __len__(self) -> int:
        return len(self.levels[0].mean)

    def __repr__(self) -> str:
        return f"<Style {self.name!r}: {len(self)} for the {self.architecture} encoder {self.fingerprint[:12]}>"

    def __getitem__(self, index: int) -> Style:
        """The style at `index` of a batch, as a batch of one."""
        chosen = range(len(self))[index]
        return self._map(lambda t: t[chosen : chosen + 1])

    def rows(self, rows: slice) -> Style:
        """Some styles of a batch; a batch of one stands for every row."""
        own = replace(self, levels=tuple(level.rows(rows) for level in self.levels))
        return replace(own, others=tuple(other.rows(rows) for other in self.others))

    def seen_by(self, fingerprint: str) -> Style | None:
        """The style as the network with this fingerprint measured it; None if it did not."""
        return next((style for style in (self, *self.others) if style.fingerprint == fingerprint), None)

    def to(self, device: torch.device | str) -> Style:
        """The same on `device`."""
        return self._map(lambda t: t.to(device))

    def average(self) -> Style:
        """One style that blends all of a batch equally."""
        return Style.blend([self[i] for i in range(len(self))])

    @staticmethod
    def blend(styles: Sequence[Style], weights: Sequence[float] | None = None) -> Style:
        """The weighted mix of `styles`, equal to the paper's interpolation of stylised features.

        `weights` are any numbers >= 0 with a positive sum (default: equal); they are normalised to sum to 1.
        Raises StyleError for unusable weights or styles of different models.
        """
        shares = normalized_weights(weights if weights is not None else [1.0] * len(styles), len(styles))
        first = styles[0]
        for other in styles[1:]:
            other.check_made_for(first.fingerprint, first.architecture)
        counts = sorted({len(style) for style in styles} - {1})
        if len(counts) > 1:
            raise StyleError(f"Styles in batches of {' and '.join(map(str, counts))} do not blend. Use 1 or as many of each.")
        levels = tuple(blend(level, shares) for level in zip(*(s.levels for s in styles), strict=True))
        others = []
        for other in first.others:  # those that all have
            found = [style.seen_by(other.fingerprint) for style in styles]
            if None not in found:
                others.append(Style.blend([style for style in found if style], shares))
        return replace(first, levels=levels, name=" + ".join(s.name for s in styles if s.name), others=tuple(others))

    def check_made_for(self, fingerprint: str, architecture: str) -> None:
        """Raise StyleError unless this style was measured by the encoder with this fingerprint."""
        if self.fingerprint != fingerprint:
            label = f"The style {self.name!r}" if self.name else "The style"
            raise StyleError(
                f"{label} was made by the {self.architecture} encoder {self.fingerprint[:12]} and cannot be used with the "
                f"{architecture} encoder {fingerprint[:12]}. Encode the style image again with the model that applies it."
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file of a few kB, float32. Raises StyleError if it cannot be written."""
        metadata = {"format": _FORMAT_OF_SEVERAL if self.others else _FORMAT, "name": self.name}
        tensors: dict[str, Tensor] = {}
        for style, prefix in [(self, ""), *((other, _OTHER.format(i)) for i, other in enumerate(self.others))]:
            for i, level in enumerate(style.levels):
                tensors[f"{prefix}level{i}.mean"], tensors[f"{prefix}level{i}.std"] = level.mean.float().cpu(), level.std.float().cpu()
            metadata |= {f"{prefix}fingerprint": style.fingerprint, f"{prefix}architecture": style.architecture}
        try:
            save_tensors(tensors, path, metadata)
        except (SafetensorError, OSError) as error:
            raise StyleError(f"The style {path} cannot be written ({reason(error)}). Choose another folder.") from error

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Style:
        """Read what `save` wrote, as float32. Raises StyleError if `path` is anything else, or was damaged since."""
        path = Path(path)
        if not path.is_file():
            raise StyleError(f"There is no style file at {path}. Make one with `adain style save`.")
        tensors, metadata = open_tensors(path, StyleError)
        if metadata.get("format") not in (_FORMAT, _FORMAT_OF_SEVERAL):
            raise StyleError(f"{path} is a safetensors file but not a style: its metadata lacks format={_FORMAT}. Choose a saved style.")
        # Control characters of a foreign file's name could command a terminal.
        name = "".join(c for c in metadata.get("name", "") if c.isprintable())
        style = _read(path, tensors, metadata, "", name)
        others = []
        while f"{(prefix := _OTHER.format(len(others)))}fingerprint" in metadata:
            others.append(_read(path, tensors, metadata, prefix, name))
        if len(tensors) != 2 * sum(len(one.levels) for one in (style, *others)) or {len(style)} != {len(one) for one in (style, *others)}:
            raise StyleError(_INCOMPLETE.format(path))
        return replace(style, others=tuple(others))

    def _map(self, function: Callable[[Tensor], Tensor]) -> Style:
        levels = tuple(Statistics(function(mean), function(std)) for mean, std in self.levels)
        return replace(self, levels=levels, others=tuple(other._map(function) for other in self.others))


def _read(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], prefix: str, name: str) -> Style:
    """What one network measured, whose tensors and metadata in the file at `path` begin with `prefix`."""
    levels: list[Statistics] = []
    while (mean := tensors.get(f"{prefix}level{len(levels)}.mean")) is not None:
        std = tensors.get(f"{prefix}level{len(levels)}.std")
        if std is None or mean.ndim != 2 or not mean.numel() or std.shape not in (mean.shape, (*mean.shape, mean.shape[1])):
            raise StyleError(f"{path} is damaged: part {len(levels) + 1} of its statistics is incomplete. Save the style again.")
        # Copies: what is mapped from a file keeps it from being replaced on Windows.
        levels.append(Statistics(mean.to(torch.float32, copy=True), std.to(torch.float32, copy=True)))
        if not _plausible(levels[-1]):
            raise StyleError(
                f"{path} is damaged: part {len(levels)} of its statistics is not finite, or no picture has such. Save the style again."
            )
    if len({len(level.mean) for level in levels}) != 1 or not metadata.keys() >= {f"{prefix}fingerprint", f"{prefix}architecture"}:
        raise StyleError(_INCOMPLETE.format(path))
    return Style(tuple(levels), metadata[f"{prefix}fingerprint"], metadata[f"{prefix}architecture"], name)


def _plausible(level: Statistics) -> bool:
    """Whether some picture may have the statistics of a level, read from a file."""
    if not all(bool((part.abs() <= _LARGEST).all()) for part in level):  # NaN is not
        return False
    if level.std.ndim == 2:
        return bool((level.std >= 0).all())
    # A root of a covariance of values in 0..1, which are at most half a range from their mean.
    scatter = torch.linalg.eigvalsh(level.std.double())
    symmetric = torch.allclose(level.std, level.std.transpose(1, 2), rtol=0, atol=1e-4)
    return symmetric and bool(((scatter > -1e-4) & (scatter < 2)).all() and (level.mean.abs() < 2).all())


def normalized_weights(weights: Sequence[float], count: int) -> list[float]:
    """`weights` scaled to sum to 1. Raises StyleError if they are not `count` finite numbers >= 0 with a positive sum."""
    if not count:
        raise StyleError("There is no style to blend. Give at least one.")
    if len(weights) != count:
        given, styles = counted(len(weights), "weight"), counted(count, "style")
        raise StyleError(f"There {'is' if len(weights) == 1 else 'are'} {given} for {styles}. Give one weight for each style.")
    values = [float(w) for w in weights]
    total = sum(values)
    if any(v < 0 for v in values) or not 0 < total < float("inf"):  # NaN is not
        raise StyleError(f"The weights {values} cannot be used: they must be numbers >= 0, at least one above 0.")
    return [v / total for v in values]

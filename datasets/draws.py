"""Which styles a picture is painted in, and how strongly: told by its name and a seed, so by nothing of how a run went."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from .names import encoded


class Draw(NamedTuple):
    """The index of a style, and a strength in 0..2."""

    style: int
    strength: float


def draw(name: str, seed: int, count: int, styles: int, strength: tuple[float, float]) -> list[Draw]:
    """`count` draws for the picture `name` from so many `styles`, all different ones as long as there are, and strengths of a range."""
    found: list[Draw] = []
    used = set[int]()
    low, high = strength
    for version in range(count):
        digest = hashlib.sha256(f"{seed}/{version}/".encode() + encoded(name)).digest()
        style = int.from_bytes(digest[:8], "big") % styles
        if len(used) == styles:
            used.clear()
        while style in used:  # the next one that is free
            style = (style + 1) % styles
        used.add(style)
        found.append(Draw(style, low + (high - low) * (int.from_bytes(digest[8:12], "big") / 2**32)))
    return found

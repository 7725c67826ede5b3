"""The styles of a run, kept in its target: workers read them there, also those that take the place of others."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..adain.style import Style
from .manifest import STATE
from .places import Place

_NAME = f"{STATE}/styles.safetensors"


def write_styles(target: Place, styles: Style) -> None:
    """Keep `styles`, a batch, in the target."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "styles.safetensors"
        styles.save(file)
        target.write(_NAME, file.read_bytes())


def read_styles(target: Place) -> Style:
    """The styles that `write_styles` kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "styles.safetensors"
        file.write_bytes(target.read(_NAME))
        return Style.load(file)

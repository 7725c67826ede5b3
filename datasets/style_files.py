"""The styles of a run, kept in its target: workers read them there, also those that take the place of others, and a run that is resumed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..adain.style import Style
from .manifest import STATE
from .places import Place

_STATISTICS, _NAMES = f"{STATE}/styles.safetensors", f"{STATE}/styles.json"


class Named(NamedTuple):
    """Styles as one batch, and what each is called."""

    styles: Style
    names: Sequence[str]


def write_styles(target: Place, named: Named) -> None:
    """Keep styles in the target."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "styles.safetensors"
        named.styles.save(file)
        target.write(_STATISTICS, file.read_bytes())
    target.write(_NAMES, json.dumps(named.names).encode())


def read_styles(target: Place) -> Named:
    """The styles that `write_styles` kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "styles.safetensors"
        file.write_bytes(target.read(_STATISTICS))
        return Named(Style.load(file), json.loads(target.read(_NAMES)))

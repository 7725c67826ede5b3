"""Style presets: the statistics of public-domain pictures, embedded beside the model that measured them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

from ..adain.errors import StyleError
from ..adain.model import StyleTransferModel
from ..adain.style import Style
from .toml import read_toml

_FOLDER = Path(__file__).parent / "presets"

FIRST_PRESET = "red-horse"
"""The preset to begin with: strong on photographs, portraits, landscapes and flat drawings alike."""


class Preset(NamedTuple):
    """What a preset was measured on; `file` names the picture for whoever measures it anew."""

    title: str
    artist: str
    kind: str
    file: str
    size: int = 0
    """The short side in pixels at which the work was measured; 0 is the short side of its file."""


def presets() -> dict[str, Preset]:
    """Every preset by name."""
    table = read_toml(_FOLDER / "presets.toml")
    return {name: Preset(**values) for name, values in table.items()}


def preset_names() -> list[str]:
    """Names to give to `load_preset`."""
    return list(presets())


def preset_path(name: str) -> Path:
    """The style file of the preset `name`."""
    return _FOLDER / f"{name}.safetensors"


def load_preset(model: StyleTransferModel, name: str) -> Style:
    """The preset `name` as a Style. Raises StyleError if there is none or `model` is not the embedded one."""
    if not isinstance(name, str):
        raise StyleError(f"The name of the preset is a {type(name).__name__}. Call load_preset(model, name).")
    if name not in presets():
        like = difflib.get_close_matches(name.lower().replace(" ", "-"), presets(), n=1)
        meant = f" Did you mean {like[0]}?" if like else ""
        raise StyleError(f"There is no preset {name!r}.{meant} Choose one of: {', '.join(presets())}.")
    style = Style.load(preset_path(name))
    style.check_made_for(model.fingerprint, model.architecture)
    return style

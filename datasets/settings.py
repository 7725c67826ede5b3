"""What a run makes of its source. Two runs with equal settings make equal datasets."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from ..adain.color import ColorMode
from .errors import DatasetError


@dataclass(frozen=True)
class Settings:
    """The settings of a run; each is one that the result depends on."""

    source: str
    styles: str
    """A digest of what names all styles."""
    model: str
    """Fingerprint and precision of the network."""
    seed: int = 0
    per_image: int = 1
    strength: tuple[float, float] = (1.0, 1.0)
    color: ColorMode = "style"
    size: int = 0
    """The short side in pixels to which pictures are scaled; 0: as they are."""
    crop: int = 0
    """The side in pixels of the square that is cut from their middle; 0: all of them."""
    extension: str = ""
    """`.jpg`, `.png` or `.webp`; empty: as their source."""
    quality: int = 95
    column: str = ""
    """The column of pictures in Parquet files; empty: the one that there is."""

    def to_json(self) -> str:
        """The text that `check_equal` compares with."""
        return json.dumps(dataclasses.asdict(self))

    def check_equal(self, earlier: str, target: str) -> None:
        """Raise DatasetError, with what differs, unless the run whose `to_json` is `earlier` was the same."""
        old, new = json.loads(earlier), json.loads(self.to_json())
        names = {"extension": "format", "column": "image column", "per_image": "number of versions", "color": "colours"}
        differ = [f"{names.get(key, key)} ({_told(old.get(key))} there, {_told(new[key])} here)" for key in new if old.get(key) != new[key]]
        if differ:
            raise DatasetError(
                f"{target} holds another run, with other {' and other '.join(differ)}. Give the same again, or another target."
            )


def _told(value: object) -> str:
    text = " to ".join(map(str, dict.fromkeys(value))) if isinstance(value, list) else str(value)
    return text if len(text) != 64 else text[:8]  # digests

"""Sample pictures: photographs that ship with the package, free to use; samples/README.md says whose they are."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "samples"


def sample_names() -> list[str]:
    """Names to give to `sample_path`, the one to begin with first."""
    return ["coffee", "astronaut", "cat"]


def sample_path(name: str) -> Path:
    """The image file of the sample `name`."""
    return _FOLDER / f"{name}.jpg"

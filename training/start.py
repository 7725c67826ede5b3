"""The door of `adain-train`: what training needs beside the package itself is asked for in a sentence."""

from __future__ import annotations

import sys

from ..adain.extras import install

_PACKAGES = ("accelerate", "tensorboard", "torchvision")


def main() -> int:
    """Run `train.main`; 1 with a sentence if a package is missing."""
    try:
        from .train import main as train
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in _PACKAGES:
            raise
        print(f"adain-train: {install('Training', missing)}", file=sys.stderr)  # noqa: T201 - no log is set up yet
        return 1
    return train()

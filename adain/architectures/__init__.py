"""The architectures this package knows. A new one is a file here and a line in ARCHITECTURES."""

from __future__ import annotations

from . import lite, vgg19

ARCHITECTURES = {"lite": lite, "vgg19": vgg19}
"""Name -> module with `detect(state) -> bool` and `from_state(state) -> StyleTransferModel`."""

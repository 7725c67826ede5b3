"""The architectures this package knows. A new one is a file here and a line in ARCHITECTURES."""

from __future__ import annotations

from . import base, keras, kuko6, lite, vgg19

ARCHITECTURES = {"lite": lite, "base": base, "vgg19": vgg19, "kuko6": kuko6, "keras": keras}
"""Name -> module with `detect(state) -> bool` and `from_state(state) -> StyleTransferModel`."""

"""The architectures this package knows. A new one is a file here and its place in ARCHITECTURES."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..model import StyleTransferModel
from .architecture import Architecture
from .base import BaseArchitecture
from .keras import KerasArchitecture
from .kuko6 import Kuko6Architecture
from .lite import LiteArchitecture
from .vgg19 import VGG19Architecture

_KNOWN = (LiteArchitecture(), BaseArchitecture(), VGG19Architecture(), Kuko6Architecture(), KerasArchitecture())

ARCHITECTURES: Mapping[str, Architecture[StyleTransferModel]] = {known.name: known for known in _KNOWN}
"""Architectures by name."""


def architecture_of(state: Mapping[str, Tensor]) -> Architecture[StyleTransferModel] | None:
    """The architecture of a file with the tensors `state`, if it is a known one."""
    return next((known for known in ARCHITECTURES.values() if known.detect(state)), None)

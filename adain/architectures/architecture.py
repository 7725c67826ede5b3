"""Architecture: how the model in a file is recognised and built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from torch import Tensor

from ..model import StyleTransferModel

Model = TypeVar("Model", bound=StyleTransferModel, covariant=True)


class Architecture(ABC, Generic[Model]):
    """A kind of network that model files hold. What its networks are like (levels, channels, halos) is said by their class, `model`."""

    model: type[Model]
    """Class of its networks; without arguments it makes one of the usual size."""

    @property
    def name(self) -> str:
        """The name in the registry, in recipes and in the metadata of files."""
        return self.model.architecture

    @abstractmethod
    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """Whether a file with the tensors `state` is meant to be one of these networks.

        True for every file that is one, and for no file of another architecture. It may be true for a file that is damaged or lacks a
        tensor: loading it then tells what does not fit.
        """

    @abstractmethod
    def build(self, state: Mapping[str, Tensor]) -> Model:
        """A network of the sizes that the shapes in `state` tell; its weights are fresh, those of `state` are yet to be loaded.

        Raises KeyError or TypeError if `state` lacks a tensor that tells a size, or has a mere number in its place.
        """

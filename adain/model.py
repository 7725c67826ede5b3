"""StyleTransferModel: an encoder, a decoder and the levels at which AdaIN joins them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from .affine import Affine, RegionalAffine
from .moments import Statistics
from .network import FeatureNetwork


class StyleTransferModel(FeatureNetwork):
    """Base of every architecture's network. Subclasses say what they are like in the attributes below, have an `encoder` and a `decoder`
    and define `encode`, `finish` and maybe `prepare` and `modulate`."""

    halo: ClassVar[int]
    """Pixels around an area, a multiple of `stride`, that its painted pixels depend on, through encoder and decoder."""
    prepare_halo: ClassVar[int] = 0
    """Pixels around an area, a multiple of `stride`, that `prepare` looks at."""

    def prepare(self, coarsest: Tensor, modulations: Sequence[RegionalAffine]) -> Tensor:
        """The beginning of the decoder, from the stylised `coarsest` feature map to one of the same height and width.

        Layers there look far in pixels and cost little memory, those after it the other way round: apart, tiles see around
        themselves only as far as each needs. Nothing by default.
        """
        return coarsest

    def finish(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        """The rest of the decoder: a picture [B, 3, H, W] (not clamped) from stylised `features`, the last one prepared.

        `image` is what was encoded.
        """
        raise NotImplementedError

    def decode(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        """A picture [B, 3, H, W] (not clamped) from stylised `features`; `image` is what was encoded."""
        *finer, coarsest = features
        return self.finish(image, [*finer, self.prepare(coarsest, modulations)], modulations)

    def modulate(self, target: Sequence[Statistics]) -> list[Affine]:
        """Affine maps for the decoder's own layers, linear in the target statistics of all levels; none by default."""
        return []

    @property
    def decoder_halo(self) -> int:
        """Pixels around an area that its painted pixels depend on through the decoder alone."""
        return self.halo - self.encoder_halo

    @property
    def finish_halo(self) -> int:
        """Pixels around an area that its painted pixels depend on through `finish` alone."""
        return self.decoder_halo - self.prepare_halo

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the network computes in, but for layers that need more; statistics are float32 or better whatever it is."""
        return next(self.get_submodule("decoder").parameters()).dtype  # not the encoder's, whose first layers may keep float32

"""What a training step minimises: the paper's losses and whatever else the recipe gives a weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adain.loss_network import LossNetwork
from ..adain.losses import content_loss, range_loss, style_loss, variation_loss
from ..adain.model import StyleTransferModel
from .frozen import Targets
from .losses import covariance_loss, grid_loss
from .recipe import Recipe


class Batch(NamedTuple):
    """Pairs of crops [B, 3, crop, crop] in 0..1 and their keys [B], see `Crops`."""

    contents: Tensor
    content_keys: Tensor
    styles: Tensor
    style_keys: Tensor


class Objective:
    """The terms of a step by name, and their weighted sum as "loss". A term without a weight is not computed."""

    def __init__(self, recipe: Recipe, loss_network: LossNetwork) -> None:
        self.recipe = recipe
        keep = recipe.variants > 0
        self._loss_network = loss_network
        self._targets = Targets(self._features, keep, recipe.covariance_weight > 0)

    def __call__(self, paint: Callable[[Batch], Tensor], repaint: Callable[[Tensor, Tensor], Tensor], batch: Batch) -> dict[str, Tensor]:
        """`paint` makes the pictures of a batch, `repaint` those of contents (and their keys) in their own styles."""
        recipe = self.recipe
        terms: dict[str, Tensor] = {}
        weights = {
            "content": recipe.content_weight,
            "style": recipe.style_weight,
            "range": recipe.range_weight,
            "covariance": recipe.covariance_weight,
            "grid": recipe.grid_weight,
            "variation": recipe.variation_weight,
            "identity": recipe.identity_weight,
        }
        if recipe.content_weight or recipe.style_weight:
            painted = paint(batch)
            wanted = self._targets.styles(batch.styles, batch.style_keys)
            if recipe.content_target == "adain":
                target = self._targets.contents(batch.contents, batch.content_keys, wanted.statistics[-1])
            else:
                target = self._targets.features(batch.contents, batch.content_keys).float()
            features = self._features(painted)
            terms |= {
                "content": content_loss(features[-1], target),
                "style": style_loss(features, wanted.statistics),
                "range": range_loss(painted),
            }
            if recipe.covariance_weight:
                terms["covariance"] = covariance_loss(features, wanted.covariances)
            if recipe.grid_weight:
                terms["grid"] = grid_loss(painted)
            if recipe.variation_weight:
                terms["variation"] = variation_loss(painted)
        if recipe.identity_weight:
            # One picture of each batch, all of them where nothing else is learned, is also painted in its own style:
            # it must come back as it is (strength 0).
            count = 1 if terms else len(batch.contents)
            own = batch.contents[:count]
            terms["identity"] = F.mse_loss(repaint(own, batch.content_keys[:count]), own)
        return terms | {"loss": torch.stack([weights[name] * value for name, value in terms.items()]).sum()}

    def _features(self, images: Tensor) -> list[Tensor]:
        with torch.autocast(images.device.type, enabled=False):  # the loss network has a precision of its own
            return self._loss_network(images)


class FrozenPainter:
    """Paints batches with a model around one level of a frozen encoder, keeping what that says of crops.

    `decode` is the model's own, or a module around it; called as `decode(image, [code], [])`.
    """

    def __init__(self, model: StyleTransferModel, decode: Callable[..., Tensor], keep: bool) -> None:
        self._codes, self._decode = Targets(model.encode, keep), decode

    def __call__(self, batch: Batch) -> Tensor:
        """The pictures, not clamped, float32."""
        style = self._codes.styles(batch.styles, batch.style_keys).statistics[-1]
        return self._picture(self._codes.contents(batch.contents, batch.content_keys, style))

    def repaint(self, contents: Tensor, keys: Tensor) -> Tensor:
        """`contents` in their own styles, where AdaIN changes nothing."""
        return self._picture(self._codes.features(contents, keys))

    def _picture(self, code: Tensor) -> Tensor:
        code = code.float()  # a picture takes the precision of its code
        return self._decode(code, [code], []).float()

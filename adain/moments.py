"""First and second moments of images and feature maps: all that AdaIN knows about a style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .precision import wide

CHANNEL_EPS = 1e-5
"""Added to a channel's variance before the square root, as in the paper's code."""

COLOR_EPS = 1e-4
"""Added to the diagonal of an RGB covariance: about (2.5 / 255)^2, so that 8-bit noise of a flat picture is not stretched."""

BAND = 2**21
"""Values of a feature map whose moments are taken at once on a CPU, so that no large buffers are needed. In one piece, two thirds of the
time for 2048 x 2048 once went into the page faults of such buffers."""


class Statistics(NamedTuple):
    """What AdaIN matches at one level: a mean and a standard deviation.

    `mean` is [B, C]. `std` is [B, C] at a feature level; at level 0 (RGB) it is the symmetric square root of
    the covariance, [B, 3, 3].
    """

    mean: Tensor
    std: Tensor

    @staticmethod
    def cat(batches: Sequence[Statistics]) -> Statistics:
        """The statistics of one batch after the other, as of one batch."""
        return Statistics(*(torch.cat(parts) for parts in zip(*batches, strict=True)))

    def rows(self, rows: slice) -> Statistics:
        """The statistics of some pictures of the batch; a batch of one stands for every row."""
        return Statistics(rows_of(self.mean, rows), rows_of(self.std, rows))


@dataclass(frozen=True)
class Moments:
    """Weighted moments of [B, C, H, W] values, in float32 or float64.

    `mean` is [B, C], `var` the population variance [B, C] or covariance [B, C, C], `weight` [B] the number of
    pixels or the sum of the mask.
    """

    mean: Tensor
    var: Tensor
    weight: Tensor

    @staticmethod
    def cat(batches: Sequence[Moments]) -> Moments:
        """The moments of one batch after the other, as of one batch."""
        return Moments(*(torch.cat([getattr(m, name) for m in batches]) for name in ("mean", "var", "weight")))

    def row(self, index: int) -> Moments:
        """The moments of one picture of the batch; a batch of one stands for every row."""
        return Moments(*(rows_of(t, slice(index, index + 1)) for t in (self.mean, self.var, self.weight)))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Moments:
        """The same moments on `device` in `dtype`; one of both devices is the CPU, where any dtype is made into any."""
        return Moments(*(t.cpu().to(dtype).to(device) for t in (self.mean, self.var, self.weight)))

    def light(self) -> Tensor:
        """[B], the mean square of all channels: of colours, how much light there is."""
        var = self.var.diagonal(dim1=1, dim2=2) if self.var.ndim == 3 else self.var
        return (var + self.mean.square()).mean(1)

    def statistics(self, correction: int = 0) -> Statistics:
        """Mean and standard deviation; `correction=1` is the unbiased deviation that some published networks use."""
        var = self.var
        if correction:
            factor = self.weight / (self.weight - correction).clamp_min(1)
            var = var * factor.view(-1, *[1] * (var.ndim - 1))
        if var.ndim == 2:
            return Statistics(self.mean, (var + CHANNEL_EPS).sqrt())
        return Statistics(self.mean, matrix_power(var + COLOR_EPS * torch.eye(var.shape[-1]).to(var), 0.5))


def rows_of(x: Tensor, rows: slice) -> Tensor:
    """`x[rows]`, where a batch of one stands for every row."""
    return x if len(x) == 1 else x[rows]


def channel_moments(x: Tensor, mask: Tensor | None = None) -> Moments:
    """Per-channel mean and variance of `x` [B, C, H, W], weighted by `mask` [B or 1, 1, H, W] >= 0 if given.

    A mask that is zero everywhere gives zeros, never NaN.
    """
    if mask is None:
        mean, var = _ChannelMoments.apply(x)
        return Moments(mean, var, mean.new_full((x.shape[0],), x.shape[2] * x.shape[3]))
    x = wide(x)
    mask, weight = _mask_and_weight(x, mask)
    total = weight.clamp_min(torch.finfo(x.dtype).tiny)[:, None]
    mean = (x * mask).sum((2, 3)) / total
    var = ((x - mean[:, :, None, None]).square() * mask).sum((2, 3)) / total
    return Moments(mean, var, weight)


def color_moments(x: Tensor, mask: Tensor | None = None) -> Moments:
    """Mean and full covariance of the colours of `x` [B, 3, H, W], weighted by `mask` [B or 1, 1, H, W] if given."""
    x = wide(x)
    pixels = x.flatten(2)
    if mask is None:
        mean = pixels.mean(2)
        centred = pixels - mean[:, :, None]
        cov = centred @ centred.transpose(1, 2) / pixels.shape[2]
        return Moments(mean, cov, mean.new_full((x.shape[0],), pixels.shape[2]))
    mask, weight = _mask_and_weight(x, mask)
    total = weight.clamp_min(torch.finfo(x.dtype).tiny)
    weighted = mask.flatten(2)
    mean = (pixels * weighted).sum(2) / total[:, None]
    centred = pixels - mean[:, :, None]
    cov = (centred * weighted) @ centred.transpose(1, 2) / total[:, None, None]
    return Moments(mean, cov, weight)


def merge(parts: Sequence[Moments], shares: Sequence[float] | None = None) -> Moments:
    """Moments of the union of disjoint parts (tiles, frames), accumulated in float64 (Chan et al. 1983).

    They are on the CPU: not every accelerator has float64. `shares` says how much each part counts (default 1).
    """
    parts = [p.to("cpu", torch.float64) for p in parts]
    weights = torch.stack([p.weight for p in parts])
    if shares is not None:
        weights = weights * torch.tensor(shares).to(weights)[:, None]
    weight = weights.sum(0)
    fractions = weights / weight.clamp_min(torch.finfo(torch.float64).tiny)
    means = torch.stack([p.mean for p in parts])
    mean = (means * fractions[..., None]).sum(0)
    delta = means - mean
    full = parts[0].var.ndim == 3
    spread = delta[..., :, None] * delta[..., None, :] if full else delta.square()
    fractions = fractions.view(*fractions.shape, *[1] * (spread.ndim - 2))
    var = ((torch.stack([p.var for p in parts]) + spread) * fractions).sum(0)
    return Moments(mean, var, weight)


def blend(statistics: Sequence[Statistics], weights: Sequence[float | Tensor]) -> Statistics:
    """Weighted sum of means and of deviations; with weights that sum to 1 it is the paper's interpolation.

    AdaIN is affine in (mean, std), so mixing the statistics equals mixing the stylised features.
    """
    mean = sum(s.mean * w for s, w in zip(statistics, weights, strict=True))
    std = sum(s.std * w for s, w in zip(statistics, weights, strict=True))
    assert isinstance(mean, Tensor) and isinstance(std, Tensor)  # sum() of an empty sequence would be 0
    return Statistics(mean, std)


def color_statistics(image: Tensor, mask: Tensor | None = None) -> Statistics:
    """Statistics of the colours of `image` [B, 3, H, W], in full precision even under autocast: level 0 of models that match them."""
    with torch.autocast(image.device.type, enabled=False):
        return color_moments(image, mask).statistics()


def matrix_power(symmetric: Tensor, exponent: float) -> Tensor:
    """`symmetric` [B, n, n], positive semi-definite, to a real power."""
    return matrix_function(symmetric, lambda values: values.clamp_min(1e-12).pow(exponent))


def matrix_function(symmetric: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """The matrix with the eigenvectors of `symmetric` [B, n, n] and what `function` makes of its eigenvalues [B, n], in float64.

    It is so small that the CPU is no slower; MPS finds no eigenvectors before torch 2.14, and has no float64.
    """
    values, vectors = torch.linalg.eigh(symmetric.cpu().double())
    return ((vectors * function(values)[..., None, :]) @ vectors.transpose(-1, -2)).to(symmetric)


def _pixel_moments(x: Tensor) -> Moments:
    """Per-channel moments of `x` [B, H, W, C]."""
    count = x.shape[1] * x.shape[2]
    if x.device.type == "cpu":
        # Batch normalisation's own statistics, a quarter of the time: half precision is widened value by value. Each column is a
        # channel of its own, because these sums are plain ones, exact enough in float32 only if they are short.
        unused = torch.zeros(x.shape[2] * x.shape[3], dtype=torch.promote_types(x.dtype, torch.float32))  # says the precision
        rows = x.contiguous().flatten(2).permute(0, 2, 1)[..., None].split(1)
        columns = [torch.batch_norm_update_stats(row, unused, unused, 0.0) for row in rows]
        means, variances = (torch.stack(parts).unflatten(1, x.shape[2:]) for parts in zip(*columns, strict=True))
        mean = means.mean(1)
        var = variances.mean(1).add_((means - mean[:, None]).square_().mean(1))
    else:
        pixels = wide(x.flatten(1, 2))
        mean = pixels.mean(1)
        var = (pixels - mean[:, None]).square_().mean(1)
    return Moments(mean, var, mean.new_full((len(x),), count))


class _ChannelMoments(torch.autograd.Function):
    """Mean and population variance [B, C] of x [B, C, H, W].

    Taken over the channels-last view, in bands on a CPU, they need a fraction of the time of `torch.var_mean`, and the backward pass
    is one fused expression: autograd's own costs more than a convolution.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        height = max(1, BAND * x.shape[2] // x.numel()) if x.device.type == "cpu" else x.shape[2]
        parts = [_pixel_moments(band) for band in x.permute(0, 2, 3, 1).split(height, 1)]
        whole = parts[0] if len(parts) == 1 else merge(parts)
        mean, var = whole.mean.to(parts[0].mean), whole.var.to(parts[0].mean)
        ctx.save_for_backward(x, mean)
        return mean, var

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        grad_mean, grad_var = grad_outputs
        x, mean = ctx.saved_tensors
        pixels = x.shape[2] * x.shape[3]
        scale = 2 * grad_var / pixels
        shift = grad_mean / pixels - scale * mean
        return torch.addcmul(shift[:, :, None, None].to(x.dtype), scale[:, :, None, None].to(x.dtype), x)


def _mask_and_weight(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    mask = mask.to(x).expand(x.shape[0], -1, -1, -1)
    return mask, mask.sum((1, 2, 3))

"""AdaIN on the latents of diffusion models: the channel moments of a picture, of a clip, or around each pixel.

A latent is [B, C, H, W], or [B, C, T, H, W] for video, with any number of channels in any range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .affine import affine
from .checks import check_mask
from .devices import capable
from .errors import ImageError, StyleError
from .moments import CHANNEL_EPS, Statistics, blend, channel_moments
from .precision import wide
from .style import normalized_weights

Scope = Literal["each frame", "whole clip"]
"""What has moments of its own: each picture or frame, or all T frames of a video together (of a 4-D latent: the batch)."""


def match_latent(
    latent: Tensor,
    style: Tensor,
    *,
    strength: float = 1.0,
    scope: Scope = "each frame",
    paired: bool = False,
    window: float = 0.0,
    mask: Tensor | None = None,
    style_mask: Tensor | None = None,
) -> Tensor:
    """`latent` with the channel moments of `style`, in the shape and dtype of `latent`.

    All frames of `style` together are one style; `paired` takes them one for each frame (or clip, as `scope` says)
    instead. With `window` > 0 the moments are those around each pixel (`local_statistics`), `window` pixels of `latent`
    wide, and the style is taken from the same place of its own picture. `mask` limits what is measured and moved,
    `style_mask` what is measured of the style (`latent_mask`). `strength` 0 gives `latent` itself.

    Raises ImageError for unusable tensors and StyleError for a style of other channels or another number of frames.
    """
    check_latent(latent, "latent")
    check_latent(style, "style latent")
    style_window = tuple(window * theirs / ours for theirs, ours in zip(style.shape[-2:], latent.shape[-2:], strict=True))
    measured = style if paired else frames_of(style)
    target = measure(measured, scope if paired else "whole clip", mask=style_mask, window=style_window if window else None)
    return move(latent, target, strength, scope=scope, mask=mask, window=window)


def blended_statistics(latents: Sequence[Tensor], weights: Sequence[float] | None = None) -> Statistics:
    """Moments [1, C] of the whole of each latent, mixed in proportion to `weights` (default: equally).

    Raises StyleError for unusable weights or latents of different channels.
    """
    shares = normalized_weights(weights if weights is not None else [1.0] * len(latents), len(latents))
    channels = {latent.shape[1] for latent in latents}
    if len(channels) > 1:
        raise StyleError(f"The style latents have {sorted(channels)} channels. Encode all of them with the model's own VAE.")
    return blend([measure(frames_of(latent), "whole clip") for latent in latents], shares)


def measure(x: Tensor, scope: Scope, *, mask: Tensor | None = None, window: tuple[float, ...] | None = None) -> Statistics:
    """Mean and deviation of each channel of the latent `x`: [N, C] for N frames or clips, or maps [N, C, H, W] of local ones.

    `mask` as in `latent_mask`; `window` as in `local_statistics`.
    """
    frames, shared = wide(frames_of(x)), _shared(x, scope)
    weight = None if mask is None else latent_mask(mask, x).to(frames)
    if window is not None:
        return local_statistics(frames, weight, window, shared)
    joined = _side_by_side(frames, shared)
    return channel_moments(joined, None if weight is None else _side_by_side(weight.expand(len(frames), -1, -1, -1), shared)).statistics()


def move(
    x: Tensor,
    target: Statistics,
    strength: float = 1.0,
    *,
    scope: Scope = "each frame",
    mask: Tensor | None = None,
    window: float = 0.0,
) -> Tensor:
    """The latent `x` with its moments moved to `target`, all of the way at `strength` 1, beyond it to 2.

    `target` is [1 or N, C] for the N frames or clips of `x`, or maps [1 or N, C, h, w] of any size if `window` > 0.
    Outside `mask` `x` stays bit for bit. Raises StyleError for a target of other channels or another N.
    """
    frames, shared = wide(frames_of(x)), _shared(x, scope)
    _check_target(target, frames.shape[1], len(frames) // shared)
    if strength == 0:
        return x
    own = measure(x, scope, mask=mask, window=(window, window) if window else None)
    aim = blend([own, Statistics(*(_at(part, own.mean).to(own.mean) for part in target))], [1 - strength, strength])
    if strength > 1:
        aim = aim._replace(std=aim.std.clamp_min(0))  # contrast that falls goes down to nothing at most, and does not turn round
    to_aim = affine(own, aim)
    moved = type(to_aim)(*(part.repeat_interleave(shared, 0) for part in to_aim))(frames)
    if mask is not None:
        moved = torch.lerp(frames, moved, latent_mask(mask, x).to(frames))
    return _like(moved, x).to(x.dtype)


def local_statistics(frames: Tensor, weight: Tensor | None, window: tuple[float, ...], shared: int = 1) -> Statistics:
    """Mean and deviation around each pixel of `frames` [F, C, H, W]: maps [F / shared, C, H, W].

    Neighbours count by a Gaussian whose deviation is a quarter of `window` (height, width), cut off at 3 deviations, so that
    the window holds 95 % of its weight along each side; those outside the picture do not count, the others by `weight`
    [F or 1, 1, H, W]. `shared` consecutive frames have their moments in common.
    """
    weight = frames.new_ones(1, 1, *frames.shape[2:]) if weight is None else weight
    weight = weight.expand(len(frames), -1, -1, -1)

    def around(x: Tensor) -> Tensor:
        return _gaussian(x, window).unflatten(0, (-1, shared)).sum(1)

    total = around(weight).clamp_min(torch.finfo(frames.dtype).tiny)
    # About the overall mean, so that the difference of squares below loses no digits.
    centre = channel_moments(_side_by_side(frames, shared)).mean[:, :, None, None]
    centred = frames - centre.repeat_interleave(shared, 0)
    mean = around(centred * weight) / total
    var = (around(centred.square() * weight) / total - mean.square()).clamp_min(0)
    return Statistics(mean + centre, (var + CHANNEL_EPS).sqrt())


def frames_of(x: Tensor) -> Tensor:
    """The frames [B * T, C, H, W] of a latent, sample by sample."""
    return x if x.ndim == 4 else x.transpose(1, 2).flatten(0, 1)


def latent_mask(mask: Tensor, latent: Tensor) -> Tensor:
    """`mask` [n, h, w] or [n, 1, h, w] in 0..1 at the size of the frames of `latent`: [1 or B * T, 1, H, W] float32.

    n is 1 or the number of pictures; for a video it may be any number of frames, which are averaged down or repeated to the
    latent's own. Raises ImageError for anything else.
    """
    # Averages, not a wider filter: a latent pixel is covered by the pixels it stands for, and a mask of whole blocks keeps its edge.
    if latent.ndim == 4:
        return F.interpolate(capable(check_mask(mask, "mask", len(latent))), size=latent.shape[2:], mode="area")
    frames = capable(check_mask(mask, "mask", len(mask))).transpose(0, 1)[None]
    if frames.shape[2] == 1:
        return F.interpolate(frames[:, :, 0], size=latent.shape[3:], mode="area")
    clip = F.interpolate(frames, size=latent.shape[2:], mode="area")
    return frames_of(clip.expand(len(latent), -1, -1, -1, -1))


def check_latent(x: Tensor, label: str) -> None:
    """Raise ImageError unless `x` is a finite float [B, C, H, W] or [B, C, T, H, W]."""
    if x.ndim not in (4, 5) or not x.numel() or not x.is_floating_point():
        raise ImageError(
            f"The {label} is {x.dtype} of the shape {list(x.shape)}. Expected the floats of pictures "
            "[batch, channels, height, width] or of a video [batch, channels, frames, height, width]."
        )
    if not x.isfinite().all():
        raise ImageError(f"The {label} holds NaN or infinite values. Fix the node that produced it; a VAE may need --fp32-vae.")


def _check_target(target: Statistics, channels: int, groups: int) -> None:
    count, found = target.mean.shape[:2]
    if found != channels:
        raise StyleError(
            f"The style latent has {found} channels and the latent has {channels}: they belong to different models. "
            "Encode the style picture with the VAE that made the latent."
        )
    if count not in (1, groups):
        raise StyleError(
            f"{count} styles cannot be matched with {groups} frames. Give one style, one for each frame, or take the styles together."
        )


def _shared(x: Tensor, scope: Scope) -> int:
    """How many consecutive frames have their moments in common."""
    if scope == "each frame":
        return 1
    return len(x) if x.ndim == 4 else x.shape[2]


def _side_by_side(frames: Tensor, shared: int) -> Tensor:
    """[F, C, H, W] -> [F / shared, C, shared * H, W]: moments do not ask where a pixel is."""
    return frames.unflatten(0, (-1, shared)).transpose(1, 2).flatten(2, 3)


def _like(frames: Tensor, x: Tensor) -> Tensor:
    """Undoes `frames_of`."""
    return frames if x.ndim == 4 else frames.unflatten(0, (len(x), -1)).transpose(1, 2)


def _at(target: Tensor, own: Tensor) -> Tensor:
    """Maps of moments at the size of `own`; plain moments as they are."""
    if target.ndim == 2 or target.shape[-2:] == own.shape[-2:]:
        return target
    return F.interpolate(capable(target), size=own.shape[-2:], mode="bilinear", antialias=True)


def _gaussian(x: Tensor, window: tuple[float, ...]) -> Tensor:
    """Sums of `x` [F, C, H, W] weighted by the Gaussian of `local_statistics`, with zeros outside."""
    planes = x.flatten(0, 1)[:, None]
    for axis, side in ((-2, window[0]), (-1, window[1])):
        radius = min(math.ceil(3 * side / 4), x.shape[axis] - 1)
        offsets = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
        kernel = torch.softmax(-(offsets * 4 / side).square() / 2, 0)
        shape, padding = ((1, 1, -1, 1), (radius, 0)) if axis == -2 else ((1, 1, 1, -1), (0, radius))
        planes = F.conv2d(planes, kernel.view(shape), padding=padding)
    return planes.unflatten(0, x.shape[:2])[:, :, 0]

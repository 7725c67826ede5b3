"""Temporal consistency: a photograph in known motion, and how much more a stylised clip flickers than the clip itself.

The warp error of Lai et al. (2018) with exact flow: each frame against the next one moved back onto it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adain.resample import resize
from .metrics import eight_bit


class Camera(NamedTuple):
    """What a frame shows of the photograph, in units of half its width and height, and how bright it is."""

    x: float
    y: float
    """Centre, 0 in the middle."""
    scale: float
    """Share of the photograph's width and height that the frame shows."""
    gain: float = 1.0


FIRST, LAST = Camera(-0.15, -0.1, 0.8, 0.93), Camera(0.15, 0.1, 0.7, 1.07)
"""The standard clip pans over a fifth of the frame, zooms in by an eighth and grows lighter by a seventh."""

FRAMES = 6


@dataclass(frozen=True)
class Clip:
    """`frames` [N, 3, H, W] in 0..1, 8 bits a channel, and the camera of each."""

    frames: Tensor
    cameras: list[Camera]

    def warp_error(self, frames: Tensor) -> float:
        """Root mean square difference of each of `frames` to the next one moved back onto it, where both show the place.

        `frames` is this clip, stylised or not.
        """
        errors = [
            _difference(frames[i : i + 1], frames[i + 1 : i + 2], here, there)
            for i, (here, there) in enumerate(zip(self.cameras, self.cameras[1:], strict=False))
        ]
        return torch.stack(errors).mean().sqrt().item()

    def flicker(self, paint: Callable[[Tensor], Tensor]) -> float:
        """The warp error of the clip painted frame by frame, as a multiple of the clip's own; 1 is as steady as the photograph."""
        painted = torch.cat([eight_bit(paint(frame[None])) for frame in self.frames])
        rounding = 1 / 255 / 12**0.5  # a clip without detail has no error but this
        return self.warp_error(painted) / max(self.warp_error(self.frames), rounding)


def film(photograph: Tensor, size: int, first: Camera = FIRST, last: Camera = LAST, count: int = FRAMES) -> Clip:
    """`count` frames with a short side of `size` pixels from `photograph` [1, 3, h, w], moving evenly from `first` to `last`."""
    cameras = [Camera(*(a + (b - a) * i / (count - 1) for a, b in zip(first, last, strict=True))) for i in range(count)]
    height, width = (round(n * size / min(photograph.shape[-2:])) for n in photograph.shape[-2:])
    # So large that the first frame takes it pixel by pixel.
    source = resize(photograph, (round(height / first.scale), round(width / first.scale)))
    whole = Camera(0, 0, 1)
    frames = [(_seen(source, whole, camera, height, width)[0] * camera.gain).clamp(0, 1) for camera in cameras]
    return Clip(eight_bit(torch.cat(frames)), cameras)


def _difference(frame: Tensor, following: Tensor, here: Camera, there: Camera) -> Tensor:
    moved, shown = _seen(following, there, here, *frame.shape[-2:])
    return (moved - frame).square().mean(1)[shown].mean()


def _seen(image: Tensor, taken: Camera, wanted: Camera, height: int, width: int) -> tuple[Tensor, Tensor]:
    """What the camera `wanted` sees, read from the `image` that the camera `taken` took, and where it shows that [1, H, W]."""
    scale = wanted.scale / taken.scale
    shift = [(getattr(wanted, axis) - getattr(taken, axis)) / taken.scale for axis in "xy"]
    theta = torch.tensor([[[scale, 0, shift[0]], [0, scale, shift[1]]]], dtype=image.dtype, device=image.device)
    grid = F.affine_grid(theta, [1, 1, height, width], align_corners=False)
    seen = F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp(0, 1)
    # Between the centres of the outermost pixels, with leave for rounding.
    limit = 1 - 1 / torch.tensor([image.shape[-1], image.shape[-2]], device=image.device)
    return seen, (grid.abs() <= limit + 1e-4).all(-1)

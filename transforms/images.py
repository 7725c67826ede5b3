"""What a transform is given, as the pictures that are painted, and back: PIL images, and tensors of 8 bits and of floats."""

from __future__ import annotations

from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from ..adain.color import luma
from ..adain.errors import ImageError
from ..adain.media.images import Picture, to_pil
from ..adain.media.transparency import filled
from ..adain.precision import to_bytes, wide

_CHANNELS = {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGB and alpha"}


def is_image(value: object) -> bool:
    """Whether `value` is a picture or a video, unlike boxes, masks and key points."""
    if isinstance(value, tv_tensors.TVTensor):
        return isinstance(value, tv_tensors.Image | tv_tensors.Video)
    return isinstance(value, Tensor | Image.Image)


def count(image: Tensor | Image.Image) -> int:
    """How many pictures `image` holds, each with a style of its own: the frames of a video have one."""
    if isinstance(image, Image.Image):
        return 1
    return image.shape[: -4 if isinstance(image, tv_tensors.Video) else -3].numel()


def to_picture(image: Tensor | Image.Image) -> Picture:
    """The pictures [B, 3, H, W] of an `image` of PIL's or of a tensor [..., C, H, W] with 1 to 4 channels. Raises ImageError for others."""
    if isinstance(image, Image.Image):
        transparent = "A" in image.getbands() or "transparency" in image.info
        return to_picture(F.pil_to_tensor(image.convert("RGBA" if transparent else "RGB")))
    values = image.as_subclass(Tensor)
    if values.ndim < 3 or values.shape[-3] not in _CHANNELS:
        raise ImageError(f"RandomStyle was given a tensor of the shape {list(values.shape)}. Expected [..., channels, height, width].")
    if values.dtype != torch.uint8 and not values.is_floating_point():
        raise ImageError(f"RandomStyle was given {values.dtype} values. Expected uint8, or floats in 0..1.")
    planes = wide(values.flatten(0, -4) if values.ndim > 3 else values[None])
    colors = planes if planes.shape[1] == 3 else planes[:, : (planes.shape[1] - 1) // 2 * 2 + 1]
    alpha = planes[:, -1:] if planes.shape[1] in (2, 4) else None
    rgb = colors.expand(-1, 3, -1, -1)
    return Picture(filled(rgb, alpha), alpha)


def like(image: Tensor | Image.Image, picture: Picture) -> Tensor | Image.Image:
    """`picture` as what `image` is: its kind, dtype, shape and channels; of other modes of PIL's than L, LA, RGB and RGBA, RGB or RGBA."""
    if isinstance(image, Image.Image):
        made = to_pil(picture.rgb, picture.alpha)
        return made.convert(image.mode) if image.mode in ("L", "LA") else made
    rgb = picture.rgb if image.shape[-3] > 2 else luma(picture.rgb)
    planes = rgb if picture.alpha is None else torch.cat([rgb, picture.alpha], 1)
    values = to_bytes(planes) if image.dtype == torch.uint8 else planes.to(image.dtype)
    shaped = values.reshape(image.shape).to(image.device)
    kind = next((kind for kind in (tv_tensors.Image, tv_tensors.Video) if isinstance(image, kind)), None)
    return kind(shaped) if kind else shaped


def chosen(picture: Picture, rows: Tensor) -> Picture:
    """The pictures at `rows`."""
    return replace(picture, rgb=picture.rgb[rows], alpha=None if picture.alpha is None else picture.alpha[rows])

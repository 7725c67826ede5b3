"""Transforms for training loops: style as an augmentation, beside those of torchvision.transforms.v2.

>>> from adain_style_transfer.transforms import RandomStyle
>>> augment = v2.Compose([v2.RandomResizedCrop(224), RandomStyle(p=0.5), v2.ToDtype(torch.float32, scale=True), v2.Normalize(...)])

They stand above `weights`, where presets are, and so beside the core `adain`, not in it.
"""

from ..adain.extras import install

try:
    from .random_style import RandomStyle
except ModuleNotFoundError as error:
    if error.name != "torchvision":
        raise
    raise install("A transform", "torchvision") from error

__all__ = ["RandomStyle"]

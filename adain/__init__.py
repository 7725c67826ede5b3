"""The core: arbitrary style transfer by adaptive instance normalisation (Huang & Belongie 2017).

>>> from adain_style_transfer import adain, weights
>>> model = weights.load_model()
>>> style = model.encode_style(image)
>>> out = adain.stylize(model, content, style, strength=1.0, mask=None, color="style")
"""

from . import latents
from .color import match_colors
from .errors import AdaINError, ImageError, ModelError, StyleError
from .grading import ColorMatch
from .look import Look, Region
from .media.images import read_mask, read_picture, write_picture
from .model import StyleTransferModel
from .refine import Finish, refine
from .style import Style
from .stylize import stylize

__all__ = [
    "AdaINError",
    "ColorMatch",
    "Finish",
    "ImageError",
    "Look",
    "ModelError",
    "Region",
    "Style",
    "StyleError",
    "StyleTransferModel",
    "latents",
    "match_colors",
    "read_mask",
    "read_picture",
    "refine",
    "stylize",
    "write_picture",
]

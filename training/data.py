"""Random crops of the images in a folder or in tar shards; each sample is a pure function of the seed and its number.

So any number of loader workers gives the same run, and a resumed run continues with the very next sample.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.functional import pil_to_tensor

from ..adain.errors import ImageError
from ..adain.media.decoding import decode_bytes
from ..adain.media.images import EXTENSIONS
from .shards import Member, members

_logger = logging.getLogger(__name__)


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Every image file below `folder`, sorted. Raises ImageError if there is none."""
    root = Path(folder)
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file() and not _is_hidden(p.relative_to(root)))
    if not paths:
        raise ImageError(f"There are no images below {root}. Expected files such as .jpg or .png, in any depth of folders.")
    return paths


def find_pictures(folder: str | os.PathLike[str]) -> list[Path | Member]:
    """Every image file below `folder`, sorted, then every picture in the WebDataset shards (.tar) there, in order.

    Raises ImageError if there is none, or a shard is damaged.
    """
    root = Path(folder)
    shards = sorted(path for path in root.rglob("*.tar") if path.is_file() and not _is_hidden(path.relative_to(root)))
    if not shards:
        return [*find_images(folder)]
    found = [member for shard in shards for member in members(shard)]
    if not found:
        raise ImageError(f"The shards below {root} hold no images; the first is {shards[0]}. Expected members such as 000.jpg or 000.png.")
    try:
        return [*find_images(folder), *found]
    except ImageError:  # there are shards alone
        return [*found]


def _is_hidden(path: Path) -> bool:
    """Whether `path` is hidden, as ._photo.jpg of macOS and temporary files are."""
    return any(part.startswith(".") for part in path.parts)


class Crops(Dataset[tuple[Tensor, int]]):
    """Sample i: a square crop, uint8 [3, crop, crop], of a random image, and the key of that crop.

    The crop shows a square of `crop` / zoom pixels, zoom drawn from `zoom` = (low, high); half of the crops are mirrored, and if
    `turned` they are turned by quarters as well.
    `jitter` 0..1 varies their colours: saturation, contrast, and now and then the order of the channels or a negative.
    With `variants` = n > 0 each image has only n different crops, decoded once and kept, with keys to keep more by;
    with 0 crops never repeat. Unreadable images are named in the log, counted in `broken`, and replaced by the next one.
    """

    def __init__(
        self,
        paths: Sequence[Path | Member],
        length: int,
        *,
        crop: int,
        zoom: tuple[float, float],
        seed: str,
        jitter: float = 0.0,
        start: int = 0,
        variants: int = 0,
        turned: bool = False,
    ) -> None:
        self.paths, self.crop, self.zoom, self.jitter, self.seed = paths, crop, zoom, jitter, seed
        self.start, self.length, self.variants, self.turned = start, length, variants, turned
        self.broken: set[Path | Member] = set()
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sample = self.start + index
        rng = random.Random(f"{self.seed}/{sample}")
        image = rng.randrange(len(self.paths))
        key = image * self.variants + rng.randrange(self.variants) if self.variants else sample
        if key in self._kept:
            return self._kept[key], key
        value = self._draw(image, random.Random(f"{self.seed}/crop/{key}"))
        if self.variants:
            self._kept[key] = value
        return value, key

    def _draw(self, image: int, rng: random.Random) -> Tensor:
        for offset in range(len(self.paths)):
            path = self.paths[(image + offset) % len(self.paths)]
            try:
                return self._crop(decode_bytes(path if isinstance(path, Path) else path.read()), rng)
            except ImageError as error:
                if path not in self.broken:
                    self.broken.add(path)
                    _logger.warning("skipping %s (%s), %d broken so far", path, error, len(self.broken))
        raise ImageError(f"None of the {len(self.paths)} images can be read; the first is {self.paths[0]}.")

    def _crop(self, image: Image.Image, rng: random.Random) -> Tensor:
        side = min(round(self.crop / rng.uniform(*self.zoom)), image.width, image.height)
        left, top = rng.randint(0, image.width - side), rng.randint(0, image.height - side)
        box = (left, top, left + side, top + side)
        image = image.resize((self.crop, self.crop), Image.Resampling.BICUBIC, box, reducing_gap=2.0)
        image = ImageOps.mirror(image) if rng.random() < 0.5 else image
        if self.turned:
            image = image.rotate(90 * rng.randrange(4))
        return pil_to_tensor(_jittered(image, self.jitter, rng) if self.jitter else image)


def _jittered(image: Image.Image, amount: float, rng: random.Random) -> Image.Image:
    """A picture with other colours and the same strokes: more palettes than there are artworks, and as many bright ones as dark ones."""
    for enhance in (ImageEnhance.Color, ImageEnhance.Contrast):
        image = enhance(image).enhance(rng.uniform(1 - 0.5 * amount, 1 + amount))
    if rng.random() < 0.3 * amount:
        image = Image.merge("RGB", rng.sample(image.split(), 3))
    if rng.random() < 0.1 * amount:
        image = ImageOps.invert(image)
    return image


def to_float(crops: Tensor, device: torch.device) -> Tensor:
    """The pictures uint8 [B, 3, H, W] as float 0..1 on `device`, channels last."""
    return crops.to(device).float().div_(255).contiguous(memory_format=torch.channels_last)

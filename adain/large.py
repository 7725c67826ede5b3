"""Pictures larger than memory: decoded once to a raw file, painted there tile by tile, encoded from another.

A PNG or JPEG cannot be read from the middle, so libvips (the extra `large`) unpacks it row by row into a file that is then mapped
into memory. What is there after an interruption is used by the next run, if it asks for the same picture.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .color import ColorMode
from .coverage import Coverage
from .errors import ImageError
from .files import replacing
from .model import StyleTransferModel
from .moments import Moments
from .passes import Content
from .style import Style
from .tiles import blocks, choose_side, plan
from .tiling import match_tiles, measure_tiles, paint_tiles
from .workspace import allocate, left_over, text, workspace

LARGE_PIXELS = 100_000_000
"""From this size on a picture is painted from file to file; in memory it would take 1.2 GB as floats, twice that with the result."""

_LONGEST_SIDE = {".png": 2**31, ".tif": 2**31, ".tiff": 2**31, ".ppm": 2**31, ".jpg": 65535, ".jpeg": 65535, ".webp": 16383}
"""Pixels that the side of a picture may have, by format. libvips writes no other of ours."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """How a large picture is to be painted; see `stylize`."""

    style: Style
    strength: float = 1.0
    color: ColorMode = "style"
    mask: Path | None = None


def is_large(path: Path) -> bool:
    """Whether the picture at `path` has LARGE_PIXELS, and libvips is there to read it."""
    try:
        image = _vips().Image.new_from_file(str(path))
    except (ImportError, OSError, UnicodeError, _vips_error()):  # UnicodeError: libvips takes names in UTF-8 only
        return False
    return image.width * image.height >= LARGE_PIXELS


def stylize_file(model: StyleTransferModel, path: Path, output: Path, request: Request, resume: bool, progress: Progress) -> None:
    """Paint the picture at `path` into `output`, whose extension says the format; 8 bits a channel, with its transparency.

    Memory depends on the tile, not on the picture. Intermediate files, 6 to 14 bytes a pixel, lie in `output` + ".part" until the
    picture is whole; with `resume` those of an interrupted run are used, which must have been the same in everything, else they are
    removed. `progress(done, total)` counts tiles. Raises ImageError if a file cannot be read or written, or another process paints
    `output`.
    """
    try:
        check_format(path, output)
        with workspace(output, _key(model, path, request), resume) as folder:
            _paint_in(folder, model, path, output, request, progress)
    except (OSError, UnicodeError, _vips_error()) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise ImageError(
            f"{path} cannot be painted into {output} ({reason}). Check both and the disk space"
            + ("; what was painted so far is kept, and --resume goes on from it." if left_over(output) else ".")
        ) from error


def check_format(path: Path, output: Path) -> None:
    """Raise ImageError if the extension of `output` is of no format that can hold the large picture at `path`."""
    longest = _LONGEST_SIDE.get(output.suffix.lower(), 0)
    image = _open(path)
    if max(image.width, image.height) > longest:
        raise ImageError(
            f"{path} has {image.width} x {image.height} pixels, which {output.suffix} files cannot hold, or not so large. "
            "Give a name that ends in .png or .tif."
        )


def _paint_in(folder: Path, model: StyleTransferModel, path: Path, output: Path, request: Request, progress: Progress) -> None:
    raw = _unpack(path, folder)
    coverage = None if request.mask is None else Coverage.of(_unpack_mask(request.mask, folder, raw.shape[-2:]))
    painted = _paint(model, raw[:, :3], coverage, folder, request, progress)
    _pack(painted, raw[:, 3:], output)


def _paint(
    model: StyleTransferModel, images: Tensor, coverage: Coverage | None, folder: Path, request: Request, progress: Progress
) -> Path:
    """The raw file of the painted picture, [H, W, 3]."""
    size = images.shape[-2:]
    match = request.color == "match"
    canvas = _mapped(folder / "canvas.raw", size, 3, torch.float16 if match else torch.uint8)
    matched = _mapped(folder / "matched.raw", size, 3) if match else None
    side = int(text(folder / "side") or choose_side(model, size))  # another memory or version would cut other tiles
    (folder / "side").write_text(str(side))
    tiles = plan(size, side, model.stride)
    targets = [request.style.to(model.device).levels]
    steps = 0

    def advance(count: int) -> None:
        nonlocal steps
        steps += count
        progress(steps, 2 * len(tiles))

    moments = folder / "moments.safetensors"
    if moments.exists():
        content = _load_moments(moments, model)
        advance(len(tiles))
    else:
        content = measure_tiles(model, images, targets, coverage, request.strength, tiles, advance)
        _save_moments(moments, content)

    done = int(text(folder / "blocks") or 0)
    for i, block in enumerate(blocks(tiles)):
        if i < done:
            advance(len(block))
            continue
        paint_tiles(model, images, canvas, content, targets, coverage, request.strength, request.color, block, advance)
        with replacing(folder / "blocks") as temporary:
            temporary.write_text(str(i + 1))
    if matched is None:
        return folder / "canvas.raw"
    match_tiles(model, images, canvas, matched, coverage, tiles, advance)
    return folder / "matched.raw"


# Files


def _mapped(path: Path, size: torch.Size, channels: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    """The raw file at `path`, made if there is none, as [1, channels, H, W]; what is written to it is written to the file."""
    height, width = size
    allocate(path, height * width * channels * dtype.itemsize)
    flat = torch.from_file(str(path), shared=True, size=height * width * channels, dtype=dtype)
    return flat.view(height, width, channels).permute(2, 0, 1)[None]


def _unpack(path: Path, folder: Path) -> Tensor:
    """The picture, upright, as 8-bit RGB or RGBA [1, 3 or 4, H, W]."""
    image = _open(path)
    if image.get_typeof("orientation") and image.get("orientation") > 1:
        image = _vips().Image.new_from_file(str(path), access="random").autorot()  # turned pictures are not read row by row
    image = image.colourspace("srgb").cast("uchar")
    image = image[:4] if image.hasalpha() else image[:3]
    _save_raw(image, folder / "content.raw")
    return _mapped(folder / "content.raw", torch.Size((image.height, image.width)), image.bands)


def _unpack_mask(path: Path, folder: Path, size: torch.Size) -> Tensor:
    """Alpha where the file has it, else brightness, at `size`: [1, 1, H, W]."""
    image = _open(path)
    image = image[image.bands - 1] if image.hasalpha() else image.colourspace("b-w")[0]
    if (image.height, image.width) != tuple(size):
        image = image.resize(size[1] / image.width, vscale=size[0] / image.height, kernel="linear")
        image = image.gravity("north-west", size[1], size[0], extend="copy")  # a pixel may be missing after rounding
    _save_raw(image.cast("uchar"), folder / "mask.raw")
    mask = _mapped(folder / "mask.raw", size, 1)
    if not mask.any():
        raise ImageError(f"The mask {path} is zero everywhere, so nothing would be stylised. Paint where the style applies in white.")
    return mask


def _open(path: Path) -> Any:
    return _vips().Image.new_from_file(str(path), access="sequential", fail_on="truncated")


def _save_raw(image: Any, path: Path) -> None:
    if not path.exists():
        with replacing(path) as temporary:
            image.rawsave(str(temporary))


def _pack(painted: Path, alpha: Tensor, output: Path) -> None:
    _, bands, height, width = alpha.shape
    image = _vips().Image.rawload(str(painted), width, height, 3).copy(interpretation="srgb")
    if bands and output.suffix.lower() not in (".jpg", ".jpeg"):
        whole = _vips().Image.rawload(str(painted.with_name("content.raw")), width, height, 4)
        image = image.bandjoin(whole[3])
    options: dict[str, Any] = {
        ".tif": {"tile": True, "compression": "deflate", "bigtiff": True},
        ".png": {"compression": 3},
        ".jpg": {"Q": 95, "subsample_mode": "off"},
        ".webp": {"Q": 95},
    }.get(output.suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif"), {})
    with replacing(output) as temporary:
        image.write_to_file(str(temporary), **options)


def _save_moments(path: Path, content: Content) -> None:
    tensors = {}
    for i, level in enumerate(content[0]):
        tensors |= {f"level{i}.{name}": getattr(level, name).cpu().contiguous() for name in ("mean", "var", "weight")}
    with replacing(path) as temporary:
        save_file(tensors, temporary)


def _load_moments(path: Path, model: StyleTransferModel) -> Content:
    tensors = {key: value.to(model.device) for key, value in load_file(path).items()}
    return [[Moments(*(tensors[f"level{i}.{name}"] for name in ("mean", "var", "weight"))) for i in range(len(tensors) // 3)]]


def _key(model: StyleTransferModel, path: Path, request: Request) -> str:
    """A hash of all that the result depends on."""
    digest = hashlib.sha256(f"{model.fingerprint} {model.dtype} {request.strength} {request.color}".encode())
    for file in (path, request.mask):
        if file is not None:
            status = file.stat()
            digest.update(os.fsencode(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}"))
    for value in model.state_dict().values():
        digest.update(value.float().cpu().contiguous().numpy().tobytes())
    for level in request.style.levels:
        for value in level:
            digest.update(value.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _vips() -> Any:
    import pyvips  # an extra

    return pyvips


def _vips_error() -> type[Exception]:
    try:
        return _vips().Error
    except (ImportError, OSError):  # OSError: the binding without the library
        return ImportError

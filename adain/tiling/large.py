"""Pictures larger than memory: decoded once to a raw file, painted there tile by tile, encoded from another.

A PNG or JPEG cannot be read from the middle, so libvips (the extra `large`) unpacks it row by row into a file that is then mapped
into memory. What is there after an interruption is used by the next run, if it asks for the same picture.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..aim import Aim
from ..area import Area, plan, squares
from ..content import ContentMoments
from ..coverage import Coverage
from ..errors import ImageError, StyleError, reason
from ..look import Look
from ..masks import MaskEdit
from ..media.atomic import replacing
from ..media.decoding import is_known
from ..media.images import OPAQUE
from ..media.metadata import Metadata, exif_of, metadata_of
from ..media.profiles import srgb, to_srgb
from ..media.transparency import fill_hidden, usable
from ..model import StyleTransferModel
from ..moments import Moments
from ..pipeline import Painter
from ..precision import wide
from ..progress import Progress, Steps
from .painter import TiledPainter
from .workspace import allocate, left_over, text, workspace

LARGE_PIXELS = 100_000_000
"""From this size on a picture is painted from file to file; in memory it would take 1.2 GB as floats, twice that with the result."""

_LONGEST_SIDE = {".png": 2**31, ".tif": 2**31, ".tiff": 2**31, ".ppm": 2**31, ".jpg": 65535, ".jpeg": 65535, ".webp": 16383}
"""Pixels that the side of a picture may have, by format. libvips writes no other of ours."""

_MASK_TILE = 512
"""Side in pixels of the tiles in which masks are edited."""

_FLOATS = ("float", "double")


@dataclass(frozen=True)
class Request:
    """How a large picture is to be painted."""

    look: Look
    """One style of one row, without masks."""
    mask: Path | None = None
    quality: int = 95
    """1 to 100, of JPEG and WebP."""
    edit: MaskEdit = field(default_factory=MaskEdit)
    """What is done to the mask."""

    def __post_init__(self) -> None:
        if len(self.look.regions) > 1 or self.look.masked or self.look.scale != 1:
            raise StyleError("A large picture takes one style, its mask as a file, and no scale. Paint regions one after the other.")


def is_large(path: Path) -> bool:
    """Whether the picture at `path` has LARGE_PIXELS, and libvips is there to read it."""
    if not is_known(path):  # libvips knows formats that run programs
        return False
    try:
        image = _vips().Image.new_from_file(str(path))
    except (ImportError, OSError, UnicodeError, _vips_error()):  # UnicodeError: libvips takes names in UTF-8 only
        return False
    return image.width * image.height >= LARGE_PIXELS


def stylize_file(model: StyleTransferModel, path: Path, output: Path, request: Request, resume: bool, progress: Progress) -> None:
    """Paint the picture at `path` into `output`, whose extension says the format; 8 bits a channel, with its transparency.

    Memory depends on the tile, not on the picture. Intermediate files, 6 to 15 bytes a pixel, lie in `output` + ".part" until the
    picture is whole. With `resume` those of an interrupted run are used, else they are removed. `progress(done, total)` counts tiles.
    Raises ImageError if a file cannot be read or written, if another process paints `output`, or if what is to be resumed was another
    request.
    """
    try:
        check_format(path, output)
        with workspace(output, _key(model, path, request), resume) as folder:
            _paint_in(folder, model, path, output, request, progress)
    except (OSError, UnicodeError, _vips_error()) as error:
        raise ImageError(
            f"{path} cannot be painted into {output} ({reason(error)}). Check both and the disk space"
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
    image, metadata = _open_upright(path)
    images, alpha = _unpack(image, folder)
    coverage = None if alpha is None else Coverage.everywhere(alpha)
    if request.mask is not None:
        coverage = Coverage.of(_unpack_mask(request.mask, folder, images.shape[-2:], request.edit), alpha=alpha)
    painted = _paint(model, images, coverage, folder, request.look, progress)
    _pack(painted, images.shape[-2:], alpha is not None, metadata, request.quality, output)


def _paint(model: StyleTransferModel, images: Tensor, coverage: Coverage | None, folder: Path, look: Look, progress: Progress) -> Path:
    """The raw file of the painted picture, [H, W, 3]."""
    size = images.shape[-2:]
    match = look.color == "match"
    painted = _mapped(folder / "canvas.raw", size, 3, torch.float16 if match else torch.uint8)
    side = int(text(folder / "side") or model.tile_side(size))  # another memory or version would cut other tiles
    (folder / "side").write_text(str(side))
    tiles = plan(Area.whole(size), side, model.stride)
    steps = Steps(progress, 2 * len(tiles))
    aim = Aim([look.regions[0].style.to(model.device).levels], coverage, look.strengths)
    painter = TiledPainter(Painter(model, aim), images, tiles, steps)

    moments = folder / "moments.safetensors"
    if moments.exists():
        content = _load_moments(moments, model)
        steps(len(tiles))
    else:
        content = painter.measure()
        _save_moments(moments, content)

    done = int(text(folder / "blocks") or 0)
    for i, block in enumerate(squares(tiles, model.tiling.block)):
        if i < done:
            steps(len(block))
            continue
        painter.paint(content, painted, look.color, block)
        with replacing(folder / "blocks") as temporary:
            temporary.write_text(str(i + 1))
    if not match:
        return folder / "canvas.raw"
    painter.match(content, painted, _mapped(folder / "matched.raw", size, 3))
    return folder / "matched.raw"


# Files


def _mapped(path: Path, size: torch.Size, channels: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    """The raw file at `path`, made if there is none, as [1, channels, H, W]; what is written to it is written to the file."""
    height, width = size
    allocate(path, height * width * channels * dtype.itemsize)
    flat = torch.from_file(str(path), shared=True, size=height * width * channels, dtype=dtype)
    return flat.view(height, width, channels).permute(2, 0, 1)[None]


def _unpack(image: Any, folder: Path) -> tuple[Tensor, Tensor | None]:
    """8-bit sRGB [1, 3, H, W] and alpha [1, 1, H, W], in one file."""
    image = _srgb(image)
    _save_raw(image, folder / "content.raw")
    raw = _mapped(folder / "content.raw", torch.Size((image.height, image.width)), image.bands)
    rgb, alpha = raw[:, :3], usable(raw[:, 3:]) if image.bands == 4 else None
    if alpha is not None:
        fill_hidden(rgb, alpha)
    return rgb, alpha


def _unpack_mask(path: Path, folder: Path, size: torch.Size, edit: MaskEdit) -> Tensor:
    """What `read_mask` gives, at `size` and edited: [1, 1, H, W], 8-bit values."""
    image = _srgb(_open_upright(path)[0])
    by_alpha = image.bands == 4 and 0 < image[3].avg() < 255
    image = _srgb(_open_upright(path)[0])  # the first was read to its end
    image = image[3] if by_alpha else image[:3].bandmean()
    if (image.height, image.width) != tuple(size):
        image = image.resize(size[1] / image.width, vscale=size[0] / image.height, kernel="linear")
        image = image.gravity("north-west", size[1], size[0], extend="copy")  # a pixel may be missing after rounding
    _save_raw(image.cast("uchar"), folder / "mask.raw")
    mask = _mapped(folder / "mask.raw", size, 1)
    if not (mask.any() or edit.invert):
        raise ImageError(f"The mask {path} is black everywhere, so nothing would be painted. Paint in white where the style applies.")
    return _edited(mask, folder, edit)


def _edited(mask: Tensor, folder: Path, edit: MaskEdit) -> Tensor:
    """The 8-bit `mask` edited, tile by tile."""
    size = mask.shape[-2:]
    if edit == MaskEdit():
        return mask
    edited = _mapped(folder / "edited.raw", size, 1)
    for tile in plan(Area.whole(size), _MASK_TILE, 1):
        outer = tile.grown(edit.reach, size)
        tile.put(edited, tile.inside(outer).of(edit(wide(outer.of(mask)), outer.size)))
    edit.check(edited)
    return edited


def _open(path: Path) -> Any:
    return _vips().Image.new_from_file(str(path), access="sequential", fail_on="truncated")


def _open_upright(path: Path) -> tuple[Any, Metadata]:
    image = _open(path)
    exif = exif_of(image.get("exif-data") if image.get_typeof("exif-data") else b"")
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    metadata = metadata_of(exif, (image.xres * 25.4, image.yres * 25.4), turned=orientation >= 5)
    if orientation > 1 or image.format in _FLOATS:  # turned pictures are not read row by row, and floats need their maximum first
        image = _vips().Image.new_from_file(str(path), access="random", fail_on="truncated").autorot()
    return image, metadata


def _srgb(image: Any) -> Any:
    """`image` as 8-bit RGB or RGBA: to libvips what `decoding` says to Pillow."""
    colors, alpha = (image[: image.bands - 1], image[image.bands - 1]) if image.hasalpha() else (image, None)
    mode = {"b-w": "L", "grey16": "L", "cmyk": "CMYK", "lab": "LAB"}.get(image.interpretation, "RGB")
    profile = image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else b""
    if profile and mode != "LAB" and to_srgb(profile, mode):
        colors = colors.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True, depth=8)
    elif mode == "CMYK":
        colors = (255 - colors[:3]) * (255 - colors[3]) / 255
    elif image.format in _FLOATS:
        colors = colors * (255 / max(1.0, image.max()))
    else:
        colors = colors.colourspace("srgb")
    colors = colors[:3] if colors.bands >= 3 else colors[0].bandjoin([colors[0], colors[0]])
    if alpha is not None:
        colors = colors.bandjoin(alpha / 257 if alpha.format == "ushort" else alpha)
    return (colors if colors.format == "uchar" else colors.rint()).cast("uchar").copy(interpretation="srgb")


def _save_raw(image: Any, path: Path) -> None:
    if not path.exists():
        with replacing(path) as temporary:
            image.rawsave(str(temporary))


def _pack(painted: Path, size: torch.Size, transparent: bool, metadata: Metadata, quality: int, output: Path) -> None:
    vips, (height, width) = _vips(), size
    image = vips.Image.rawload(str(painted), width, height, 3)
    if transparent and output.suffix.lower() not in OPAQUE:
        image = image.bandjoin(vips.Image.rawload(str(painted.with_name("content.raw")), width, height, 4)[3])
    image = image.copy(interpretation="srgb")
    image.set_type(vips.GValue.blob_type, "icc-profile-data", srgb())
    if metadata.exif:
        image.set_type(vips.GValue.blob_type, "exif-data", metadata.exif)
    if metadata.dpi:
        image = image.copy(xres=metadata.dpi[0] / 25.4, yres=metadata.dpi[1] / 25.4)
    options: dict[str, Any] = {
        ".tif": {"tile": True, "compression": "deflate", "bigtiff": True, "resunit": "inch"},
        ".png": {"compression": 3},
        ".jpg": {"Q": quality, "subsample_mode": "off"},
        ".webp": {"Q": quality},
    }.get(output.suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif"), {})
    with replacing(output) as temporary:
        image.write_to_file(str(temporary), **options)


def _save_moments(path: Path, content: ContentMoments) -> None:
    tensors = {}
    for i, level in enumerate(content.levels[0]):
        tensors |= {f"level{i}.{name}": getattr(level, name).cpu().contiguous() for name in ("mean", "var", "weight")}
    with replacing(path) as temporary:
        save_file(tensors, temporary)


def _load_moments(path: Path, model: StyleTransferModel) -> ContentMoments:
    tensors = {key: value.to(model.device) for key, value in load_file(path).items()}
    levels = [Moments(*(tensors[f"level{i}.{name}"] for name in ("mean", "var", "weight"))) for i in range(len(tensors) // 3)]
    return ContentMoments(tuple(levels[: int(model.color)]), (tuple(levels[int(model.color) :]),))


def _key(model: StyleTransferModel, path: Path, request: Request) -> str:
    """A hash of all that the result depends on."""
    digest = hashlib.sha256(f"{model.fingerprint} {model.dtype} {request.look.strengths} {request.look.color} {request.edit}".encode())
    for file in (path, request.mask):
        if file is not None:
            status = file.stat()
            digest.update(os.fsencode(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}"))
    for value in model.state_dict().values():
        digest.update(value.float().cpu().contiguous().numpy().tobytes())
    for level in request.look.regions[0].style.levels:
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

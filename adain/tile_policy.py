"""When and how pictures are cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TilePolicy:
    """In what pieces a model paints; sides in pixels. The defaults are measured with `lite`: docs/lab/performance.md."""

    side: int = 512
    """Of tiles on a CPU: they bound the memory, stay near the cache, and their buffers are small enough to be used again."""
    whole: int = 1000**2
    """Up to as many pixels are painted in one piece there: the largest buffer of `lite`, 32 bytes a pixel, is just below the 32 MB from
    which glibc asks the system for fresh pages each time."""
    prepared: int = 1024
    """Side of the tiles for `StyleTransferModel.prepare`, whose buffers are a quarter as large."""
    block: int = 1536
    """Where the features of the whole picture are not kept, those of a square of at most this side are, while its tiles are painted."""
    kept_bytes: int = 2**31
    """Largest feature maps of a whole picture that are kept on a CPU from the pass that measures to the one that paints, 77 megapixels of
    `lite` in bfloat16: as much again as picture and result take. Beyond it they are made twice."""
    least: int = 128
    """Side of the smallest tiles that are tried when memory runs out; below it hardly anything but the halo is computed."""

"""Tiles give the picture that is made in one piece."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
import samples
import torch
from adain_style_transfer.adain import ImageError, Region
from adain_style_transfer.adain.aim import Aim
from adain_style_transfer.adain.area import Area, plan, squares
from adain_style_transfer.adain.coverage import Coverage
from adain_style_transfer.adain.pipeline import Painter
from adain_style_transfer.adain.progress import Steps
from adain_style_transfer.adain.stylize import stylize
from adain_style_transfer.adain.tile_policy import TilePolicy
from adain_style_transfer.adain.tiling.painter import TiledPainter
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from samples import picture, soft_mask

COLORS = ("style", "keep", "match")
WHOLE = 10**6


@pytest.fixture(scope="module", params=samples.SMALL)
def network(request):
    return samples.SMALL[request.param]().double()


def test_blocks_are_the_tiles_in_squares():
    tiles = plan(Area(0, 0, 5 * 512, 7 * 512), 512, 8)
    blocks = squares(tiles, 1536)
    assert sorted(tile for block in blocks for tile in block) == sorted(tiles)
    assert [len(block) for block in blocks] == [9, 9, 3, 6, 6, 2]
    assert all(tile.bottom <= 1536 and tile.right <= 1536 for tile in blocks[0])


@given(height=st.integers(1, 500), width=st.integers(1, 500), side=st.integers(1, 300), stride=st.sampled_from([1, 2, 8]))
def test_tiles_cover_the_picture_once_on_the_grid(height, width, side, stride):
    count = torch.zeros(height, width)
    for tile in plan(Area(0, 0, height, width), side, stride):
        tile.of(count).add_(1)
        assert tile.top % stride == tile.left % stride == 0
        assert tile.height < side + 2 * stride and tile.width < side + 2 * stride
    assert (count == 1).all()


@given(
    height=st.integers(1, 200),
    width=st.integers(1, 260),
    tile=st.integers(8, 120),
    strength=st.sampled_from([0.0, 0.4, 1.0]),
    color=st.sampled_from(COLORS),
    kind=st.sampled_from(["plain", "mask", "stroke", "regions", "apart"]),
)
@example(9, 257, 8, 1.0, "match", "regions")
@example(1, 1, 8, 1.0, "style", "plain")
@settings(max_examples=12)
def test_tiles_equal_the_whole(lite64, height, width, tile, strength, color, kind):
    assume(height > 1 or kind != "apart")  # a line of one row leaves nothing for the other region
    assert_equal_in_tiles(lite64, height, width, tile, strength, color, kind)


@pytest.mark.parametrize(
    ("height", "width", "tile", "strength", "color", "kind"),
    [
        (90, 203, 64, 1.0, "style", "plain"),
        (121, 96, 48, 0.5, "match", "regions"),
        (64, 170, 80, 1.0, "keep", "mask"),
        (64, 170, 80, 1.0, "style", "stroke"),
        (90, 203, 64, 1.0, "style", "apart"),
    ],
)
def test_tiles_equal_the_whole_in_every_architecture(network, height, width, tile, strength, color, kind):
    assert_equal_in_tiles(network, height, width, tile, strength, color, kind)


def assert_equal_in_tiles(model, height, width, tile, strength, color, kind):
    content = picture(height, width, seed=height + width).double()
    styles = [model.encode_style(picture(24, 32, seed=s).double()) for s in (1, 2)]
    mask = (soft_mask(height, width, seed=3) + 0.01).clamp(max=1)
    mask[..., width // 2 :] *= 0.0 if width > 1 else 1.0
    line = torch.zeros_like(mask)
    line[..., height // 2, :] = 1  # so few pixels that the whole picture counts in its moments
    style = {
        "regions": [Region(styles[0], mask), Region(styles[1])],
        "apart": [Region(styles[0], line), Region(styles[1], mask * (1 - line))],  # the rest is painted like the nearest of them
    }.get(kind, styles[0])
    options = {"strength": strength, "color": color, "mask": {"mask": mask, "stroke": line}.get(kind)}
    whole = stylize(model, content, style, tile=WHOLE, **options)
    for kept in (TilePolicy.kept_bytes, 0):
        # So small that what is prepared and what is made in blocks is cut too.
        with patch.object(model, "tiling", TilePolicy(side=tile, prepared=tile + 16, block=2 * tile, kept_bytes=kept)):
            tiled = stylize(model, content, style, tile=tile, **options)
        # Sums over tiles are sums in another order; a statistic of a nearly flat channel magnifies its rounding.
        torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_tiles_in_lower_precision_stay_within_a_grey_level(dtype):
    model = samples.small_lite().to(dtype)
    content = picture(150, 220)
    style = model.encode_style(picture(40, 32, seed=1))
    difference = (stylize(model, content, style, tile=64) - stylize(model, content, style, tile=WHOLE)).abs()
    assert difference.mean() < 0.5 / 255
    assert difference.quantile(0.999) < (0.1 / 255 if dtype == torch.float32 else 4 / 255)


def test_moments_merged_over_tiles_are_those_of_the_whole(network):
    images = picture(75, 130).double()
    painter = Painter(network, Aim([network.encode_style(picture(24, 32, seed=1).double()).levels], strengths=[0.6]))
    tiles = plan(Area.whole(images.shape[-2:]), 48, network.stride)
    steps = []
    merged = TiledPainter(painter, images, tiles, Steps(lambda done, total: steps.append(done))).measure()
    for got, wanted in zip(merged.levels[0], painter.measure(images).levels[0], strict=True):
        torch.testing.assert_close(got.mean, wanted.mean, rtol=0, atol=1e-12)
        torch.testing.assert_close(got.var, wanted.var, rtol=1e-10, atol=1e-12)
        assert got.weight == wanted.weight
    assert steps[-1] == len(tiles)


@pytest.mark.parametrize("color", COLORS)
def test_8_bit_pictures_are_painted_in_place_of_floats(lite, color):
    values = (picture(90, 140) * 255).round().to(torch.uint8)
    mask = (soft_mask(90, 140) * 255).round().to(torch.uint8)
    style = lite.encode_style(picture(40, 32, seed=1))
    expected = stylize(lite, values / 255, style, mask=mask / 255, color=color, tile=WHOLE)
    out = torch.empty_like(values)
    tiles = plan(Area.whole(values.shape[-2:]), 64, lite.stride)
    tiled = TiledPainter(Painter(lite, Aim([style.levels], Coverage.of(mask))), values, tiles, Steps())
    content = tiled.measure()
    painted = torch.empty(values.shape, dtype=torch.float16) if color == "match" else out
    tiled.paint(content, painted, color)
    if color == "match":
        tiled.match(content, painted, out)
    assert (out.int() - (expected * 255).round().int()).abs().max() <= 1
    assert torch.equal(out[mask.expand_as(out) == 0], values[mask.expand_as(out) == 0])


def test_progress_counts_tiles_and_can_stop_between_them(lite):
    content = picture(64, 100, batch=2)
    style = lite.encode_style(picture(40, 32, seed=1))
    seen = []
    stylize(lite, content, style, tile=40, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 * 2 * 6, 2 * 2 * 6) and [done for done, _ in seen] == sorted(done for done, _ in seen)

    def stop(done, total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize(lite, content, style, tile=40, progress=stop)


def test_batches_in_tiles(lite64):
    contents = picture(50, 70, batch=3).double()
    styles = lite64.encode_style(picture(24, 24, batch=3, seed=4).double())
    whole = stylize(lite64, contents, styles, tile=WHOLE)
    torch.testing.assert_close(stylize(lite64, contents, styles, tile=32), whole, rtol=0, atol=1e-10)


def test_the_side_follows_the_memory(lite):
    class Elsewhere(type(lite)):
        device = torch.device("meta")

    model = Elsewhere(lite.level_channels)
    size = torch.Size((4000, 6000))
    assert model.tile_side(size, memory=2**40) == 6000
    sides = [model.tile_side(size, memory=m * 2**20) for m in (8000, 2000, 500, 100)]
    assert sides == sorted(sides, reverse=True) and 6000 > sides[1] > sides[2] > TilePolicy.least
    assert all(
        (s + 2 * model.halo) ** 2 * model.values_per_pixel * 4 <= m * 2**20 for s, m in zip(sides[:3], (8000, 2000, 500), strict=True)
    )
    assert model.tile_side(size, memory=1) == TilePolicy.least


PEAK = """
import sys, torch
from pathlib import Path
from unittest.mock import patch
from adain_style_transfer.adain import stylize
from adain_style_transfer.adain.tile_policy import TilePolicy
from adain_style_transfer.adain.architectures.lite import Lite

def status(name):
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)).split()[1]) / 1024

torch.set_num_threads(1)
model = Lite().eval().bfloat16()
model.tiling = TilePolicy(kept_bytes=int(sys.argv[1]))
style = model.encode_style(torch.rand(1, 3, 64, 64))
content = torch.rand(1, 3, 1536, 4096)
out = stylize(model, content[..., :512], style)
out = torch.zeros(1)
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
out = stylize(model, content, style, tile=512)
print(status("VmHWM") - before - out.nbytes / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(("keep", "megabytes"), [(0, 220), (2**31, 350)])
def test_memory_depends_on_the_tile(keep, megabytes):
    """24 tiles; in one piece it takes 720 MB. The kept features are 168 MB; what convolutions take besides depends on the CPU."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(keep)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < megabytes


def test_a_negative_tile(lite):
    with pytest.raises(ImageError, match="-1"):
        stylize(lite, picture(8, 8), lite.encode_style(picture(8, 8)), tile=-1)

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer.adain.video.canvas import Camera
from adain_style_transfer.adain.video.motion import _Level, camera_motion, flow_motion, inside_of, small_views
from samples import picture

HEIGHT, WIDTH = 180, 320


def filmed(scale=1.0, angle=0.0, x=0.0, y=0.0, seed=0):
    """A picture seen by a camera, and the motion [2, 3] that takes its pixels to those of the camera at rest."""
    scene = F.interpolate(picture(60, 100, seed), (2 * HEIGHT, 2 * WIDTH), mode="bicubic").clamp(0, 1)
    turn = torch.tensor([[math.cos(angle), math.sin(angle) * HEIGHT / WIDTH], [-math.sin(angle) * WIDTH / HEIGHT, math.cos(angle)]])
    motion = torch.cat([scale * turn, torch.tensor([[x], [y]])], 1)
    half = torch.diag(torch.tensor([0.5, 0.5])) @ motion
    return F.grid_sample(
        scene, F.affine_grid(half[None], [1, 1, HEIGHT, WIDTH], align_corners=False), "bicubic", align_corners=False
    ), motion


def followed(image, old):
    return camera_motion(small_views(image), small_views(old), image.shape[-2:])


def grid_of(motion):
    return F.affine_grid(motion[None, :2], [1, 1, HEIGHT, WIDTH], align_corners=False)


def pixels_off(grid, motion):
    """Mean distance in pixels between a grid and the motion that it should be."""
    true = grid_of(motion)
    return ((grid - true) * torch.tensor([WIDTH / 2, HEIGHT / 2])).norm(dim=-1).mean()


@pytest.mark.parametrize(
    "x, y, scale, angle", [(0.06, -0.03, 1, 0), (0, 0, 0.95, 0), (0, 0, 1, 0.03), (0.002, 0, 1, 0)], ids=["pan", "zoom", "turn", "creep"]
)
def test_a_camera_is_found_to_a_fraction_of_a_pixel(x, y, scale, angle):
    here, motion = filmed(x=x, y=y, scale=scale, angle=angle)
    rest, _ = filmed()
    assert pixels_off(grid_of(followed(here, rest)), motion) < 0.1
    darker = (0.7 * here + 0.05).clamp(0, 1)
    assert pixels_off(grid_of(followed(darker, rest)), motion) < 0.1


def test_what_moves_by_itself_is_left_out():
    here, motion = filmed(x=0.03)
    rest, _ = filmed()
    rest[..., 60:120, 100:180] = picture(60, 80, seed=5)
    here[..., 60:120, 120:200] = picture(60, 80, seed=5)
    assert pixels_off(grid_of(followed(here, rest)), motion) < 0.5


def test_a_still_camera_moves_nothing():
    rest, _ = filmed()
    noise = 0.01 * torch.randn(rest.shape, generator=torch.Generator().manual_seed(0))
    assert followed((rest + noise).clamp(0, 1), rest) is None


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (9, 9), (40, 40)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_and_tiny_pictures(size, value):
    assert followed(torch.full((1, 3, *size), value), torch.full((1, 3, *size), 1 - value)) is None
    motion = followed(picture(*size, seed=1), picture(*size, seed=2))
    assert motion is None or motion.isfinite().all()


def test_flow():
    pytest.importorskip("cv2")
    here, motion = filmed(x=0.03)
    rest, _ = filmed()
    grid = flow_motion()(here, rest)
    assert pixels_off(grid, motion) < 0.5
    assert 0.97 < inside_of(grid).mean() < 1


def test_a_motion_that_leaves_the_picture_fits_nothing():
    rest, _ = filmed()
    view = small_views(rest)[-1]
    away = torch.eye(3)
    away[0, 2] = 3
    assert _Level(view, view).misfit(away) == 1


@pytest.mark.parametrize("amplitude", [0.01, 0.05])
@pytest.mark.parametrize("period", [4, 7, 11, 16])
def test_faint_repetitions_lead_nowhere(amplitude, period):
    """Stripes and patterns fit as well a period further, and stripes wherever they are along themselves."""
    y, x = torch.meshgrid(torch.arange(180.0), torch.arange(320.0), indexing="ij")
    generator, turn = torch.Generator().manual_seed(0), 2 * math.pi / period
    for pattern in ((x * turn).sin(), (y * turn).sin(), ((x + y) * 0.7 * turn).sin(), (x * turn).sin() * (y * turn).sin()):
        camera = Camera()
        for _ in range(8):
            noise = 0.002 * torch.randn(1, 3, 180, 320, generator=generator)
            canvas = camera((0.5 + amplitude * pattern + noise).clamp(0, 1), False)
            assert canvas.placing[:2, 2].abs().max() < 0.5

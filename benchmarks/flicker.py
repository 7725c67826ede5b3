"""How much per-frame AdaIN flickers, and how much is left of it with stability.

`python benchmarks/flicker.py [--photos FOLDER] [--loss-network vgg19.safetensors] [--video CLIP] [--strip strip.jpg]`

Photographs are filmed by a still camera, panned, zoomed, relit and held by an unsteady hand, with known motion and 8-bit noise; of a
`--video` the motion is estimated by OpenCV's DIS. Warp error (Lai et al. 2018): RMS difference of each frame to the next one moved
back onto it, where both show the place. Luminance flicker: RMS change of the mean luma of that part. Both in 1/255. Excess is what a
method adds to the input's own warp error, as a share of what per-frame AdaIN adds: lower is steadier. Style loss is relative to
per-frame AdaIN.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.color import luma
from adain_style_transfer.adain.media.contact_sheet import contact_sheet
from adain_style_transfer.adain.media.images import EXTENSIONS
from adain_style_transfer.adain.media.video_files.convert import frames as video_frames
from adain_style_transfer.adain.model import StyleTransferModel
from adain_style_transfer.adain.resample import at_short_side, resize
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from adain_style_transfer.adain.video.motion import flow_motion, inside_of
from adain_style_transfer.training.metrics import Judge
from adain_style_transfer.weights.loss_network import read_loss_network
from adain_style_transfer.weights.samples import sample_path
from torch import Tensor

METHODS = {"per frame": Stability(0, 0), "stability": Stability(), "stability + flow": Stability(flow=True)}


@dataclass(frozen=True)
class Clip:
    name: str
    frames: list[Tensor]
    back: list[tuple[Tensor, Tensor]]
    """Where the pixels of each frame but the last are in the next one (a grid for grid_sample), and 1 where that shows the same."""


def cameras(kind: str, count: int) -> list[tuple[float, float, float, float]]:
    """The x, y (in half frames), share shown and gain of each frame."""
    steps = [i / (count - 1) for i in range(count)]
    generator = torch.Generator().manual_seed(0)
    hand = (torch.randn(count, 2, generator=generator) * 0.006).cumsum(0).tolist()
    return {
        "pan": [(-0.2 + 0.4 * s, -0.1 + 0.2 * s, 0.75, 1.0) for s in steps],
        "still": [(0.0, 0.0, 0.8, 1.0) for _ in steps],
        "zoom": [(0.05, 0.0, 0.9 - 0.25 * s, 1.0) for s in steps],
        "relit": [(0.0, 0.0, 0.8, 0.85 + 0.15 * math.sin(4 * math.pi * s)) for s in steps],
        "handheld": [(x, y, 0.8, 1.0) for x, y in hand],
    }[kind]


def film(photo: Tensor, kind: str, count: int, height: int, width: int, noise: float = 1.5 / 255) -> Clip:
    """The middle of `photo` [1, 3, h, w] seen by a moving camera, with noise as of a sensor."""
    generator = torch.Generator().manual_seed(1)
    path = cameras(kind, count)
    scale = min(photo.shape[-2] / height, photo.shape[-1] / width)
    tall, wide = round(height * scale), round(width * scale)
    top, left = (photo.shape[-2] - tall) // 2, (photo.shape[-1] - wide) // 2
    source = resize(photo[..., top : top + tall, left : left + wide], (round(height / 0.75), round(width / 0.75)))

    def grid(scale: float, x: float, y: float) -> Tensor:
        return F.affine_grid(torch.tensor([[[scale, 0, x], [0, scale, y]]]), [1, 1, height, width], align_corners=False)

    frames, back = [], []
    for x, y, scale, gain in path:
        seen = F.grid_sample(source, grid(scale, x, y), "bicubic", "reflection", align_corners=False) * gain
        frames.append((seen + noise * torch.randn(seen.shape, generator=generator)).clamp(0, 1).mul(255).round() / 255)
    for (x, y, scale, _), (next_x, next_y, next_scale, _) in pairwise(path):
        there = grid(scale / next_scale, (x - next_x) / next_scale, (y - next_y) / next_scale)
        back.append((there, inside_of(there)))
    return Clip(kind, frames, back)


def read(path: str, count: int, height: int) -> Clip:
    """The first frames of a video, with estimated motion; pixels whose flow does not lead back are left out."""
    images = []
    for frame in islice(video_frames(path), count):
        image = frame.image.float() / 255 if frame.image.dtype == torch.uint8 else frame.image
        images.append(resize(image, (height, round(image.shape[-1] * height / image.shape[-2]))))
    motion = flow_motion()
    back = []
    for here, there in pairwise(images):
        grid = motion(here, there)
        # A pixel's difference after it was moved there and looked up again is its error in both directions together.
        returned = F.grid_sample(motion(there, here).movedim(-1, 1), grid, "bilinear", "border", align_corners=False).movedim(1, -1)
        own = F.affine_grid(torch.eye(2, 3)[None], [1, 1, *here.shape[-2:]], align_corners=False)
        pixels = (returned - own) * torch.tensor([here.shape[-1], here.shape[-2]]) / 2
        back.append((grid, inside_of(grid) * (pixels.norm(dim=-1) < 1)[:, None]))
    return Clip(Path(path).stem, images, back)


def steadiness(frames: list[Tensor], clip: Clip) -> tuple[float, float]:
    """Warp error and luminance flicker, in 1/255."""
    errors, changes = [], []
    for (here, there), (grid, shown) in zip(pairwise(frames), clip.back, strict=True):
        difference = (F.grid_sample(there, grid, "bicubic", "border", align_corners=False) - here) * shown
        errors.append(difference.square().mean(1).sum() / shown.sum())
        changes.append((luma(difference).sum() / shown.sum()).square())
    return 255 * torch.stack(errors).mean().sqrt().item(), 255 * torch.stack(changes).mean().sqrt().item()


def painted(model: StyleTransferModel, style: adain.Style, clip: Clip, stability: Stability) -> list[Tensor]:
    tasks = [Task(frame, i, [adain.Region(style)]) for i, frame in enumerate(clip.frames)]
    return [(frame * 255).round() / 255 for frame in paint_frames(model, tasks, stability)]


def strip(model: StyleTransferModel, style: adain.Style, clip: Clip, methods: dict[str, Stability]) -> Tensor:
    """Each method's frames and, below them, six times their difference to the next one moved back."""
    rows, labels = [], []
    chosen = range(len(clip.back) // 2, min(len(clip.back), len(clip.back) // 2 + 4))
    for name, frames in {"input": clip.frames, **{n: painted(model, style, clip, s) for n, s in methods.items()}}.items():
        rows.append([frames[i] for i in chosen])
        labels.append(name)
        moved = [F.grid_sample(frames[i + 1], clip.back[i][0], "bicubic", "border", align_corners=False) for i in chosen]
        rows.append([(6 * (m - frames[i]).abs() * clip.back[i][1]).clamp(0, 1) for m, i in zip(moved, chosen, strict=True)])
        labels.append("change x 6")
    return contact_sheet(rows, row_labels=labels, cell=240)


def style_loss(judge: Judge, frames: list[Tensor], clip: Clip, picture: Tensor) -> float:
    """The mean style loss of every sixth frame."""
    wanted = judge.style(picture)
    losses = [judge.scores(frame, judge.content(clip.frames[i]), wanted).style for i, frame in enumerate(frames) if i % 6 == 0]
    return sum(losses) / len(losses)


def report(results: dict[tuple[str, str], list[tuple[float, float, float]]]) -> None:
    means = {key: [sum(column) / len(column) for column in zip(*values, strict=True)] for key, values in results.items()}
    print(f"{'clip':10s} {'':18s} {'warp error':>10s} {'excess':>8s} {'luminance':>10s} {'style loss':>11s}")
    for (clip, method), (error, luminance, loss) in means.items():
        own, alone = means[clip, "input"][0], means.get((clip, "per frame"))
        excess = "" if method == "input" or alone is None else f"{(error - own) / (alone[0] - own):8.0%}"
        ratio = "" if alone is None or math.isnan(loss) else f"{loss / alone[2]:11.1%}"
        print(f"{clip:10s} {method:18s} {error:10.2f} {excess:>8s} {luminance:10.3f} {ratio:>11s}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=sample_path("cat").parent)
    parser.add_argument("--count", type=int, default=8, help="photographs")
    parser.add_argument("--preset", action="append", default=list[str](), help="a style by name (default: great-wave and the-scream)")
    parser.add_argument("--style", action="append", default=list[str](), help="a style picture; the style loss needs one")
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--kinds", nargs="*", default=["still", "pan", "zoom", "relit", "handheld"])
    parser.add_argument("--video", help="a real clip")
    parser.add_argument("--loss-network", help="VGG-19 weights that measure the style loss")
    parser.add_argument("--model")
    parser.add_argument("--strip", type=Path, help="write a sheet of frames (of the first photograph, unsteady hand) and stop")
    options = parser.parse_args()
    model = weights.load_model(options.model)
    photos = sorted(p for p in options.photos.iterdir() if p.suffix.lower() in EXTENSIONS)[: options.count]
    height, width = options.height, round(options.height * 16 / 9)
    styles: list[tuple[adain.Style, Tensor | None]] = []
    for path in options.style:
        picture = adain.read_picture(path).rgb
        picture = resize(picture, at_short_side(picture.shape[-2:], 512))
        styles.append((model.encode_style(picture), picture))
    names = options.preset or ([] if styles else ["great-wave", "the-scream"])
    styles += [(weights.load_preset(model, name), None) for name in names]

    if options.strip:
        clip = film(adain.read_picture(photos[0]).rgb, "handheld", options.frames, height, width)
        adain.write_picture(options.strip, strip(model, styles[0][0], clip, METHODS))
        return
    judge = Judge(read_loss_network(options.loss_network), "cpu", torch.float32) if options.loss_network else None
    clips: list[Callable[[], Clip]] = [
        lambda kind=kind, photo=photo: film(adain.read_picture(photo).rgb, kind, options.frames, height, width)
        for kind in options.kinds
        for photo in photos
    ]
    if options.video:
        clips.append(lambda: read(options.video, options.frames, height))
    results: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for make in clips:
        clip = make()
        results.setdefault((clip.name, "input"), []).append((*steadiness(clip.frames, clip), math.nan))
        for style, picture in styles:
            for method, stability in METHODS.items():
                out = painted(model, style, clip, stability)
                loss = style_loss(judge, out, clip, picture) if judge and picture is not None else math.nan
                results.setdefault((clip.name, method), []).append((*steadiness(out, clip), loss))
    report(results)


if __name__ == "__main__":
    main()

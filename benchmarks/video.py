"""Speed and memory of `adain video` over a long clip: `python benchmarks/video.py [--frames 3000] [--size 640 360] [--flow]`.

Makes a clip of a photograph that drifts past, paints it from file to file, and prints frames per second and resident memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.media.video_files.convert import Frame, convert
from adain_style_transfer.adain.resample import resize
from adain_style_transfer.adain.temporal import Stability, Task, paint_frames
from adain_style_transfer.weights.samples import sample_path
from torch import Tensor


def make(path: Path, count: int, width: int, height: int) -> None:
    photo = resize(adain.read_picture(sample_path("astronaut")).rgb, (height + 64, width + 64))
    pixels = photo[0].mul(255).byte().permute(1, 2, 0).contiguous().numpy()
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for i in range(count):
            x, y = abs(i // 4 % 128 - 64), abs(i // 7 % 128 - 64)
            frame = av.VideoFrame.from_ndarray(pixels[y : y + height, x : x + width].copy(), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))


def resident() -> float:
    """MB of this process in memory (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 360), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--per-frame", action="store_true", help="without stability")
    parser.add_argument("--flow", action="store_true")
    options = parser.parse_args()
    stability = Stability(0, 0) if options.per_frame else Stability(flow=options.flow)
    model = weights.load_model(device="cpu")
    style = weights.load_preset(model, "great-wave")
    step = max(1, options.frames // 10)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make(clip, options.frames, *options.size)

        def paint(shown: Iterator[Frame]) -> Iterator[Tensor]:
            tasks = (Task(frame.image, frame.index, [adain.Region(style)]) for frame in shown)
            started = time.perf_counter()
            for i, frame in enumerate(paint_frames(model, tasks, stability), 1):
                yield frame
                if i % step == 0:
                    print(f"{i:6d} frames  {step / (time.perf_counter() - started):6.1f} frames/s  {resident():7.0f} MB")
                    started = time.perf_counter()

        print(f"{options.size[0]} x {options.size[1]}, {model.dtype}, {torch.get_num_threads()} threads, {stability}")
        convert(clip, Path(folder) / "out.mp4", paint)


if __name__ == "__main__":
    main()

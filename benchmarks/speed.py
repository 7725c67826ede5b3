"""Time and memory of the models against the plain pipeline: `python benchmarks/speed.py [--sizes 512 1024]`.

Content and style are both encoded and the picture is decoded, as one would for a new pair; median of n after a warm-up.
The plain pipeline is the paper's network in float32, written with library calls as its public re-implementations write it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.architectures.vgg19 import VGG19
from adain_style_transfer.adain.model import StyleTransferModel
from torch import Tensor


def plain(model: VGG19, content: Tensor, style: Tensor) -> Tensor:
    """encode both, AdaIN, decode: float32, contiguous, no care taken."""

    def moments(f: Tensor) -> tuple[Tensor, Tensor]:
        flat = f.flatten(2)
        return flat.mean(2)[..., None, None], (flat.var(2) + 1e-5).sqrt()[..., None, None]

    fc, fs = model.encoder(content), model.encoder(style)
    (mc, sc), (ms, ss) = moments(fc), moments(fs)
    return model.decoder((fc - mc) / sc * ss + ms)


def ours(model: StyleTransferModel, content: Tensor, style: Tensor) -> Tensor:
    return adain.stylize(model, content, model.encode_style(style))


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024], help="sides of the square pictures")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    torch.manual_seed(0)
    vgg = VGG19().eval()
    vgg.seal()
    lite = weights.load_model(device="cpu")
    lite32 = weights.load_model(device="cpu", dtype=torch.float32)
    vgg_fast = VGG19().eval().to(dtype=lite.dtype, memory_format=torch.channels_last)
    vgg_fast.seal()
    runs: dict[str, Callable[[Tensor, Tensor], object]] = {
        "plain vgg19 float32": lambda c, s: plain(vgg, c, s),
        f"vgg19 {lite.dtype}": lambda c, s: ours(vgg_fast, c, s),
        "lite torch.float32": lambda c, s: ours(lite32, c, s),
        f"lite {lite.dtype}": lambda c, s: ours(lite, c, s),
    }
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {options.repeats}")
    for size in options.sizes:
        content, style = F.interpolate(torch.rand(2, 3, 32, 32), size=(size, size), mode="bicubic").clamp(0, 1).split(1)
        with torch.inference_mode():
            base = 0.0
            for name, run in runs.items():
                seconds = median_seconds(lambda run=run, c=content, s=style: run(c, s), options.repeats)
                base = base or seconds
                print(f"{size:5d}  {name:24s} {seconds:8.3f} s   {base / seconds:6.1f} x")


if __name__ == "__main__":
    main()

"""Time and memory of the models beside the plain pipeline: `python benchmarks/speed.py --out results`.

A table on the terminal, OUT.json and OUT.png, which needs matplotlib (`pip install matplotlib`). All runs are made side by side in one
process; each figure is the median of n after a warm-up. A style is encoded once for many pictures, so it is not part of a run, except in
the plain pipeline: the paper's network in float32, written with library calls as its public re-implementations write it. `rate` is
the arithmetic of the convolutions per second, as a share of what one large convolution reaches in the same dtype; tiles compute
some of it twice. `--runs` chooses runs by a part of their names: how the automatic choice does from size to size is shown by
`--runs "lite bfloat16 auto" --sizes 512 1024 2048 4096 8192`.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.architectures.vgg19 import VGG19
from adain_style_transfer.adain.model import StyleTransferModel
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

WHOLE = 2**31


@dataclass(frozen=True)
class Result:
    device: str
    run: str
    size: str
    batch: int
    seconds: float
    images_per_second: float
    seconds_per_megapixel: float
    times_plain: float | None
    """How many times faster than the plain pipeline at the same size and batch."""
    rate: float | None
    peak_mb: float | None
    """Memory at the highest point of a run above that at its beginning, without the result."""


def plain(model: VGG19, content: Tensor, style: Tensor) -> Tensor:
    """The pipeline as published, encode both, AdaIN, decode: float32, contiguous, no care taken."""

    def moments(f: Tensor) -> tuple[Tensor, Tensor]:
        flat = f.flatten(2)
        return flat.mean(2)[..., None, None], (flat.var(2) + 1e-5).sqrt()[..., None, None]

    fc, fs = model.encoder(content), model.encoder(style)
    (mc, sc), (ms, ss) = moments(fc), moments(fs)
    return model.decoder((fc - mc) / sc * ss + ms)


def runs(
    device: torch.device, dtypes: list[torch.dtype], names: list[str]
) -> Iterator[tuple[str, torch.dtype, Callable[[Tensor], Tensor]]]:
    """Name, dtype and function of every run, the plain pipeline first."""
    torch.manual_seed(0)
    style = pictures(1, 512, 512, device)
    network = VGG19().eval().to(device)
    yield "plain vgg19", torch.float32, lambda content: plain(network, content, style.expand(len(content), -1, -1, -1))
    for name in names:
        for dtype in dtypes:
            model = vgg19(device, dtype) if name == "vgg19" else weights.load_model(name, device, dtype)
            made = model.encode_style(style)
            label = f"{model.architecture} {str(dtype).removeprefix('torch.')}"
            yield f"{label} whole", dtype, lambda c, m=model, s=made: adain.stylize(m, c, s, tile=WHOLE, chunk=len(c))
            yield f"{label} auto", dtype, lambda c, m=model, s=made: adain.stylize(m, c, s)


def vgg19(device: torch.device, dtype: torch.dtype) -> StyleTransferModel:
    """The paper's network with random weights, which are as fast as others."""
    model = VGG19().eval()
    model.seal()
    return model.to(device, dtype, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def pictures(batch: int, height: int, width: int, device: torch.device) -> Tensor:
    return F.interpolate(torch.rand(batch, 3, 32, 32), size=(height, width), mode="bicubic").clamp(0, 1).to(device)


def measure(run: Callable[[], Tensor], repeats: int, device: torch.device) -> tuple[float, float | None, int]:
    """Median seconds, the peak of memory in MB, and the arithmetic operations of a run."""
    before = _reset_peak(device)
    with FlopCounterMode(display=False) as counter:
        size = run().nbytes  # warm-up
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        _synchronize(device)
        times.append(time.perf_counter() - start)
    peak = None if before is None else (_peak(device) - before - size) / 1e6
    return statistics.median(times), peak, counter.get_total_flops()


def convolution_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Arithmetic operations per second of one large 3x3 convolution."""
    side = 256 if device.type == "cpu" else 1024
    x = torch.randn(1, 256, side, side, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    w = torch.randn(256, 256, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    seconds, _, operations = measure(lambda: F.conv2d(x, w, padding=1), 5, device)
    return operations / seconds


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> float | None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        ctypes.CDLL(None).malloc_trim(0)  # glibc: what earlier runs freed is not to be used again unseen
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
        return _status("VmRSS")
    except (OSError, AttributeError):
        return None


def _peak(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _status("VmHWM")


def _status(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def plot(results: list[Result], path: Path) -> None:
    import matplotlib.pyplot as plt  # an extra

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for run in dict.fromkeys(f"{r.run}, batch {r.batch}, {r.device}" for r in results):
        points = [r for r in results if f"{r.run}, batch {r.batch}, {r.device}" == run]
        sizes = [[int(n) for n in r.size.split("x")] for r in points]
        axes.plot([w * h / 1e6 for w, h in sizes], [r.seconds / r.batch for r in points], marker="o", label=run)
    axes.set(xscale="log", yscale="log", xlabel="megapixels", ylabel="seconds per picture")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height or width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=_size, nargs="+", default=[(256, 256), (512, 512), (1024, 1024), (3840, 2160)], metavar="W[xH]")
    parser.add_argument("--plain-pixels", type=float, default=1.1e6, help="largest picture for vgg19 and the plain pipeline")
    parser.add_argument("--models", nargs="+", default=["adain-lite", "vgg19"], help="embedded, catalogue or file names, or vgg19")
    parser.add_argument("--runs", default="", help="a part of the names of the runs to make; default: all")
    parser.add_argument("--dtypes", nargs="+", default=None, help="default: float32 and what the device computes fastest")
    parser.add_argument("--batches", type=int, nargs="+", default=[1])
    parser.add_argument("--devices", nargs="+", default=["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None, help="OUT.json and OUT.png")
    options = parser.parse_args()
    if options.out and not importlib.util.find_spec("matplotlib"):  # before minutes of measuring
        parser.error("--out draws a picture too, which needs matplotlib: pip install matplotlib")

    results: list[Result] = []
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {options.repeats}")
    head = f"{'device':6} {'run':26} {'size':>11} {'batch':>5} {'seconds':>9} {'images/s':>9} {'s/MP':>7} "
    print(head + f"{'x plain':>8} {'rate':>6} {'peak MB':>8}")
    for device in map(torch.device, options.devices):
        fastest = weights.loading.default_dtype(device)
        dtypes = [getattr(torch, d) for d in options.dtypes] if options.dtypes else list(dict.fromkeys([torch.float32, fastest]))
        rates = {dtype: convolution_rate(dtype, device) for dtype in dict.fromkeys([torch.float32, *dtypes])}
        for dtype, rate in rates.items():
            print(f"{device.type:6} one convolution, {dtype}: {rate / 1e9:.0f} GFLOP/s")
        base: dict[tuple[str, int], float] = {}
        for run, dtype, function in runs(device, dtypes, options.models):
            if options.runs not in run:
                continue
            for width, height in options.sizes:
                if "vgg19" in run and width * height > options.plain_pixels:
                    continue
                for batch in options.batches:
                    content = pictures(batch, height, width, device)
                    with torch.inference_mode():
                        seconds, peak, done = measure(lambda f=function, c=content: f(c), options.repeats, device)
                    size = f"{width}x{height}"
                    base.setdefault((size, batch), seconds if run.startswith("plain") else float("nan"))
                    times = base[size, batch] / seconds
                    results.append(
                        Result(
                            device.type,
                            run,
                            size,
                            batch,
                            seconds,
                            batch / seconds,
                            seconds * 1e6 / (batch * width * height),
                            times if times == times else None,
                            done / seconds / rates[dtype] if done else None,
                            peak,
                        )
                    )
                    r = results[-1]
                    print(
                        f"{r.device:6} {r.run:26} {r.size:>11} {r.batch:5d} {r.seconds:9.4f} {r.images_per_second:9.2f} "
                        f"{r.seconds_per_megapixel:7.4f} "
                        f"{r.times_plain or float('nan'):8.1f} {100 * (r.rate or float('nan')):5.0f}% {r.peak_mb or float('nan'):8.0f}",
                        flush=True,
                    )
    if options.out:
        options.out.with_suffix(".json").write_text(json.dumps([asdict(r) for r in results], indent=1))
        plot(results, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()

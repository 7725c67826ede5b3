"""Time and memory of refining: seconds an iteration, beside what the machine's convolutions do, and the peak at larger sizes.

python benchmarks/refine.py --judge FILE [--sizes 256 512 1024] [--dtype float32]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from adain_style_transfer.adain.judgement import Demand, Judgement
from adain_style_transfer.adain.loss_network import LEVEL_STRIDES, LossNetwork
from adain_style_transfer.adain.refine import ITERATIONS, Finish
from adain_style_transfer.weights import load_judge

MULTIPLY_ADDS = 240_768
"""Of the nine convolutions for each pixel, forward."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", required=True, help="VGG-19: a file, or an id of `adain models`")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="sides of the square pictures")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    network = load_judge(options.judge, "cpu", getattr(torch, options.dtype))
    rate = convolution_rate(network, options.repeats)
    print(f"{torch.get_num_threads()} threads, {options.dtype}: convolutions of this network do {rate / 1e9:.0f} GFLOP/s, forward and back")
    style = [level.statistics() for level in moments(network, torch.rand(1, 3, 256, 256))]
    for side in options.sizes:
        before = peak()
        seconds = best(judging(network, style, side), options.repeats if side <= 512 else 2)
        share = 4 * MULTIPLY_ADDS * side**2 / seconds / rate
        more = peak() - before
        print(f"{side:5d} x {side}: {seconds:.3f} s an iteration, {share:.0%} of that rate; {more:.0f} MB more at the peak")
        if side == 512:
            half = best(judging(network, style, 256), options.repeats)
            for quality in ("draft", "good"):
                _, coarse, fine = ITERATIONS[quality]
                print(f"      {quality}: {coarse * half + fine * seconds:.0f} s at 512 x 512")


def convolution_rate(network: LossNetwork, repeats: int) -> float:
    """Floating-point operations a second of conv3_2, the kind most of the work is, forward and back to its input."""
    conv = network.encoder.get_submodule("conv3_2")
    x = torch.randn(1, 256, 130, 130).to(network.dtype, memory_format=torch.channels_last).requires_grad_()

    def once() -> None:
        y = F.conv2d(x, conv.get_parameter("weight"))
        torch.autograd.grad(y, x, y)

    return 2 * 2 * 256 * 256 * 9 * 128**2 / best(once, repeats)


def moments(network: LossNetwork, image: torch.Tensor) -> list:
    return list(Judgement(network, image, [None]).content.levels[0])[: len(LEVEL_STRIDES)]


def judging(network: LossNetwork, style: list, side: int) -> Callable[[], object]:
    """One iteration, of a picture whose content was looked at before."""
    content, picture = torch.rand(2, 1, 3, side, side).unbind()
    judgement, demand = Judgement(network, content, [None]), Demand([style], Finish.style_weight)
    return lambda: judgement(picture, demand)


def best(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def peak() -> float:
    """The most memory that the process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

"""What a training step costs: its floating-point operations and its seconds on this machine.

    python benchmarks/training.py --recipe training/recipes/seed.toml --content PHOTOS --style ARTWORKS [--batch 2 ...]

Takes every option of adain-train and writes nothing but to a temporary folder.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time

import torch
from adain_style_transfer.adain import AdaINError
from adain_style_transfer.training.recipe import add_options, read_recipe
from adain_style_transfer.training.train import Trainer
from torch.utils.flop_counter import FlopCounterMode

WARM_UP = 2


def main() -> int:
    try:
        measure()
    except (AdaINError, OSError) as error:
        print(f"benchmarks/training.py: {error}", file=sys.stderr)
        return 1
    return 0


def measure() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", help="TOML file of settings; the options below override it")
    parser.add_argument("--timed", type=int, default=5, help="steps to time (default 5)")
    add_options(parser)
    options = vars(parser.parse_args())
    recipe_path, timed = options.pop("recipe"), options.pop("timed")
    with tempfile.TemporaryDirectory() as folder:
        recipe = read_recipe(recipe_path, options | {"out": folder, "steps": WARM_UP + timed, "workers": 0})
        trainer = Trainer(recipe, resume=False)
        loaders = zip(trainer.loader(recipe.content, "content"), trainer.loader(recipe.style, "style"), strict=True)
        seconds = []
        for step, (content, style) in enumerate(loaders):
            with FlopCounterMode(display=False) as counter:
                started = time.perf_counter()
                trainer.train_step(content, style)
                if trainer.device.type == "cuda":
                    torch.cuda.synchronize()
                seconds.append(time.perf_counter() - started)
            if step == 0:
                print(f"{counter.get_total_flops() / 1e12:.4f} TFLOP per step of {recipe.batch} pairs of {recipe.crop} px")
    middle = statistics.median(seconds[WARM_UP:])
    print(f"{middle:.3f} s per step on {trainer.device} with {torch.get_num_threads()} threads, {recipe.precision} precision")


if __name__ == "__main__":
    raise SystemExit(main())

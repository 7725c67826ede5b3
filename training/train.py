"""Train a style-transfer model.

    adain-train --recipe training/recipes/lite.toml --content PHOTOS --style ARTWORKS --loss-network vgg-normalised
    python training/train.py ...                                    the same
    accelerate launch training/train.py ...                         several GPUs or machines
    adain-train --recipe ... --resume                               go on after a stop (Ctrl-C is one)

`lite` and `base` are trained end to end; `vgg19` and `kuko6` keep their encoder (--encoder) and train the decoder. The encoder and
the loss network are files or ids of `adain models`, downloaded on first use; docs/training.md tells more.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import sys
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: the relative imports below need the installed package as their parent (PEP 366)
    import adain_style_transfer.training  # pyright: ignore[reportMissingImports]

    __package__ = adain_style_transfer.training.__name__

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..adain.affine import RegionalAffine
from ..adain.aim import Aim
from ..adain.architectures import ARCHITECTURES
from ..adain.architectures.base import Base
from ..adain.architectures.kuko6 import SOURCE_ENCODER, Kuko6
from ..adain.architectures.lite import Lite
from ..adain.architectures.vgg19 import NAOTO_ENCODER, VGG19, renamed
from ..adain.errors import AdaINError, reason
from ..adain.media.images import write_picture
from ..adain.model import StyleTransferModel
from ..adain.moments import Statistics
from ..adain.pipeline import Painter
from ..weights import read_model, save_model
from ..weights.checkpoints import read_tensors
from ..weights.loading import weights_path
from ..weights.loss_network import read_loss_network
from . import checkpoint
from .data import Crops, find_pictures, to_float
from .growth import grow_from_lite
from .objective import Batch, FrozenPainter, Objective
from .preview import preview
from .recipe import Recipe, RecipeError, add_options, read_recipe
from .stopping import stop_requests
from .transposed import start_from_encoder

_logger = logging.getLogger(__name__)

_VGG = {
    "vgg19": (VGG19, "vgg-normalised", NAOTO_ENCODER, ""),
    "kuko6": (Kuko6, "vgg19-torchvision", SOURCE_ENCODER, "features."),
}
"""An architecture with a frozen encoder -> its class, the catalogue's encoder for it, and how that one names its layers."""


class Trainer:
    """One run of a recipe: `run()` trains from the current step to the last and exports the averaged model."""

    def __init__(self, recipe: Recipe, resume: bool) -> None:
        for name in ("content", "style", "loss_network"):
            if not getattr(recipe, name):
                raise RecipeError(f"The recipe gives no {name}. Name one with --{name.replace('_', '-')}.")
        self.recipe = recipe
        self.folder = Path(recipe.out)
        self.accelerator = Accelerator(mixed_precision=None if recipe.precision == "no" else recipe.precision, cpu=recipe.device == "cpu")
        self.device = self.accelerator.device
        set_seed(recipe.seed)

        model = build_model(recipe).to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=recipe.lr, betas=(0.9, 0.99))
        self.step = checkpoint.load(self.folder, recipe, model, self.average, optimizer) if resume else 0
        frozen = recipe.architecture in _VGG
        self.network, self.optimizer = self.accelerator.prepare(Decoding(model) if frozen else Rendering(model), optimizer)
        self.model = model
        self.painter = FrozenPainter(model, self.network, recipe.variants > 0) if frozen else None

        loss_dtype = torch.float32 if recipe.precision == "no" else torch.bfloat16
        network = read_loss_network(weights_path(recipe.loss_network))
        self.loss_network = network.to(self.device, loss_dtype, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.objective = Objective(recipe, self.loss_network)
        self.losses: dict[str, deque[Tensor]] = defaultdict(lambda: deque(maxlen=recipe.log_every))

    def run(self) -> None:
        recipe, main = self.recipe, self.accelerator.is_main_process
        if self.step >= recipe.steps:
            raise RecipeError(f"The run in {self.folder} has reached its {recipe.steps} steps. Give more with --steps.")
        self.folder.mkdir(parents=True, exist_ok=True)
        contents, styles = self.loader(recipe.content, "content"), self.loader(recipe.style, "style")
        writer = SummaryWriter(self.folder / "tensorboard") if main else None
        bar = tqdm(total=recipe.steps, initial=self.step, unit="step", disable=None if main else True)
        started, first = time.perf_counter(), self.step
        with stop_requests() as stop_requested:
            for content, style in zip(contents, styles, strict=True):
                self._set_learning_rate()
                self.train_step(content, style)
                self.step += 1
                bar.update()
                if self.step % recipe.log_every == 0 and main:
                    self._log(writer, (time.perf_counter() - started) / (self.step - first))
                stopping = stop_requested()
                if self.step % recipe.save_every == 0 or self.step == recipe.steps or stopping:
                    self.save()
                if self.step % recipe.preview_every == 0 and main:
                    self._preview(writer)
                if stopping and self.step < recipe.steps:
                    bar.close()
                    raise StoppedError(
                        f"Stopped after step {self.step}, which is saved. The same command with --resume goes on from there."
                    )
        bar.close()
        if writer:
            writer.close()
        if main:
            self.export()

    def train_step(self, content: tuple[Tensor, Tensor], style: tuple[Tensor, Tensor]) -> None:
        batch = Batch(to_float(content[0], self.device), content[1], to_float(style[0], self.device), style[1])
        with self.accelerator.autocast():
            terms = self.objective(self.paint, self.repaint, batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(terms["loss"])
        self.accelerator.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.average.update_parameters(self.model)
        for name, value in terms.items():
            self.losses[name].append(value.detach())

    def paint(self, batch: Batch) -> Tensor:
        """The model's pictures of a batch, not clamped, float32."""
        return self.network(batch.contents, batch.styles).float() if self.painter is None else self.painter(batch)

    def repaint(self, contents: Tensor, keys: Tensor) -> Tensor:
        """`contents` in their own styles."""
        return self.network(contents, contents).float() if self.painter is None else self.painter.repaint(contents, keys)

    def averaged(self) -> StyleTransferModel:
        """The model with averaged weights, in evaluation mode."""
        model = copy.deepcopy(self.average.module)
        assert isinstance(model, StyleTransferModel)
        model.seal()
        return model.eval()

    def save(self) -> None:
        if self.accelerator.is_main_process:
            checkpoint.save(self.folder, self.recipe, self.step, self.model, self.average, self.optimizer)

    def _preview(self, writer: SummaryWriter | None) -> None:
        sheet = preview(self.averaged(), self.recipe)
        write_picture(self.folder / f"preview-{self.step:06d}.png", sheet)
        if writer:
            writer.add_image("preview", sheet[0], self.step)

    def export(self) -> Path:
        path = self.folder / f"adain-{self.recipe.architecture}.safetensors"
        metadata = {
            "version": version("adain-style-transfer"),
            "license": self.recipe.license,
            "data": self.recipe.data_note,
            "steps": str(self.step),
            "losses": f"content {self.recipe.content_weight:g} ({self.recipe.content_target}), style {self.recipe.style_weight:g}, range "
            f"{self.recipe.range_weight:g}, identity {self.recipe.identity_weight:g}, variation {self.recipe.variation_weight:g}",
        }
        save_model(self.averaged(), path, metadata)
        _logger.info("exported %s after %d steps", path, self.step)
        return path

    def loader(self, folder: str, kind: str) -> Any:  # accelerate wraps the loader in a type of its own
        recipe = self.recipe
        crops = Crops(
            find_pictures(folder),
            (recipe.steps - self.step) * recipe.batch * self.accelerator.num_processes,
            crop=recipe.crop,
            zoom=(recipe.zoom_low, recipe.zoom_high),
            seed=f"{recipe.seed}/{kind}",
            jitter=recipe.style_jitter if kind == "style" else 0.0,
            start=self.step * recipe.batch * self.accelerator.num_processes,
            variants=recipe.variants,
            turned=recipe.turned,
        )
        _logger.info("%s: %d images below %s", kind, len(crops.paths), folder)
        loader = DataLoader(crops, recipe.batch, num_workers=recipe.workers, pin_memory=self.device.type == "cuda")
        return self.accelerator.prepare(loader)

    def _set_learning_rate(self) -> None:
        recipe = self.recipe
        warm = min(1.0, (self.step + 1) / max(1, recipe.warmup))
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / recipe.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr * warm * (recipe.final_lr + (1 - recipe.final_lr) * cosine)

    def _log(self, writer: SummaryWriter | None, seconds: float) -> None:
        means = {name: torch.stack(list(values)).float().mean().item() for name, values in self.losses.items()}
        _logger.info("step %d  %s  %.3f s/step", self.step, "  ".join(f"{k} {v:.3f}" for k, v in means.items()), seconds)
        if not math.isfinite(means["loss"]):
            raise AdaINError(f"The loss is no longer finite at step {self.step}. Resume with a lower --lr or --precision no.")
        if writer:
            for name, value in means.items():
                writer.add_scalar(name, value, self.step)
            writer.add_scalar("seconds per step", seconds, self.step)


class StoppedError(AdaINError):
    """A run that was asked to stop, and whose checkpoint was saved."""


class Rendering(nn.Module):
    """A network from content and style images to pictures: the forward pass of a whole model that accelerate wraps."""

    def __init__(self, model: StyleTransferModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, contents: Tensor, styles: Tensor) -> Tensor:
        statistics: list[Statistics] = self.model.statistics_of(styles)
        return Painter(self.model, Aim([statistics])).render(contents)


class Decoding(nn.Module):
    """A network that is `decode` of a model whose encoder is frozen: the forward pass that accelerate wraps."""

    def __init__(self, model: StyleTransferModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, features: Sequence[Tensor], modulations: Sequence[RegionalAffine]) -> Tensor:
        return self.model.decode(image, features, modulations)


def build_model(recipe: Recipe) -> StyleTransferModel:
    """A model with the weights that the run starts from; the encoder of a VGG-19 model is read and frozen."""
    model = fresh_model(recipe)
    if recipe.start:
        other = read_model(recipe.start)
        if isinstance(model, Base) and isinstance(other, Lite):
            grow_from_lite(model, other)
            return model
        if other.architecture != recipe.architecture:
            raise RecipeError(f"The model {recipe.start} is {other.architecture}, but this run trains {recipe.architecture}.")
        model.load_state_dict(other.state_dict())
    return model


def fresh_model(recipe: Recipe) -> StyleTransferModel:
    if recipe.architecture not in _VGG:
        return ARCHITECTURES[recipe.architecture].model()
    path = weights_path(recipe.encoder)
    build, published, layers, prefix = _VGG[recipe.architecture]
    model = build()
    if not path.is_file():
        raise RecipeError(f"There is no encoder at {recipe.encoder!r}. A {recipe.architecture} decoder needs one: --encoder {published}.")
    try:
        model.encoder.load_state_dict(renamed(read_tensors(path), layers, prefix))
    except (KeyError, RuntimeError) as error:
        raise RecipeError(f"The encoder {path} is not VGG-19 in the layout of {published}: {reason(error)}.") from error
    model.encoder.requires_grad_(False)
    start_from_encoder(model)
    return model


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="adain-train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", help="TOML file of settings; the options below override it")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    existing.add_argument("--overwrite", action="store_true", help="begin anew where --out already holds a run")
    add_options(parser)
    options = vars(parser.parse_args(arguments))
    recipe_path, resume, overwrite = (options.pop(name) for name in ("recipe", "resume", "overwrite"))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        recipe = read_recipe(recipe_path, options)
        if not (resume or overwrite):
            checkpoint.refuse_existing(Path(recipe.out))
        Trainer(recipe, resume).run()
    except (AdaINError, OSError) as error:
        _logger.error("%s", error)
        return 1
    except KeyboardInterrupt:
        _logger.error("Stopped at once. What was saved before is whole: the same command with --resume goes on from there.")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

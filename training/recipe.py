"""A training recipe: every setting of a run, from a TOML file, with command-line overrides."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ..adain.errors import AdaINError
from ..weights.toml import read_toml

_CHOICES = {
    "architecture": ("lite", "base", "vgg19", "kuko6"),
    "precision": ("no", "fp16", "bf16"),
    "device": ("auto", "cpu"),
    "content_target": ("adain", "content"),
}


class RecipeError(AdaINError):
    """A recipe that cannot be used."""


@dataclass(frozen=True)
class Recipe:
    """Fields are keys of the TOML file and, with dashes, options of the command line."""

    content: str = field(default="", metadata={"help": "folder of photographs or of WebDataset shards (.tar) of them, walked recursively"})
    style: str = field(default="", metadata={"help": "folder of artworks or of such shards, walked recursively"})
    loss_network: str = field(
        default="", metadata={"help": "VGG-19 for the losses: a file, or an id of `adain models` such as vgg-normalised"}
    )
    out: str = field(default="runs/lite", metadata={"help": "folder for checkpoints, previews and the exported model"})

    architecture: str = field(default="lite", metadata={"help": "lite or base (encoder and decoder), vgg19 or kuko6 (decoder only)"})
    encoder: str = field(
        default="", metadata={"help": "frozen VGG-19 for a decoder, file or id: vgg-normalised for vgg19, vgg19-torchvision for kuko6"}
    )
    start: str = field(
        default="",
        metadata={"help": "model file whose weights the run starts from; a base model may start from a lite one (default: fresh weights)"},
    )

    steps: int = field(default=20_000, metadata={"help": "optimizer steps"})
    batch: int = field(default=8, metadata={"help": "pairs per step and process"})
    crop: int = field(default=128, metadata={"help": "side of the training crops in pixels"})
    zoom_low: float = field(default=0.6, metadata={"help": "smallest scale of a crop relative to its file"})
    zoom_high: float = field(default=1.4, metadata={"help": "largest scale of a crop relative to its file"})
    style_jitter: float = field(default=0.0, metadata={"help": "0..1: how far the colours of styles are varied"})
    turned: bool = field(default=False, metadata={"help": "turn crops by quarters too, so that light comes from all sides"})
    variants: int = field(default=0, metadata={"help": "distinct crops per image, whose loss targets are kept; 0: endless"})
    workers: int = field(default=0, metadata={"help": "loader processes per folder"})

    lr: float = field(default=1e-3, metadata={"help": "peak learning rate (Adam)"})
    warmup: int = field(default=200, metadata={"help": "steps of linear warm-up; then cosine down to final_lr"})
    final_lr: float = field(default=0.03, metadata={"help": "last learning rate, as a share of the peak"})
    ema: float = field(default=0.998, metadata={"help": "decay of the averaged weights that are exported"})
    clip: float = field(default=10.0, metadata={"help": "gradient norm limit"})
    content_target: str = field(
        default="adain", metadata={"help": "what the content loss aims at: adain (the paper's t) or content (the photograph's features)"}
    )
    content_weight: float = field(default=1.0, metadata={"help": "weight of the content loss"})
    style_weight: float = field(default=10.0, metadata={"help": "weight of the style loss, the paper's lambda"})
    range_weight: float = field(default=10.0, metadata={"help": "weight of the penalty on values outside 0..1"})
    covariance_weight: float = field(default=0.0, metadata={"help": "weight of the covariances of channels, which tell strokes apart"})
    grid_weight: float = field(default=0.0, metadata={"help": "weight of what repeats with the pixel grid"})
    variation_weight: float = field(default=0.0, metadata={"help": "weight of total variation"})
    identity_weight: float = field(default=0.0, metadata={"help": "weight of the pixel error of pictures in their own style"})

    seed: int = field(default=0, metadata={"help": "seed of weights, crops and pairs"})
    precision: str = field(default="bf16", metadata={"help": "no, fp16 or bf16, for accelerate"})
    device: str = field(default="auto", metadata={"help": "auto or cpu"})
    log_every: int = field(default=50, metadata={"help": "steps between log lines and scalars"})
    save_every: int = field(default=500, metadata={"help": "steps between checkpoints"})
    preview_every: int = field(default=1000, metadata={"help": "steps between preview sheets"})

    license: str = field(default="MIT", metadata={"help": "licence written into the exported model"})
    data_note: str = field(default="", metadata={"help": "what the model was trained on, written into the exported model"})
    expected: str = field(default="", metadata={"help": "the result this recipe gave, for comparison"})

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "crop", "log_every", "save_every", "preview_every"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}. It must be at least 1.")
        stride = 16 if self.architecture == "base" else 8
        if self.crop % stride:
            raise RecipeError(f"crop is {self.crop}. It must be a multiple of {stride}, the stride of {self.architecture}.")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise RecipeError(f"{name} is {getattr(self, name)!r}. Choose one of: {', '.join(choices)}.")
        if not (self.content_weight or self.style_weight or self.identity_weight):
            raise RecipeError("content_weight, style_weight and identity_weight are all 0, so there is nothing to learn. Raise one.")
        if not 0 <= self.style_jitter <= 1:
            raise RecipeError(f"style_jitter is {self.style_jitter}. It must lie between 0 (styles as they are) and 1.")
        if not 0 < self.zoom_low <= self.zoom_high:
            raise RecipeError(f"zoom_low {self.zoom_low} and zoom_high {self.zoom_high} must be positive and in order.")


def add_options(parser: argparse.ArgumentParser) -> None:
    """One option per field of Recipe; only those given override the file."""
    for item in dataclasses.fields(Recipe):
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            type=_flag if isinstance(item.default, bool) else type(item.default),
            default=argparse.SUPPRESS,
            help=f"{item.metadata['help']} (default: {item.default!r})",
        )


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def read_recipe(path: str | None, overrides: dict[str, Any]) -> Recipe:
    """The recipe in the TOML file at `path`, if any, with `overrides`. Raises RecipeError for keys that do not exist."""
    values: dict[str, Any] = {}
    if path:
        try:
            values = read_toml(path)
        except OSError as error:
            raise RecipeError(f"The recipe {path} cannot be read ({error.strerror}).") from error
        except ValueError as error:
            raise RecipeError(f"The recipe {path} is not valid TOML: {error}.") from error
    known = {item.name: type(item.default) for item in dataclasses.fields(Recipe)}
    for key, value in values.items():
        if key not in known:
            raise RecipeError(f"The recipe {path} has an unknown key {key!r}. Known keys: {', '.join(known)}.")
        if not isinstance(value, (int, float) if known[key] is float else known[key]):
            raise RecipeError(f"The recipe {path} gives {key} = {value!r}; expected {known[key].__name__}.")
    return Recipe(**(values | overrides))

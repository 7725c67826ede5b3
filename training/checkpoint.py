"""Checkpoints: everything a run needs to continue bit for bit, written so that a kill at any moment leaves a whole one."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..adain.media.atomic import replacing
from .recipe import Recipe, RecipeError

NAME = "checkpoint.pt"

_FREE = {"out", "steps", "log_every", "save_every", "preview_every", "workers", "expected", "data_note", "license"}
"""Settings that may change when a run is resumed (more steps stretch the schedule)."""

_KEYS = {"step", "recipe", "model", "average", "optimizer", "rng"}


def save(folder: Path, recipe: Recipe, step: int, model: nn.Module, average: nn.Module, optimizer: Optimizer) -> None:
    state = {
        "step": step,
        "recipe": dataclasses.asdict(recipe),
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
    }
    with replacing(folder / NAME) as temporary:
        torch.save(state, temporary)


def load(folder: Path, recipe: Recipe, model: nn.Module, average: nn.Module, optimizer: Optimizer) -> int:
    """Restore what `save` wrote and return the step. Raises RecipeError if there is none or it is of another recipe."""
    path = folder / NAME
    if not path.is_file():
        raise RecipeError(f"There is no checkpoint at {path} to resume from. Start without --resume.")
    state = _read(path)
    current = dataclasses.asdict(recipe)
    changed = [k for k, v in state["recipe"].items() if k not in _FREE and current.get(k) != v]
    if changed:
        raise RecipeError(
            f"The checkpoint {path} was made with other settings: "
            + ", ".join(f"{k} = {state['recipe'][k]!r}, now {current.get(k)!r}" for k in changed)
            + ". Resume with the same recipe, or start anew in another --out."
        )
    try:
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        detail = " ".join(str(error).split())[:300]
        raise RecipeError(f"The checkpoint {path} does not fit the recipe's model: {detail} Start anew in another --out.") from error
    return state["step"]


def refuse_existing(folder: Path) -> None:
    """Raise RecipeError if a run is in `folder`, which a new one would destroy."""
    found = next((path for path in (folder / NAME, *sorted(folder.glob("adain-*.safetensors"))) if path.exists()), None)
    if found:
        raise RecipeError(
            f"There is a run in {folder} already ({found.name}). Go on with it by --resume, choose another folder with --out, "
            "or begin anew with --overwrite."
        )


def _read(path: Path) -> dict[str, Any]:
    damaged = f"The checkpoint {path} is damaged: {{}} Start anew in another --out."
    try:
        with zipfile.ZipFile(path) as file:
            if broken := file.testzip():  # torch does not look at the checksums
                raise RecipeError(damaged.format(f"the checksum of {broken} is wrong."))
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except RecipeError:
        raise
    except Exception as error:  # what bytes that are no checkpoint make of an unpickler is not to be foreseen
        raise RecipeError(damaged.format((str(error).splitlines() or ["it is empty."])[0])) from error
    if not isinstance(state, Mapping) or not isinstance(state.get("recipe"), Mapping) or not state.keys() >= _KEYS:
        raise RecipeError(f"{path} is no checkpoint of adain-train. Start anew in another --out.")
    for name, value in _tensors(state):
        if value.is_floating_point() and not value.isfinite().all():
            raise RecipeError(damaged.format(f"{name} holds NaN or infinite values."))
    return dict(state)


def _tensors(value: object, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}.{key}" if name else str(key))

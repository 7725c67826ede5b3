"""Checkpoints: everything a run needs to continue bit for bit, written so that a kill at any moment leaves a whole one."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..adain.files import replacing
from .recipe import Recipe, RecipeError

NAME = "checkpoint.pt"

_FREE = {"out", "steps", "log_every", "save_every", "preview_every", "workers", "expected", "data_note", "license"}
"""Settings that may change when a run is resumed (more steps stretch the schedule)."""


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
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or ["it is empty."])[0]
        raise RecipeError(f"The checkpoint {path} is damaged: {reason} Start anew in another --out.") from error
    current = dataclasses.asdict(recipe)
    changed = [k for k, v in state["recipe"].items() if k not in _FREE and current.get(k) != v]
    if changed:
        raise RecipeError(
            f"The checkpoint {path} was made with other settings: "
            + ", ".join(f"{k} = {state['recipe'][k]!r}, now {current.get(k)!r}" for k in changed)
            + ". Resume with the same recipe, or start anew in another --out."
        )
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    return state["step"]

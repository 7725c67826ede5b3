"""Ray: a cluster of this machine alone, or one that is there already."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..adain.errors import reason
from ..adain.extras import install
from .errors import DatasetError

_PATIENCE = 5.0
"""Seconds in which the address of a cluster must answer."""


@dataclass(frozen=True)
class Pool:
    """How many workers there are, and what each takes of the machines."""

    least: int = 0
    """0: as many as the cluster has room for."""
    most: int = 0
    """More than `least` lets the pool grow and shrink."""
    cpus: float = 1
    gpus: float = 0


@contextmanager
def connected(address: str | None = None, cpus: int | None = None) -> Iterator[Any]:
    """Yield Ray, connected to the cluster at `address`, or (None) to one of this machine's own `cpus` that ends with it.

    One that is connected already is used and left. Raises DatasetError if Ray is not installed or the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray Data makes actors in a way that Ray's core writes warnings about
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a worker without a GPU of Ray's may still say which it has
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise install("`adain dataset`", "'ray[data]'", DatasetError) from error
    if address is not None:
        _check_answers(address)
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options |= {"address": "local", "num_cpus": cpus, "include_dashboard": False}  # never one that happens to run here
    else:
        options["address"] = address
    try:
        with _silent():
            ray.init(**options)
    except Exception as error:  # of many kinds
        where = f"The cluster at {address}" if address else "Ray on this machine"
        raise DatasetError(f"{where} does not answer ({reason(error)[:200]}). See docs/clusters.md for how to start one.") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _silent() -> Iterator[None]:
    """Let nothing through to stderr: Ray's core, which is no Python, greets there. What goes wrong is raised."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_answers(address: str) -> None:
    """Raise DatasetError at once where Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():
        return  # `auto`
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except OSError as error:
        raise DatasetError(
            f"The cluster at {address} does not answer ({reason(error)}). Start it with `ray start --head`, and see docs/clusters.md."
        ) from error


def size_of(ray: Any, pool: Pool) -> tuple[int, int]:
    """The least and the most workers of a `pool`. Raises DatasetError if the cluster has room for none."""
    have = ray.cluster_resources()
    room = [have.get(kind, 0) / share for kind, share in (("CPU", pool.cpus), ("GPU", pool.gpus)) if share]
    fitting = int(min(room, default=1) + 1e-6)
    if fitting < 1 and pool.most <= 1:
        raise DatasetError(
            f"A worker takes {pool.cpus:g} CPUs and {pool.gpus:g} GPUs, "
            f"and the cluster has {have.get('CPU', 0):g} and {have.get('GPU', 0):g}. "
            "Ask for less with --gpus or --threads."
        )
    return (pool.least, pool.most) if pool.least else (max(1, fitting), max(1, fitting))


def mapped(ray: Any, worker: type, argument: Any, values: Sequence[str], pool: Pool) -> Generator[dict[str, Any], None, None]:
    """What actors of the class `worker`, each made with `argument`, make of each of `values`, as they become ready.

    Values whose actor or machine dies are given to another. Raises DatasetError if the actors cannot be made or raise anything.
    """
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what goes wrong is raised as well
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    least, most = (min(workers, len(values)) for workers in size_of(ray, pool))  # Ray warns of some that would have nothing to do
    parts = ray.data.from_items([{"part": value} for value in values], override_num_blocks=len(values))
    results = parts.map_batches(
        worker,
        fn_constructor_args=(argument,),
        batch_size=1,
        num_cpus=pool.cpus,
        num_gpus=pool.gpus or None,
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most, max_tasks_in_flight_per_actor=2),
    )
    try:
        with contextlib.closing(iter(results.iter_rows())) as rows:
            yield from rows
    except Exception as error:  # Ray wraps whatever a worker raises, more than once
        raise _told(error) from error


def _told(error: BaseException) -> DatasetError:
    """The error with a sentence for what Ray raised, which wraps whatever stopped a worker as text."""
    named = re.findall(r"\w+(?:Error|Exception): .*", str(error))
    cause = named[-1] if named else f"{type(error).__name__}: {reason(error)}"
    if cause.startswith(("ModuleNotFoundError", "ImportError")):
        return _lacking(cause.partition(": ")[2])
    return DatasetError(f"The workers stopped ({cause[:300]}). Remove the cause and give --resume.")


def _lacking(text: str) -> DatasetError:
    return DatasetError(
        f"A worker lacks a package ({text[:120]}). Install the same packages on every machine of the cluster: see docs/clusters.md."
    )

"""A run: a source painted into a target, once, whatever happens in between."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from ..adain.errors import counted
from . import manifest
from .cluster import Pool, connected, mapped
from .errors import DatasetError
from .manifest import STATE, Count
from .painter import Job, Painter
from .places import Place
from .records import Part
from .sources import WORDS, Plan
from .style_files import Named, write_styles

_SETTINGS, _PLAN = f"{STATE}/settings.json", f"{STATE}/plan.json"

_LOCK = ".adain-run.lock"


@dataclass(frozen=True)
class Options:
    """How a run goes, which its result does not depend on."""

    resume: bool = False
    max_errors: int | None = None
    """How many pictures may be broken before the run stops; None for any number."""
    pool: Pool = field(default_factory=Pool)
    address: str | None = None
    cpus: int | None = None
    """CPUs of this machine that Ray may use where there is no address; None for all."""


def paint_dataset(
    job: Job, measure: Callable[[], Named], options: Options, progress: Callable[[Count, int], None], tell: Callable[[str], None]
) -> Count:
    """Paint what `job` says; returns how many pictures of the whole run were painted and how many are broken.

    `measure` gives the styles; it is not asked by a run that is resumed, which has kept them. `progress(count, pictures)` is called
    after each part, with 0 for a number of pictures that is not known. `tell` takes sentences about what is left out. Raises DatasetError
    if the source, the target or the cluster cannot be used, or more than `max_errors` pictures are broken.
    """
    _check_apart(job.source, job.target)
    with _alone(job.target):
        settings = job.settings.to_json()
        plan = begun(job, measure, options, tell)
        if plan is None:
            job.target.remove(STATE)  # of a run that was killed in its last moment
            tell(f"{job.target.url} is complete already.")
            return Count()
        job = replace(job, kind=plan.kind)
        done = manifest.complete(job.target)
        total = Count()
        for one in done.values():
            total = total.plus(one)
        pictures = sum(len(part.names) for part in plan.parts) if plan.kind == "folders" else 0
        left = [part for part in plan.parts if part.number not in done]
        progress(total, pictures)
        if left:
            total = _painted(job, options, left, total, lambda count: progress(count, pictures))
        manifest.merge(job.target, settings)
        job.target.sweep()
        job.target.remove(STATE)
    if not total.painted:
        raise DatasetError(f"None of the {counted(total.broken, 'picture')} of {job.source.url} could be read. The first: {total.first}")
    return total


def _painted(job: Job, options: Options, left: Sequence[Part], total: Count, progress: Callable[[Count], None]) -> Count:
    """Paint the parts that are left."""
    with connected(options.address, options.cpus) as ray:
        texts = [json.dumps([part.number, part.names, part.targets]) for part in left]
        with closing(mapped(ray, Painter, job, texts, options.pool)) as results:
            for row in results:
                if row["stopped"]:
                    raise DatasetError(
                        f"A part of {job.target.url} could not be finished ({row['stopped']}). Remove the cause and give --resume."
                    )
                total = total.plus(Count(int(row["painted"]), int(row["broken"]), str(row["first"])))
                progress(total)
                _check_errors(total, options)
    return total


def _check_errors(total: Count, options: Options) -> None:
    if options.max_errors is not None and total.broken > options.max_errors:
        raise DatasetError(
            f"{counted(total.broken, 'picture')} could not be painted, more than --max-errors {options.max_errors}. "
            f"The first: {total.first} Repair the source and begin anew, or give --resume and a higher number."
        )


def begun(job: Job, measure: Callable[[], Named], options: Options, tell: Callable[[str], None]) -> Plan | None:
    """The plan of the run, begun now or before; None if it is complete. Raises DatasetError if the target holds anything else."""
    target = job.target
    if (earlier := manifest.settings_of(target)) is not None:
        job.settings.check_equal(earlier, target.url)
        if not options.resume:
            raise DatasetError(f"{target.url} holds a complete run with these settings. Give another target.")
        return None
    if target.exists(_PLAN):
        job.settings.check_equal(target.read(_SETTINGS).decode(), target.url)
        if not options.resume:
            raise DatasetError(f"A run into {target.url} was interrupted. Give --resume to go on with it, or another target.")
        target.sweep()
        return Plan.from_json(target.read(_PLAN).decode())
    if (target.path is None or target.path.is_dir()) and target.names():
        raise DatasetError(f"{target.url} is not empty, and what is in it is of no run. Give another target.")
    plan = Plan.of(job.source, job.settings.extension)
    if plan.left_out:
        tell(f"In {job.source.url} only {WORDS[plan.kind]} are taken; left out: {plan.left_out}.")
    styles = measure()
    target.write(_SETTINGS, job.settings.to_json().encode())
    write_styles(target, styles)
    target.write(_PLAN, plan.to_json().encode())  # last: what is begun has all of them
    return plan


def _check_apart(source: Place, target: Place) -> None:
    """Raise DatasetError if one place lies in the other."""
    source.check_folder()
    inner, outer = (_real(target), _real(source))
    if inner == outer or inner.startswith(outer.rstrip("/") + "/"):
        raise DatasetError(
            f"The target {target.url} lies in the source {source.url}, and would be painted by the next run. Give another target."
        )
    if outer.startswith(inner.rstrip("/") + "/"):
        raise DatasetError(f"The source {source.url} lies in the target {target.url}. Give another target.")


def _real(place: Place) -> str:
    return Path(os.path.realpath(place.path)).as_posix() if place.path is not None else place.url.rstrip("/")


@contextmanager
def _alone(target: Place) -> Iterator[None]:
    """Hold the target, so that no second run begins. Raises DatasetError if one holds it. On a disk; buckets have no locks."""
    if target.path is None:
        yield
        return
    fresh = not target.path.exists()
    try:
        target.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"The target {target.url} cannot be made ({error.strerror}). Choose another.") from error
    lock = FileLock(target.path / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DatasetError(f"Another run is painting into {target.url}. Wait until it has ended, or give another target.") from error
    try:
        yield
    finally:
        lock.release()
        if fresh and not (target.path / STATE).exists() and not target.exists(manifest.NAME):  # nothing was begun
            (target.path / _LOCK).unlink(missing_ok=True)
            target.path.rmdir()

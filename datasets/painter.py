"""The worker: an actor with a model, which paints one part after the other."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..adain.errors import AdaINError, reason
from ..adain.look import Look
from ..adain.media.images import Picture
from ..adain.model import StyleTransferModel
from ..adain.style_set import taken
from ..adain.stylize import stylize
from ..weights import load_model
from .draws import Draw, draw
from .manifest import Count, Row, count, write_piece
from .names import printable
from .pictures import decoded, encoded
from .places import Place
from .records import Item, Part, Record
from .settings import Settings
from .sources import layout_of
from .style_files import read_styles

T = TypeVar("T")
U = TypeVar("U")

_AHEAD = 4
"""Batches that are read before, and written after, the one that is painted."""


@dataclass(frozen=True)
class Job:
    """All that a worker has to know; the styles themselves are in the target."""

    source: Place
    target: Place
    kind: str
    settings: Settings
    model: str | None
    device: str
    dtype: str
    batch: int = 1
    """Pictures of equal size and strength painted together."""
    threads: int = 1


@dataclass
class _Work:
    """An item on its way: its picture or why there is none, what it was drawn, and what became of it."""

    item: Item
    picture: Picture | None
    error: str
    draws: Sequence[Draw]
    painted: dict[int, Tensor] = field(default_factory=dict)
    files: Sequence[bytes] = ()


class Painter:
    """A pool of these is what Ray Data runs."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)  # the same in every pool: sums in another order differ in their last bits
        self.job = job
        self.layout = layout_of(job.kind)
        self.model: StyleTransferModel = load_model(job.model, job.device, getattr(torch, job.dtype))
        styles, self.style_names = read_styles(job.target)
        self.styles = styles.to(self.model.device)
        self.pool = ThreadPoolExecutor(2)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Paint the parts of a `batch`, and tell of each how many pictures it had, or what stopped it."""
        counts, stopped = [], []
        for text in batch["part"]:
            total, problem = Count(), ""
            try:
                total = count(self.paint(Part(*json.loads(text))))
            except Exception as error:  # raised, it would reach the driver as pages of text
                problem = f"{type(error).__name__}: {reason(error)}"
            counts.append(total)
            stopped.append(printable(problem))
        return {
            "painted": [found.painted for found in counts],
            "broken": [found.broken for found in counts],
            "first": [printable(found.first) for found in counts],
            "stopped": stopped,
        }

    def paint(self, part: Part) -> list[Row]:
        """Paint a part and record that it is complete. Raises OSError if the target cannot be written."""
        job = self.job
        rows: list[Row] = []
        with self.layout.writer(job.target, part, job.settings, job.source) as writer:
            for record, works in self._works(part):
                broken = next((work for work in works if work.error), None)
                writer.write(record, None if broken else [work.files for work in works])
                for work in works:
                    rows += self._rows(record, work, broken)
        write_piece(job.target, part.number, rows)
        return rows

    def _rows(self, record: Record, work: _Work, broken: _Work | None) -> Iterator[Row]:
        item = work.item
        digest = hashlib.sha256(item.data).hexdigest() if item.data else None
        if broken is not None:
            error = work.error or f"{item.name} was left out, because {broken.item.name} beside it is broken."
            yield Row(item.name, record.source, sha256=digest, error=error)
            return
        for version, (style, strength) in enumerate(work.draws):
            target = self.layout.called(item.target, version, len(work.draws))
            yield Row(item.name, record.source, target, self.style_names[style], strength, digest)

    def _works(self, part: Part) -> Iterator[tuple[Record, list[_Work]]]:
        """The records of a part, in order, with their pictures painted and encoded."""
        job = self.job
        records = self.layout.records(job.source, part, job.settings)
        depth = _AHEAD * job.batch
        ready = _ahead(self.pool, self._decoded, records, depth)
        painted = itertools.chain.from_iterable(self._painted(window) for window in _windows(ready, depth if job.batch > 1 else 1))
        return _ahead(self.pool, self._encoded, painted, depth)

    def _decoded(self, record: Record) -> tuple[Record, list[_Work]]:
        return record, [self._work(item) for item in record.items]

    def _work(self, item: Item) -> _Work:
        settings = self.job.settings
        picture, error = None, item.error
        if not error:
            try:
                picture = decoded(item.data, item.name, settings)
            except AdaINError as problem:
                error = str(problem)
            except Exception as problem:  # one picture never ends a run
                error = f"{item.name} cannot be prepared ({type(problem).__name__}: {reason(problem)})."
        draws = draw(item.name, settings.seed, settings.per_image, len(self.styles), settings.strength)
        return _Work(item, picture, error, draws)

    def _painted(self, window: Sequence[tuple[Record, list[_Work]]]) -> Sequence[tuple[Record, list[_Work]]]:
        """The pictures of a `window` painted, those of equal size and strength together."""
        groups: dict[Any, list[tuple[_Work, int]]] = {}
        for _, works in window:
            for work in works:
                for version, (_, strength) in enumerate(work.draws if work.picture else ()):
                    assert work.picture is not None
                    groups.setdefault((work.picture.rgb.shape, strength), []).append((work, version))
        for (_, strength), group in groups.items():
            for start in range(0, len(group), self.job.batch):
                self._paint(group[start : start + self.job.batch], strength)
        return window

    def _paint(self, group: Sequence[tuple[_Work, int]], strength: float) -> None:
        styles = taken(self.styles, [work.draws[version].style for work, version in group])
        look = Look.of(styles, strength=strength, color=self.job.settings.color)
        try:
            pictures = Picture.batch([work.picture for work, _ in group if work.picture])
            out = stylize(self.model, pictures, look.regions, strength=strength, color=look.color, chunk=self.job.batch)
        except Exception as problem:  # as above
            for work, _ in group:
                work.error = f"{work.item.name} cannot be painted ({type(problem).__name__}: {reason(problem)})."
            return
        for (work, version), rgb in zip(group, out, strict=True):
            work.painted[version] = rgb[None]

    def _encoded(self, made: tuple[Record, list[_Work]]) -> tuple[Record, list[_Work]]:
        record, works = made
        for work in works:
            if work.picture is not None and not work.error:
                name, alpha, quality = work.item.target, work.picture.alpha, self.job.settings.quality
                work.files = [encoded(rgb, alpha, name, quality) for _, rgb in sorted(work.painted.items())]
            work.picture, work.painted = None, {}
        return record, works


def _ahead(pool: Executor, function: Callable[[T], U], values: Iterable[T], depth: int) -> Iterator[U]:
    """`function` of `values`, in order, with at most `depth` of them on the way: what bounds the memory."""
    waiting: deque[Future[U]] = deque()
    for value in values:
        waiting.append(pool.submit(function, value))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _windows(values: Iterable[T], count: int) -> Iterator[list[T]]:
    iterator = iter(values)
    while window := list(itertools.islice(iterator, count)):
        yield window

"""Interlaced video: the two fields of a frame, taken at different times, are made into one whole picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

from .ffmpeg import FilterGraph, av


class Deinterlacer:
    """Passes decoded pictures on, from the first interlaced one on through FFmpeg's bwdif, which holds one back.

    Progressive ones between them stay as they are; there are as many pictures as before, at the same times.
    """

    def __init__(self, time_base: Fraction, began: Callable[[], None]) -> None:
        self._time_base = time_base
        self._began = began
        """Called at the first interlaced picture."""
        self._graph: Any = None
        self._form: tuple[int, int, str] | None = None

    def __call__(self, pictures: Iterable[Any]) -> Iterator[Any]:
        for picture in pictures:
            if self._graph is None and not picture.interlaced_frame:
                yield picture
                continue
            form = (picture.width, picture.height, picture.format.name)
            if form != self._form:
                yield from self.rest()
                if self._form is None:
                    self._began()
                self._graph = self._opened(form)
            graph: Any = self._graph
            graph.vpush(picture)
            yield from self._pulled()

    def rest(self) -> Iterator[Any]:
        """What was held back."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pulled()
            self._graph = None

    def _opened(self, form: tuple[int, int, str]) -> Any:
        width, height, name = self._form = form
        graph = FilterGraph()
        source = graph.add_buffer(width=width, height=height, format=av.VideoFormat(name), time_base=self._time_base)
        graph.link_nodes(source, graph.add("bwdif", "send_frame:auto:interlaced"), graph.add("buffersink"))
        graph.configure()
        return graph

    def _pulled(self) -> Iterator[Any]:
        while True:
            try:
                picture = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            unit = picture.time_base / self._time_base
            picture.duration = round((picture.duration or 0) * unit)
            if picture.pts is not None:
                picture.pts = round(picture.pts * unit)
            picture.time_base = self._time_base
            yield picture

"""FFmpeg's filters for decoded pictures: fields made into whole frames, and palettes of 256 colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from .ffmpeg import FilterGraph, av


class Deinterlacer:
    """Passes decoded pictures on, from the first interlaced one on through FFmpeg's bwdif, which holds one back.

    The two fields of an interlaced frame were taken at different times. Progressive frames between them stay as they are; there are as
    many pictures as before, at the same times.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._graph: Any = None
        self._form: tuple[int, int, str] | None = None

    def __call__(self, pictures: Iterable[Any]) -> Iterator[Any]:
        for picture in pictures:
            if self._form is None and not picture.interlaced_frame:
                yield picture
                continue
            form = (picture.width, picture.height, picture.format.name)
            if form != self._form:
                yield from self.rest()
                self._form = form
                self._graph = self._graph_for(*form)
            self._graph.vpush(picture)
            yield from self._pulled()

    def rest(self) -> Iterator[Any]:
        """The picture that was held back, if one was."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pulled()
            self._graph = None

    def _graph_for(self, width: int, height: int, form: str) -> Any:
        graph = FilterGraph()
        source = graph.add_buffer(width=width, height=height, format=av.VideoFormat(form), time_base=self._time_base)
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


class Palette:
    """Gives each picture (rgb24 or rgba, all of one size) the 256 colours that suit it best, by FFmpeg's palettegen and paletteuse."""

    def __init__(self) -> None:
        self._graph: Any = None

    def __call__(self, picture: Any) -> Any:
        if self._graph is None:
            self._graph = self._graph_for(picture)
        self._graph.vpush(picture)
        return self._graph.vpull()

    def _graph_for(self, picture: Any) -> Any:
        graph = FilterGraph()
        source = graph.add_buffer(width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base)
        split, made, used = graph.add("split"), graph.add("palettegen", "stats_mode=single"), graph.add("paletteuse", "new=1:dither=bayer")
        source.link_to(split)
        split.link_to(made, 0, 0)
        split.link_to(used, 1, 0)
        made.link_to(used, 0, 1)
        used.link_to(graph.add("buffersink"))
        graph.configure()
        return graph

"""Pictures of 256 colours, for GIF: each gets the palette that suits it best."""

from __future__ import annotations

from typing import Any

from .ffmpeg import FilterGraph


class Palette:
    """Turns pictures (rgb24 or rgba) of one size into those with a palette, one by one, by FFmpeg's palettegen and paletteuse."""

    def __init__(self) -> None:
        self._graph: Any = None

    def __call__(self, picture: Any) -> Any:
        if self._graph is None:
            self._graph = self._opened(picture)
        self._graph.vpush(picture)
        return self._graph.vpull()

    def _opened(self, picture: Any) -> Any:
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

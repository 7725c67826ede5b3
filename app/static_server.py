"""The static page, served to this machine or others: files, with the headers that browsers want."""

from __future__ import annotations

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ..adain import AdaINError


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {  # not what the machine's registry says: browsers run no script of another type
        "": "application/octet-stream",
        ".css": "text/css",
        ".gz": "application/gzip",
        ".html": "text/html; charset=utf-8",
        ".jpg": "image/jpeg",
        ".js": "text/javascript",
        ".json": "application/json",
        ".mjs": "text/javascript",
        ".svg": "image/svg+xml",
    }

    def end_headers(self) -> None:
        # Without the first two a page has no threads.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def static_server(folder: Path, host: str, port: int) -> ThreadingHTTPServer:
    """A server of `folder` at http://`host`:`port`, not running yet. Raises AdaINError if it cannot be served there."""
    try:
        return ThreadingHTTPServer((host, port), functools.partial(_Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise AdaINError(
            f"The page cannot be served at {host}:{port}: the port is taken, or the address is none of this machine's. "
            "Choose another --port or --host."
        ) from error

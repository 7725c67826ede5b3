"""Packages that only some of what this one does needs, and how to get them."""

from __future__ import annotations

from .errors import AdaINError


def install(what: str, package: str, kind: type[AdaINError] = AdaINError) -> AdaINError:
    """The error for `what` (the beginning of a sentence) that cannot be done without `package` of the package index.

    The package itself is named, not an extra of ours: in ComfyUI this is no installed distribution.
    """
    return kind(f"{what} needs {package}, which is not installed. Run `pip install {package}` in the same Python and start again.")

"""The command line `adain`: the door beside the nodes and the app. Nothing below imports from here."""

from .stylize import main

__all__ = ["main"]

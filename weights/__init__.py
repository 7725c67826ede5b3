"""Where weights come from: the embedded model, files, and their checks."""

from .loading import EMBEDDED, load_model, read_model, save_model

__all__ = ["EMBEDDED", "load_model", "read_model", "save_model"]

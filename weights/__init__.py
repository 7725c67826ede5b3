"""Where weights come from: the embedded model, files, and their checks."""

from .files import read_model, save_model
from .loading import EMBEDDED, load_model
from .loss_network import load_judge
from .presets import load_preset, preset_names

__all__ = ["EMBEDDED", "load_judge", "load_model", "load_preset", "preset_names", "read_model", "save_model"]

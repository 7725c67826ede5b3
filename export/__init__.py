"""Models for other runtimes: as ONNX, in one piece or in the parts that paint tiles."""

from .files import export_model, export_parts, model_files, part_files
from .vectors import style_vector

__all__ = ["export_model", "export_parts", "model_files", "part_files", "style_vector"]

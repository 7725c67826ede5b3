"""What only newer releases of ComfyUI know: used there, left out elsewhere."""

from __future__ import annotations

import inspect
from typing import Any

from comfy_api.latest import io


def schema(**fields: Any) -> io.Schema:
    """The `io.Schema` of those `fields` that this release of ComfyUI knows; a field that it does not know would stop the whole pack."""
    known = inspect.signature(io.Schema).parameters
    return io.Schema(**{name: value for name, value in fields.items() if name in known})

"""Reading TOML files, with Python 3.10 too."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The table in the file at `path`. Raises OSError, and ValueError for what is no TOML in UTF-8."""
    return tomllib.loads(Path(path).read_text(encoding="utf-8"))

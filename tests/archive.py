"""The archive that the Comfy registry gets, made by comfy-cli."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def comfy_cli(folder: Path, *words: str) -> str:
    """What the command `comfy node` says in `folder`; skips the test where it is not installed."""
    command = shutil.which("comfy") or shutil.which("comfy", path=Path(sys.executable).parent)
    if command is None:
        pytest.skip("comfy-cli is not installed: pip install .[test]")
    environment = {**os.environ, "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [command, "--skip-prompt", "node", *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def pack(folder: Path) -> Path:
    """The archive of the files that git knows, as they are now, made in `folder`."""
    git = ["git", "-C", str(REPOSITORY)]
    listed = subprocess.run([*git, "ls-files", "-z"], capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this folder is no checkout of git")
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    comfy_cli(folder, "pack")
    return folder / "node.zip"

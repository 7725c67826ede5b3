"""The static page as a folder of files: the one that came with this package, or one that is built, once, from the sources in demo/."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..adain import AdaINError
from ..weights.catalog import default_folder
from ..weights.presets import FIRST_PRESET, preset_names
from ..weights.samples import sample_names, sample_path

_PACKAGE = Path(__file__).parent.parent
_SOURCES = _PACKAGE / "demo"
_THUMBNAILS = _PACKAGE / "web" / "docs" / "images" / "presets"
_WEIGHTS = _PACKAGE / "weights"

_MADE = ("node_modules", "dist", "__pycache__")
"""Folders of `_SOURCES` that hold no source."""

_STAMP = "sources.txt"
"""In a built page: what it was built from, so that none is served whose sources have changed."""


def static_site(write_model: Callable[[Path], object], building: Callable[[], object]) -> Path:
    """The folder of the built page. If there is none, `building` is called, `write_model` with a folder for the model, and npm run.

    Raises AdaINError if it cannot be built.
    """
    stamp = _stamp()
    kept = default_folder() / "page" / stamp
    for folder in (_SOURCES / "dist", kept):
        file = folder / _STAMP
        if file.is_file() and file.read_text(encoding="utf-8") == stamp:
            return folder
    npm = shutil.which("npm")
    if npm is None:
        raise AdaINError(
            "The static page is not built yet, and building it needs npm, which was not found. Install Node.js 20.19 or later "
            "(https://nodejs.org) and start again; once built, the page needs it no more."
        )
    building()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="building-") as work:
            _build(Path(work) / "demo", npm, write_model)
            (Path(work) / "demo" / "dist" / _STAMP).write_text(stamp, encoding="utf-8")
            (Path(work) / "demo" / "dist").replace(kept)
    except OSError as error:
        raise AdaINError(
            f"The page cannot be built in {kept.parent} ({error.strerror or error}). Set ADAIN_MODELS to another folder."
        ) from error
    return kept


def _build(folder: Path, npm: str, write_model: Callable[[Path], object]) -> None:
    shutil.copytree(_SOURCES, folder, ignore=shutil.ignore_patterns(*_MADE))
    public = folder / "public"
    for name in ("model", "samples", "thumbnails"):
        (public / name).mkdir(exist_ok=True)
    write_model(public / "model")
    for name in sample_names():
        shutil.copy(sample_path(name), public / "samples")
    for name in preset_names():
        shutil.copy(_THUMBNAILS / f"{name}.jpg", public / "thumbnails")
    (public / "content.json").write_text(_content(), encoding="utf-8")
    installed = _SOURCES / "node_modules"
    if installed.is_dir():  # in a checkout where somebody works on the page
        (folder / "node_modules").symlink_to(installed, target_is_directory=True)
    else:
        _run(folder, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    _run(folder, npm, "run", "check")
    _run(folder, npm, "run", "build")


def _content() -> str:
    """What the page begins with."""
    return json.dumps({"firstPreset": FIRST_PRESET, "samples": sample_names()})


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        told = " ".join(done.stdout.decode(errors="replace").split())[-500:]
        raise AdaINError(f"npm could not build the page: {' '.join(command[1:])} ended with {done.returncode}. It said: {told}")


def _stamp() -> str:
    """A hash of all that the page is built from."""
    folders = (_SOURCES, _PACKAGE / "adain", _PACKAGE / "export", _WEIGHTS / "presets", _WEIGHTS / "samples", _THUMBNAILS)
    files = [_WEIGHTS / "adain-lite.safetensors", *(file for folder in folders for file in _source_files(folder))]
    digest = hashlib.sha256(_content().encode())
    for file in files:
        digest.update(file.relative_to(_PACKAGE).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:20]


def _source_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in _MADE:
            yield from _source_files(path)
        elif path.is_file() and not path.name.startswith("."):  # which wheels lack
            yield path

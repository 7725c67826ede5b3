"""What a release says of itself: addresses, version, pictures, and what the Comfy registry's own command says of it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from xml.etree import ElementTree

import pytest
from archive import REPOSITORY, comfy_cli, pack
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
URLS = PYPROJECT["project"]["urls"]
COMFY = PYPROJECT["tool"]["comfy"]
RAW = URLS["Repository"].replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"


def test_all_addresses_are_of_one_repository():
    assert re.fullmatch(r"https://github\.com/[\w.-]+/adain-style-transfer", URLS["Repository"])
    assert all(url == URLS["Repository"] or url.startswith(f"{URLS['Repository']}/") for url in URLS.values())
    assert COMFY["Icon"].startswith(RAW) and COMFY["Banner"].startswith(RAW)
    assert URLS["Bug Tracker"] == URLS["Issues"]


def test_nothing_else_names_the_address():
    """So that it is replaced in one file."""
    account = URLS["Repository"].removeprefix("https://")
    found = subprocess.run(["git", "grep", "-lF", account], cwd=REPOSITORY, capture_output=True, text=True)
    if found.returncode > 1:
        pytest.skip("this folder is no checkout of git")
    assert found.stdout.split() == ["pyproject.toml"]


@pytest.mark.parametrize("name", ["Documentation", "Changelog"])
def test_pages_exist(name):
    assert (REPOSITORY / URLS[name].split("/blob/main/")[1]).is_file()


def test_icon_and_banner():
    icon, banner = (REPOSITORY / COMFY[name].removeprefix(RAW) for name in ("Icon", "Banner"))
    root = ElementTree.parse(icon).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("viewBox") == "0 0 256 256"
    assert icon.stat().st_size < 4000
    with Image.open(banner) as picture:
        assert picture.width * 9 == picture.height * 21  # as the registry asks for
    assert banner.stat().st_size < 500_000


def test_the_version_is_that_of_the_changelog():
    newest = re.search(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest and newest[1] == PYPROJECT["project"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", newest[1])


def test_the_registrys_command_has_nothing_to_say():
    said = comfy_cli(REPOSITORY, "validate")
    assert "All validation checks passed" in said
    assert "Warning" not in said and "warning" not in said


def test_the_archive_has_what_nodes_need_and_no_more(tmp_path):
    with zipfile.ZipFile(pack(tmp_path)) as archive:
        names = archive.namelist()
        size = sum(entry.compress_size for entry in archive.infolist())
    files = {"__init__.py", "pyproject.toml", "requirements.txt", "README.md", "CHANGELOG.md", "LICENSE"}
    folders = {"adain", "docs", "example_workflows", "locales", "nodes", "subgraphs", "weights", "web"}
    assert {name.split("/")[0] for name in names} == files | folders
    assert all(name.endswith(".md") for name in names if name.startswith("docs/"))
    assert size < 14_000_000
    assert len(names) == len(set(names))

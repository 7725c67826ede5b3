"""The built wheel in a clean environment runs `adain demo` with the network refused."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent

REFUSE_NETWORK = """
import socket
def refuse(self, address):
    raise OSError(f"the test refuses the network: {address}")
socket.socket.connect = socket.socket.connect_ex = refuse
"""


def test_wheel_runs_the_demo_offline(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < (25e6 if (ROOT / "demo" / "dist").exists() else 20e6)  # with the static page where it was built

    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    # Dependencies are lent by the environment of the tests: a path line makes them importable, but not this package's
    # own editable install there, whose .pth file is not read.
    (site,) = environment.glob("lib/python*/site-packages") if os.name != "nt" else environment.glob("Lib/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\nimport refuse_network\n")
    (site / "refuse_network.py").write_text(REFUSE_NETWORK)

    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run([scripts / "adain", "demo"], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert Image.open(tmp_path / "adain-demo.png").width > 500

"""A real ComfyUI with this pack in it, for the tests, the soak and the examples."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import torch
import websocket
from PIL import Image
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).parent / "faults"
EXAMPLES = REPOSITORY / "example_workflows"

_SECONDS_TO_BOOT = 400
"""How long ComfyUI may take to start: six to ten seconds on an idle machine, but the tests may share theirs."""

Prompt = dict[str, dict[str, Any]]
"""A workflow in API format: node id -> class_type and inputs."""


def find_comfyui() -> Path | None:
    """COMFYUI_DIR, the ComfyUI whose custom_nodes hold this folder, or ~/comfy/ComfyUI."""
    given = os.environ.get("COMFYUI_DIR")
    candidates = [Path(given)] if given else [Path(__file__).absolute().parents[4], Path.home() / "comfy" / "ComfyUI"]
    return next((folder for folder in candidates if (folder / "main.py").is_file() and (folder / "comfy").is_dir()), None)


def known_options() -> str:
    """The source that declares the start options of this version of ComfyUI."""
    comfyui = find_comfyui()
    assert comfyui is not None
    return (comfyui / "comfy" / "cli_args.py").read_text(encoding="utf-8")


def python_of(comfyui: Path) -> Path:
    """COMFYUI_PYTHON, or the interpreter of ComfyUI's own .venv."""
    given = os.environ.get("COMFYUI_PYTHON")
    return Path(given) if given else comfyui / ".venv" / "bin" / "python"


class Outcome(NamedTuple):
    """What a prompt led to: `images` of the nodes that show or save some, and every websocket message about it."""

    images: dict[str, list[Mapping[str, str]]]
    messages: list[dict[str, Any]]
    previews: int
    error: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [m["data"] for m in self.messages if m["type"] == kind]


class RefusedPromptError(Exception):
    """ComfyUI did not accept the graph or a part of it; the text is its JSON answer."""


class ComfyServer:
    """A running ComfyUI at `address`, and what its clients do."""

    def __init__(self, address: str, process: subprocess.Popen[bytes], log: Path, base: Path) -> None:
        self.address = address
        self.process = process
        self.base = base
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def rss(self) -> float:
        """Resident memory of the server's process in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def get(self, path: str, **query: str) -> bytes:
        with urlopen(f"http://{self.address}{path}?{urlencode(query)}") as answer:
            return answer.read()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        request = Request(f"http://{self.address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urlopen(request) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            raise RefusedPromptError(error.read().decode()) from error

    def put_image(self, name: str, image: Tensor) -> str:
        """Write `image` [1, 3 or 4, H, W] into the input folder; the name to give to Load Image."""
        values = image[0].mul(255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(values).save(self.base / "input" / name)
        return name

    def make_clip(self, image: str) -> None:
        """Write input/example.mp4, that the examples read: 25 frames of `image` of the input folder, 8 a second."""
        saved = self.run(
            {
                "1": {"class_type": "LoadImage", "inputs": {"image": image}},
                "2": {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": 25}},
                "3": {"class_type": "CreateVideo", "inputs": {"images": ["2", 0], "fps": 8.0}},
                "4": {
                    "class_type": "SaveVideo",
                    "inputs": {"video": ["3", 0], "filename_prefix": "made", "format": "auto", "codec": "auto"},
                },
            }
        ).images["4"][0]
        shutil.copy(self.base / "output" / saved["subfolder"] / saved["filename"], self.base / "input" / "example.mp4")

    def image(self, saved: Mapping[str, str]) -> Tensor:
        """A picture that a node saved, [1, C, H, W] in 0..1."""
        data = self.get("/view", filename=saved["filename"], subfolder=saved["subfolder"], type=saved["type"])
        values = np.array(Image.open(io.BytesIO(data)))
        return torch.from_numpy(values).permute(2, 0, 1)[None].float() / 255

    @contextmanager
    def client(self) -> Iterator[Client]:
        name = uuid.uuid4().hex
        connection = websocket.create_connection(f"ws://{self.address}/ws?clientId={name}", timeout=120)
        try:
            yield Client(self, name, connection)
        finally:
            connection.close()

    def run(self, prompt: Prompt) -> Outcome:
        """Queue `prompt` and wait for its end. Raises RefusedPromptError if it is not accepted."""
        with self.client() as client:
            return client.wait(client.queue(prompt))


class Client:
    """One websocket connection."""

    def __init__(self, server: ComfyServer, name: str, connection: websocket.WebSocket) -> None:
        self._server = server
        self._name = name
        self._connection = connection

    def queue(self, prompt: Prompt) -> str:
        """The id of `prompt` once it waits to run. Raises RefusedPromptError if any of its outputs is not accepted."""
        answer = self._server.post("/prompt", {"prompt": prompt, "client_id": self._name})
        if answer["node_errors"]:
            raise RefusedPromptError(json.dumps(answer))
        return answer["prompt_id"]

    def messages(self) -> Iterator[dict[str, Any] | bytes]:
        """Text messages as dicts, previews as bytes."""
        while True:
            received = self._connection.recv()
            yield json.loads(received) if isinstance(received, str) else received

    def wait(self, prompt_id: str) -> Outcome:
        """Everything up to the end of the prompt."""
        kept: list[dict[str, Any]] = []
        previews = 0
        for message in self.messages():
            if isinstance(message, bytes):
                previews += 1
                continue
            if message.get("data", {}).get("prompt_id") != prompt_id:
                continue
            kept.append(message)
            if message["type"] in ("execution_success", "execution_error", "execution_interrupted"):
                break
        # The last message may come before the history is written.
        history = next(h for _ in range(100) if (h := self._server.json(f"/history/{prompt_id}")) or time.sleep(0.05))
        outputs = history[prompt_id]["outputs"]
        images = {node: output["images"] for node, output in outputs.items() if "images" in output}
        error = kept[-1]["data"]["exception_message"].strip() if kept[-1]["type"] == "execution_error" else ""
        return Outcome(images, kept, previews, error)


@contextmanager
def running(
    base: Path,
    *options: str,
    faults: bool = True,
    name: str = "in-any.folder",
    pack: Path = REPOSITORY,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ComfyServer]:
    """Boot ComfyUI on a free port with `base` as its base directory and `pack` as `name` in custom_nodes; ended on leaving.

    `environment` is added to the variables that it inherits.
    """
    comfyui = find_comfyui()
    assert comfyui is not None
    for folder in ("custom_nodes", "input", "output", "models"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(comfyui / "input" / "example.png", base / "input")  # as in a fresh ComfyUI
    _link(base / "custom_nodes" / name, pack)
    if faults:
        _link(base / "custom_nodes" / "faults", FAULTS)
    port = _free_port()
    command = [str(python_of(comfyui)), "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port), "--disable-auto-launch"]
    command += ["--disable-api-nodes", "--database-url", "sqlite:///:memory:", "--base-directory", str(base), *options]
    log = base / "comfyui.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=comfyui, env={**os.environ, **(environment or {})}, stdout=file, stderr=subprocess.STDOUT)
        server = ComfyServer(f"127.0.0.1:{port}", process, log, base)
        try:
            _await_answer(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_answer(server: ComfyServer) -> None:
    deadline = time.monotonic() + _SECONDS_TO_BOOT
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"ComfyUI ended while starting:\n{server.log[-4000:]}")
        try:
            server.get("/system_stats")
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"ComfyUI did not answer:\n{server.log[-4000:]}")


def _link(path: Path, target: Path) -> None:
    if not path.is_symlink():
        path.symlink_to(target, target_is_directory=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def example(name: str) -> Prompt:
    """The example workflow `name` in API format."""
    return json.loads((EXAMPLES / "api" / f"{name}.json").read_text())

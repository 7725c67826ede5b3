from __future__ import annotations

import huggingface_hub
import pytest
from hub.server import Hub
from huggingface_hub import constants, file_download


@pytest.fixture
def hub(monkeypatch):
    """A local Hub, and huggingface_hub pointed at it. Variables of the environment are only read at its import."""
    server = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    point_to(server.url, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 1)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    yield server
    server.close()
    close_sessions()


def point_to(address, monkeypatch):
    """Have huggingface_hub ask `address` for files."""
    for module in (constants, file_download):  # before 1.0 the latter has a copy
        if hasattr(module, "HUGGINGFACE_CO_URL_TEMPLATE"):
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


def close_sessions():
    """The next request reads the environment anew."""
    old = getattr(huggingface_hub.utils, "reset_sessions", None)  # before 1.0
    (old or huggingface_hub.close_session)()

"""huggingface_hub as this package uses it. It reads variables of the environment while it is imported, so they are checked before."""

from __future__ import annotations

from .causes import check_environment

check_environment()

from huggingface_hub import CommitOperationAdd, HfApi, ModelCardData, constants, get_hf_file_metadata, get_token, hf_hub_url  # noqa: E402
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RevisionNotFoundError  # noqa: E402
from huggingface_hub.file_download import http_get  # noqa: E402
from huggingface_hub.utils import build_hf_headers  # noqa: E402

__all__ = [
    "CommitOperationAdd",
    "GatedRepoError",
    "HfApi",
    "HfHubHTTPError",
    "ModelCardData",
    "OfflineModeIsEnabled",
    "RevisionNotFoundError",
    "build_hf_headers",
    "constants",
    "get_hf_file_metadata",
    "get_token",
    "hf_hub_url",
    "http_get",
]

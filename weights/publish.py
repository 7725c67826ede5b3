"""Publishing a model on the Hub: the safetensors file, a model card, and the catalogue entry by which others get it."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..adain.errors import ModelError, reason
from ..adain.media.tensor_files import metadata_of
from ..adain.model import StyleTransferModel
from .catalog import Source, entries
from .causes import HubError, cause_of
from .checksums import sha256_of
from .client import CommitOperationAdd, HfApi, ModelCardData, constants
from .download import plainly, status_of
from .files import read_model

_LICENSES = ("mit", "apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0")

_CARD = """---
{front_matter}
---

# {title}

Arbitrary style transfer by adaptive instance normalisation ([Huang & Belongie 2017](https://arxiv.org/abs/1703.06868)):
any photo in the style of any picture, in one pass. Architecture `{architecture}`, {parameters:.1f} million parameters.

    adain models get {repo_id}/{name}

downloads it and prints where it is, for `adain stylize --model`.

{facts}
"""


def publish(
    file: str | os.PathLike[str],
    repo_id: str,
    *,
    license: str = "",
    pictures: Sequence[str | os.PathLike[str]] = (),
    metrics: Mapping[str, float] | None = None,
    private: bool = False,
) -> str:
    """Upload the model in `file` to `repo_id` (owner/name), made if it is new, and return its catalogue entry as TOML.

    `license` is a licence's id (default: what the file's metadata says); `pictures` are shown on the card, `metrics` too.
    Raises ModelError if the file is no model or may not be passed on, and HubError if the Hub refuses it.
    """
    path = Path(file)
    Source(repo_id, path.name).checked("publish")
    id_ = _free_id(path.stem, repo_id)
    model = read_model(path)
    metadata = metadata_of(path)
    license = license or metadata.get("license", "")
    if not license or "redistribute" in license:
        found = f"its licence is {license!r}" if license else "it states no licence"
        raise ModelError(f"{path} cannot be published: {found}. If it is yours to give, name its licence, such as mit.")
    if missing := [str(picture) for picture in pictures if not Path(picture).is_file()]:
        raise ModelError(f"There is no picture at {missing[0]}. Give files that exist.")
    shown = {f"images/{Path(picture).name}": Path(picture) for picture in pictures}
    data = _front_matter(license, list(metrics or {}), list(shown))
    facts = {**metadata, **{name: f"{value:g}" for name, value in (metrics or {}).items()}}
    card = _card(path, repo_id, data, facts, model)
    operations = [CommitOperationAdd(path.name, path), CommitOperationAdd("README.md", card.encode())]
    operations += [CommitOperationAdd(name, picture) for name, picture in shown.items()]
    api = HfApi(library_name="adain-style-transfer")
    try:
        with plainly():
            api.create_repo(repo_id, private=private, exist_ok=True)
            commit = api.create_commit(repo_id, operations, commit_message=f"Upload {path.name}")
    except Exception as error:  # what the client makes of a broken environment is not to be foreseen
        # What fails in the threads that upload comes as a RuntimeError.
        raise HubError(_sentence(error.__cause__ or error if isinstance(error, RuntimeError) else error, repo_id)) from error
    entry = {"title": metadata.get("title") or id_, "architecture": model.architecture, "license": license}
    entry |= {"repo_id": repo_id, "revision": commit.oid}
    file_keys = {"path": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    return f"[{id_}]\n{_toml(entry)}\n[[{id_}.files]]\n{_toml(file_keys)}"


def _free_id(stem: str, repo_id: str) -> str:
    """An id that no entry of ours or of the user's has: the file's name, with its owner's before it if that is taken."""
    taken = {entry.id for entry in entries()}
    name = re.sub(r"[^\w-]+", "-", stem, flags=re.ASCII).strip("-_") or "model"  # a dot would make two tables of it
    owned = f"{repo_id.split('/')[0].replace('.', '-')}-{name}"
    return next(id_ for id_ in itertools.chain((name, owned), (f"{owned}-{i}" for i in itertools.count(2))) if id_ not in taken)


def _toml(table: Mapping[str, str | int]) -> str:
    """Lines of TOML. Its strings are those of JSON, but for the one control character that JSON leaves as it is."""
    values = {key: json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") for key, value in table.items()}
    return "".join(f"{key} = {value}\n" for key, value in values.items())


def _front_matter(license: str, metrics: list[str], shown: Sequence[str]) -> ModelCardData:
    known = license.lower() in _LICENSES
    return ModelCardData(
        license=license.lower() if known else "other",
        license_name=None if known else license,
        library_name="adain-style-transfer",
        tags=["style-transfer", "adain", "comfyui", "safetensors"],
        pipeline_tag="image-to-image",
        metrics=metrics or None,
        widget=[{"text": Path(name).stem, "output": {"url": name}} for name in shown] or None,
    )


def _card(path: Path, repo_id: str, data: ModelCardData, facts: Mapping[str, str], model: StyleTransferModel) -> str:
    return _CARD.format(
        front_matter=data.to_yaml(),
        title=facts.get("title") or path.stem,
        architecture=model.architecture,
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        repo_id=repo_id,
        name=path.name,
        facts="\n".join(f"* {key}: {value}" for key, value in facts.items()),
    )


def _sentence(error: BaseException, repo_id: str) -> str:
    status = status_of(error)
    if status in (401, 403):
        return f"You may not write to {repo_id} on {constants.ENDPOINT} ({status}). Set HF_TOKEN to one that may, or run `hf auth login`."
    if status is not None:
        return f"{constants.ENDPOINT} answered {status} while {repo_id} was written. Look there for what arrived, and try again."
    cause = cause_of(error, constants.ENDPOINT)
    if cause is None:
        return f"{repo_id} on {constants.ENDPOINT} could not be written ({reason(error)}). Run the same again."
    return f"{cause.found[0].upper()}{cause.found[1:]}. {cause.advice}, and run the same again."

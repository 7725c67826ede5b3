"""Publishing to a local Hub, and getting back what was published."""

from __future__ import annotations

import pytest
import samples
import torch
from adain_style_transfer import weights
from adain_style_transfer.adain.errors import ModelError
from adain_style_transfer.weights import catalog
from adain_style_transfer.weights.download import HubError
from adain_style_transfer.weights.publish import publish
from hub.conftest import close_sessions
from hub.server import COMMIT, Fault
from huggingface_hub import ModelCard, constants

OURS = {entry.id for entry in catalog.entries(catalog._PACKAGE / "nowhere")}


@pytest.fixture
def model(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)  # not in the oldest versions
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    path = tmp_path / "my-model.safetensors"
    weights.save_model(samples.small_lite(), path, {"license": "MIT", "data": "my own photographs"}, torch.float32)
    return path


def test_what_is_published_can_be_had_by_the_entry_it_prints(hub, model, tmp_path):
    picture = tmp_path / "result.png"
    picture.write_bytes(b"a picture")
    entry = publish(model, "someone/new", pictures=[picture], metrics={"content loss": 1.25})
    assert COMMIT in entry
    files = hub.repos["someone/new"].files
    assert files["my-model.safetensors"] == model.read_bytes() and files["images/result.png"] == b"a picture"
    card = ModelCard(files["README.md"].decode())
    assert card.data.license == "mit" and card.data.library_name == "adain-style-transfer"
    assert card.data.pipeline_tag == "image-to-image" and "style-transfer" in card.data.tags and card.data.metrics == ["content loss"]
    assert card.data.widget == [{"text": "result", "output": {"url": "images/result.png"}}]
    assert "content loss: 1.25" in card.text and "my own photographs" in card.text

    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "catalog.toml").write_text(entry)
    loaded = weights.load_model("my-model", "cpu", torch.float32, folder=folder)
    torch.testing.assert_close(loaded.state_dict(), weights.read_model(model).state_dict())


def test_what_may_not_be_passed_on_is_not(hub, model, tmp_path):
    for stated in ("", "not stated by its author: for your own use, do not redistribute"):
        path = tmp_path / "other.safetensors"
        weights.save_model(samples.small_lite(), path, {"license": stated})
        with pytest.raises(ModelError, match="cannot be published"):
            publish(path, "someone/new")
    publish(path, "someone/new", license="my own terms")
    assert ModelCard(hub.repos["someone/new"].files["README.md"].decode()).data.license_name == "my own terms"


def test_an_entry_has_a_name_of_its_own_and_any_text(hub, model, tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("ADAIN_MODELS", str(folder))
    title, license = 'He said "so" \\ 星夜 \n\x7f]', 'mine "alone"'
    for name in ("adain-lite.safetensors", "adain-lite.safetensors", "a model.v2 (best).safetensors"):
        path = tmp_path / name
        weights.save_model(samples.small_lite(), path, {"title": title})
        with (folder / "catalog.toml").open("a", encoding="utf-8") as file:
            file.write(publish(path, "some.one/new", license=license) + "\n")
    added = {entry.id: entry for entry in catalog.entries(folder) if entry.id not in OURS}
    assert list(added) == ["some-one-adain-lite", "some-one-adain-lite-2", "a-model-v2-best"]
    assert all((entry.title, entry.license) == (title, license) for entry in added.values())
    assert weights.load_model("a-model-v2-best", "cpu", folder=folder).architecture == "lite"


def test_refusals(hub, model, tmp_path):
    with pytest.raises(ModelError, match="repo_id is 'new'"):
        publish(model, "new")
    with pytest.raises(ModelError, match="no picture at"):
        publish(model, "someone/new", pictures=[tmp_path / "missing.png"])
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match="safetensors"):
        publish(tmp_path / "junk.safetensors", "someone/new")
    hub.faults.append(Fault("hub", "POST", status=403))
    with pytest.raises(HubError, match=r"You may not write to someone/new on .* \(403\)"):
        publish(model, "someone/new")
    hub.faults.append(Fault("hub", "POST", status=418))
    with pytest.raises(HubError, match="answered 418"):
        publish(model, "someone/new")
    assert not hub.repos
    hub.faults.append(Fault("blob", "PUT", status=418))
    with pytest.raises(HubError, match="answered 418"):
        publish(model, "someone/new")
    assert not hub.repos["someone/new"].files
    hub.close()
    close_sessions()
    with pytest.raises(HubError, match="cannot be reached"):
        publish(model, "someone/new")

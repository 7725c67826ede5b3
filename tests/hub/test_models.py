"""From a catalogue entry to a picture, and parts of files, with a local Hub."""

from __future__ import annotations

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.architectures.vgg19 import NAOTO_ENCODER, VGG19
from adain_style_transfer.adain.errors import ModelError
from adain_style_transfer.cli import main as cli
from adain_style_transfer.weights import catalog
from adain_style_transfer.weights.convert import extract_decoder
from adain_style_transfer.weights.download import HubError
from adain_style_transfer.weights.hub import get
from hub.server import COMMIT, Fault, sha256
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file


def write_catalog(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "catalog.toml").write_text(text)


def file_of(data, path):
    return f'path = "{path}"\nbytes = {len(data)}\nsha256 = "{sha256(data)}"\n'


def saved(state, path, legacy=False):
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path.read_bytes()


@pytest.fixture
def seed(hub, tmp_path):
    """A network in the seed system's published layout with random weights, its file, and a models folder whose catalogue has it."""
    model, state = samples.published_kuko6()
    data = saved(state, tmp_path / "model_puddle.pt")
    (tmp_path / "model_puddle.pt").unlink()
    hub.add("spaces/kuko6/copy", "models/model_puddle.pt", data)
    folder = tmp_path / "models"
    text = '[seed]\ntitle = "Seed"\narchitecture = "kuko6"\nrepo_id = "kuko6/copy"\nrepo_type = "space"\nlicense = "own use"\n'
    write_catalog(folder, text + "[[seed.files]]\n" + file_of(data, "models/model_puddle.pt"))
    return model, data, folder


def test_the_seed_model_on_the_command_line(hub, seed, tmp_path, monkeypatch):
    model, _, folder = seed
    monkeypatch.setenv("ADAIN_MODELS", str(folder))
    monkeypatch.chdir(tmp_path)
    adain.write_picture("photo.png", samples.picture(24, 32))
    adain.write_picture("art.png", samples.picture(32, 24, seed=1))
    command = [
        "stylize",
        "photo.png",
        "--style",
        "art.png",
        "--model",
        "seed",
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "-o",
        "o.png",
        "--overwrite",
    ]
    assert cli(command) == 0 and len(hub.requests("blob")) == 1
    photo, art, painted = (adain.read_picture(name).rgb for name in ("photo.png", "art.png", "o.png"))
    assert (painted - adain.stylize(model, photo, model.encode_style(art))).abs().max() < 1 / 255
    assert cli(command) == 0 and len(hub.requests("blob")) == 1


def test_the_seed_model_on_first_use(hub, seed):
    model, data, folder = seed
    seen = []
    loaded = weights.load_model("seed", "cpu", torch.float32, folder=folder, progress=lambda *counts: seen.append(counts))
    content, style = samples.picture(24, 32), samples.picture(32, 24, seed=1)
    expected = adain.stylize(model, content, model.encode_style(style))
    torch.testing.assert_close(adain.stylize(loaded, content, loaded.encode_style(style)), expected, atol=1e-4, rtol=0)
    assert seen[-1] == (len(data), len(data))
    with safe_open(folder / "seed.safetensors", "pt") as file:
        assert file.metadata()["source_sha256"] == sha256(data) and file.metadata()["license"] == "own use"

    hub.log.clear()
    (folder / "seed-model_puddle.pt").unlink()  # what was made of it is enough
    assert catalog.find_entry("seed", folder).state(folder) is catalog.State.DOWNLOADED
    weights.load_model("seed", "cpu", folder=folder)
    assert not hub.log


def test_an_encoder_of_the_hub_and_a_decoder_placed_by_hand(hub, tmp_path):
    model = samples.vgg19()
    layers = [(i, name, kind) for i, name in NAOTO_ENCODER.items() for kind in ("weight", "bias")]
    encoder = {f"{i}.{kind}": model.state_dict()[f"encoder.{name}.{kind}"] for i, name, kind in layers}
    encoder_data = saved(encoder, tmp_path / "e.pth", legacy=True)
    save_file({key: value for key, value in model.state_dict().items() if key.startswith("decoder.")}, tmp_path / "d.safetensors")
    decoder_data = (tmp_path / "d.safetensors").read_bytes()
    folder = tmp_path / "models"
    text = '[pair]\narchitecture = "vgg19"\nrepo_id = "o/n"\n[[pair.files]]\n' + file_of(encoder_data, "vgg_normalised.pth")
    write_catalog(folder, text + "[[pair.files]]\n" + file_of(decoder_data, "decoder.safetensors") + 'url = "https://example.org"\n')
    hub.add("o/n", "vgg_normalised.pth", encoder_data)

    assert catalog.find_entry("pair", folder).state(folder) is catalog.State.MANUAL
    with pytest.raises(HubError, match="not on the Hub"):
        get("pair", folder)
    (folder / "my own name").write_bytes(decoder_data)
    assert catalog.find_entry("pair", folder).state(folder) is catalog.State.AVAILABLE
    loaded = weights.load_model("pair", "cpu", torch.float32, folder=folder)
    assert isinstance(loaded, VGG19)
    torch.testing.assert_close(loaded.state_dict(), model.state_dict())


@pytest.fixture
def paper(hub, tmp_path, monkeypatch):
    """The catalogue's own entry for the paper's network, with files of the right layout that have random weights."""
    model = samples.vgg19()
    layers = [(i, name, kind) for i, name in NAOTO_ENCODER.items() for kind in ("weight", "bias")]
    encoder = {f"{i}.{kind}": model.state_dict()[f"encoder.{name}.{kind}"] for i, name, kind in layers}
    data = saved(encoder, tmp_path / "e.pth", legacy=True)
    hub.add("spaces/dataroots/SofaStyler", "vgg_normalised.pth", data)  # the first place has gone: its mirror helps out
    package = tmp_path / "package"
    package.mkdir()
    text = (catalog._PACKAGE / catalog.NAME).read_text()
    published = catalog.find_entry("paper", tmp_path).files[0]
    text = text.replace(f"{published.bytes:_}", str(len(data))).replace(published.sha256, sha256(data))
    (package / catalog.NAME).write_text(text)
    monkeypatch.setattr(catalog, "_PACKAGE", package)
    weights.save_model(model, tmp_path / "trained.safetensors", {"license": "MIT", "steps": "12"})
    return model, package, tmp_path / "trained.safetensors", tmp_path / "models"


def test_an_embedded_decoder_and_an_encoder_of_the_hub(hub, paper, capsys):
    model, package, trained, folder = paper
    decoder = package / "adain-vgg19-decoder.safetensors"
    with pytest.raises(ModelError, match=r"adain-vgg19-decoder\.safetensors is missing from this installation"):
        get("paper", folder)
    assert not hub.log
    assert cli(["convert", str(trained), "--decoder", "-o", str(decoder), "--overwrite"]) == 0
    assert "our decoder for the paper's VGG-19, 3.5 million parameters, 7.0 MB" in capsys.readouterr().out
    with safe_open(decoder, "pt") as file:
        assert all(key.startswith("decoder.") and file.get_tensor(key).dtype == torch.float16 for key in file.keys())  # noqa: SIM118
        assert file.metadata()["steps"] == "12" and file.metadata()["source_sha256"] == sha256(trained.read_bytes())

    assert catalog.find_entry("paper", folder).state(folder) is catalog.State.AVAILABLE
    loaded = weights.load_model("paper", "cpu", torch.float32, folder=folder)
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().float() if key.startswith("decoder.") else value)
    hub.log.clear()
    assert weights.load_model("paper", "cpu", folder=folder).fingerprint == model.fingerprint and not hub.log
    assert catalog.find_entry("paper", folder).state(folder) is catalog.State.DOWNLOADED

    weights.save_model(samples.vgg19(1), trained, {})  # a new release with a better decoder
    assert cli(["convert", str(trained), "--decoder", "-o", str(decoder), "--overwrite"]) == 0
    again = weights.load_model("paper", "cpu", torch.float32, folder=folder)
    assert not torch.equal(again.decoder.conv3_1.weight, loaded.decoder.conv3_1.weight)
    assert again.fingerprint == model.fingerprint and not hub.log


def test_the_paper_network_on_the_command_line(hub, paper, tmp_path, monkeypatch):
    model, package, trained, folder = paper
    extract_decoder(trained, package / "adain-vgg19-decoder.safetensors")
    monkeypatch.setenv("ADAIN_MODELS", str(folder))
    content, style = samples.picture(24, 32), samples.picture(32, 24, seed=1)
    adain.write_picture(tmp_path / "photo.png", content)
    adain.write_picture(tmp_path / "art.png", style)
    monkeypatch.chdir(tmp_path)
    options = ["--model", "paper", "--device", "cpu", "--dtype", "float32", "-o", "o.png"]
    assert cli(["stylize", "photo.png", "--style", "art.png", *options]) == 0
    read = [adain.read_picture(tmp_path / name).rgb for name in ("photo.png", "art.png", "o.png")]
    expected = adain.stylize(model, read[0], model.encode_style(read[1]))
    assert (expected - read[2]).abs().max() < 1.5 / 255  # the decoder's float16 and the file's 8 bits


def test_a_decoder_that_goes_with_no_other_encoder(tmp_path):
    weights.save_model(samples.small_lite(), tmp_path / "lite.safetensors", {})
    with pytest.raises(ModelError, match="no decoder that could be joined to a published encoder"):
        extract_decoder(tmp_path / "lite.safetensors", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_downloaded_pickle_that_would_run_code_does_not(hub, tmp_path):
    class Malicious:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    data = saved({"encoder.0.weight": Malicious(), "pad": torch.zeros(500)}, tmp_path / "evil.pt")
    hub.add("o/n", "evil.pt", data)
    folder = tmp_path / "models"
    write_catalog(folder, '[evil]\narchitecture = "kuko6"\nrepo_id = "o/n"\n[[evil.files]]\n' + file_of(data, "evil.pt"))
    with pytest.raises(ModelError, match=r"more than tensors .* Nothing in it was run"):
        weights.load_model("evil", folder=folder)
    assert not (tmp_path / "ran").exists() and not (folder / "evil.safetensors").exists()


# Parts of a file

LAYERS = ["features.0", "features.10", "features.2"]


@pytest.fixture
def timm(hub, tmp_path):
    """A file of 3 MB laid out like timm's, an entry for three of its layers, and its tensors."""
    torch.manual_seed(0)
    shapes = {"features.0": (8, 3, 3, 3), "features.10": (16, 8, 3, 3), "features.2": (8, 8, 3, 3), "head.fc": (1000, 800)}
    state = {f"{layer}.weight": torch.randn(shape) for layer, shape in shapes.items()}
    state |= {f"{layer}.bias": torch.randn(shape[0]) for layer, shape in shapes.items()}
    data = save(state)
    hub.add("timm/net", "model.safetensors", data)
    keys = f'path = "model.safetensors"\nsha256 = "{sha256(data)}"\n'
    write_catalog(tmp_path, f'[part]\nrepo_id = "timm/net"\ntensors = {LAYERS!r}\n[[part.files]]\n{keys}')
    return state, data


def test_only_the_wanted_tensors_are_read(hub, tmp_path, timm):
    state, data = timm
    seen = []
    path = get("part", tmp_path, lambda *counts: seen.append(counts))
    found = load_file(path)
    assert sorted(found) == sorted(f"{layer}.{kind}" for layer in LAYERS for kind in ("weight", "bias"))
    assert all(torch.equal(found[key], state[key]) for key in found)
    wanted = sum(value.nbytes for value in found.values())
    assert seen[-1] == (wanted, wanted)
    spans = [entry[3]["range"].removeprefix("bytes=").split("-") for entry in hub.requests("blob")]
    assert sum(int(stop) - int(start) + 1 for start, stop in spans) <= 2**16 + wanted < len(data) / 10
    hub.log.clear()
    assert get("part", tmp_path) == path and not hub.log
    assert sorted(file.name for file in tmp_path.iterdir()) == ["catalog.toml", "part.safetensors"]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([Fault(ignore_range=True)], "sent more than was asked for"),
        ([Fault(times=9, status=404)], "404"),
        ([Fault(flip=True)], "does not begin like a safetensors file|is now another file|lacks"),
        ([Fault("hub", "HEAD", status=401)], "needs a login"),
    ],
    ids=["no ranges", "gone", "flipped header", "login"],
)
def test_faults_of_partial_reads(hub, tmp_path, timm, faults, words):
    hub.faults += faults
    with pytest.raises(HubError, match=words):
        get("part", tmp_path)
    assert not (tmp_path / "part.safetensors").exists()


def test_a_cut_partial_read_goes_on(hub, tmp_path, timm):
    hub.faults += [Fault(cut=1000), Fault(cut=100, reset=True)]
    state, _ = timm
    assert torch.equal(load_file(get("part", tmp_path))["features.10.weight"], state["features.10.weight"])


def test_a_file_that_changed_is_not_read(hub, tmp_path, timm):
    hub.add("timm/net", "model.safetensors", timm[1] + b"0")
    with pytest.raises(HubError, match="is now another file"):
        get("part", tmp_path)
    assert not hub.requests("blob")


def test_a_part_that_the_file_lacks(hub, tmp_path, timm):
    text = (tmp_path / "catalog.toml").read_text().replace("features.10", "features.99")
    (tmp_path / "catalog.toml").write_text(text)
    with pytest.raises(HubError, match=r"lacks features\.99\.weight, features\.99\.bias"):
        get("part", tmp_path)


def test_offline_names_what_to_copy(hub, tmp_path, timm):
    hub.close()
    with pytest.raises(HubError, match=r"cannot be reached.*get it on another machine and copy part\.safetensors"):
        get("part", tmp_path)


# The catalogue


def test_the_catalogue_of_this_package(tmp_path):
    found = {entry.id: entry for entry in catalog.entries(tmp_path)}
    assert found["kuko6-puddle"].bytes == 23_333_701 and found["kuko6-puddle"].state(tmp_path) is catalog.State.AVAILABLE
    assert found["naoto0804"].state(tmp_path) is catalog.State.MANUAL
    assert str(found["naoto0804"].files[0].mirrors[0]) == "spaces/dataroots/SofaStyler/vgg_normalised.pth"
    assert all(entry.title and entry.license and entry.notes for entry in found.values())
    assert set(weights.EMBEDDED) == {entry.id for entry in found.values() if all(file.embedded for file in entry.files)}


FILE = f'[[x.files]]\npath = "a.safetensors"\nbytes = 5\nsha256 = "{"0" * 64}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[x", "not valid TOML"),
        ("x = " + "[" * 9999, "not valid TOML"),
        ("x = " + "9" * 5000, "not valid TOML"),
        ("x." + "y." * 3000 + "z = 1", "x"),
        ("[x]\ntitle." + "y." * 3000 + "z = 1", ""),
        ('[x]\nrepo_id = "o/n"\n' + FILE.replace("5", "0x" + "f" * 5000, 1), "not valid TOML"),
        ('[x]\nrepo_id = "o/n"\n' + FILE.replace("5", "9" * 30, 1), "Expected the size of the file"),
        (b"\xff\xfe", "cannot be read"),
        ("x = 1", "Expected a table"),
        ('[x]\ncolour = "red"', "unknown key 'colour'"),
        ("[x]\ntitle = 1\n" + FILE, "gives title = 1. Expected str"),
        ('[x]\ntitle = "no files"', "lists no files"),
        ('["../x"]\n', "the id names a file"),
        ('[adain-lite]\nrepo_id = "o/n"\n' + FILE.replace("x.files", "adain-lite.files"), "names of ours: adain-lite"),
        ('[x]\nrepo_id = "o/n"\n' + FILE.replace("a.safetensors", "../a"), "not safe"),
        ('[x]\nrepo_id = "../n"\n' + FILE, "repo_id is '../n'"),
        ('[x]\nrepo_id = "o/n"\nrepo_type = "bucket"\n' + FILE, "repo_type is 'bucket'"),
        ('[x]\nrepo_id = "o/n"\nrevision = "a b"\n' + FILE, "revision is 'a b'"),
        ('[x]\nrepo_id = "o/n"\n' + FILE.replace("0" * 64, "123"), "sha256 is '123'"),
        ('[x]\nrepo_id = "o/n"\n' + FILE.replace("5", "0", 1), "bytes is 0"),
        ('[x]\nrepo_id = "o/n"\n' + FILE.replace("5", "true", 1), "Expected int"),
        ('[x]\ntensors = [1]\nrepo_id = "o/n"\n' + FILE, "list of layer names"),
    ],
)
def test_mistakes_in_a_users_catalogue(tmp_path, text, words):
    (tmp_path / "catalog.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError) as caught:
        catalog.entries(tmp_path)
    assert words in str(caught.value) and str(tmp_path / "catalog.toml") in str(caught.value)


def test_models_that_are_in_no_catalogue(tmp_path):
    with pytest.raises(ModelError, match=r"no model 'nothing' in the catalogue\. Give one of adain-lite"):
        get("nothing", tmp_path)
    with pytest.raises(ModelError, match=r"no model 'nothing'\. Give a safetensors file or one of: adain-lite, paper, kuko6-puddle"):
        weights.load_model("nothing", folder=tmp_path)


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ADAIN_MODELS", str(tmp_path))
    assert catalog.default_folder() == tmp_path
    monkeypatch.delenv("ADAIN_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert catalog.default_folder() == tmp_path / "adain"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ADAIN_MODELS", "~/m")
    assert catalog.default_folder() == tmp_path / "m"


def test_a_model_fetched_by_its_place_is_found_and_listed(hub, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "models"
    monkeypatch.setenv("ADAIN_MODELS", str(folder))
    weights.save_model(samples.small_lite(), tmp_path / "x.safetensors", {})
    hub.add("me/m", "deep/x.safetensors", (tmp_path / "x.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"no model 'me/m/deep/x\.safetensors'.* run `adain models get me/m/deep/x\.safetensors` first"):
        weights.load_model("me/m/deep/x.safetensors")
    assert not hub.log
    for place in ("me/m/deep/x.safetensors", f"me/m/deep/x.safetensors@{COMMIT}"):
        assert cli(["models", "get", place]) == 0
        assert weights.load_model(place, "cpu").architecture == "lite"
    capsys.readouterr()
    assert cli(["models"]) == 0
    listed = capsys.readouterr().out
    words = [line.split()[:2] for line in listed.splitlines()]
    assert ["me/m/deep/x.safetensors", "downloaded"] in words and [f"me/m/deep/x.safetensors@{COMMIT}", "downloaded"] in words


def test_names_of_files_from_the_hub_can_be_read_back():
    for text in ("owner/name/a/b.pt", "spaces/owner/name/b.pt", "datasets/o.x/n_y/b.safetensors"):
        assert catalog.Source.of_file(catalog.Source.parse(text).file_name) == catalog.Source.parse(text)
    for name in ("kuko6-puddle.safetensors", "a--b", "catalog.toml", "a--b.pt", "--", ".", "x--y--", "@--@--@.@"):
        assert catalog.Source.of_file(name) is None


def test_sources_are_written_as_they_are_read():
    for text in ("owner/name/a/b.pt", "spaces/owner/name/b.pt", "datasets/owner/name/b.pt"):
        assert str(catalog.Source.parse(text)) == text
    assert catalog.Source.parse(f"o/n/b@{COMMIT}").revision == COMMIT

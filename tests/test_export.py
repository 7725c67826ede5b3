"""Exported models in ONNX Runtime, against the library."""

from __future__ import annotations

import json

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.cli import main as cli
from adain_style_transfer.export import export_model, export_parts
from adain_style_transfer.export.graphs import Measure, Whole
from adain_style_transfer.export.vectors import style_vector

onnx = pytest.importorskip("onnx", reason="exporting ONNX needs the extra: pip install adain-style-transfer[onnx]")
runtime = pytest.importorskip("onnxruntime", reason="running ONNX needs the extra: pip install adain-style-transfer[onnx]")
pytest.importorskip("onnxscript", reason="exporting ONNX needs the extra: pip install adain-style-transfer[onnx]")

SIZES = [
    *[(1, 1), (1, 50), (2, 3), (7, 9), (9, 7), (8, 8), (15, 16), (16, 16), (16, 17), (17, 300)],
    *[(24, 40), (31, 33), (64, 64), (75, 90), (100, 101), (128, 128), (129, 65), (200, 200), (250, 311), (512, 384)],
]
"""(height, width): multiples of the stride and not, smaller than what the network looks at, and as photographs are."""


def session(path):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(model, **tensors):
    return [torch.from_numpy(out) for out in model.run(None, {name: tensor.numpy() for name, tensor in tensors.items()})]


def difference(a, b):
    return float((a - b).abs().max() * 255)


@pytest.fixture(scope="module")
def embedded():
    return weights.load_model(device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The embedded model, exported by the command."""
    folder = tmp_path_factory.mktemp("exported")
    assert cli(["export", "-o", str(folder / "lite.onnx")]) == 0
    return folder


@pytest.fixture(scope="module")
def whole(files):
    return session(files / "lite.onnx")


# In one piece


@pytest.mark.parametrize("size", SIZES)
def test_every_size_equals_the_librarys(whole, embedded, size):
    style = weights.load_preset(embedded, "great-wave")
    picture = samples.picture(*size, seed=sum(size))
    (painted,) = run(whole, picture=picture, style=style_vector(style), strength=torch.ones(1))
    assert difference(painted, adain.stylize(embedded, picture, style)) < 0.1


def test_batches_of_styles_and_strengths(whole, embedded):
    presets = [weights.load_preset(embedded, name) for name in ("red-horse", "gray-tree", "adele", "the-star")]
    pictures, strengths = samples.picture(40, 56, batch=4), [0.0, 0.1, 0.7, 1.6]
    (painted,) = run(whole, picture=pictures, style=torch.cat([style_vector(p) for p in presets]), strength=torch.tensor(strengths))
    for one, picture, style, strength in zip(painted, pictures, presets, strengths, strict=True):
        assert difference(one, adain.stylize(embedded, picture[None], style, strength=strength)[0]) < 0.1


DARK = samples.picture(40, 40)[:, :1].expand(-1, 3, -1, -1) ** 9


@pytest.mark.parametrize("picture", [torch.zeros(1, 3, 40, 40), torch.full((1, 3, 33, 40), 0.7), DARK])
def test_pictures_with_little_of_their_own(whole, embedded, picture):
    """Black, flat, and grey with little light: where matrices have no inverse and the style's reach is short."""
    for name in ("ink-mountains", "red-horse"):
        style = weights.load_preset(embedded, name)
        (painted,) = run(whole, picture=picture.contiguous(), style=style_vector(style), strength=torch.ones(1))
        assert difference(painted, adain.stylize(embedded, picture, style)) < 0.1


def test_a_style_is_measured(files, embedded):
    measure = session(files / "lite-style.onnx")
    for size in ((5, 9), (64, 64), (101, 75)):
        picture = samples.picture(*size, seed=3)
        (style,) = run(measure, picture=picture)
        torch.testing.assert_close(style, style_vector(embedded.encode_style(picture)), rtol=1e-4, atol=1e-5)


def test_what_the_file_says(files, whole, embedded):
    told = whole.get_modelmeta().custom_metadata_map
    assert told["fingerprint"] == embedded.fingerprint and told["license"] == "MIT" and told["architecture"] == "lite"
    model = onnx.load(files / "lite.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(i.name, i.shape) for i in whole.get_inputs()] == [
        ("picture", ["batch", 3, "height", "width"]),
        ("style", ["batch", 460]),
        ("strength", ["batch"]),
    ]
    assert [(o.name, o.shape) for o in whole.get_outputs()] == [("painted", ["batch", 3, "height", "width"])]
    data = (files / "lite.onnx").read_bytes()
    assert b".py" not in data  # nor whose files it was made from
    assert len(data) < 3.4e6  # weights in half precision, which holds them exactly


@pytest.fixture(scope="module")
def half(tmp_path_factory, embedded):
    file = tmp_path_factory.mktemp("half") / "half.onnx"
    export_model(embedded, file, {}, torch.float16)
    assert embedded.dtype == torch.float32  # only the file's copy is in half precision
    return session(file)


@pytest.mark.parametrize("size", SIZES)
def test_half_precision_at_every_size(half, embedded, size):
    style, picture = weights.load_preset(embedded, "great-wave"), samples.picture(*size, seed=sum(size))
    (painted,) = run(half, picture=picture, style=style_vector(style), strength=torch.ones(1))
    assert difference(painted, adain.stylize(embedded, picture, style)) < 0.6


@pytest.mark.parametrize("preset", ["great-wave", "ink-mountains", "red-horse", "the-star"])
def test_half_precision_on_photographs(half, embedded, preset):
    """Whose smooth areas enlarge what is rounded."""
    style = weights.load_preset(embedded, preset)
    for name in weights.samples.sample_names():
        picture = adain.read_picture(weights.samples.sample_path(name)).rgb
        (painted,) = run(half, picture=picture, style=style_vector(style), strength=torch.ones(1))
        apart = difference(painted, adain.stylize(embedded, picture, style))
        assert 0 < apart < (3 if preset == "the-star" else 1)  # whose contrast enlarges more than any other's


@pytest.mark.parametrize("architecture", samples.SMALL)
def test_every_architecture(architecture):
    """The graphs before they are written."""
    model = samples.SMALL[architecture]()
    picture, artwork = samples.picture(75, 90), samples.picture(60, 50, seed=1)
    style = model.encode_style(artwork)
    measured = Measure(model)(artwork)
    torch.testing.assert_close(measured, style_vector(style), rtol=1e-4, atol=1e-5)
    painted = Whole(model)(picture, measured, torch.tensor([0.6]))
    assert difference(painted, adain.stylize(model, picture, style, strength=0.6)) < 0.1


# In parts


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    *graphs, facts = export_parts(samples.small_lite(), folder, {})
    return {path.stem: session(path) for path in graphs}, json.loads(facts.read_text())


def test_tiles_equal_the_picture_in_one_piece(parts, lite):
    """What a page does with the parts, as plainly as can be: a picture of 80 x 448 in two tiles."""
    graphs, facts = parts
    assert (facts["stride"], facts["encoderHalo"], facts["halo"]) == (8, 24, 88)
    picture, style = samples.picture(80, 448), lite.encode_style(samples.picture(60, 50, seed=1))
    request = {"style": style_vector(style), "strength": torch.tensor([0.9])}
    flat = picture.flatten(2)[0].double()
    colors = torch.cat([flat.mean(1), flat.cov(correction=0).flatten()])[None].float()
    (recolor,) = run(graphs["colors"], colors=colors, **request)

    def inner(tile, left, right, halo):
        """Cells of a feature map, or pixels, of the columns from `left` to `right` of a tile that begins `halo` before."""
        scale = tile.shape[2] / 80
        start = max(0, left - halo)
        return tile[..., round((left - start) * scale) : round((right - start) * scale)]

    spans, found = [(0, 224), (224, 448)], []
    for left, right in spans:
        seen = picture[..., max(0, left - 24) : right + 24].contiguous()
        found.append([inner(feature, left, right, 24) for feature in run(graphs["features"], picture=seen, recolor=recolor)])
    statistics = [colors]
    for level in zip(*found, strict=True):
        values = torch.cat(level, 3).flatten(2)
        statistics += [values.mean(2), values.var(2, correction=0)]
    (maps,) = run(graphs["maps"], statistics=torch.cat(statistics, 1), **request)
    painted = []
    for left, right in spans:
        seen = picture[..., max(0, left - 88) : right + 88].contiguous()
        features = {f"feature{i}": f for i, f in enumerate(run(graphs["features"], picture=seen, recolor=recolor))}
        (tile,) = run(graphs["pixels"], picture=seen, recolor=recolor, maps=maps, **features)
        painted.append(inner(tile, left, right, 88))
    assert difference(torch.cat(painted, 3), adain.stylize(lite, picture, style, strength=0.9)) < 0.1


def test_presets_go_along_only_with_their_model(parts, embedded):
    from adain_style_transfer.export.files import _facts  # pyright: ignore[reportPrivateUsage] - without exporting the graphs again

    assert parts[1]["presets"] == []
    presets = _facts(embedded)["presets"]
    assert [preset["name"] for preset in presets] == weights.preset_names()
    first = weights.load_preset(embedded, presets[0]["name"])
    torch.testing.assert_close(torch.tensor([presets[0]["style"]]), style_vector(first), rtol=1e-6, atol=0)


# What cannot be done


def test_refusals(tmp_path, lite, capsys):
    with pytest.raises(adain.ModelError, match="as .onnx, not as .tflite"):
        export_model(lite, tmp_path / "model.tflite", {})
    with pytest.raises(adain.ModelError, match="kuko6 does not. Export it in one piece"):
        export_parts(samples.SMALL["kuko6"](), tmp_path, {})
    (tmp_path / "mine-style.onnx").write_text("mine")
    assert cli(["export", "-o", str(tmp_path / "mine.onnx")]) == 1
    assert "mine-style.onnx is there already" in capsys.readouterr().err
    assert cli(["export", "--parts", "--dtype", "float16", "-o", str(tmp_path)]) == 1
    assert "Leave out --dtype" in capsys.readouterr().err
    assert (tmp_path / "mine-style.onnx").read_text() == "mine" and not (tmp_path / "mine.onnx").exists()


def test_without_onnx(tmp_path, lite, monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "adain_style_transfer.export.onnx_files", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(adain.ModelError, match="needs onnx onnxscript, which is not installed"):
        export_model(lite, tmp_path / "model.onnx", {})

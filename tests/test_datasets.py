"""Datasets: each layout painted by a worker, without Ray; names, draws, manifests and what is refused."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections import Counter

import numpy as np
import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.media.decoding import Encoded
from adain_style_transfer.adain.media.images import read_picture, to_pil
from adain_style_transfer.adain.style_set import joined
from PIL import Image

pa = pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")
import pyarrow.parquet as pq  # noqa: E402 - needs pyarrow
from adain_style_transfer.datasets import manifest, run  # noqa: E402
from adain_style_transfer.datasets.draws import draw  # noqa: E402
from adain_style_transfer.datasets.errors import DatasetError  # noqa: E402
from adain_style_transfer.datasets.names import numbered, targets  # noqa: E402
from adain_style_transfer.datasets.painter import Job, Painter  # noqa: E402
from adain_style_transfer.datasets.places import Place  # noqa: E402
from adain_style_transfer.datasets.settings import Settings  # noqa: E402
from adain_style_transfer.datasets.sources import Plan  # noqa: E402
from adain_style_transfer.datasets.style_files import Named, write_styles  # noqa: E402

PRESETS = ["great-wave", "venice", "the-scream"]


@pytest.fixture(scope="module")
def model():
    return weights.load_model(device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def styles(model):
    return joined([weights.load_preset(model, name) for name in PRESETS])


def job_of(source, target, batch=1, **settings):
    place = Place(str(source))
    made = Settings(str(source), "digest", "model", **settings)
    return Job(place, Place(str(target)), Plan.of(place, made.extension).kind, made, None, "cpu", "float32", batch)


def painted(styles, source, target, batch=1, **settings):
    """The rows of the manifest of `source` painted into `target`, as a run does it, by one worker in this process."""
    job = job_of(source, target, batch, **settings)
    plan = Plan.of(job.source, job.settings.extension)
    write_styles(job.target, Named(styles, PRESETS))
    worker = Painter(job)
    for part in plan.parts:
        worker.paint(part)
    manifest.merge(job.target, job.settings.to_json())
    job.target.remove(manifest.STATE)
    return pq.read_table(target / manifest.NAME).to_pylist()


def file_of(seed=0, size=(24, 32), kind="PNG", **options):
    file = io.BytesIO()
    to_pil(samples.picture(*size, seed=seed)).save(file, kind, **options)
    return file.getvalue()


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# Names and draws


def test_names_stay_and_are_never_alike():
    assert targets(["a/x.JPEG", "a/y.png", "b/x.JPEG"], "") == ["a/x.JPEG", "a/y.png", "b/x.JPEG"]
    assert targets(["x.jpg", "x.png", "y.bmp"], ".webp") == ["x.jpg.webp", "x.png.webp", "y.webp"]
    made = targets(["x.jpg", "X.jpg", "x.bmp", "x.tif", "x.jpg.bmp"], "")
    assert len({name.casefold() for name in made}) == 5
    assert numbered("a/b.c.jpg", 1, 3) == "a/b.c__2.jpg" and numbered("b.jpg", 0, 1) == "b.jpg"


def test_draws_depend_on_name_and_seed_alone():
    first = draw("a.jpg", 1, 3, 5, (0.2, 0.8))
    assert first == draw("a.jpg", 1, 3, 5, (0.2, 0.8)) and len({style for style, _ in first}) == 3
    assert first != draw("b.jpg", 1, 3, 5, (0.2, 0.8)) and first != draw("a.jpg", 2, 3, 5, (0.2, 0.8))
    assert sorted(style for style, _ in draw("a", 0, 4, 2, (1, 1))) == [0, 0, 1, 1]
    many = [draw(f"{i}", 0, 1, 4, (0.2, 0.8))[0] for i in range(4000)]
    assert all(900 < count < 1100 for count in Counter(style for style, _ in many).values())
    strengths = [strength for _, strength in many]
    assert 0.2 <= min(strengths) < 0.21 and 0.79 < max(strengths) <= 0.8
    assert draw("a", 0, 1, 29, (1, 1)) == [(22, 1.0)]  # for ever: other draws would be another dataset


# Layouts


@pytest.fixture
def tree(tmp_path):
    for i, name in enumerate(("cat/a.png", "cat/b.png", "dog/a.png", "dog/deep/c.png")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file_of(i))
    return tmp_path / "in"


def test_a_tree_is_painted_picture_by_picture(tree, tmp_path, styles, model):
    rows = painted(styles, tree, tmp_path / "out", strength=(0.3, 0.9), seed=4)
    assert set(contents(tmp_path / "out")) == {*contents(tree), manifest.NAME}
    for row in rows:
        ((style, strength),) = draw(row["picture"], 4, 1, 3, (0.3, 0.9))
        assert (row["style"], row["error"]) == (PRESETS[style], None) and row["strength"] == pytest.approx(strength)
        given = read_picture(tree / row["picture"]).rgb
        expected = adain.stylize(model, given, weights.load_preset(model, PRESETS[style]), strength=strength)
        assert (read_picture(tmp_path / "out" / row["target"]).rgb - expected).abs().max() <= 0.5 / 255 + 1e-6


def test_versions_sizes_crops_and_formats(tree, tmp_path, styles):
    rows = painted(styles, tree, tmp_path / "out", per_image=2, size=20, crop=18, extension=".webp", quality=60)
    assert len(rows) == 8 and {row["target"] for row in rows} == {
        f"{p}__{k}.webp" for p in ("cat/a", "cat/b", "dog/a", "dog/deep/c") for k in (1, 2)
    }
    for row in rows:
        with Image.open(tmp_path / "out" / row["target"]) as image:
            assert image.size == (18, 18) and image.format == "WEBP"
    assert all(a["style"] != b["style"] for a, b in zip(rows[::2], rows[1::2], strict=True))


def test_batches_of_equal_size_paint_the_same(tree, tmp_path, styles):
    (tree / "dog" / "wide.png").write_bytes(file_of(9, (24, 40)))
    painted(styles, tree, tmp_path / "one", extension=".png")
    painted(styles, tree, tmp_path / "many", batch=3, extension=".png")
    one, many = contents(tmp_path / "one"), contents(tmp_path / "many")
    for name in one.keys() - {manifest.NAME}:
        first, second = (np.asarray(Image.open(io.BytesIO(files[name])), dtype=np.int16) for files in (one, many))
        assert np.abs(first - second).max() <= 1  # sums in another order
    assert one[manifest.NAME] == many[manifest.NAME]


def test_every_kind_of_picture(tmp_path, styles):
    source = tmp_path / "in"
    source.mkdir()
    image = to_pil(samples.picture(24, 32))
    image.convert("L").save(source / "grey.png")
    image.convert("CMYK").save(source / "cmyk.jpg")
    cut = image.copy()
    cut.putalpha(Image.linear_gradient("L").resize(image.size))
    cut.save(source / "cut.png")
    image.save(source / "turned.jpg", exif=_turned())
    image.save(source / "old.bmp")
    rows = painted(styles, source, tmp_path / "out")
    assert [row["error"] for row in rows] == [None] * 5
    opened = {name: Image.open(tmp_path / "out" / name) for name in ("grey.png", "cmyk.jpg", "cut.png", "turned.jpg", "old.jpg")}
    assert opened["cut.png"].getchannel("A").tobytes() == cut.getchannel("A").tobytes()
    assert opened["turned.jpg"].size == (24, 32) and all(opened[name].mode == "RGB" for name in ("grey.png", "cmyk.jpg", "old.jpg"))


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def add(shard, name, data):
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = len(data), 1234, 0o640
    shard.addfile(header, io.BytesIO(data))


@pytest.fixture
def shards(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "in" / f"train-{number}.tar", "w") as shard:
            for i in range(2):
                add(shard, f"s/{number}{i}.png", file_of(i))
                add(shard, f"s/{number}{i}.cls", str(i).encode())
                add(shard, f"s/{number}{i}.json", b'{"a": "\xc3\xa9"}')
            add(shard, "notes.txt", b"of the shard")
    return tmp_path / "in"


def members(path):
    with tarfile.open(path) as shard:
        return {member.name: (shard.extractfile(member).read(), member.mtime, member.mode) for member in shard}  # pyright: ignore[reportOptionalMemberAccess] - all are files


def test_shards_keep_their_other_members(shards, tmp_path, styles):
    rows = painted(styles, shards, tmp_path / "out")
    assert [row["picture"] for row in rows] == ["s/00.png", "s/01.png", "s/10.png", "s/11.png"] and rows[0]["source"] == "train-0.tar"
    for number in range(2):
        before, after = (members(folder / f"train-{number}.tar") for folder in (shards, tmp_path / "out"))
        assert list(before) == list(after)
        for name, member in before.items():
            assert (member == after[name]) == (not name.endswith(".png")) and member[1:] == after[name][1:]
            if name.endswith(".png"):
                assert Image.open(io.BytesIO(after[name][0])).size == (32, 24)


def test_versions_of_samples_are_samples(shards, tmp_path, styles):
    painted(styles, shards, tmp_path / "out", per_image=2, extension=".jpg")
    after = members(tmp_path / "out" / "train-0.tar")
    assert list(after)[:6] == ["s/00__1.jpg", "s/00__1.cls", "s/00__1.json", "s/00__2.jpg", "s/00__2.cls", "s/00__2.json"]
    assert list(after)[-1] == "notes.txt" and after["s/01__2.cls"][0] == b"1"


def test_webdataset_reads_what_is_written(shards, tmp_path, styles):
    webdataset = pytest.importorskip("webdataset")
    painted(styles, shards, tmp_path / "out", extension=".jpg")
    read = list(
        webdataset.WebDataset(str(tmp_path / "out" / "train-0.tar"), shardshuffle=False)
        .select(lambda sample: "jpg" in sample)
        .decode("pil")
        .to_tuple("jpg", "cls")
    )
    assert [(image.size, label) for image, label in read] == [((32, 24), 0), ((32, 24), 1)]


def test_damaged_shards_and_shards_without_pictures(shards, tmp_path, styles):
    data = (shards / "train-0.tar").read_bytes()
    (shards / "cut.tar").write_bytes(data[: 512 * 2 + len(file_of()) // 2])
    with tarfile.open(shards / "texts.tar", "w") as shard:
        add(shard, "a.txt", b"text")
    (shards / "no.tar").write_bytes(b"no archive" * 100)
    with tarfile.open(shards / "train-1.tar", "w") as shard:
        for name, picture in (("x.left.png", file_of()), ("x.right.png", b"broken"), ("x.cls", b"1"), ("y.png", file_of(1))):
            add(shard, name, picture)
    rows = painted(styles, shards, tmp_path / "out")
    errors = {(row["picture"], row["error"]) for row in rows if row["error"]}
    told = dict(errors)
    assert "cannot be read to its end" in told["cut.tar"] and "cannot be read to its end" in told["no.tar"]
    assert told["texts.tar"] == "The shard texts.tar holds no pictures but members of the kinds txt."
    assert "not an image" in told["x.right.png"] and "beside it is broken" in told["x.left.png"]
    assert list(members(tmp_path / "out" / "train-1.tar")) == ["y.png"]
    assert members(tmp_path / "out" / "texts.tar")["a.txt"][0] == b"text"


@pytest.mark.parametrize("face", [True, False])
def test_tables_keep_their_other_columns(tmp_path, styles, face):
    files = [file_of(i, kind="JPEG") for i in range(3)] + [b"broken"]
    cells = [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(files)] if face else files
    table = pa.table({"image": cells, "label": [5, 6, 7, 8], "text": ["a", None, "c", "d"]})
    (tmp_path / "in").mkdir()
    pq.write_table(table.replace_schema_metadata({"huggingface": "{}"}), tmp_path / "in" / "train.parquet", row_group_size=3)
    rows = painted(styles, tmp_path / "in", tmp_path / "out", per_image=2)
    after = pq.read_table(tmp_path / "out" / "train.parquet")
    assert after.schema.equals(table.schema) and after.schema.metadata == {b"huggingface": b"{}"}
    assert after.column("label").to_pylist() == [5, 5, 6, 6, 7, 7] and after.column("text").to_pylist() == ["a", "a", None, None, "c", "c"]
    images = after.column("image").to_pylist()
    assert all(read_picture(Encoded(cell["bytes"] if face else cell, "x")).rgb.shape == (1, 3, 24, 32) for cell in images)
    if face:
        assert [cell["path"] for cell in images[:2]] == ["0__1.jpg", "0__2.jpg"]
    assert len(rows) == 7 and rows[0]["picture"] == ("0.jpg" if face else "train.parquet#0") and "not an image" in rows[6]["error"]


def test_tables_whose_pictures_cannot_be_found(tmp_path, styles):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"a": [b"x"], "b": [b"y"], "c": [1]}), tmp_path / "in" / "two.parquet")
    pq.write_table(pa.table({"c": [1]}), tmp_path / "in" / "none.parquet")
    (tmp_path / "in" / "bad.parquet").write_bytes(b"no table")
    bad, none, two = (row["error"] for row in painted(styles, tmp_path / "in", tmp_path / "out"))
    assert "cannot be read as a table" in bad and "no column of bytes, only c" in none
    assert "several columns of bytes (a, b)" in two and "--image-column" in two
    assert "has no column 'z'" in painted(styles, tmp_path / "in", tmp_path / "again", column="z")[2]["error"]


# Broken pictures and odd names


def test_broken_pictures_are_rows(tree, tmp_path, styles):
    (tree / "cat" / "b.png").write_bytes(file_of()[:200])
    (tree / "cat" / "empty.png").touch()
    job = job_of(tree, tmp_path / "out")
    plan = Plan.of(job.source, "")
    (tree / "dog" / "a.png").unlink()  # vanishes after it was found
    write_styles(job.target, Named(styles, PRESETS))
    rows = {row.picture: row for part in plan.parts for row in Painter(job).paint(part)}
    assert "truncated or damaged" in rows["cat/b.png"].error and "is empty" in rows["cat/empty.png"].error
    assert rows["dog/a.png"].error == "dog/a.png cannot be read (No such file or directory)."
    assert rows["cat/a.png"].error is None and len(rows) == 5
    assert {name for name in contents(tmp_path / "out") if not name.startswith(".")} == {"cat/a.png", "dog/deep/c.png"}
    assert manifest.complete(job.target)[0][:2] == (2, 3)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit to the size of files")
def test_a_full_disk_stops_a_part_and_leaves_nothing_half_written(tree, tmp_path, styles):
    import resource

    job = job_of(tree, tmp_path / "out")
    write_styles(job.target, Named(styles, PRESETS))
    worker, before = Painter(job), resource.getrlimit(resource.RLIMIT_FSIZE)
    texts = [json.dumps([part.number, part.names, part.targets]) for part in Plan.of(job.source, "").parts]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        told = worker({"part": texts})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told["stopped"] == ["OSError: File too large"] and not manifest.complete(job.target)
    assert not [name for name in contents(tmp_path / "out") if not name.startswith(manifest.STATE)]
    assert worker({"part": texts})["stopped"] == [""] and manifest.complete(job.target)[0].painted == 4


@pytest.mark.parametrize(
    "name", ["new\nline.png", "[1]*?.png", "a#b%20c.png", "it's.png", "::x.png", "猫.png", os.fsdecode(b"lat\xe9in.png")]
)
def test_odd_names(tmp_path, styles, name):
    (tmp_path / "in").mkdir()
    try:
        (tmp_path / "in" / name).write_bytes(file_of())
    except OSError:
        pytest.skip("no file system for this name")
    (row,) = painted(styles, tmp_path / "in", tmp_path / "out")
    assert row["error"] is None and (tmp_path / "out" / name).is_file()
    assert row["picture"] == os.fsencode(name).decode("utf-8", "backslashreplace")
    assert list(Plan.from_json(Plan.of(Place(str(tmp_path / "in")), "").to_json()).parts[0].names) == [name]


def test_links_are_followed_and_closed_folders_are_told(tree):
    (tree / "dog" / "back").symlink_to(tree)
    (tree / "kitten").symlink_to(tree / "cat")
    assert Place(str(tree)).names() == ["cat/a.png", "cat/b.png", "dog/a.png", "dog/deep/c.png", "kitten/a.png", "kitten/b.png"]
    (tree / "cat").chmod(0)
    try:
        if not os.access(tree / "cat", os.R_OK):  # but for root, who may read everything
            with pytest.raises(DatasetError, match="cat cannot be looked into"):
                Place(str(tree)).names()
    finally:
        (tree / "cat").chmod(0o755)


def test_places_of_fsspec(tree, tmp_path, styles):
    """A file system that lives in this process stands for buckets: another protocol, the same code."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name, data in contents(tree).items():
        memory.pipe(f"/in/{name}", data)
    painted(styles, tree, tmp_path / "out")
    job = job_of("memory://in", "memory://out")
    plan = Plan.of(job.source, "")
    write_styles(job.target, Named(styles, PRESETS))
    for part in plan.parts:
        Painter(job).paint(part)
    manifest.merge(job.target, job.settings.to_json())
    job.target.remove(manifest.STATE)
    assert job.target.names() == sorted({*contents(tree), manifest.NAME})
    assert all(job.target.read(name) == data for name, data in contents(tmp_path / "out").items() if name != manifest.NAME)
    assert manifest.settings_of(job.target) == job.settings.to_json()


# What is refused, before anything is painted


def refused(source, target, styles, sentence, resume=False, **settings):
    made = Settings(str(source), "digest", "model", **settings)
    job = Job(Place(str(source)), Place(str(target)), "", made, None, "cpu", "float32")
    with pytest.raises(DatasetError, match=sentence):
        run.paint_dataset(job, lambda: Named(styles, PRESETS), run.Options(resume=resume), lambda *_: None, lambda _: None)


def test_sources_and_targets_that_cannot_be(tree, tmp_path, styles):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, tmp_path / "out", styles, "holds no pictures, tar shards or Parquet files")
    (empty / "a.txt").touch()
    refused(empty, tmp_path / "out", styles, "1 other files")
    refused(tmp_path / "missing", tmp_path / "out", styles, "no folder at")
    (tmp_path / "shard.tar").touch()
    refused(tmp_path / "shard.tar", tmp_path / "out", styles, "is a file. Give the folder")
    assert not (tmp_path / "out").exists()
    refused(tree, tree / "out", styles, "lies in the source")
    refused(tree, tree, styles, "lies in the source")
    refused(tree / "cat", tree, styles, "lies in the target")
    refused(tree, empty, styles, "is not empty")
    refused(tree, empty / "a.txt", styles, "cannot be made")
    with tarfile.open(tree / "x.tar", "w"):
        pass
    refused(tree, tmp_path / "out", styles, "4 image files and 1 tar shards")
    refused("nosuch://x", tmp_path / "out", styles, "cannot be used")
    refused("s3://bucket/x", tmp_path / "out", styles, "needs s3fs" if not _has("s3fs") else "cannot be listed")


def _has(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


def test_targets_of_other_runs(tree, tmp_path, styles):
    out = tmp_path / "out"
    painted(styles, tree, out)
    refused(tree, out, styles, "holds a complete run")
    refused(
        tree,
        out,
        styles,
        r"other seed \(0 there, 3 here\) and other strength \(1.0 there, 0.5 to 1.0 here\)",
        True,
        seed=3,
        strength=(0.5, 1.0),
    )
    job = job_of(tree, tmp_path / "begun")
    run.begun(job, lambda: Named(styles, PRESETS), run.Options(), lambda _: None)
    refused(tree, tmp_path / "begun", styles, "was interrupted. Give --resume")
    refused(tree, tmp_path / "begun", styles, "other seed", True, seed=3)
    assert len(run.begun(job, lambda: pytest.fail("styles are measured once"), run.Options(resume=True), lambda _: None).parts) == 1

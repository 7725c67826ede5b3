"""The training data: folders of images as crops."""

from __future__ import annotations

import logging
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("accelerate", reason="training needs the extra: pip install adain-style-transfer[train]")

from adain_style_transfer.adain import ImageError
from adain_style_transfer.training.data import Crops, find_images, find_pictures, to_float
from torch.utils.data import DataLoader


def save(path, width=40, height=30, value=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(path.name)).integers(0, 256, (height, width, 3))
    Image.fromarray((values if value is None else np.full_like(values, value)).astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(["b.png", "a.PNG", "deep/er/c.bmp", "deep/d.png"]):
        save(tmp_path / name, value=50 * (i + 1))
    (tmp_path / "deep" / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def crops(folder, length=40, **options):
    settings = {"crop": 16, "zoom": (0.6, 1.4), "seed": "0/content"} | options
    return Crops(find_images(folder), length, **settings)


def test_folders_are_walked_recursively(folder):
    assert [str(p.relative_to(folder)) for p in find_images(folder)] == ["a.PNG", "b.png", "deep/d.png", "deep/er/c.bmp"]
    assert find_images(str(folder / "deep" / "er")) == [folder / "deep" / "er" / "c.bmp"]


def test_folders_without_images(tmp_path):
    for empty in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ImageError, match=r"no images below .*\.jpg or \.png"):
            find_images(empty)


def packed(folder, target):
    """The images of `folder` in two shards, among other members."""
    target.mkdir()
    for number, paths in enumerate((find_images(folder)[:2], find_images(folder)[2:])):
        with tarfile.open(target / f"{number}.tar", "w") as shard:
            for path in paths:
                shard.add(path, path.relative_to(folder).as_posix())
                shard.add(folder / "deep" / "notes.txt", f"{path.stem}.txt")
    return target


def test_shards_give_the_crops_of_their_files(folder, tmp_path_factory):
    shards = find_pictures(packed(folder, tmp_path_factory.mktemp("shards") / "in"))
    settings = {"crop": 16, "zoom": (0.6, 1.4), "seed": "0/content"}
    files, members = crops(folder), Crops(shards, 40, **settings)
    assert [str(member).rpartition(".tar/")[2] for member in shards] == ["a.PNG", "b.png", "deep/d.png", "deep/er/c.bmp"]
    assert all(torch.equal(files[i][0], members[i][0]) for i in range(40))
    rest = Crops(shards, 15, start=25, **settings)  # as a resumed run reads on
    loaded = torch.cat([images for images, _ in DataLoader(rest, 5, num_workers=2)])
    assert torch.equal(loaded, torch.stack([files[25 + i][0] for i in range(15)]))


def test_files_and_shards_together_and_damaged_shards(folder, caplog):
    packed(folder, folder / "shards")
    assert len(find_pictures(folder)) == 8
    shard = folder / "shards" / "0.tar"
    found = find_pictures(folder / "shards")
    shard.write_bytes(shard.read_bytes()[: found[1].offset + 10])
    data = Crops(found, 40, crop=16, zoom=(1, 1), seed="0")
    assert all(data[i][0].shape == (3, 16, 16) for i in range(40)) and data.broken == {found[1]} and "ends too early" in caplog.text
    shard.write_bytes(b"no archive" * 100)
    with pytest.raises(ImageError, match=r"0\.tar cannot be read"):
        find_pictures(folder)
    for path in (folder / "shards").iterdir():
        with tarfile.open(path, "w") as archive:
            archive.add(folder / "deep" / "notes.txt", "notes.txt")
    with pytest.raises(ImageError, match="shards below .* hold no images"):
        find_pictures(folder / "shards")


@pytest.mark.parametrize("variants", [0, 3])
def test_a_sample_depends_on_the_seed_and_its_number_alone(folder, variants):
    whole = crops(folder, variants=variants)
    rest = crops(folder, 15, start=25, variants=variants)
    for i in range(15):
        (a, key_a), (b, key_b) = whole[25 + i], rest[i]
        assert torch.equal(a, b) and key_a == key_b
    other = crops(folder, seed="1/content", variants=variants)
    assert any(not torch.equal(whole[i][0], other[i][0]) for i in range(10))


def test_loader_workers_give_the_same_samples(folder):
    alone, shared = (list(DataLoader(crops(folder, 12), 4, num_workers=n)) for n in (0, 2))
    for (a, keys_a), (b, keys_b) in zip(alone, shared, strict=True):
        assert torch.equal(a, b) and torch.equal(keys_a, keys_b)


def test_samples_are_random_crops_of_all_images(folder):
    save(folder / "noise.png", 64, 64)
    samples = [crops(folder, 200)[i][0] for i in range(60)]
    assert all(s.shape == (3, 16, 16) and s.dtype == torch.uint8 for s in samples)
    assert {50, 100, 150, 200} <= {int(s[0, 0, 0]) for s in samples if len(s.unique()) == 1}
    noisy = [s for s in samples if len(s.unique()) > 1]
    assert len(noisy) > 2 and all(not torch.equal(noisy[0], s) for s in noisy[1:])


def test_variants_repeat_under_their_key(folder):
    data = crops(folder, 300, variants=2)
    seen = {}
    for i in range(300):
        value, key = data[i]
        assert torch.equal(seen.setdefault(key, value), value)
    assert set(seen) == set(range(8))


def test_jitter_varies_the_colours_and_nothing_else(folder):
    save(folder / "noise.png", 64, 64)
    plain, varied = crops(folder, 60), crops(folder, 60, jitter=1.0)
    differ = 0
    for i in range(60):
        (a, key_a), (b, key_b) = plain[i], varied[i]
        assert key_a == key_b and a.shape == b.shape
        if len(a.unique()) == 1:  # a flat picture has no stroke that could move
            assert all(len(channel.unique()) == 1 for channel in b)
        else:
            differ += not torch.equal(a, b)
    assert differ > 0
    assert torch.equal(varied[3][0], crops(folder, 60, jitter=1.0)[3][0])


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (15, 15)])
def test_images_smaller_than_a_crop(tmp_path, size):
    save(tmp_path / "a.png", *size)
    assert crops(tmp_path)[0][0].shape == (3, 16, 16)


def test_broken_images_are_skipped_named_and_counted(folder, caplog):
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    (folder / "truncated.png").write_bytes((folder / "b.png").read_bytes()[:60])
    data = crops(folder, 80)
    with caplog.at_level(logging.WARNING):
        for i in range(80):
            data[i]
    assert {p.name for p in data.broken} == {"empty.jpg", "text.jpg", "truncated.png"}
    assert len(caplog.records) == 3 and "3 broken so far" in caplog.records[-1].getMessage()
    for name in ("empty.jpg", "text.jpg", "truncated.png"):
        assert sum(name in record.getMessage() for record in caplog.records) == 1


def test_only_broken_images(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ImageError, match=r"None of the 1 images can be read"):
        crops(tmp_path)[0]


def test_grey_and_transparent_images_become_rgb(tmp_path):
    for i, mode in enumerate(("L", "P", "RGBA", "LA", "1", "CMYK")):
        image = Image.fromarray(np.random.default_rng(i).integers(0, 256, (20, 20, 3)).astype(np.uint8)).convert(mode)
        image.save(tmp_path / (f"{mode}.png" if mode != "CMYK" else "CMYK.jpg"))
    data = crops(tmp_path)
    assert all(data[i][0].shape == (3, 16, 16) for i in range(40)) and not data.broken


def test_to_float():
    got = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1), torch.device("cpu"))
    torch.testing.assert_close(got.flatten(), torch.tensor([0, 0.2, 1]))

"""Which files `adain stylize` reads and where each painted one goes; no model is needed for that."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest
from adain_style_transfer.adain import ImageError
from adain_style_transfer.cli.inputs import Found, find_images
from adain_style_transfer.cli.targets import choose, plan
from hypothesis import given
from hypothesis import strategies as st


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a picture")


def found(folder: Path, *names: str, output: str = "out") -> list[str]:
    """Pictures that are found at `names` in `folder`."""
    pictures = find_images([str(folder / name) for name in names], folder / output).pictures
    return [str(picture.path.relative_to(folder)) for picture in pictures]


def planned(folder: Path, *names: str, styles: tuple[tuple[str, ...], ...] = (("great-wave",),)) -> dict[str, str]:
    """The outputs in `folder`/out by content (and style, if there are several)."""
    targets = plan(find_images([str(folder / name) for name in names]).pictures, styles, str(folder / "out"), ".png")
    outputs = {}
    for target in targets:
        content = str(target.content.relative_to(folder))
        outputs[content if len(styles) == 1 else f"{content} {target.style}"] = str(target.output.relative_to(folder / "out"))
    return outputs


def test_equal_names_are_kept_apart(tmp_path):
    touch(tmp_path, "t/a.jpg", "t/a.png", "t/b.png", "t/sub1/x.png", "t/sub2/x.png", "u/b.png")
    assert planned(tmp_path, "t") == {
        "t/a.jpg": "a.jpg__great-wave.png",
        "t/a.png": "a.png__great-wave.png",
        "t/b.png": "b__great-wave.png",
        "t/sub1/x.png": "sub1/x__great-wave.png",
        "t/sub2/x.png": "sub2/x__great-wave.png",
    }
    assert planned(tmp_path, "t/b.png", "u/b.png", "t/a.jpg") == {
        "t/b.png": "t/b__great-wave.png",
        "u/b.png": "u/b__great-wave.png",
        "t/a.jpg": "a__great-wave.png",
    }
    assert planned(tmp_path, "t/b.png", "t", "t/b.png").keys() == planned(tmp_path, "t").keys()  # what is named twice is one picture
    pairs = planned(tmp_path, "t/b.png", styles=(("s1/p.png",), ("s2/p.png",), ("p.jpg",), ("q.jpg",)))
    assert list(pairs.values()) == ["b__s1-p.png", "b__s2-p.png", "b__p.jpg.png", "b__q.png"]


names = st.builds(
    lambda folders, stem, end: "/".join([*folders, stem + end]),
    st.lists(st.sampled_from(["x", "X", "y"]), max_size=2),
    st.sampled_from(["a", "A", "é", unicodedata.normalize("NFD", "é"), "a.png", "b" * 250, "b" * 249 + "c", "星" * 80]),
    st.sampled_from([".png", ".PNG", ".jpg"]),
)


@given(st.lists(names, min_size=1, max_size=8, unique=True), st.booleans())
def test_no_two_outputs_are_one_file_anywhere(contents, walked):
    pictures = [Found(Path("root", name), Path(name).parent if walked else Path()) for name in contents]
    styles = [["s1/p.png"], ["s2/p.png"], ["P.jpg"], [f"{'long' * 20}{i}.jpg" for i in range(20)]]
    outputs = [target.output for target in plan(pictures, styles, "out", ".png")]
    assert len({unicodedata.normalize("NFC", str(path)).casefold() for path in outputs}) == len(contents) * len(styles)
    assert all(len(os.fsencode(path.name)) <= 210 for path in outputs)


def test_one_file_for_several_pictures_is_refused():
    pictures = [Found(Path("a.png"), Path()), Found(Path("b.png"), Path())]
    with pytest.raises(ImageError, match="one file, but there are 2 pictures"):
        plan(pictures, [["great-wave"]], "o.png", ".png")


def test_what_is_there_is_neither_overwritten_nor_forgotten(tmp_path):
    touch(tmp_path, "a.png", "b.png", "out/a__great-wave.png")
    targets = plan(
        find_images([str(tmp_path / "a.png"), str(tmp_path / "b.png")]).pictures, [["great-wave"]], str(tmp_path / "out"), ".png"
    )
    with pytest.raises(ImageError, match=r"a__great-wave.png is there already\. Give --overwrite .* --skip-existing"):
        choose(targets, [], overwrite=False, skip_existing=False)
    assert choose(targets, [], overwrite=True, skip_existing=False) == targets
    assert choose(targets, [], overwrite=False, skip_existing=True) == targets[1:]


@pytest.mark.parametrize("options", [{"overwrite": True, "skip_existing": False}, {"overwrite": False, "skip_existing": True}])
def test_what_is_read_is_never_written(tmp_path, options):
    touch(tmp_path, "a.png", "sub/style.png")
    (tmp_path / "link.png").symlink_to("a.png")
    pictures = find_images([str(tmp_path / "a.png")]).pictures
    inputs = [str(tmp_path / "a.png"), str(tmp_path / "sub/style.png")]
    for output in ("a.png", "link.png", "sub/../sub/style.png"):
        with pytest.raises(ImageError, match="one of the files to read"):
            choose(plan(pictures, [["x"]], str(tmp_path / output), ".png"), inputs, **options)
    (tmp_path / "folder.png").mkdir()
    targets = plan(pictures, [["x"]], str(tmp_path / "b.png"), ".png")
    with pytest.raises(ImageError, match="is a folder"):
        choose([targets[0]._replace(output=tmp_path / "folder.png")], [], **options)
    with pytest.raises(ImageError, match="too long"):
        choose([targets[0]._replace(output=tmp_path / ("b" * 300 + ".png"))], [], **options)


def test_hidden_files_and_the_output_folder_are_passed_over_and_the_rest_is_told(tmp_path, capsys):
    touch(
        tmp_path,
        "t/a.png",
        "t/._a.png",
        "t/.adain-tmp-x.png",
        "t/.git/a.png",
        "t/out/a__x.png",
        "t/deep/b.webp",
        "t/c.doc",
        "t/deep/d.doc",
        "t/Makefile",
    )
    assert found(tmp_path, "t", output="t/out") == ["t/a.png", "t/deep/b.webp"]
    told = capsys.readouterr().err
    assert "out is left out: it is the output folder" in told and "left out: 2 .doc, 1 Makefile" in told and "._a" not in told
    with pytest.raises(ImageError, match="the next run would paint the results"):
        found(tmp_path, "t", output="t")
    touch(tmp_path, "none/.a.png")
    with pytest.raises(ImageError, match="holds no images"):
        found(tmp_path, "none")


def test_patterns_and_names_that_only_look_like_one(tmp_path):
    touch(tmp_path, "a.png", "b.png", "c.jpg", "d[1].png", "deep/e.png")
    assert found(tmp_path, "*.png") == ["a.png", "b.png", "d[1].png"]
    assert found(tmp_path, "d[1].png") == ["d[1].png"]
    assert found(tmp_path, "**/e.png") == ["deep/e.png"]
    with pytest.raises(ImageError, match="none that matches"):
        found(tmp_path, "*.gif")
    with pytest.raises(ImageError, match="standard input"):
        find_images(["-"])


CLOSED = """
import os, sys
from adain_style_transfer.cli.inputs import find_images
if os.geteuid() == 0:
    os.seteuid(65534)  # root may look into everything
walk = find_images([sys.argv[1]])
print([picture.path.name for picture in walk.pictures], walk.closed)
"""


@pytest.mark.skipif(os.name == "nt", reason="folders are closed in another way on Windows")
def test_a_folder_that_cannot_be_looked_into_is_told():
    with tempfile.TemporaryDirectory() as name:  # pytest's own is closed to all others
        folder = Path(name)
        touch(folder, "t/a.png", "t/closed/b.png")
        folder.chmod(0o755)
        (folder / "t/closed").chmod(0)
        done = subprocess.run([sys.executable, "-c", CLOSED, folder / "t"], capture_output=True, text=True)
        (folder / "t/closed").chmod(0o700)
    assert done.stdout == "['a.png'] 1\n" and "closed cannot be looked into (Permission denied)" in done.stderr

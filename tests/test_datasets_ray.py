"""`adain dataset` on a real Ray with two CPUs: faults, each with the result of an undisturbed run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import samples
from adain_style_transfer import cli
from adain_style_transfer.adain.media.images import to_pil

ray = pytest.importorskip("ray", reason="`adain dataset` needs ray")
psutil = pytest.importorskip("psutil")
from adain_style_transfer.datasets import cluster, manifest  # noqa: E402 - needs ray
from adain_style_transfer.datasets.cluster import Pool  # noqa: E402
from adain_style_transfer.datasets.errors import DatasetError  # noqa: E402

PICTURES = 160
OPTIONS = ["--styles", "great-wave", "venice", "--strength", "0.5,1", "--workers", "2", "--device", "cpu", "--dtype", "float32"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets") / "in"
    for i in range(PICTURES):
        path = folder / f"class{i % 3}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i % 20 == 7:
            path.write_bytes(b"broken")  # 5 %
        else:
            to_pil(samples.picture(96, 128, seed=i)).save(path)
    return folder


@pytest.fixture(scope="module", autouse=True)
def local():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def undisturbed(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("datasets") / "out"
    assert cli.main(["dataset", str(tree), str(out), *OPTIONS]) == 1  # some are broken
    return contents(out)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pieces(out):
    return len(list((out / manifest.STATE / "manifest").glob("0*.parquet")))


def test_all_that_can_be_is_painted_once(tree, undisturbed):
    painted = {name for name, data in contents(tree).items() if data != b"broken"}
    assert painted == {name for name in undisturbed if not name.startswith(".") and name != manifest.NAME}


def test_a_run_that_stops_at_too_many_errors_and_a_worker_that_is_killed(tree, tmp_path, undisturbed, capsys, monkeypatch):
    out = tmp_path / "out"
    assert cli.main(["dataset", str(tree), str(out), *OPTIONS, "--max-errors", "1"]) == 1
    assert "more than --max-errors 1" in capsys.readouterr().err and (out / manifest.STATE).is_dir()

    killed = []
    told = cli.dataset.paint_dataset  # type: ignore[attr-defined] # imported when the command was

    def with_a_murder(job, measure, options, progress, tell):
        def then_kill(done, pictures):
            progress(done, pictures)
            workers = [one for one in psutil.Process().children(recursive=True) if is_painter(one)]
            if workers and not killed:
                killed.append(workers[0].pid)
                workers[0].send_signal(signal.SIGKILL)

        return told(job, measure, options, then_kill, tell)

    monkeypatch.setattr(cli.dataset, "paint_dataset", with_a_murder)
    assert cli.main(["dataset", str(tree), str(out), *OPTIONS, "--resume"]) == 1
    assert killed and contents(out) == undisturbed


def is_painter(process):
    try:
        return "MapWorker" in "".join(process.cmdline())
    except psutil.Error:  # it has ended
        return False


def test_a_driver_that_is_killed_goes_on(tree, tmp_path, undisturbed, capsys):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "adain_style_transfer", "dataset", str(tree), str(out), *OPTIONS]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: pieces(out) or process.poll() is not None)
        assert cli.main(["dataset", str(tree), str(out), *OPTIONS, "--resume"]) == 1
        assert "Another run is painting into" in capsys.readouterr().err
        process.kill()
    assert 0 < pieces(out) < 5
    (out / "class0" / ".adain-tmp-1234.png").write_bytes(b"half")  # as a worker that was killed leaves it
    assert cli.main(["dataset", str(tree), str(out), *OPTIONS]) == 1
    assert "was interrupted" in capsys.readouterr().err
    assert cli.main(["dataset", str(tree), str(out), *OPTIONS, "--resume", "--workers", "1"]) == 1
    assert contents(out) == undisturbed
    assert cli.main(["dataset", str(tree), str(out), *OPTIONS, "--resume"]) == 0
    assert "complete already" in capsys.readouterr().err and contents(out) == undisturbed


def until(condition, seconds=90.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.filterwarnings("error:The minimum number of concurrent actors")  # a single part for two workers
def test_no_readable_picture_and_styles_that_are_broken(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "styles").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"broken")
    to_pil(samples.picture(48, 48)).save(tmp_path / "styles" / "good.png")
    (tmp_path / "styles" / "bad.png").write_bytes(b"broken")
    given = [str(tmp_path / name) for name in ("in", "out")]
    assert cli.main(["dataset", *given, "--styles", str(tmp_path / "styles"), "--workers", "2", "--device", "cpu"]) == 1
    told = capsys.readouterr().err
    assert "bad.png is not an image" in told and "None of the 1 picture of" in told
    assert cli.main(["dataset", given[0], str(tmp_path / "other"), "--styles", str(tmp_path / "styles" / "bad.png")]) == 1
    assert "bad.png is not an image" in capsys.readouterr().err


# Clusters


class Lacking:
    def __init__(self, _):
        import no_such_package  # noqa: F401  # pyright: ignore[reportMissingImports] - that is the point

    def __call__(self, batch):
        return batch


def test_a_worker_without_a_package():
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # this file is no module that a worker could import
    with pytest.raises(DatasetError, match="lacks a package .*no_such_package") as raised:
        list(cluster.mapped(ray, Lacking, None, ["a", "b"], Pool(1, 1)))
    assert len(str(raised.value)) < 300


def test_a_cluster_that_does_not_answer():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with (
            pytest.raises(DatasetError, match=r"does not answer \(Connection refused\)"),
            cluster.connected(f"127.0.0.1:{bound.getsockname()[1]}"),
        ):
            pass


def test_a_worker_that_fits_nowhere():
    with pytest.raises(DatasetError, match="takes 1 CPUs and 2 GPUs, and the cluster has 2 and 0"):
        cluster.size_of(ray, Pool(gpus=2))
    assert cluster.size_of(ray, Pool()) == (2, 2) and cluster.size_of(ray, Pool(1, 4)) == (1, 4)

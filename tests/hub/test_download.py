"""Downloads from a local Hub: whole and right, or not there at all, whatever goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest
from adain_style_transfer.weights import catalog
from adain_style_transfer.weights.download import HubError
from adain_style_transfer.weights.hub import get
from hub.conftest import close_sessions, point_to
from hub.server import COMMIT, Fault, sha256
from huggingface_hub import constants

BIG = os.urandom(3 * 2**20 + 12345)


def add_entry(folder, data=BIG, name="big", repo="someone/models", file="deep/big.safetensors", **keys):
    """An entry of the user's own catalogue."""
    values = {"path": file, "bytes": len(data), "sha256": sha256(data)} | keys
    lines = [f"[{name}]", f'repo_id = "{repo}"', f"[[{name}.files]]"]
    lines += [f"{key} = {value!r}".replace("True", "true") for key, value in values.items()]
    with (folder / "catalog.toml").open("a") as out:
        out.write("\n".join(lines) + "\n")


@pytest.fixture
def folder(hub, tmp_path):
    hub.add("someone/models", "deep/big.safetensors", BIG)
    add_entry(tmp_path)
    return tmp_path


def final_files(folder):
    """Everything but the catalogue and what is kept to be resumed, which are no models to anyone."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("catalog.toml", ".incomplete"))


def refused(folder, model="big", **keys):
    """The sentence with which `get` fails; nothing may carry a final name."""
    before = final_files(folder)
    with pytest.raises(HubError) as caught:
        get(model, folder, **keys)
    assert final_files(folder) == before
    return str(caught.value)


def test_first_download_then_no_network(hub, folder):
    seen = []
    assert catalog.find_entry("big", folder).state(folder).value == "available"
    path = get("big", folder, lambda done, total: seen.append((done, total)))
    assert path == folder / "big.safetensors" and path.read_bytes() == BIG
    assert seen[0] == (0, len(BIG)) and seen[-1] == (len(BIG), len(BIG)) and len(seen) >= 4
    assert final_files(folder) == ["big.safetensors"] and not (folder / ".incomplete").exists()
    assert catalog.find_entry("big", folder).state(folder).value == "downloaded"
    assert [entry[:2] for entry in hub.log] == [("hub", "HEAD"), ("hub", "GET"), ("blob", "GET")]
    hub.log.clear()
    assert get("big", folder) == path and not hub.log


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_connection_is_taken_up_again(hub, folder, reset):
    hub.faults.append(Fault(cut=2 * 2**20 + 77, reset=reset))
    assert get("big", folder).read_bytes() == BIG
    assert hub.requests("blob")[-1][3]["range"] == f"bytes={2 * 2**20}-"


def test_a_cancelled_download_is_resumed_later(hub, folder):
    class CancelledError(Exception):
        pass

    def progress(done, total):
        if done > 2**20:
            raise CancelledError

    with pytest.raises(CancelledError):
        get("big", folder, progress)
    assert final_files(folder) == []
    seen = []
    assert get("big", folder, lambda done, total: seen.append(done)).read_bytes() == BIG
    assert seen[0] == 2 * 2**20 and hub.requests("blob")[-1][3]["range"] == f"bytes={2 * 2**20}-"


def test_a_killed_process_is_resumed_by_the_next(hub, folder):
    hub.faults.append(Fault(slow=0.2))
    with subprocess.Popen(**command(hub, folder)) as process:
        partial = wait_for(lambda: next((p for p in (folder / ".incomplete").glob("*.part") if p.stat().st_size), None))
        process.kill()
    arrived = partial.stat().st_size
    assert get("big", folder).read_bytes() == BIG
    assert hub.requests("blob")[-1][3]["range"] == f"bytes={arrived}-"


def test_a_server_without_ranges_starts_anew(hub, folder):
    hub.faults += [Fault(cut=2**20 + 5), Fault(ignore_range=True)]
    assert get("big", folder).read_bytes() == BIG


def test_a_wrong_body_is_removed(hub, folder):
    hub.faults.append(Fault(flip=True))
    assert "is not the file that was expected" in refused(folder) and "It was removed" in str(refused_again(hub, folder))
    assert not list((folder / ".incomplete").glob("*.part"))


def refused_again(hub, folder):
    hub.faults.append(Fault(flip=True))
    return refused(folder)


def test_a_damaged_part_is_fetched_anew(hub, folder):
    (folder / ".incomplete").mkdir()
    (folder / ".incomplete" / f"{sha256(BIG)[:32]}.part").write_bytes(b"x" * 1000)
    assert get("big", folder).read_bytes() == BIG
    (folder / "big.safetensors").unlink()
    (folder / ".incomplete").mkdir()
    (folder / ".incomplete" / f"{sha256(BIG)[:32]}.part").write_bytes(b"x" * (len(BIG) + 1000))
    assert get("big", folder).read_bytes() == BIG


def test_another_file_on_the_hub_is_not_even_downloaded(hub, folder):
    hub.add("someone/models", "deep/big.safetensors", BIG + b"new version")
    sentence = refused(folder)
    assert "is now another file" in sentence and sha256(BIG) in sentence and not hub.requests("blob")


def test_a_truncated_body_is_kept_and_resumed(hub, folder):
    hub.faults += [Fault(shorten=2**20), Fault(shorten=2**20)]  # two thirds, then nothing more
    sentence = refused(folder)
    assert "did not arrive whole" in sentence and "run the same again to resume" in sentence
    assert get("big", folder).read_bytes() == BIG
    assert hub.requests("blob")[-1][3]["range"] == f"bytes={len(BIG) - 2**20}-"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("hub", "HEAD", status=401), ["needs a login", "HF_TOKEN", "(401)"]),
        (Fault("hub", "HEAD", status=403), ["was refused (403)", "Accept its terms"]),
        (Fault("hub", "HEAD", status=404), ["has no file 'deep/big.safetensors'", "(404)"]),
        (Fault("hub", "HEAD", status=429, retry_after="3600"), ["busy (429)", "in 3600 seconds"]),
        (Fault("hub", "HEAD", times=9, status=503, retry_after="0"), ["busy (503)"]),
        (Fault("blob", "GET", times=9, status=503, retry_after="0"), ["busy (503)", "is kept"]),
        (Fault("hub", "HEAD", status=418), ["answered 418"]),
        (Fault("blob", "GET", status=403), ["refused (403)"]),
    ],
    ids=lambda value: f"{value.host}-{value.status}" if isinstance(value, Fault) else "",
)
def test_refusals(hub, folder, fault, words):
    hub.faults.append(fault)
    sentence = refused(folder)
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize("host", ["hub", "blob"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_waited_for(hub, folder, host, status):
    hub.faults.append(Fault(host, "HEAD" if host == "hub" else "GET", status=status, retry_after="1"))
    started = time.monotonic()
    assert get("big", folder).read_bytes() == BIG
    assert time.monotonic() - started >= 1


def test_waiting_can_be_cancelled(hub, folder):
    hub.faults.append(Fault("hub", "HEAD", status=429, retry_after="50"))

    def progress(done, total):
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        get("big", folder, progress)
    assert time.monotonic() - started < 5


def test_names_that_are_not_there(hub, folder):
    assert "needs a login, or does not exist" in refused(folder, "nobody/models/big.safetensors")
    assert "has no file 'other.bin'" in refused(folder, "someone/models/other.bin")
    assert "has no revision 'v9'" in refused(folder, "someone/models/deep/big.safetensors@v9")
    hub.repos["someone/models"].gated = True
    assert "Accept its terms" in refused(folder)


def test_a_short_stall_is_survived(hub, folder):
    hub.faults.append(Fault(cut=2**20, stall=2))
    assert get("big", folder).read_bytes() == BIG


def test_a_stall_ends_in_a_sentence(hub, folder):
    hub.faults.append(Fault("hub", "HEAD", times=9, cut=0, stall=3, status=0))
    hub.faults.append(Fault("blob", "GET", times=99, cut=0, stall=1.5))
    sentence = refused(folder)
    assert "stopped answering" in sentence and "resume" in sentence and sha256(BIG) in sentence


def test_no_server_at_all(hub, folder):
    hub.close()
    sentence = refused(folder)
    assert "cannot be reached" in sentence and str(folder) in sentence and sha256(BIG) in sentence
    assert f"{hub.url}/someone/models/resolve/main/deep/big.safetensors" in sentence


def test_two_processes_at_once_download_it_once(hub, folder):
    hub.faults.append(Fault(slow=0.1))
    with subprocess.Popen(**command(hub, folder)) as other:
        wait_for(lambda: hub.requests("blob"))
        waited = []
        path = get("big", folder, lambda *counts: waited.append(counts))
        assert waited and path == folder / "big.safetensors" and path.read_bytes() == BIG
        out, err = other.communicate()
    assert out.strip() == str(path), err
    assert len(hub.requests("blob")) == 1
    assert not (folder / ".incomplete").exists()


# By hand


def test_a_file_placed_by_hand_is_known_by_its_hash(hub, folder):
    (folder / "whatever name.bin").write_bytes(BIG)
    (folder / "same size.bin").write_bytes(BIG[::-1])
    assert catalog.find_entry("big", folder).state(folder).value == "downloaded"
    assert get("big", folder) == folder / "whatever name.bin" and not hub.log


def test_a_wrong_file_under_the_right_name_is_left_alone(hub, folder):
    (folder / "big.safetensors").write_bytes(b"the user's own")
    assert "Move it away" in refused(folder)
    assert (folder / "big.safetensors").read_bytes() == b"the user's own"


def test_a_file_that_is_on_no_hub(hub, tmp_path):
    add_entry(tmp_path, url="https://example.org/big.safetensors")
    assert catalog.find_entry("big", tmp_path).state(tmp_path).value == "one file by hand"
    sentence = refused(tmp_path)
    assert all(word in sentence for word in ("https://example.org/big.safetensors", sha256(BIG), str(tmp_path), "any name"))
    assert not hub.log
    (tmp_path / "here").write_bytes(BIG)
    assert get("big", tmp_path) == tmp_path / "here"


def test_a_mirror_helps_out(hub, tmp_path):
    hub.add("spaces/other/copy", "big.bin", BIG)
    add_entry(tmp_path, mirrors=["spaces/other/copy/big.bin"])
    assert get("big", tmp_path).read_bytes() == BIG


# By its place on the Hub


def test_a_file_named_by_its_place(hub, tmp_path):
    hub.add("spaces/someone/demo", "models/small.pt", b"small: its ETag is git's")
    hub.add("someone/models", "deep/big.safetensors", BIG)
    assert get("spaces/someone/demo/models/small.pt", tmp_path).read_bytes() == b"small: its ETag is git's"
    path = get(f"someone/models/deep/big.safetensors@{COMMIT}", tmp_path)
    assert path.name == f"someone--models--deep--big@{COMMIT}.safetensors" and path.read_bytes() == BIG
    hub.log.clear()
    assert get(f"someone/models/deep/big.safetensors@{COMMIT}", tmp_path) == path and not hub.log


def test_a_small_file_is_checked_too(hub, tmp_path):
    hub.add("someone/models", "small.bin", b"small")
    hub.faults.append(Fault("hub", "GET", flip=True))
    assert "is not the file that was expected" in refused(tmp_path, "someone/models/small.bin")


@pytest.mark.parametrize(
    "name",
    ["o/n/../../../etc/passwd", "o/n//etc/passwd", "o/n/a\\b", "o/n/c:x", "../x/y", "o/n/c@../d", "o/n/c@", "o/n/\n", "o/n", "o/n/"],
)
def test_unsafe_names(hub, tmp_path, name):
    with pytest.raises(catalog.ModelError, match=r"not safe|Expected"):
        get(name, tmp_path)
    assert not hub.log and not list(tmp_path.iterdir())


def test_a_link_is_not_written_through(hub, folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "precious"
    (folder / "big.safetensors").symlink_to(outside)  # dangling: replaced, not followed
    assert get("big", folder).read_bytes() == BIG and not outside.exists()
    (folder / "big.safetensors").unlink()
    (folder / ".incomplete").mkdir()
    (folder / ".incomplete" / f"{sha256(BIG)[:32]}.part").symlink_to(outside)
    assert "Nothing was written through it" in refused(folder) and not outside.exists()


# The disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs privileges")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_noticed_before(hub, small_disk):
    hub.add("someone/models", "deep/big.safetensors", BIG)
    add_entry(small_disk)
    sentence = refused(small_disk)
    assert "disk is full" in sentence and "3.2 MB" in sentence and not hub.requests("blob")


def test_a_disk_that_fills_up_meanwhile(hub, small_disk):
    data = os.urandom(1_500_000)
    hub.add("someone/models", "deep/big.safetensors", data)
    add_entry(small_disk, data)

    def progress(done, total):
        if done == 0:
            (small_disk / "other").write_bytes(bytes(1_200_000))

    with pytest.raises(HubError, match=r"disk is full.*Free some space and run the same again"):
        get("big", small_disk, progress)
    assert final_files(small_disk) == ["other"]
    (small_disk / "other").unlink()
    assert get("big", small_disk).read_bytes() == data


def test_a_read_only_folder(hub, small_disk):
    hub.add("someone/models", "deep/big.safetensors", BIG)
    add_entry(small_disk)
    add_entry(small_disk, b"here", "here")
    (small_disk / "placed").write_bytes(b"here")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    sentence = refused(small_disk)
    assert "cannot be written" in sentence and str(small_disk) in sentence and "writable" in sentence
    assert get("here", small_disk) == small_disk / "placed" and not hub.log


# Variables of the environment; most are read when huggingface_hub is imported, so by a process of its own


def command(hub, folder, model="big", **environment):
    code = "import sys; from adain_style_transfer.weights.hub import get; print(get(*sys.argv[1:]))"
    kept = {key: value for key, value in os.environ.items() if not key.upper().endswith("_PROXY") and not key.startswith("HF_")}
    environment = kept | {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "home"), "NO_PROXY": "127.0.0.1"} | environment
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return {"args": [sys.executable, "-c", code, model, str(folder)], "env": environment} | pipes


def run(hub, folder, model="big", **environment):
    found = subprocess.run(**command(hub, folder, model, **environment))
    return found.stdout.strip() if found.returncode == 0 else found.stderr.strip().splitlines()[-1]


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def test_offline_mode(hub, folder, monkeypatch):
    sentence = run(hub, folder, HF_HUB_OFFLINE="1")
    assert "offline mode is on (HF_HUB_OFFLINE)" in sentence and sha256(BIG) in sentence and not hub.log
    assert f"{hub.url}/someone/models/resolve/main/deep/big.safetensors" in sentence and str(folder) in sentence
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "offline mode is on" in refused(folder)
    (folder / "by hand").write_bytes(BIG)
    assert get("big", folder) == folder / "by hand" and not hub.log


def test_token_goes_to_the_hub_and_nowhere_else(hub, folder, monkeypatch):
    hub.repos["someone/models"].token = "hf_secret"
    assert "needs a login" in refused(folder)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert get("big", folder).read_bytes() == BIG
    assert all("authorization" not in entry[3] for entry in hub.requests("blob"))


def test_proxy(hub, folder, monkeypatch):
    close_sessions()  # the next one reads the variables
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.setenv("http_proxy", hub.url)
    point_to("http://hub.invalid", monkeypatch)
    assert get("big", folder).read_bytes() == BIG
    assert {entry[3]["host"] for entry in hub.requests("hub")} == {"hub.invalid"}

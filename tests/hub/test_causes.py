"""The cause of what a broken environment does to a download, in a process of its own and against a local Hub."""

from __future__ import annotations

import importlib.util
import json
import os
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import huggingface_hub
import pytest
import trustme
from adain_style_transfer.weights.download import HubError
from adain_style_transfer.weights.hub import get
from hub.server import Fault, Hub, sha256
from huggingface_hub import constants

BIG = os.urandom(200_000)
REQUESTS = huggingface_hub.__version__.startswith("0.")

# Runs each environment of a list in turn, in children that have the imports of the parent but for huggingface_hub: an import of torch
# for each of thirty environments would take a minute.
RUNNER = """
import json, os, sys
import adain_style_transfer.weights.catalog
for name, variables in json.load(sys.stdin):
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        for key, value in variables.items():
            os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)
        try:
            from adain_style_transfer.adain.errors import AdaINError
            from adain_style_transfer.weights.hub import get
            said = "ok " + get("big", variables["FOLDER"]).name
        except AdaINError as error:
            said = str(error)
        except BaseException as error:
            said = f"RAW {type(error).__name__}: {error}"
        print(json.dumps([name, said]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""

SOCKS = "speaks SOCKS, for which a package is missing. Run `pip install " + ("pysocks`" if REQUESTS else "socksio`")
BUNDLE = "REQUESTS_CA_BUNDLE" if REQUESTS else "SSL_CERT_FILE"

CASES = {
    "nothing wrong": ({}, "ok big.safetensors"),
    "socks": ({"ALL_PROXY": "socks5://127.0.0.1:9"}, f"the proxy of ALL_PROXY {SOCKS}"),
    "socks, lower case": ({"all_proxy": "socks5h://127.0.0.1:9"}, f"the proxy of all_proxy {SOCKS}"),
    "proxy refuses": ({"HTTP_PROXY": "http://127.0.0.1:9"}, "through the proxy of HTTP_PROXY: it refuses the connection. Start the proxy"),
    "proxy without scheme": ({"http_proxy": "127.0.0.1:9"}, "through the proxy of http_proxy: it refuses the connection"),
    "proxy of no scheme": ({"HTTP_PROXY": "htp://127.0.0.1:9"}, "the proxy of HTTP_PROXY is no address that can be used"),
    "proxy's port": ({"HTTP_PROXY": "http://127.0.0.1:port"}, "the proxy of HTTP_PROXY is no address. Give http://HOST:PORT there"),
    "proxy's name": ({"HTTP_PROXY": "http://proxy.invalid:3128"}, "through the proxy of HTTP_PROXY: the proxy's name is not known here"),
    "proxy's login, https": (
        {"HTTPS_PROXY": "http://me:secret@{hub}", "HF_ENDPOINT": "https://{tls}"},
        "through the proxy of HTTPS_PROXY: it wants a name and a password (407). Write http://NAME:PASSWORD@HOST:PORT",
    ),
    "no scheme": ({"HF_ENDPOINT": "{hub}"}, "HF_ENDPOINT is '{hub}'. Give an address that begins with https:// or http://, such as https://{hub}"),
    "wrong scheme": ({"HF_ENDPOINT": "htp://{hub}"}, "Give an address that begins with https:// or http://, or unset it."),
    "no host": ({"HF_ENDPOINT": "https://"}, "HF_ENDPOINT is 'https://'. Give an address"),
    "empty": ({"HF_ENDPOINT": ""}, "HF_ENDPOINT is ''. Give an address"),
    "port": ({"HF_ENDPOINT": "http://127.0.0.1:99999"}, "HF_ENDPOINT is 'http://127.0.0.1:99999'. Give an address"),
    "brackets": ({"HF_ENDPOINT": "http://[::1"}, "HF_ENDPOINT is 'http://[::1'. Give an address"),
    "name": ({"HF_ENDPOINT": "http://hub.invalid"}, "http://hub.invalid cannot be reached: its name is not known here. Go online"),
    "refused": ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached: it refuses the connection. Check"),
    "https to http": ({"HF_ENDPOINT": "https://{hub}"}, "https://{hub} does not speak https. Write http:// in HF_ENDPOINT"),
    "certificate": ({"HF_ENDPOINT": "https://{tls}"}, "the certificate of https://{tls} is not accepted ("),
    "certificate, advice": ({"HF_ENDPOINT": "https://{tls}"}, f"that proxy's certificate and name its file in {BUNDLE}, or download"),
    "certificate given": ({"HF_ENDPOINT": "https://{tls}", BUNDLE: "{folder}/ca.pem"}, "ok big.safetensors"),
    "no bundle": ({"HF_ENDPOINT": "https://{tls}", BUNDLE: "/nowhere.pem"}, f"{BUNDLE} is /nowhere.pem, where there is no file"),
    "junk bundle": ({"HF_ENDPOINT": "https://{tls}", BUNDLE: "{folder}/catalog.toml"}, "which holds no certificates. Give a file of"),
    "hf_transfer": ({"HF_HUB_ENABLE_HF_TRANSFER": "1"}, "ok big.safetensors"),
    "home": ({"HF_HOME": "/dev/null"}, "ok big.safetensors"),
    "home that cannot be made": ({"HF_HOME": "/proc/nowhere"}, "ok big.safetensors"),
    "home, token is a folder": ({"HF_HOME": "{folder}/strange"}, "ok big.safetensors"),
    "home, token is no text": ({"HF_HOME": "{folder}/binary"}, "ok big.safetensors"),
    "token": ({"HF_TOKEN": "hf_ü"}, "The token of HF_TOKEN holds letters that no token has"),
    "time-out": ({"HF_HUB_DOWNLOAD_TIMEOUT": "abc"}, "HF_HUB_DOWNLOAD_TIMEOUT is 'abc'. Give a whole number of seconds"),
    "time-out of questions": ({"HF_HUB_ETAG_TIMEOUT": "1.5"}, "HF_HUB_ETAG_TIMEOUT is '1.5'"),
}  # fmt: skip


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What is said in each of CASES, and what each may name."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    folder = tmp_path_factory.mktemp("models")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    (folder / "strange" / "token").mkdir(parents=True)
    (folder / "binary").mkdir()
    (folder / "binary" / "token").write_bytes(b"\xff\xfe\x00")
    servers = Hub(), Hub(context)
    entry = f'[big]\nrepo_id = "o/n"\n[[big.files]]\npath = "big.safetensors"\nbytes = {len(BIG)}\nsha256 = "{sha256(BIG)}"\n'
    (folder / "catalog.toml").write_text(entry)
    for server in servers:
        server.add("o/n", "big.safetensors", BIG)
    places = {"hub": servers[0].url.split("//")[1], "tls": servers[1].url.split("//")[1], "folder": str(folder)}

    clean = {"HF_ENDPOINT": servers[0].url, "HF_HOME": str(folder / "home"), "HF_TOKEN": None, "NO_PROXY": None, "no_proxy": None}
    clean |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))
    clean |= {name.lower(): None for name in clean if name.endswith("_PROXY")}
    clean |= dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HF_HUB_OFFLINE"))
    jobs = []
    for name, (variables, _) in CASES.items():
        own = folder / name
        own.mkdir()
        (own / "catalog.toml").write_text(entry)
        jobs.append((name, clean | {key: value.format(**places) for key, value in variables.items()} | {"FOLDER": str(own)}))
    with ThreadPoolExecutor(2) as pool:
        lines = [line for out in pool.map(run_jobs, (jobs[::2], jobs[1::2])) for line in out]
    for server in servers:
        server.close()
    return dict(lines), places


def run_jobs(jobs):
    done = subprocess.run([sys.executable, "-c", RUNNER], input=json.dumps(jobs), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_named(said, name):
    if "SOCKS" in CASES[name][1] and importlib.util.find_spec("socks" if REQUESTS else "socksio"):
        pytest.skip("the package for SOCKS is here")
    sentences, places = said
    assert CASES[name][1].format(**places) in sentences[name]
    assert "secret" not in sentences[name]


@pytest.fixture
def folder(hub, tmp_path):
    hub.add("o/n", "big.safetensors", BIG)
    return tmp_path


def refused(folder):
    with pytest.raises(HubError) as caught:
        get("o/n/big.safetensors", folder)
    return str(caught.value)


@pytest.mark.parametrize("place", ["HF_TOKEN", "file"])
def test_a_token_that_has_expired(hub, folder, monkeypatch, place):
    if place == "file":
        (folder / "token").write_text("hf_expired\n")
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    else:
        monkeypatch.setenv("HF_TOKEN", "hf_expired")
    hub.faults += [Fault("hub", "HEAD", times=2, status=401)]
    sentence = refused(folder)
    name = "HF_TOKEN" if place == "HF_TOKEN" else folder / "token"
    assert f"The token of {name} was refused by {hub.url} (401), and o/n is not to be had without one" in sentence

    hub.faults.clear()
    hub.repos["o/n"].refused = "hf_expired"  # a public file: it is had without the token
    assert get("o/n/big.safetensors", folder).read_bytes() == BIG
    assert "authorization" not in hub.requests("hub", "GET")[-1][3]


def test_the_proxy_wants_a_login(hub, folder, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    hub.faults += [Fault("hub", "HEAD", status=407)]
    assert "it wants a name and a password (407)" in refused(folder)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("loop", "redirects in a circle"),
        ("http://[::1", "does not answer like a Hub"),
        ("http://127.0.0.1:9/", "does not answer like a Hub"),
    ],
)
def test_redirects_that_lead_nowhere(hub, folder, location, words):
    hub.faults += [Fault("hub", "HEAD", times=999, location=location)]
    assert words in refused(folder)


def test_a_callbacks_own_exception_comes_through(hub, folder):
    def progress(done, total):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        get("o/n/big.safetensors", folder, progress)

"""A small Hub on 127.0.0.1: the protocol of downloads and of uploads, real files, and faults on demand.

Two servers, as on the Hub itself: one answers for repositories and redirects large files to the other, a blob host that
takes no part in authorisation and honours Range.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@dataclass
class Fault:
    """What goes wrong with the next `times` requests to `host` ("hub" or "blob")."""

    host: str = "blob"
    method: str = "GET"
    times: int = 1
    status: int = 0
    retry_after: str = ""
    cut: int = -1
    """Close the connection after this many bytes of the body."""
    reset: bool = False
    """Close it with a reset instead of an end."""
    stall: float = 0
    """Seconds of silence after `cut` bytes."""
    shorten: int = 0
    """Leave out this many bytes at the end, with a Content-Length that says so."""
    flip: bool = False
    """Change one byte."""
    ignore_range: bool = False
    slow: float = 0
    """Seconds between pieces of 64 kB."""
    location: str = ""
    """Redirect there; "loop" is the address that was asked for."""


@dataclass
class Repo:
    files: dict = field(default_factory=dict)
    token: str = ""
    """The token that is needed to see the repository."""
    refused: str = ""
    """A token that has expired: whoever sends it gets 401, though the repository is public."""
    gated: bool = False
    large: int = 1000
    """Files of at least this size are large: they live on the blob host and their ETag is a sha256."""


class Hub:
    """`repos` by their path (`owner/name`, `spaces/owner/name`), `faults` to come and `log` of (host, method, path, headers)."""

    def __init__(self, tls=None):
        """`tls`: a context with the certificate of a server, to speak https at the hub's address."""
        self.repos, self.faults, self.log, self.blobs = {}, [], [], {}
        self._servers = {host: ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, host)) for host in ("hub", "blob")}
        if tls:
            self._servers["hub"].socket = tls.wrap_socket(self._servers["hub"].socket, server_side=True)
        for server in self._servers.values():
            server.daemon_threads = True
            server.block_on_close = False
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url, self.blob_url = (f"http://127.0.0.1:{self._servers[host].server_port}" for host in ("hub", "blob"))
        self.url = self.url.replace("http:", "https:" if tls else "http:")

    def close(self):
        for server in self._servers.values():
            server.shutdown()
            server.server_close()

    def add(self, repo, path, data, **options):
        """Put a file into a repository, which is made if it is new."""
        self.repos.setdefault(repo, Repo(**options)).files[path] = data
        self.blobs[sha256(data)] = data

    def requests(self, host="", method=""):
        return [entry for entry in self.log if host in ("", entry[0]) and method in ("", entry[1])]

    def fault_for(self, host, method):
        for fault in self.faults:
            if fault.host == host and fault.method == method and fault.times:
                fault.times -= 1
                return fault
        return Fault(times=0)


def _handler(hub, host):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format, *args):
            pass

        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()

        def do_CONNECT(self):  # as a proxy for https
            self.send_error(407)

        def do_POST(self):
            self.upload()

        def do_PUT(self):
            self.upload()

        def answer(self):
            # A proxy gets whole addresses; this server is its own proxy.
            self.path = unquote(urlsplit(self.path).path)
            if host == "hub" and "/resolve/" not in self.path:  # huggingface_hub has questions of its own
                return self.send_error(404)
            hub.log.append((host, self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            self.fault = hub.fault_for(host, self.command)
            with contextlib.suppress(ConnectionError):
                if self.fault.location:
                    return self.send(302, b"", {"Location": self.path if self.fault.location == "loop" else self.fault.location})
                if self.fault.status:
                    return self.refuse(self.fault.status, "", "asked to fail")
                return self.blob() if host == "blob" else self.resolve()

        def refuse(self, status, code, message):
            headers = {"X-Error-Code": code, "X-Error-Message": message, "Retry-After": self.fault.retry_after}
            self.send(status, message.encode(), {key: value for key, value in headers.items() if value})

        def resolve(self):
            found = re.fullmatch(r"/((?:spaces/|datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
            repo = hub.repos.get(found[1]) if found else None
            if found is None or repo is None:
                return self.refuse(401, "RepoNotFound", "Repository not found")
            if repo.token and self.headers.get("Authorization") != f"Bearer {repo.token}":
                return self.refuse(401, "RepoNotFound", "Repository not found")
            if repo.refused and self.headers.get("Authorization") == f"Bearer {repo.refused}":
                return self.refuse(401, "", "Invalid credentials in Authorization header")
            if repo.gated:
                return self.refuse(403, "GatedRepo", "Access to this repository is restricted")
            if found[2] not in ("main", COMMIT):
                return self.refuse(404, "RevisionNotFound", "Invalid rev id")
            if found[3] not in repo.files:
                return self.refuse(404, "EntryNotFound", "Entry not found")
            data = repo.files[found[3]]
            if len(data) < repo.large:
                etag = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
                return self.send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
            headers = {"X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{sha256(data)}"'}
            self.send(302, b"", headers | {"Location": f"{hub.blob_url}/{sha256(data)}?signature=0"})

        def blob(self):
            data = hub.blobs[self.path.strip("/")]
            span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if not span or self.fault.ignore_range:
                return self.send(200, data, {"Accept-Ranges": "bytes"})
            start, stop = int(span[1]), min(int(span[2]) + 1 if span[2] else len(data), len(data))
            if start >= len(data):
                return self.send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            self.send(206, data[start:stop], {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"})

        def send(self, status, body, headers):
            fault = self.fault
            if status < 300 and fault.flip:
                body = bytes([body[0] ^ 1]) + body[1:]
            if status < 300 and fault.shorten:
                body = body[: -fault.shorten]
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if status >= 300 or fault.cut < 0:
                for start in range(0, len(body), 2**16):
                    self.wfile.write(body[start : start + 2**16])
                    time.sleep(fault.slow)
                return
            self.wfile.write(body[: fault.cut])
            self.wfile.flush()
            time.sleep(fault.stall)
            self.close_connection = True
            if fault.reset:
                time.sleep(0.2)  # a reset overtakes what is still in the pipe
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def upload(self):
            """What a commit asks for: the repository, which files are large, where they go, and the commit itself."""
            self.fault = hub.fault_for(host, self.command)
            path, body = urlsplit(self.path).path, self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.log.append((host, self.command, path, {k.lower(): v for k, v in self.headers.items()}))
            if self.fault.status:
                return self.refuse(self.fault.status, "", "asked to fail")
            if host == "blob":
                hub.blobs[path.strip("/")] = body
                return self.reply({})
            if path == "/api/validate-yaml":
                return self.reply({"errors": [], "warnings": []})
            if path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
                hub.repos.setdefault(name, Repo())
                return self.reply({"url": f"{hub.url}/{name}", "id": name, "name": name})
            if path.endswith("/info/lfs/objects/batch"):
                objects = [
                    {**item, "actions": {"upload": {"href": f"{hub.blob_url}/{item['oid']}", "header": {}}}}
                    for item in json.loads(body)["objects"]
                ]
                return self.reply({"transfer": "basic", "objects": objects})
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", path):
                files = [
                    {"path": item["path"], "uploadMode": "lfs" if item["path"].endswith((".safetensors", ".png")) else "regular"}
                    for item in json.loads(body)["files"]
                ]
                return self.reply({"files": [{**item, "shouldIgnore": False, "oid": None} for item in files]})
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
                for line in body.splitlines():
                    item = json.loads(line)
                    if item["key"] == "file":
                        hub.add(found[1], item["value"]["path"], base64.b64decode(item["value"]["content"]))
                    elif item["key"] == "lfsFile":
                        hub.repos[found[1]].files[item["value"]["path"]] = hub.blobs[item["value"]["oid"]]
                return self.reply({"success": True, "commitOid": COMMIT, "commitUrl": f"{hub.url}/{found[1]}/commit/{COMMIT}"})
            return self.refuse(404, "", f"no such call: {path}")

        def reply(self, answer):
            self.send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    return Handler

"""Why the Hub cannot be reached: the cause behind whatever its client raises, and what to do about it.

Which exceptions those are depends on the client's version (requests, httpx) and on the environment: proxies, certificates,
variables. Nothing here imports the client, which fails at its import where a variable is wrong.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from ..adain.errors import ModelError

_NUMBERS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")


class HubError(ModelError):
    """A file that could not be had from the Hub."""


class Cause(NamedTuple):
    """Two halves of an explanation, neither with a full stop."""

    found: str
    advice: str


def check_environment() -> None:
    """Raise HubError for a variable at which huggingface_hub would stumble while it is imported, or later without naming it."""
    for name in _NUMBERS:
        if not re.fullmatch(r"\s*\d*\s*", value := os.environ.get(name, "10")) or not value.strip():
            raise HubError(f"{name} is {value!r}. Give a whole number of seconds, or unset it.")
    endpoint = os.environ.get("HF_ENDPOINT")
    if endpoint is None:
        return
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", endpoint)
    except ValueError:  # a port that is no number, brackets that do not match
        usable = False
    if not usable:
        bare = endpoint.strip()
        hint = f", such as https://{bare}" if re.fullmatch(r"[\w.-]+(:\d+)?(/[\w./-]*)?", bare) else ""
        raise HubError(f"HF_ENDPOINT is {endpoint!r}. Give an address that begins with https:// or http://{hint}, or unset it.")


def cause_of(error: BaseException, endpoint: str) -> Cause | None:
    """Why `endpoint` could not be reached, or None if the reason is not in the way there."""
    chain = list(_chain(error))
    text = " ".join(str(link) for link in chain)
    if cause := _proxy_cause(chain, text, endpoint) or _certificate_cause(chain, text, endpoint):
        return cause
    names = {type(link).__name__ for link in chain}
    if _holds(chain, socket.gaierror):
        return Cause(f"{endpoint} cannot be reached: its name is not known here", "Go online, check HF_ENDPOINT if it is set")
    if _holds(chain, ConnectionRefusedError):
        return Cause(f"{endpoint} cannot be reached: it refuses the connection", "Check HF_ENDPOINT and the firewall")
    if "ConnectTimeout" in names:
        return Cause(f"{endpoint} cannot be reached: it does not answer in time", "Go online, check the proxy and the firewall")
    if _holds(chain, RecursionError) or "TooManyRedirects" in names:
        return Cause(f"{endpoint} redirects in a circle", "Check HF_ENDPOINT and the proxy")
    if names & {"ConnectError", "ConnectionError"} and not names & {"ReadTimeoutError"}:  # of httpx and requests
        reason = next((str(link.strerror) for link in chain if isinstance(link, OSError) and link.strerror), "")
        return Cause(f"{endpoint} cannot be reached{f' ({reason})' if reason else ''}", "Go online")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what led to it, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _holds(chain: Iterable[BaseException], kind: type[BaseException]) -> bool:
    return any(isinstance(link, kind) for link in chain)


# Proxies


def _proxy_cause(chain: list[BaseException], text: str, endpoint: str) -> Cause | None:
    if "SOCKS" in text and ("socksio" in text or "Missing dependencies" in text):
        package = "socksio" if "socksio" in text else "pysocks"
        place = _variable(lambda value: value.startswith("socks")) or _SYSTEM
        return Cause(f"the proxy of {place} speaks SOCKS, for which a package is missing", f"Run `pip install {package}`, or unset {place}")
    if "proxy" in text.lower() and re.search(r"[Uu]nknown scheme|unsupported scheme", text):
        place = _variable(lambda value: not re.match(r"(https?|socks[45][ah]?)://", value)) or _SYSTEM
        return Cause(
            f"the proxy of {place} is no address that can be used", f"Give http://HOST:PORT or socks5://HOST:PORT there, or unset {place}"
        )
    if broken := _variable(_is_no_address):
        return Cause(f"the proxy of {broken} is no address", f"Give http://HOST:PORT there, or unset {broken}")
    place = _proxy_for(endpoint)
    if place is None:
        return None
    through = f"{endpoint} cannot be reached through the proxy of {place}"
    if re.search(r"\b407\b", text):
        return Cause(f"{through}: it wants a name and a password (407)", f"Write http://NAME:PASSWORD@HOST:PORT in {place}, or unset it")
    if _holds(chain, socket.gaierror):
        return Cause(f"{through}: the proxy's name is not known here", f"Correct {place}, or unset it")
    if _holds(chain, ConnectionRefusedError):
        return Cause(f"{through}: it refuses the connection", f"Start the proxy, correct {place}, or unset it")
    if any(type(link).__name__ in ("ProxyError", "ConnectTimeout") for link in chain):
        return Cause(f"{through} ({chain[-1]})", f"Correct {place}, or unset it")
    return None


def _is_no_address(value: str) -> bool:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return not parts.hostname or parts.port == 0
    except ValueError:
        return True


_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")
_SYSTEM = "the system's settings"


def _variable(holds: Callable[[str], bool]) -> str | None:
    """The first proxy variable whose value `holds` is true of."""
    return next((name for name in _VARIABLES if (value := os.environ.get(name)) and holds(value)), None)


def _proxy_for(url: str) -> str | None:
    """Where the proxy for `url` is set, or None if there is none. Its address may hold a password and is not told."""
    parts = urlsplit(url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = urllib.request.getproxies()
    address = proxies.get(parts.scheme) or proxies.get("all")
    if not address:
        return None
    return _variable(lambda value: value == address) or _SYSTEM


# Certificates


def _certificate_cause(chain: list[BaseException], text: str, endpoint: str) -> Cause | None:
    involved = [link for link in chain if isinstance(link, ssl.SSLError) or type(link).__name__ == "SSLError"]
    if not involved and not any(_about_a_bundle(link) for link in chain):
        return None
    of_requests = "CA certificate bundle" in text or any(type(link).__module__.startswith("requests") for link in chain)
    variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if of_requests else ("SSL_CERT_FILE", "SSL_CERT_DIR")
    for name in variables:
        if (value := os.environ.get(name)) and (fault := _bundle_fault(value)):
            return Cause(f"{name} is {value}, {fault}", f"Give a file of certificates in PEM form there, or unset {name}")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        detail = found[1] if (found := re.search(r"verify failed: ([^(]+?) \(", text)) else "it could not be verified"
        if "expired" in detail or "not yet valid" in detail:
            return Cause(f"the certificate of {endpoint} is not accepted ({detail})", "Check this computer's date and time")
        return Cause(
            f"the certificate of {endpoint} is not accepted ({detail}), as behind a proxy that reads along",
            f"Ask for that proxy's certificate and name its file in {variables[0]}",
        )
    if "WRONG_VERSION_NUMBER" in text:
        return Cause(f"{endpoint} does not speak https", "Write http:// in HF_ENDPOINT if it is a server of your own, and check the proxy")
    return Cause(f"a safe connection to {endpoint} cannot be made ({involved[-1] if involved else chain[-1]})", "Check the proxy")


def _about_a_bundle(error: BaseException) -> bool:
    """Whether an error that names no file, or speaks of certificates, is what a missing bundle gives."""
    nameless = isinstance(error, FileNotFoundError) and error.filename is None
    return nameless or "CA certificate bundle" in str(error)


def _bundle_fault(path: str) -> str:
    if not os.path.exists(path):
        return "where there is no file"
    try:
        if os.path.isfile(path):
            ssl.create_default_context(cafile=path)
    except OSError:
        return "which holds no certificates"
    return ""

"""Whatever proxy the environment names, the app talks to itself without one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_proxy() -> Iterator[None]:
    """Keep proxies from the client that gradio makes when it is imported, and from what it asks of its own server while it starts.

    Downloads go through the proxy as before and after. One that the client cannot use does not keep the app from starting.
    """
    names = ("NO_PROXY", "no_proxy")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "*"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

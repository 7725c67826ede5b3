"""The demo app in a browser: one photograph, up to four styles. Needs gradio, the extra `app`."""

from .proxy import no_proxy

with no_proxy():
    from .page import build, launch

__all__ = ["build", "launch"]

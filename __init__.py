"""The ComfyUI door of AdaIN Style Transfer. Everything else is imported only when ComfyUI asks for the nodes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes import AdaINExtension

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> AdaINExtension:
    """Called by ComfyUI once, to get the pack's nodes."""
    try:
        from .nodes import AdaINExtension
    except Exception:
        logging.exception("AdaIN Style Transfer could not be loaded")  # ComfyUI itself prints one line, without the traceback
        raise
    return AdaINExtension()

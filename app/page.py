"""The page: controls, the before/after slider, the queue. All of it is served by this process, nothing by anyone else."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args

from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response

from ..adain import AdaINError
from ..adain.affine import MOST_STRENGTH
from ..adain.color import ColorMode
from ..adain.refine import Finish
from ..weights import EMBEDDED, preset_names
from ..weights.presets import FIRST_PRESET
from ..weights.samples import sample_path
from . import painting
from .proxy import no_proxy

with no_proxy():
    import gradio as gr

_STYLES = 4
_SIDES = [("as it is", 0), ("512", 512), ("768", 768), ("1024", 1024), ("1536", 1536), ("2048", 2048)]
_EXAMPLES = (("coffee", FIRST_PRESET, 1.0), ("astronaut", "kuniyoshi", 1.0), ("cat", "cafe-terrace", 0.8))

_COLORS = {"style": "the style's", "keep": "the photograph's, kept", "match": "the photograph's, matched"}

_POLICY = "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
"""Content security policy: the browser asks no other server for anything, whatever gradio's page may contain."""


def build() -> gr.Blocks:
    """The app, to be launched by `launch` or by a Hugging Face Space."""
    with gr.Blocks(title="AdaIN Style Transfer", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown("# AdaIN Style Transfer\nA photograph in the style of one picture, or of a blend of up to four.")
        with gr.Row():
            with gr.Column():
                content = _picture("Photograph", 320)
                strength = gr.Slider(
                    0, MOST_STRENGTH, 1, step=0.05, label="Strength", info="0: the photograph, 1: the full style, 2: bolder strokes"
                )
                color = gr.Radio([(_COLORS[mode], mode) for mode in get_args(ColorMode)], value="style", label="Colours")
                with gr.Row():
                    size = gr.Dropdown(_SIDES, value=768, label="Short side", info="larger photographs are scaled down to it")
                    model = gr.Dropdown(painting.model_choices(), value=next(iter(EMBEDDED)), label="Model")
            with gr.Column():
                result = gr.ImageSlider(label="Before and after", type="filepath", format="png", interactive=False, height=480)
                with gr.Row():
                    run = gr.Button("Paint", variant="primary")
                    finish = gr.Button("Finish")
                    stop = gr.Button("Stop")
                    download = gr.DownloadButton("Download", interactive=False)
        with gr.Row():
            styles = [_style(i) for i in range(_STYLES)]
        controls = [content, strength, color, size, model, *(part for style in styles for part in style)]
        painted = run.click(_paint, controls, [result, download], concurrency_limit=1, api_name="paint")
        finished = finish.click(
            partial(_paint, finish=Finish("draft")), controls, [result, download], concurrency_limit=1, api_name="finish"
        )
        stop.click(None, cancels=[painted, finished], queue=False)
        gr.Examples([[str(sample_path(name)), preset, amount] for name, preset, amount in _EXAMPLES], [content, styles[0][1], strength])
    return page.queue(max_size=20)


def launch(host: str = "127.0.0.1", port: int = 7860, *, block: bool = True) -> gr.Blocks:
    """Serve the app at http://`host`:`port`, until interrupted if `block`. Raises AdaINError if it cannot be served there."""
    page = build()
    try:
        with no_proxy():
            page.launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                ssr_mode=False,
                footer_links=[],
                max_file_size="100mb",
                app_kwargs={"middleware": [Middleware(BaseHTTPMiddleware, dispatch=_with_policy)]},
            )
    except (OSError, OverflowError) as error:  # OverflowError: no port has that number
        raise AdaINError(
            f"The app cannot be served at {host}:{port}: the port is taken, or the address is none of this machine's. "
            "Choose another --port or --host."
        ) from error
    if block:
        page.block_thread()
    return page


async def _with_policy(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await proceed(request)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _style(number: int) -> tuple[gr.Image, gr.Dropdown, gr.Slider]:
    """Controls of one style of the blend."""
    with gr.Column(min_width=160):
        picture = _picture(f"Style {number + 1}", 200)
        preset = gr.Dropdown(
            [("none", ""), *preset_names()], value=FIRST_PRESET if number == 0 else "", label="or a preset", info="a picture goes first"
        )
        weight = gr.Slider(0, 1, 1, step=0.05, label="Weight")
    return picture, preset, weight


def _picture(label: str, height: int) -> gr.Image:
    image = gr.Image(label=label, type="filepath", image_mode=None, sources=["upload", "clipboard"], height=height)
    # gradio would open the file itself, and say no more than "Error" of one that is no image.
    setattr(image, "preprocess", _path_of)  # noqa: B010 - not as a method, which pyright would compare with gradio's
    return image


def _path_of(payload: Any) -> str | None:
    return payload.path if payload else None


def _paint(
    content: str | None,
    *values: Any,
    finish: Finish | None = None,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 - gradio finds it here
) -> Iterator[tuple[tuple[str, str], gr.DownloadButton]]:
    """Paint with the values of all controls, which gradio gives one by one.

    The pictures are yielded once: gradio copies them to its own cache, which it clears, and then asks for more.
    """
    strength, color, size, model, *styles = values
    if content is None:
        raise gr.Error("There is no photograph. Upload one, or choose an example.", title="Nothing to paint", print_exception=False)
    given = [
        painting.Ingredient(Path(picture) if picture else None, preset or None, weight)
        for picture, preset, weight in zip(styles[::3], styles[1::3], styles[2::3], strict=True)
        if picture or preset
    ]
    with tempfile.TemporaryDirectory(prefix="adain-") as folder:
        try:
            done = painting.paint(
                Path(content),
                given,
                strength=strength,
                color=color,
                size=size,
                model=model,
                folder=Path(folder),
                progress=lambda share, what: progress(share, desc=what),
                finish=finish,
            )
        except AdaINError as error:
            # Of the folder of uploads a visitor knows nothing.
            sentence = str(error)
            for path in (content, *(picture for picture in styles[::3] if picture)):
                sentence = sentence.replace(path, Path(path).name)
            raise gr.Error(sentence, title="This cannot be painted", duration=None, print_exception=False) from error
        yield (str(done.before), str(done.after)), gr.DownloadButton(value=str(done.after), interactive=True)

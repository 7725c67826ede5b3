"""The static page in Chromium beside ONNX Runtime and the library: `python benchmarks/static_page.py PAGE`.

PAGE is a folder that `adain app --static --out PAGE` wrote. Milliseconds a picture (squares, median after a warm-up) with WebAssembly in
one thread and in several, ONNX Runtime's CPU kernels and PyTorch in float32; then the bytes that are fetched until the first picture is
there, compressed, and the seconds from a click on a style to the picture at 512 x 512. Needs playwright, a Chromium (CHROMIUM, else the one
on the PATH), and the extra `onnx`.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import onnxruntime
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.app.static_server import static_server
from adain_style_transfer.export import export_model, style_vector
from playwright.sync_api import Browser, Page, sync_playwright

PRESET = "great-wave"

PAINT = """async ([worker, side, repeats, name]) => {
  const painter = new Worker(worker, { type: 'module' })
  let count = 0
  const ask = (kind, asked) => new Promise((resolve, reject) => {
    const id = ++count
    painter.addEventListener('message', ({ data }) => data.id === id && ('problem' in data ? reject(data.detail) : resolve(data.answer)))
    painter.postMessage({ id, kind, ...asked })
  })
  const { engine, presets } = await ask('open', { base: document.baseURI })
  const noise = new Uint8ClampedArray(4 * side * side).map((_, i) => i % 4 === 3 ? 255 : 256 * Math.random())
  await ask('photo', { bitmap: await createImageBitmap(new ImageData(noise, side, side)) })
  const style = Float32Array.from(presets.find(preset => preset.name === name).style)
  const times = []
  for (let i = 0; i <= repeats; i++) {
    const began = performance.now()
    await ask('paint', { subject: side, look: { style, strength: 1 } })
    times.push(performance.now() - began)
  }
  painter.terminate()
  return [`page, ${engine.kind}, threads: ${engine.threads}`, times.slice(1)]
}"""


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


class _Plain(SimpleHTTPRequestHandler):
    """Without the headers that give a page threads."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def opened(browser: Browser, folder: Path, threads: bool) -> Iterator[tuple[Page, list[str]]]:
    """The page when it has painted once, and the paths that it has asked for until then."""
    plain = functools.partial(_Plain, directory=str(folder))
    with serving(static_server(folder, "127.0.0.1", 0) if threads else ThreadingHTTPServer(("127.0.0.1", 0), plain)) as address:
        context = browser.new_context(service_workers="block")
        asked: list[str] = []
        context.on("request", lambda request: asked.append(urlsplit(request.url).path))
        page = context.new_page()
        page.goto(address)
        painted(page)
        yield page, list(asked)
        context.close()


def painted(page: Page, before: str = "") -> None:
    page.wait_for_selector(f"body[data-painted]:not([data-painted='']):not([data-painted='{before}'])", timeout=120_000)


def timed(function: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of every call but a first one."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - began))
    return times[1:]


def elsewhere(sizes: list[int], repeats: int) -> Iterator[tuple[str, int, list[float]]]:
    """(name, side, milliseconds) of the library and of ONNX Runtime, outside of browsers."""
    model = weights.load_model(device="cpu", dtype=torch.float32)
    style = weights.load_preset(model, PRESET)
    pictures = {side: torch.rand(1, 3, side, side) for side in sizes}
    for side, picture in pictures.items():
        yield f"torch float32, threads: {torch.get_num_threads()}", side, timed(lambda p=picture: adain.stylize(model, p, style), repeats)
    with tempfile.TemporaryDirectory() as folder:
        file, _ = export_model(model, Path(folder, "model.onnx"), {})
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        for side, picture in pictures.items():
            feeds = {"picture": picture.numpy(), "style": style_vector(style).numpy(), "strength": np.ones(1, np.float32)}
            yield f"onnxruntime CPU, threads: {os.cpu_count()}", side, timed(lambda f=feeds: session.run(None, f), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, metavar="PAGE", help="what `adain app --static --out PAGE` wrote")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    def tell(run: str, side: int, times: list[float]) -> None:
        print(f"{run:34} {side:5d} {statistics.median(times):9.0f} {min(times):9.0f}", flush=True)

    print(f"{'run':34} {'side':>5} {'median ms':>9} {'least':>9}")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for threads in (False, True):
            with opened(browser, options.page, threads) as (page, asked):
                worker = next(path for path in asked if "worker" in path)
                for side in options.sizes:
                    run, times = page.evaluate(PAINT, [worker, side, options.repeats, PRESET])
                    tell(run, side, times)
                if not threads:
                    continue
                files = {path.lstrip("/") or "index.html" for path in asked}
                sizes = {name: len(gzip.compress((options.page / name).read_bytes())) for name in files if (options.page / name).is_file()}
                clicks = []
                page.locator(".sample").nth(1).click()  # 512 x 512
                for name in (PRESET, "the-scream", PRESET):
                    before = page.locator("body").get_attribute("data-painted") or ""
                    painted(page)
                    began = time.perf_counter()
                    page.locator(f".card[data-name='{name}']").click()
                    painted(page, before)
                    clicks.append(time.perf_counter() - began)
        browser.close()
    for run, side, times in elsewhere(options.sizes, options.repeats):
        tell(run, side, times)
    print(f"until the first picture: {sum(sizes.values()) / 1e6:.2f} MB, compressed, in {len(sizes)} files")
    print(f"from click to picture at 512 x 512: {statistics.median(clicks):.2f} s")


if __name__ == "__main__":
    main()

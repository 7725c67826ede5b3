"""Make the picture of the app for the README: `python tests/app_screenshot.py docs/images/app.jpg`."""

from __future__ import annotations

import io
import sys

from adain_style_transfer.app.page import launch
from adain_style_transfer.weights.samples import sample_path
from comfy.browser import empty_page
from PIL import Image

PORT = 7866


def main(out: str) -> None:
    app = launch(port=PORT, block=False)
    with empty_page(1280, 1000) as page:
        page.goto(f"http://127.0.0.1:{PORT}", timeout=120_000)
        page.locator("input[type=file]").first.set_input_files(sample_path("astronaut"), timeout=120_000)
        for slot, preset in ((0, "the-scream"), (1, "water-lilies")):
            page.get_by_label("or a preset").nth(slot).click()
            page.get_by_role("option", name=preset, exact=True).last.click()  # the list of an earlier slot may still fade
        page.wait_for_timeout(1000)
        page.get_by_role("button", name="Paint").click()
        page.wait_for_function("[...document.querySelectorAll('img')].some(i => i.src.includes('-painted'))", timeout=120_000)
        page.wait_for_timeout(2000)
        shot = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": 1280, "height": 1140})
    app.close()
    Image.open(io.BytesIO(shot)).convert("RGB").save(out, quality=85)


if __name__ == "__main__":
    main(sys.argv[1])

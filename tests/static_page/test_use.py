"""What the page is like to use."""

from __future__ import annotations

import pytest
from adain_style_transfer.app.static_server import static_server
from static_page.visits import download, open_photo, painted, serving, visit


def test_the_slider_is_moved_by_keys(page):
    handle = page.get_by_role("slider", name="Before and after")
    handle.focus()
    seen = []
    for key in ("Home", "ArrowRight", "ArrowUp", "PageUp", "ArrowLeft", "End", "PageDown"):
        page.keyboard.press(key)
        seen.append(int(handle.get_attribute("aria-valuenow")))
    assert seen == [0, 2, 4, 14, 12, 100, 90]
    box = page.locator("#stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 20)
    assert handle.get_attribute("aria-valuenow") == "25"


def test_styles_are_searched_for(page):
    page.get_by_label("Artist, title or kind of art").fill("van gogh night")
    assert page.locator("#gallery button.card:visible").evaluate_all("cards => cards.map(card => card.dataset.name)") == [
        "starry-night",
        "cafe-terrace",
    ]
    page.get_by_label("Artist, title or kind of art").fill("nobody")
    assert page.locator("#nothing").is_visible()
    page.get_by_label("Artist, title or kind of art").fill("")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(site, browser, scheme):
    """Names, roles, order and contrast, by WCAG 2.2 AA."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python: pip install .[test]").Axe()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    with serving(static_server(site, "127.0.0.1", 0)) as address, visit(browser, address, color_scheme=scheme) as page:
        painted(page)
        found = axe.run(page, options=rules).response
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
        assert "color-contrast" in [one["id"] for one in found["passes"]]


@pytest.mark.parametrize("width", [320, 390, 820])
def test_nothing_hangs_over_on_phones_and_tablets(site, browser, width):
    with serving(static_server(site, "127.0.0.1", 0)) as address:
        for locale in ("en-US", "ja-JP"):
            with visit(browser, address, viewport={"width": width, "height": 800}, locale=locale) as page:
                painted(page)
                assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_slider_that_is_let_go_where_it_was(page):
    """While it is dragged a draft is shown; not after."""
    page.locator(".sample").nth(0).click()
    painted(page)
    sides = "canvas => Math.max(canvas.width, canvas.height)"
    whole = page.locator("#after").evaluate(sides)
    box = page.locator("#strength").bounding_box()
    middle, height = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle, height)
    page.mouse.down()
    page.mouse.move(middle + 60, height)
    page.wait_for_selector("#strength-value:not(:text-is('1.00'))")
    page.mouse.move(middle, height)
    page.wait_for_selector("#strength-value:text-is('1.00')")
    page.mouse.up()
    painted(page)
    assert page.locator("#after").evaluate(sides) == whole > 384


def test_it_speaks_the_visitors_language(site, browser):
    with serving(static_server(site, "127.0.0.1", 0)) as address:
        for locale, words in (("zh-CN", "打开照片"), ("ja-JP", "写真を開く"), ("de-DE", "Open a photograph")):
            with visit(browser, address, locale=locale) as page:
                assert page.locator("#sources label").inner_text() == words
                page.locator("#language").select_option("ja")
                assert page.locator("#save").inner_text() == "PNG をダウンロード" and page.title() == "AdaIN スタイル変換"
                painted(page)
                assert "スレッドで描いています" in page.inner_text("#engine")
                page.locator("#file").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
                page.locator("#problem", has_text="画像ではありません").wait_for()
                page.locator("#language").select_option("en")
                assert "This is not a picture" in page.inner_text("#problem")
                page.locator("#search").fill("浮世絵")
                assert page.locator("#nothing").is_visible()
                page.locator("#language").select_option("ja")
                assert page.locator("#gallery button.card:visible").count() == 3


def test_the_camera(site, browser):
    with serving(static_server(site, "127.0.0.1", 0)) as address, visit(browser, address, permissions=["camera"]) as page:
        painted(page)
        page.locator("#camera").click()
        page.locator("#rate", has_text="pictures a second").wait_for(timeout=60_000)
        assert page.locator("#after").evaluate("canvas => Math.max(canvas.width, canvas.height)") == 320
        page.locator("#take").click()
        page.wait_for_selector("#sources:visible")
        assert download(page).suggested_filename == "camera-red-horse.png"


def test_a_camera_that_is_closed(site, browser, files):
    """The visitor's photograph is there again; meanwhile it cannot be downloaded, and the keyboard stays where it was."""
    focus = "document.activeElement.id"
    with serving(static_server(site, "127.0.0.1", 0)) as address, visit(browser, address, permissions=["camera"]) as page:
        painted(page)
        open_photo(page, files / "photo.png")
        before = page.locator("#after").evaluate("canvas => canvas.toDataURL()")
        for _ in range(2):  # and again, within a frame
            page.locator("#camera").press("Enter")
            page.locator("#rate", has_text="pictures a second").wait_for(timeout=60_000)
            assert page.evaluate(focus) == "take" and not page.locator("#save").is_visible()
            page.locator("#close").press("Enter")
            assert page.evaluate(focus) == "camera"
        painted(page)
        assert page.locator("#after").evaluate("canvas => canvas.toDataURL()") == before
        assert download(page).suggested_filename.startswith("photo-")


def test_a_camera_whose_pictures_cannot_be_painted(site, browser):
    """It is closed, the reason is said, and a photograph is there again."""
    with serving(static_server(site, "127.0.0.1", 0)) as address, visit(browser, address, permissions=["camera"]) as page:
        painted(page)
        page.locator("#camera").click()
        page.locator("#rate", has_text="pictures a second").wait_for(timeout=60_000)
        before = page.locator("body").get_attribute("data-painted")
        page.evaluate("""() => {
          const read = CanvasRenderingContext2D.prototype.getImageData
          CanvasRenderingContext2D.prototype.getImageData = function () {
            CanvasRenderingContext2D.prototype.getImageData = read
            throw new RangeError('Out of memory')
          }
        }""")
        page.locator("#problem", has_text="The memory of this device was not enough").wait_for()
        painted(page, before)
        assert page.locator("#video").evaluate("video => video.srcObject") is None
        assert page.locator("#sources").is_visible() and page.locator("#problem").is_visible()
        assert "red-horse" in download(page).suggested_filename


def test_a_camera_that_is_not_allowed(page, files):
    """The photograph stays."""
    open_photo(page, files / "photo.png")
    page.locator("#camera").click()
    page.locator("#problem", has_text="The camera was not allowed").wait_for()
    assert download(page).suggested_filename.startswith("photo-") and page.locator("#camera").is_enabled()

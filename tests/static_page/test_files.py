"""Files that visitors have."""

from __future__ import annotations

import pytest
import samples
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.media.images import to_pil
from PIL import Image
from static_page.visits import choose, open_photo, painted, plain_server, serving, visit


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    picture = samples.picture(300, 300)
    adain.write_picture(folder / "whole.png", picture)
    data = (folder / "whole.png").read_bytes()
    (folder / "damaged.png").write_bytes(data[:60] + bytes(3000))
    (folder / "notes.png").write_text("no picture")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + data)
    (folder / "scan.tif").write_bytes(b"II*\0" + data)
    (folder / "camera.cr2").write_bytes(b"II*\0\x10\0\0\0CR" + data)
    return folder


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("notes.png", "This is not a picture. Choose a JPEG"),
        ("damaged.png", "This picture is damaged"),
        ("empty.jpg", "This file is empty"),
        ("phone.heic", "cannot read HEIC photographs. Save it as JPEG"),
        ("scan.tif", "cannot read TIFF"),
        ("camera.cr2", "cannot read raw photographs"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(page, bad, files, name, words):
    for place in ("#file", "#own"):
        page.locator(place).set_input_files(bad / name)
        page.locator("#problem", has_text=words).wait_for()
        open_photo(page, files / "photo.png")  # which takes the sentence away
        assert not page.locator("#problem").is_visible()


def test_a_bad_file_stops_no_painting(page, bad, files):
    open_photo(page, files / "photo.png")
    before = page.locator("body").get_attribute("data-painted")
    choose(page, "adele")
    page.locator("#file").set_input_files(bad / "notes.png")
    page.locator("#problem", has_text="This is not a picture").wait_for()
    painted(page, before)


def test_of_what_moves_the_first_picture_is_painted(page, files):
    frames = [to_pil(samples.picture(40, 60, seed=i)) for i in range(3)]
    for name in ("moving.gif", "moving.png", "moving.webp"):
        frames[0].save(files / name, save_all=True, append_images=frames[1:])
        open_photo(page, files / name)
        assert "Its first image is painted" in page.inner_text("#notice")
    open_photo(page, files / "photo.png")
    assert not page.locator("#notice").is_visible()
    page.locator("#own").set_input_files(files / "moving.gif")
    page.locator("#notice", has_text="Its first image is the style").wait_for()


def test_larger_photographs_than_a_browser_holds(page, files):
    Image.new("RGB", (12_000, 9_000), "#808060").save(files / "huge.jpg")
    open_photo(page, files / "huge.jpg")
    assert "12000 × 9000 pixels, more than a browser holds. It is painted at 11547 × 8660" in page.inner_text("#notice")
    open_photo(page, files / "photo.png")


def test_of_two_photographs_the_last_one_stays(page, files):
    """However long the first one takes to be read."""
    Image.open(weights.samples.sample_path("coffee")).resize((9000, 6700)).save(files / "slow.jpg")
    page.locator("#file").set_input_files(files / "slow.jpg")
    open_photo(page, files / "photo.png")
    page.wait_for_timeout(5000)
    assert page.locator("#size option").all_inner_texts() == ["300 × 211 (full size)"]
    assert page.locator("#after").evaluate("canvas => [canvas.width, canvas.height]") == [300, 211]


def test_pictures_that_come_before_the_model(site, browser, files):
    """A photograph is not replaced by the page's own, and a painting waits for what measures it."""
    late = ["content.json", "model.json"]
    with serving(plain_server(site, late)) as address, visit(browser, address, service_workers="block") as page:
        page.locator("#file").set_input_files(files / "photo.png")
        page.locator("#own").set_input_files(files / "art.png")
        page.wait_for_selector(".card[data-name^=own][aria-pressed=true]", timeout=60_000)
        page.wait_for_selector(".card[data-name=red-horse]", timeout=60_000)
        painted(page)
        assert page.locator("#size option").all_inner_texts() == ["300 × 211 (full size)"]
        assert page.locator(".card[data-name=red-horse]").get_attribute("aria-pressed") == "false"
        page.said[:] = [line for line in page.said if "Service Worker" not in line]


def test_photographs_of_phones(page, files):
    """Sixty megapixels, on their side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(weights.samples.sample_path("coffee")).resize((9000, 6700)).save(files / "phone.jpg", exif=exif)
    open_photo(page, files / "phone.jpg")
    assert page.locator("#size option").all_inner_texts()[-1] == "6700 × 9000 (full size)"
    open_photo(page, files / "photo.png")


def test_a_photograph_is_dropped_and_pasted(page, files):
    script = """async ([kind, bytes]) => {
      const transfer = new DataTransfer()
      transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.png', {type: 'image/png'}))
      const given = kind === 'drop' ? new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true})
                                    : new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true})
      document.querySelector('#stage').dispatchEvent(given)
    }"""
    for kind in ("drop", "paste"):
        page.evaluate(script, [kind, list((files / "art.png").read_bytes())])
        page.wait_for_selector("#size option:has-text('130 × 90')", state="attached")
        open_photo(page, files / "photo.png")

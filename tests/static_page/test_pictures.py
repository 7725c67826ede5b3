"""What the page paints, against the library."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from static_page.visits import choose, difference, download, open_photo, painted


def test_a_preset_a_strength_and_a_blend_equal_the_librarys(page, files, model):
    open_photo(page, files / "photo.png")
    photo = adain.read_picture(files / "photo.png")
    great_wave, scream = (weights.load_preset(model, name) for name in ("great-wave", "the-scream"))
    choose(page, "great-wave")
    apart, name = difference(page, adain.stylize(model, photo, great_wave))
    assert apart < 2 and name == "photo-great-wave.png"
    for strength in (0.5, 1.6):
        page.locator("#strength").fill(str(strength))
        assert difference(page, adain.stylize(model, photo, great_wave, strength=strength))[0] < 2
    page.locator("#strength").fill("1")
    choose(page, "the-scream", slot=1)
    page.locator("#weight").fill("25")
    painted(page)
    blend = adain.Style.blend([great_wave, scream], [0.75, 0.25])
    assert difference(page, adain.stylize(model, photo, blend))[0] < 2
    page.locator(".remove").click()
    painted(page)


def test_a_painting_of_ones_own_equals_the_librarys(page, files, model):
    open_photo(page, files / "photo.png")
    page.locator("#own").set_input_files(files / "art.png")
    page.wait_for_selector(".card[data-name^=own][aria-pressed=true]", timeout=60_000)
    style = model.encode_style(adain.read_picture(files / "art.png"))
    assert difference(page, adain.stylize(model, adain.read_picture(files / "photo.png"), style))[0] < 2


@pytest.fixture(scope="module")
def large(files):
    """Four megapixels, with soft and hidden parts."""
    photo = adain.read_picture(weights.samples.sample_path("coffee"))
    rgb = torch.nn.functional.interpolate(photo.rgb, (1640, 2460), mode="bicubic").clamp(0, 1)
    alpha = torch.nn.functional.interpolate(samples.soft_mask(41, 60), (1640, 2460), mode="bilinear")
    alpha[..., :700, 1500:] = 0
    adain.write_picture(files / "large.png", rgb, alpha)
    return files / "large.png"


def test_a_large_download_in_tiles_equals_the_librarys(page, large, model):
    open_photo(page, large)
    choose(page, "red-horse")
    assert page.locator("#size").input_value() == "2460"
    assert page.locator("#size option").all_inner_texts() == ["768 × 512 (as shown)", "2048 × 1365", "2460 × 1640 (full size)"]
    found = adain.read_picture(download(page).path())
    photo = adain.read_picture(large)
    in_bytes = (photo.rgb * 255).round() / 255  # as the page holds hidden pixels too
    expected = adain.stylize(model, replace(photo, rgb=in_bytes), weights.load_preset(model, "red-horse"))
    assert found.rgb.shape == expected.shape and found.alpha is not None and photo.alpha is not None
    assert (found.alpha - photo.alpha).abs().max() < 0.5 / 255
    assert ((found.rgb - expected) * (photo.alpha > 0)).abs().max() * 255 < 2
    assert "2460 × 1640" in page.inner_text("#status")


def test_a_download_is_cancelled(page, large, files):
    open_photo(page, large)
    page.locator("#save").click()
    page.locator("#cancel").click()
    page.get_by_text("The download was cancelled.").wait_for(timeout=60_000)
    assert page.locator("#save").is_visible() and not page.locator("#progress").is_visible()
    open_photo(page, files / "photo.png")  # and the page goes on
    assert download(page).suggested_filename.startswith("photo-")

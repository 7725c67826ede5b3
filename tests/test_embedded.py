"""What ships in the repository: the embedded model, its presets and the sample pictures."""

from __future__ import annotations

import pytest
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.color import luma
from adain_style_transfer.adain.media.contact_sheet import contact_sheet
from adain_style_transfer.adain.media.lettering import _SYSTEM_FONTS, font_for
from adain_style_transfer.adain.moments import color_statistics
from adain_style_transfer.weights.presets import preset_names, preset_path
from adain_style_transfer.weights.samples import sample_path
from safetensors import safe_open


@pytest.fixture(scope="module")
def model() -> adain.StyleTransferModel:
    return weights.load_model(device="cpu", dtype=torch.float32)


def test_the_embedded_model_is_small_and_says_what_it_is() -> None:
    path = next(iter(weights.EMBEDDED.values()))
    assert path.stat().st_size <= 4e6
    with safe_open(path, "pt") as file:
        assert {"architecture", "license", "data", "steps", "losses"} <= file.metadata().keys()


@pytest.mark.parametrize("name", preset_names())
def test_presets_belong_to_the_embedded_model(model: adain.StyleTransferModel, name: str) -> None:
    assert weights.load_preset(model, name).name == name
    assert preset_path(name).stat().st_size < 32_768


def test_an_unknown_preset_is_refused_with_the_known_ones(model: adain.StyleTransferModel) -> None:
    with pytest.raises(adain.StyleError, match=r"no preset 'nothing'.*great-wave"):
        weights.load_preset(model, "nothing")


def test_the_style_arrives_and_the_content_stays(model: adain.StyleTransferModel) -> None:
    content = adain.read_picture(sample_path("cat")).rgb
    style = weights.load_preset(model, "the-star")
    full = adain.stylize(model, content, style)
    half = adain.stylize(model, content, style, strength=0.5)
    none = adain.stylize(model, content, style, strength=0)

    def distance_to_style(image: torch.Tensor) -> float:
        return (color_statistics(image).mean - style.levels[0].mean).abs().sum().item()

    assert distance_to_style(full) < distance_to_style(half) < distance_to_style(content)
    assert (none - content).abs().mean() < (half - content).abs().mean() < (full - content).abs().mean()
    # Brushwork redraws the details at any strength; what is bright and what is dark stays where it was.
    assert likeness(none, content) > 0.95
    assert likeness(full, content) > 0.7


def likeness(image: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """Correlation of the lightness of both, averaged over squares of 8 x 8 pixels."""
    coarse = [torch.nn.functional.avg_pool2d(luma(x), 8).flatten() for x in (image, content)]
    return torch.corrcoef(torch.stack(coarse))[0, 1]


def test_bfloat16_agrees_with_float32(model: adain.StyleTransferModel) -> None:
    content = adain.read_picture(sample_path("coffee")).rgb
    style = weights.load_preset(model, "the-scream")
    fast = weights.load_model(device="cpu", dtype=torch.bfloat16)
    difference = (adain.stylize(fast, content, style) - adain.stylize(model, content, style)).abs()
    assert difference.mean() < 1 / 255


def test_contact_sheet_places_pictures_and_labels() -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 10, 20)
    sheet = contact_sheet([[red, None], [red, red]], row_labels=["one", "two"], column_labels=["left", "right"], cell=64)
    reds = (sheet[0, 0] > 0.9) & (sheet[0, 1] < 0.1)
    assert reds.sum() == 3 * 64 * 32
    assert (sheet.amax(1) < 0.5).any()  # the labels' ink


def ink(label: str, cell: int = 256) -> torch.Tensor:
    """What is written above an empty column."""
    return contact_sheet([[None]], column_labels=[label], cell=cell)[:, :, : cell // 8]


@pytest.mark.parametrize(
    ("one", "other"),
    [("星夜", "明月"), ("ゴッホ", "モネー"), ("Звезда", "Ночная"), ("של", "אב"), ("Café", "Cafè"), ("\U0001f3a8", "\U0001f319")],
)
@pytest.mark.parametrize("fonts", [_SYSTEM_FONTS, ()])
def test_labels_are_readable_or_left_out(monkeypatch: pytest.MonkeyPatch, one: str, other: str, fonts: tuple[str, ...]) -> None:
    monkeypatch.setattr("adain_style_transfer.adain.media.lettering._SYSTEM_FONTS", fonts)
    if font_for(one + other, 18) is None:
        assert ink("\U0010fffe").amin() == ink(one if font_for(one, 18) is None else "\U0010fffe").amin() == 1
    else:
        assert (ink(one) < 0.5).any() and (ink(one) != ink(other)).any()  # boxes would be equal


def test_a_label_keeps_to_its_column() -> None:
    written = contact_sheet([[None, None]], column_labels=["", "a name much longer than its column is wide"], cell=128)[:, :, :16] < 0.5
    assert written.any() and not written[..., :134].any()

"""Half precision beside float32; on real pictures with ADAIN_TEST_PICTURES=folder, with content/ and style/ in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.resample import at_short_side, resize

FOLDER = Path(os.environ.get("ADAIN_TEST_PICTURES", "."))


def pictures(kind):
    read = [adain.read_picture(path).rgb for path in sorted((FOLDER / kind).iterdir())]
    return [resize(picture, at_short_side(picture.shape[-2:], 256)) for picture in read]


def test_the_first_layers_keep_float32_in_bfloat16_only():
    full = weights.load_model(device="cpu", dtype=torch.float32)
    half = weights.load_model(device="cpu", dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    kept = {name for name, value in half.named_parameters() if value.dtype == torch.float32}
    assert kept == {f"encoder.{layer}.{kind}" for layer in ("down2", "down4") for kind in ("weight", "bias")}
    assert all(torch.equal(half.get_parameter(name), full.get_parameter(name)) for name in kept)
    assert half.get_parameter("encoder.down4.weight").is_contiguous(memory_format=torch.channels_last)
    assert {feature.dtype for feature in half.encode(torch.zeros(1, 3, 16, 16))} == {torch.bfloat16}
    for dtype in (torch.float16, torch.float64):
        other = weights.load_model(device="cpu", dtype=dtype)
        assert {value.dtype for value in other.parameters()} == {other.dtype} == {dtype}


@pytest.mark.skipif("ADAIN_TEST_PICTURES" not in os.environ, reason="needs pictures: set ADAIN_TEST_PICTURES")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_real_pictures(dtype):
    full, half = (weights.load_model(device="cpu", dtype=d) for d in (torch.float32, dtype))
    contents = pictures("content")
    for picture in pictures("style"):
        made, made_in_half = full.encode_style(picture), half.encode_style(picture)
        for content in contents:
            difference = (adain.stylize(half, content, made_in_half) - adain.stylize(full, content, made)).abs().flatten()
            assert difference.mean() < 1 / 255
            assert difference.sort().values[int(0.999 * len(difference))] < 4 / 255

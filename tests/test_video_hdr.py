"""Videos in other light than sRGB's: HDR and wide gamuts are painted and written in sRGB's colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

av = pytest.importorskip("av", reason="the tests of video need PyAV: pip install .[video]")

from adain_style_transfer.adain.media.video_files.convert import convert, frames  # noqa: E402
from adain_style_transfer.adain.media.video_files.hdr import HLG, LINEAR, PQ, to_srgb  # noqa: E402
from test_video import FAST, unchanged  # noqa: E402

BT709, BT2020, P3 = 1, 9, 12
COLORS = np.array([(200, 60, 40), (40, 90, 170), (60, 140, 60), (128, 128, 128)]) / 255
"""sRGB colours no brighter than where highlights begin to be rolled off."""

TO_BT2020 = np.array([(0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956)])


def light_of(srgb):
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def pq(nits):
    power = (np.asarray(nits) / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(nits):
    light = np.asarray(nits) / 1000
    luminance = light @ np.array([0.2627, 0.6780, 0.0593])
    scene = light * luminance[..., None] ** (1 / 1.2 - 1)
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-6)) + 0.55991073)


def clip(path, values, transfer, primaries, matrix=BT2020, count=3):
    """Four fields of the colours `values` [4, 3] in 0..1, in 10 bits."""
    picture = np.repeat(np.repeat(values.reshape(2, 2, 3), 24, 0), 32, 1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, primaries, matrix, 1
        for i in range(count):
            frame = av.VideoFrame.from_ndarray((picture * 65535).round().astype(np.uint16), "rgb48le")
            frame = frame.reformat(format="yuv444p10le", src_colorspace=0, src_color_range=2, dst_colorspace=matrix, dst_color_range=1)
            frame.pts = i
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def fields(path):
    image = next(iter(frames(path))).image
    image = image.float() / 255 if image.dtype == torch.uint8 else image
    return image[0].unfold(1, 24, 24).unfold(2, 32, 32).mean((3, 4)).flatten(1).T.numpy()


@pytest.mark.parametrize(
    ("transfer", "primaries", "values"),
    [
        (PQ, BT2020, pq(203 * light_of(COLORS) @ TO_BT2020.T)),
        (HLG, BT2020, hlg(203 * light_of(COLORS) @ TO_BT2020.T)),
        (LINEAR, BT709, light_of(COLORS)),
        (PQ, BT709, pq(203 * light_of(COLORS))),
    ],
)
def test_colors_come_out_as_they_look(tmp_path, transfer, primaries, values):
    source = clip(tmp_path / "clip.mkv", values, transfer, primaries)
    assert np.abs(fields(source) - COLORS).max() < 4 / 255
    said = []
    assert convert(source, tmp_path / "out.mp4", unchanged, encoding=FAST, report=said.append) == 3
    assert len(said) == 1 and ("HDR" in said[0]) == (transfer in (PQ, HLG))
    assert np.abs(fields(tmp_path / "out.mp4") - COLORS).max() < 6 / 255
    with av.open(str(tmp_path / "out.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert (context.color_trc, context.color_primaries, context.colorspace) == (1, 1, 1)
        assert context.pix_fmt.startswith("yuv4") and "10" not in context.pix_fmt


def test_wide_gamuts_become_bt709(tmp_path):
    wide = light_of(COLORS) @ TO_BT2020.T
    source = clip(tmp_path / "clip.mkv", 1.055 * wide ** (1 / 2.4) - 0.055, 14, BT2020)
    said = []
    convert(source, tmp_path / "out.mp4", unchanged, encoding=FAST, report=said.append)
    assert len(said) == 1 and "BT.2020" in said[0]
    assert np.abs(fields(tmp_path / "out.mp4") - COLORS).max() < 6 / 255


def test_the_curve():
    def grey(value, transfer, **peak):
        return float(to_srgb(torch.full((1, 3, 1, 1), float(value)), transfer, BT2020, **peak).mean())

    assert grey(0, PQ) == grey(0, HLG) == 0
    # White of 203 nits (58 % of PQ, 75 % of HLG) leaves room for highlights, unless there are none.
    assert 0.85 < grey(pq(203), PQ) == pytest.approx(grey(0.75, HLG), abs=0.01) and grey(pq(203), PQ) < 0.95
    assert grey(pq(203), PQ, peak=203) == pytest.approx(1, abs=0.01)
    assert grey(pq(1000), PQ) == pytest.approx(1, abs=0.005) == grey(1, HLG)
    steps = [grey(value, PQ, peak=4000) for value in np.linspace(0, 1, 60)]
    assert steps == sorted(steps) and steps[-1] == pytest.approx(1, abs=0.005)


def test_saturated_colors_of_every_light_stay_in_range():
    corners = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, 5)] * 3, indexing="ij")).reshape(1, 3, 5, 25)
    for transfer in (PQ, HLG, LINEAR, 1):
        for primaries in (1, BT2020, 11, P3):
            out = to_srgb(corners, transfer, primaries)
            assert out.isfinite().all() and out.min() >= 0 and out.max() <= 1

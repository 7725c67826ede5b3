"""The evaluation against literal formulas, known motions, and pictures whose scores are known beforehand."""

from __future__ import annotations

import json

import numpy as np
import paper
import pytest
import torch
import torch.nn.functional as F
from adain_style_transfer.adain import ImageError, read_picture, write_picture
from adain_style_transfer.training.evaluate import SCORED, Evaluation, main, model_painter
from adain_style_transfer.training.flicker import Camera, film
from adain_style_transfer.training.metrics import Judge, clipped_share, color_distance, eight_bit, ssim
from adain_style_transfer.weights import save_model
from adain_style_transfer.weights.loss_network import read_loss_network
from safetensors.torch import load_file
from samples import loss_network_file, picture, small_lite

SMALL = 48


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    return loss_network_file(tmp_path_factory.mktemp("loss") / "vgg.safetensors")


@pytest.fixture(scope="module")
def judge(network_file):
    return Judge(read_loss_network(network_file), "cpu", torch.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two contents and three styles, in sizes of their own."""
    folder = tmp_path_factory.mktemp("pictures")
    contents = [folder / "pier.png", folder / "quay.png"]
    styles = [folder / "ink.png", folder / "oil.png", folder / "wax.png"]
    for i, path in enumerate(contents + styles):
        write_picture(path, smooth(32 + 4 * i, 48, seed=i))
    return contents, styles


@pytest.fixture
def small(monkeypatch):
    """Score at a size at which tests are quick."""
    monkeypatch.setattr("adain_style_transfer.training.evaluate.SCORED", SMALL)


def smooth(height, width, seed=0):
    return F.interpolate(picture(8, 8, seed), (height, width), mode="bicubic").clamp(0, 1)


def literal_features(weights, image):
    """VGG-19 to relu4_1 by library calls: reflected borders, and the activation after the first layer of each block."""
    found, x = [], image
    for name in ("1_1", "1_2", "", "2_1", "2_2", "", "3_1", "3_2", "3_3", "3_4", "", "4_1"):
        if not name:
            x = F.max_pool2d(x, 2)
            continue
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        x = F.conv2d(x, weights[f"conv{name}.weight"], weights[f"conv{name}.bias"]).relu()
        if name.endswith("_1"):
            found.append(x[0].double().numpy())
    return found


class TestMetrics:
    def test_losses_are_the_formulas(self, judge, network_file):
        weights = load_file(network_file)
        painted, content, style = picture(41, 50, 1), picture(41, 50, 2), picture(60, 33, 3)
        scores = judge.scores(painted, judge.content(content), judge.style(style))
        of_painted, of_content, of_style = (literal_features(weights, image) for image in (painted, content, style))
        expected = 0.0
        for a, b in zip(of_painted, of_style, strict=True):
            ones = [np.ones(x.shape[1:]) for x in (a, b)]
            expected += sum(np.mean((f(a, ones[0]) - f(b, ones[1])) ** 2) for f in (paper.mean, paper.deviation))
        assert scores.style == pytest.approx(expected, rel=1e-4)
        assert scores.content == pytest.approx(np.mean((of_painted[-1] - of_content[-1]) ** 2), rel=1e-4)

    def test_a_picture_is_perfect_beside_itself(self, judge):
        image = picture(40, 40)
        scores = judge.scores(image, judge.content(image), judge.style(image))
        assert scores.style == pytest.approx(0, abs=1e-6) and scores.content == pytest.approx(0, abs=1e-6)
        assert scores.ssim == pytest.approx(1) and scores.color == pytest.approx(0, abs=1e-6)

    def test_ssim_is_the_formula_in_each_window(self):
        a, b = picture(13, 12, 1), picture(13, 12, 2)
        luma = [np.tensordot([0.299, 0.587, 0.114], image[0].double().numpy(), 1) for image in (a, b)]
        axis = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
        window = np.outer(axis, axis) / axis.sum() ** 2
        values = []
        for top, left in np.ndindex(3, 2):
            x, y = (image[top : top + 11, left : left + 11] for image in luma)
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy, cov = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum(), (window * (x - mx) * (y - my)).sum()
            values.append((2 * mx * my + 0.01**2) * (2 * cov + 0.03**2) / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2)))
        assert ssim(a, b) == pytest.approx(np.mean(values), abs=1e-4)

    def test_color_distance_of_known_gaussians(self):
        grey = torch.full((1, 3, 20, 20), 0.5)
        noise = 0.1 * torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
        noise -= noise.mean((2, 3), keepdim=True)
        moved = torch.tensor([0.1, 0.2, 0.2]).view(1, 3, 1, 1)
        assert color_distance(grey, grey[..., :5] + moved) == pytest.approx(0.3, abs=1e-6)
        # The same axes, twice as long: the distance is the root of the summed squared differences of the deviations.
        spread = noise[0].flatten(1).cov(correction=0).trace().sqrt().item()
        assert color_distance(grey + noise, grey + 2 * noise) == pytest.approx(spread, rel=0.01)

    def test_clipped_share_and_rounding(self):
        image = torch.tensor([0.0, 0.001, 0.5, 0.999]).view(1, 1, 2, 2)
        assert clipped_share(image) == 0.25
        assert clipped_share(eight_bit(image)) == 0.75


class TestMotion:
    def test_a_pan_by_whole_pixels_has_no_error_but_a_change_of_light(self):
        photograph = picture(128, 160)
        # The frame shows 80 of 160 pixels; each step moves it by 0.05 of half the width: 4 pixels.
        clip = film(photograph, 64, Camera(-0.1, 0, 0.5), Camera(0.1, 0, 0.5), 5)
        assert clip.frames.shape == (5, 3, 64, 80)
        torch.testing.assert_close(clip.frames[1, :, :, :-4], clip.frames[0, :, :, 4:], atol=1 / 255, rtol=0)
        assert clip.warp_error(clip.frames) < 1 / 255
        lighter = clip.frames + torch.arange(5).view(5, 1, 1, 1) * 0.05
        assert clip.warp_error(lighter) == pytest.approx(0.05, abs=2e-3)

    def test_zoom_is_undone(self):
        photograph = smooth(200, 200)
        clip = film(photograph, 64, Camera(0.1, 0.05, 0.8), Camera(-0.1, 0.1, 0.5), 4)
        still = (clip.frames[1:] - clip.frames[:-1]).square().mean().sqrt()
        assert clip.warp_error(clip.frames) < 0.1 * still
        # The last frame shows the middle half, moved: that part of the photograph, scaled.
        shown = photograph[:, :, 60:160, 40:140]
        shown = F.interpolate(shown, (64, 64), mode="bilinear", antialias=True)
        torch.testing.assert_close(clip.frames[-1:], shown, atol=0.05, rtol=0)

    def test_what_moves_along_is_steady_and_what_does_not_flickers(self):
        clip = film(smooth(100, 150), 64)
        noise = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0))
        assert clip.flicker(lambda frame: frame) == 1
        assert clip.flicker(lambda frame: 0 * frame + 0.5) < 0.01
        # Stuck to the screen while the scene moves (the shower-door effect).
        assert clip.flicker(lambda frame: 0.9 * frame + 0.1 * noise) > 2

    def test_a_flat_clip_is_no_division_by_zero(self):
        clip = film(torch.full((1, 3, 32, 32), 0.4), 16, Camera(0, 0, 0.8), Camera(0.1, 0, 0.8))
        assert clip.flicker(lambda frame: frame) < 0.01


@pytest.mark.usefixtures("small")
class TestEvaluation:
    def test_contents_themselves_score_as_photographs_at_any_size(self, judge, files):
        evaluation = Evaluation(judge, *files, cell=32)
        for size in (SMALL, 2 * SMALL):
            report = evaluation.of_painter(lambda style: lambda content: content, size)
            assert [(p.content, p.style) for p in report.pairs[:3]] == [("pier", "ink"), ("quay", "ink"), ("pier", "oil")]
            assert all(p.scores.content < 0.02 and p.scores.ssim > 0.98 for p in report.pairs)
            assert set(report.flicker.values()) == {1}

    def test_painters_get_contents_and_styles_at_the_size(self, judge, files):
        sizes = []

        def painter(style):
            return lambda content: sizes.append((style.shape[2:], content.shape[2:])) or content

        Evaluation(judge, files[0][:1], files[1][:1]).of_painter(painter, 2 * SMALL)
        style, content = sizes[-1]
        assert tuple(style) == (80, 96) and tuple(content) == (96, 144)  # of 40 x 48 and 32 x 48

    def test_the_total_is_the_mean_of_the_pairs(self, judge, files):
        report = Evaluation(judge, *files).of_painter(model_painter(small_lite()), SMALL)
        *styles, (label, total) = report.table()
        assert label == "all 6" and [name for name, _ in styles] == ["ink", "oil", "wax"]
        for column in ("style", "content", "ssim", "color", "clipped"):
            values = [getattr(pair.scores, column) for pair in report.pairs]
            assert total[column] == pytest.approx(np.mean(values))
            assert styles[1][1][column] == pytest.approx(np.mean(values[2:4]))
        assert total["flicker"] == pytest.approx(np.mean(list(report.flicker.values())))

    def test_a_folder_of_a_models_pictures_scores_as_the_model(self, judge, files, tmp_path):
        contents, styles = files
        evaluation = Evaluation(judge, *files)
        painter = model_painter(small_lite())
        for style in styles:
            paint = painter(read_picture(style).rgb)
            for content in contents:
                image = F.interpolate(read_picture(content).rgb, scale_factor=1)
                write_picture(tmp_path / f"{content.stem}__{style.stem}.png", paint(image))
        report = evaluation.of_folder(tmp_path)
        assert len(report.pairs) == 6 and not report.flicker
        assert {"pier", "quay"} == {pair.content for pair in report.pairs}

    def test_pictures_of_nothing_known_are_named(self, judge, files, tmp_path):
        evaluation = Evaluation(judge, *files)
        write_picture(tmp_path / "unrelated.png", picture(8, 8))
        with pytest.raises(ImageError, match="named CONTENT__STYLE"):
            evaluation.of_folder(tmp_path)
        write_picture(tmp_path / "pier__etching.png", picture(8, 8))
        with pytest.raises(ImageError, match=r"style 'etching', which is none of: ink, oil, wax"):
            evaluation.of_folder(tmp_path)

    def test_the_command_writes_a_table_scores_and_sheets(self, files, network_file, tmp_path, capsys):
        model = tmp_path / "model.safetensors"
        save_model(small_lite(), model, {}, torch.float32)
        contents, styles = ([str(path) for path in paths] for paths in files)
        arguments = ["--content", *contents, "--style", *styles, "--loss-network", str(network_file), "--out", str(tmp_path / "out")]
        assert main([str(model), *arguments, "--sizes", "32", "64"]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[0].split() == ["32", "style", "content", "ssim", "color", "clipped", "flicker"]
        assert [line.split()[0] for line in printed[1:5]] == ["ink", "oil", "wax", "all"]
        scores = json.loads((tmp_path / "out" / "scores.json").read_text())
        assert list(scores["sizes"]) == ["32", "64"] and len(scores["sizes"]["64"]["pairs"]) == 6
        assert f"{scores['sizes']['32']['all']['style']:.4f}" in printed[4]
        assert read_picture(tmp_path / "out" / "sheet-64.jpg").rgb.shape[-1] > 3 * 160

    def test_the_command_says_what_is_wrong(self, files, tmp_path, capsys):
        content, style = str(files[0][0]), str(files[1][0])
        assert main(["--content", content, "--style", style, "--loss-network", str(tmp_path / "none")]) == 1
        assert "There is no loss network at" in capsys.readouterr().err
        assert main(["--content", content, "--style", style, "--loss-network", "none", "--device", "abacus"]) == 1
        assert "The device 'abacus' cannot be used" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            main(["--content", content, "--style", style, "--loss-network", "none", "--sizes", "3"])
        assert "'3' is not a number of pixels" in capsys.readouterr().err

    def test_two_of_one_name_are_refused(self, judge, files, tmp_path):
        write_picture(tmp_path / "pier.png", picture(8, 8))
        with pytest.raises(ImageError, match="have the same name"):
            Evaluation(judge, [*files[0], tmp_path / "pier.png"], files[1])


def test_pictures_are_scored_at_512_pixels():
    assert SCORED == 512

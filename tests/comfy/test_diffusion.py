"""AdaIN Latent and AdaIN Guidance in a real ComfyUI, with small random diffusion models and VAEs loaded by its own loaders."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest
import torch
from adain_style_transfer.adain.latents import match_latent
from comfy.diffusion import (
    SD_SCALE,
    build_models,
    encoded,
    guidance,
    moments,
    node,
    run,
    save,
    text_to_image,
    text_to_video,
    watch,
    watched,
)
from comfy.server import example

MEAN, STD = 2e-3, 5e-3
"""How near the moments land, in units of the style's largest deviation: float32, and what 1e-5 in a small variance does."""


@pytest.fixture(scope="module", autouse=True)
def small_models(comfy):
    build_models(comfy)


def landed(got, wanted):
    """Whether the moments `got` are the ones `wanted`."""
    size = wanted[1].max()
    assert (got[0] - wanted[0]).abs().max() < MEAN * size
    assert (got[1] - wanted[1]).abs().max() < STD * size


@pytest.fixture(scope="module")
def painting(comfy):
    return encoded(comfy, text_to_image(), "6")


@pytest.fixture(scope="module")
def photo(comfy):
    return encoded(comfy, text_to_image(), "16")


@pytest.fixture(scope="module")
def plain(comfy):
    """What the sampler makes with no guidance."""
    return run(comfy, text_to_image())


class TestGuidance:
    def test_the_result_has_the_moments_of_the_style(self, comfy, painting, plain):
        prompt = text_to_image(guidance("6"))
        got, wanted = moments(run(comfy, prompt)[0]), moments(painting[0])
        landed(got, wanted)
        unguided = moments(plain[0])
        assert (unguided[0] - wanted[0]).abs().max() > 20 * MEAN * wanted[1].max()  # else the test would say nothing
        scaled = moments(painting[0] * SD_SCALE)
        for _, denoised in watched(comfy, prompt):
            landed(moments(denoised[0]), scaled)

    def test_every_sampler(self, comfy, painting):
        samplers = comfy.json("/object_info/KSampler")["KSampler"]["input"]["required"]["sampler_name"][0]
        wanted = moments(painting[0] * SD_SCALE)
        for name in samplers:
            prompt = text_to_image(guidance("6"), sampler_name=name, steps=3)
            assert run(comfy, prompt).isfinite().all(), name
            steps = watched(comfy, prompt)
            assert len(steps) >= 3, name
            for _, denoised in steps:
                landed(moments(denoised[0]), wanted)

    @pytest.mark.parametrize("patched", [{"strength": 0.0}, {"start": 1.0}, {"start": 0.3, "end": 0.3}])
    def test_without_effect_it_is_bit_identical_to_no_patch(self, comfy, plain, patched):
        assert torch.equal(run(comfy, text_to_image(guidance("6", **patched))), plain)

    def test_the_model_itself_is_not_changed(self, comfy, plain):
        run(comfy, text_to_image(guidance("6")))
        assert torch.equal(run(comfy, text_to_image(seed=3)), plain)

    def test_strength_goes_part_of_the_way(self, comfy, painting):
        both = text_to_image(watch(), guidance("6", strength=0.25))
        run(comfy, both)
        target = moments(painting[0] * SD_SCALE)
        before = watched(comfy, both, "patch0")
        for (_, own), (_, got) in zip(before, watched(comfy, both), strict=True):
            own = moments(own[0])
            landed(moments(got[0]), [0.75 * a + 0.25 * b for a, b in zip(own, target, strict=True)])

    @pytest.mark.parametrize("schedule", ["constant", "fade out", "fade in", "rise and fall"])
    def test_window_and_schedule(self, comfy, painting, schedule):
        """Each step's share of the way, against ComfyUI's own percentages of Stable Diffusion's noise levels."""
        prompt = text_to_image(watch(), guidance("6", start=0.2, end=0.8, schedule=schedule), steps=10)
        run(comfy, prompt)
        betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        alphas = np.cumprod(1 - betas)
        log_sigmas = np.log(np.sqrt((1 - alphas) / alphas))
        target, shares = moments(painting[0] * SD_SCALE)[0], []
        for (sigma, own), (_, got) in zip(watched(comfy, prompt, "patch0"), watched(comfy, prompt), strict=True):
            percent = 1 - np.interp(np.log(sigma), log_sigmas, range(1000)) / 999
            passed = (percent - 0.2) / 0.6
            share = {"constant": 1, "fade out": 1 - passed, "fade in": passed, "rise and fall": 1 - abs(2 * passed - 1)}[schedule]
            share = share if 0 <= passed <= 1 else 0
            own, got = moments(own[0])[0], moments(got[0])[0]
            torch.testing.assert_close(got, own + share * (target - own), rtol=0, atol=5e-3)
            shares.append(share)
        assert shares.count(0) >= 2 and len([share for share in shares if share > 0]) >= 4

    def test_blended_styles(self, comfy, painting, photo):
        got = run(comfy, text_to_image(guidance("6", "16", weights=[1.0, 0.25])))
        landed(moments(got[0]), [0.8 * a + 0.2 * b for a, b in zip(moments(painting[0]), moments(photo[0]), strict=True)])

    def test_two_chained_with_a_mask_each(self, comfy, painting, photo):
        """The upper half like one painting, the lower like another."""
        halves = {
            "20": node("SolidMask", value=0.0, width=64, height=80),
            "21": node("SolidMask", value=1.0, width=64, height=40),
            "22": node("MaskComposite", destination=["20", 0], source=["21", 0], x=0, y=0, operation="add"),
            "23": node("InvertMask", mask=["22", 0]),
        }
        patches = [guidance("6", mask=["22", 0]), guidance("16", mask=["23", 0])]
        got = run(comfy, text_to_image(*patches) | halves)[0]
        landed(moments(got[:, :5]), moments(painting[0]))
        landed(moments(got[:, 5:]), moments(photo[0]))

    def test_two_chained_without_masks_the_last_decides(self, comfy, photo):
        patches = [guidance("6"), guidance("16")]
        landed(moments(run(comfy, text_to_image(*patches))[0]), moments(photo[0]))

    def test_pictures_of_a_batch_and_a_batch_as_a_clip(self, comfy, painting):
        wanted = moments(painting[0])
        got = run(comfy, text_to_image(guidance("6"), batch=3))
        assert len(got) == 3
        for picture in got:
            landed(moments(picture), wanted)
        got = run(comfy, text_to_image(guidance("6", frames="whole clip"), batch=3))
        landed(moments(got.movedim(0, 2).flatten(2)), wanted)
        assert (moments(got[0])[0] - wanted[0]).abs().max() > 5 * MEAN * wanted[1].max()

    def test_beside_lora_controlnet_and_other_patches(self, comfy, painting):
        """All of them act, and the moments land as without them."""
        others = [node("LoraLoaderModelOnly", lora_name="small.safetensors", strength_model=1.0), node("RescaleCFG", multiplier=0.7)]
        others += [node("PerturbedAttentionGuidance", scale=2.0)]
        control = {
            "30": node("ControlNetLoader", control_net_name="small.safetensors"),
            "31": node(
                "ControlNetApplyAdvanced",
                positive=["2", 0],
                negative=["3", 0],
                control_net=["30", 0],
                image=["15", 0],
                strength=1.0,
                start_percent=0.0,
                end_percent=1.0,
            ),
        }
        guided = guidance("6")
        results = [run(comfy, text_to_image(guided))]
        for before, after in ((others, []), ([], others)):
            prompt = text_to_image(*before, guided, *after, positive=["31", 0], negative=["31", 1]) | control
            results.append(run(comfy, prompt))
        landed(moments(results[1][0]), moments(painting[0]))
        assert not any(torch.allclose(a, b, atol=1e-2) for a, b in itertools.combinations(results, 2))

    def test_without_cfg(self, comfy, painting):
        landed(moments(run(comfy, text_to_image(guidance("6"), cfg=1.0))[0]), moments(painting[0]))

    def test_image_to_image_and_inpainting(self, comfy, painting, photo):
        inpainting = {
            "20": node("SolidMask", value=0.0, width=128, height=96),
            "21": node("SolidMask", value=1.0, width=64, height=96),
            "22": node("MaskComposite", destination=["20", 0], source=["21", 0], x=64, y=0, operation="add"),
            "23": node("SetLatentNoiseMask", samples=["16", 0], mask=["22", 0]),
        }
        guided = guidance("6", mask=["22", 0])
        got = run(comfy, text_to_image(guided, latent_image=["23", 0], denoise=0.6) | inpainting)
        torch.testing.assert_close(got[..., :8], photo[..., :8], rtol=0, atol=1e-4)
        landed(moments(got[0, :, :, 8:]), moments(painting[0]))

    def test_cancel_and_run_again(self, comfy, painting):
        prompt = text_to_image(guidance("6"), steps=200)
        prompt["watch"]["inputs"]["seconds"] = 0.2
        folder = comfy.base / "output" / prompt["watch"]["inputs"]["name"]
        with comfy.client() as client:
            queued = client.queue(prompt)
            while not folder.exists() or len(list(folder.iterdir())) < 2:
                time.sleep(0.05)
            comfy.post("/interrupt", {})
            outcome = client.wait(queued)
        assert outcome.of("execution_interrupted")
        assert len(list(folder.iterdir())) < 200
        landed(moments(run(comfy, text_to_image(guidance("6")))[0]), moments(painting[0]))


@pytest.fixture(scope="module")
def video_style(comfy):
    return encoded(comfy, text_to_video(), "6")


class TestVideo:
    """A video model, whose own space differs from its VAE's in the mean and the deviation of each channel."""

    def test_each_frame(self, comfy, video_style):
        assert video_style.shape[:3] == (1, 16, 1)
        got = run(comfy, text_to_video(guidance("6")))
        assert got.shape == (1, 16, 3, 6, 8)
        for t in range(3):
            landed(moments(got[0, :, t]), moments(video_style[0, :, 0]))

    def test_whole_clip(self, comfy, video_style):
        got = run(comfy, text_to_video(guidance("6", frames="whole clip")))
        wanted = moments(video_style[0, :, 0])
        landed(moments(got[0].flatten(1, 2)), wanted)
        assert (moments(got[0, :, 0])[0] - wanted[0]).abs().max() > 5 * MEAN * wanted[1].max()

    def test_latent_of_the_clip_itself(self, comfy):
        """What the example against drift does: every frame takes the moments of the first two."""
        prompt = text_to_video()
        prompt["cut"] = node("LatentCut", samples=["sampler", 0], dim="t", index=0, amount=2)
        prompt["tied"] = latent_node("sampler", "cut")
        before = run(comfy, prompt)
        after = run(comfy, prompt | save("tied"))
        wanted = moments(before[0, :, :2].flatten(1, 2))
        for t in range(3):
            landed(moments(after[0, :, t]), wanted)

    def test_picture_and_sound_together(self, comfy):
        prompt = text_to_video() | {"pair": node("AdaINTest_Pair", samples=["6", 0])}
        prompt["tied"] = latent_node("pair", "6")
        assert "holds a video and its sound together" in comfy.run(prompt | save("tied")).error


def latent_node(samples, style, **settings):
    defaults = {"strength": 1.0, "frames": "each frame", "style_frames": "together", "window": 0}
    return node("AdaIN_Latent", samples=[samples, 0], style=[style, 0], **(defaults | settings))


def two_pictures(**settings):
    """The photo with the moments of the painting."""
    prompt = {key: value for key, value in text_to_image().items() if key in ("1", "5", "6", "15", "16")}
    return prompt | {"7": latent_node("16", "6", **settings)} | save("7")


class TestLatent:
    @pytest.mark.parametrize("settings", [{}, {"strength": 0.4}, {"window": 6}, {"frames": "whole clip"}])
    def test_is_what_the_library_gives(self, comfy, painting, photo, settings):
        got = run(comfy, two_pictures(**settings))
        scope = settings.get("frames", "each frame")
        expected = match_latent(photo, painting, strength=settings.get("strength", 1.0), window=settings.get("window", 0), scope=scope)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)
        if settings in ({}, {"frames": "whole clip"}):
            landed(moments(got[0]), moments(painting[0]))

    def test_strength_0(self, comfy, photo):
        assert torch.equal(run(comfy, two_pictures(strength=0.0)), photo)

    def test_masks(self, comfy, painting, photo):
        masks = {
            "20": node("SolidMask", value=0.0, width=32, height=24),
            "21": node("SolidMask", value=1.0, width=16, height=24),
            "22": node("MaskComposite", destination=["20", 0], source=["21", 0], x=16, y=0, operation="add"),
        }
        got = run(comfy, two_pictures(mask=["22", 0]) | masks)
        assert torch.equal(got[..., :8], photo[..., :8])
        landed(moments(got[0, :, :, 8:]), moments(painting[0]))

    def test_noise_mask_and_other_keys_are_kept(self, comfy):
        prompt = two_pictures() | {
            "20": node("SolidMask", value=1.0, width=16, height=12),
            "21": node("SetLatentNoiseMask", samples=["16", 0], mask=["20", 0]),
            "7": latent_node("21", "6"),
            "shown": node("AdaINTest_Latent", samples=["7", 0]),
            "before": node("AdaINTest_Latent", samples=["21", 0]),
        }
        outcome = comfy.run(prompt)
        shown = {m["node"]: json.loads(m["output"]["latent"][0]) for m in outcome.of("executed") if "latent" in (m["output"] or {})}
        assert shown["shown"] == shown["before"]
        assert shown["shown"]["noise_mask"] == 16 * 12


VIDEO_VAE = node("VAELoader", vae_name="small_wan.safetensors")


class TestSentences:
    def test_channels(self, comfy):
        prompt = two_pictures() | {"30": VIDEO_VAE, "31": node("VAEEncode", pixels=["5", 0], vae=["30", 0])}
        prompt["7"] = latent_node("16", "31")
        assert "The style latent has 16 channels and the latent has 4" in comfy.run(prompt).error

    def test_channels_of_the_model(self, comfy):
        prompt = text_to_image(guidance("31"))
        prompt |= {"30": VIDEO_VAE, "31": node("VAEEncode", pixels=["5", 0], vae=["30", 0])}
        outcome = comfy.run(prompt)
        assert "The style latent has 16 channels and the model's latents have 4" in outcome.error
        assert outcome.of("execution_error")[0]["node_type"] == "AdaIN_Guidance"

    def test_channels_of_a_video_model(self, comfy):
        prompt = text_to_video(guidance("33"))
        prompt |= {"32": node("CheckpointLoaderSimple", ckpt_name="small.safetensors")}
        prompt |= {"33": node("VAEEncode", pixels=["5", 0], vae=["32", 2])}
        assert "The style latent has 4 channels and the model's latents have 16" in comfy.run(prompt).error

    def test_model_of_video_and_sound(self, comfy):
        assert "The model samples latents of the shape [1, 1, 320]" in comfy.run(text_to_image(node("AdaINTest_Pack"), guidance("6"))).error

    def test_start_after_end(self, comfy):
        error = comfy.run(text_to_image(guidance("6", start=0.8, end=0.2))).error
        assert "starts at 0.8 and ends at 0.2" in error

    def test_weights(self, comfy):
        assert "at least one above 0" in comfy.run(text_to_image(guidance("6", "16", weights=[0.0, 0.0]))).error

    def test_black_mask(self, comfy):
        prompt = text_to_image(guidance("6", mask=["20", 0])) | {"20": node("SolidMask", value=0.0, width=8, height=8)}
        assert "The mask is black everywhere" in comfy.run(prompt).error


SMALL = {
    "CheckpointLoaderSimple": {"ckpt_name": "small.safetensors"},
    "UNETLoader": {"unet_name": "small_wan.safetensors"},
    "VAELoader": {"vae_name": "small_wan.safetensors"},
    "EmptyLatentImage": {"width": 64, "height": 64},
    "EmptyHunyuanLatentVideo": {"width": 64, "height": 48, "length": 17},
    "KSampler": {"steps": 2},
}


@pytest.mark.parametrize(
    ("name", "last", "size"),
    [("guided_text_to_image", "13", (64, 64)), ("paint_diffuse_paint", "15", (96, 128)), ("video_without_drift", "12", None)],
)
def test_example(comfy, name, last, size):
    """The example workflows from their first node to their last, with the small models and without a text encoder."""
    prompt = example(name)
    for key, item in list(prompt.items()):
        item["inputs"] |= SMALL.get(item["class_type"], {})
        if item["class_type"] == "CLIPTextEncode":
            prompt[key] = node("AdaINTest_Conditioning", width=4096 if "video" in name else 768, seed=int(key))
        elif item["class_type"] == "CLIPLoader":
            del prompt[key]
        elif item["class_type"] == "AdaIN_SamplePicture":
            prompt[key] = node("LoadImage", image="photo.png")
    outcome = comfy.run(prompt)
    assert not outcome.error
    (saved,) = outcome.images[last]
    if size is None:
        assert saved["filename"].endswith(".mp4")
    else:
        assert comfy.image(saved).shape == (1, 3, *size)

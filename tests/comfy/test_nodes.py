"""The nodes in a real ComfyUI: their schema, their behaviour on long batches, and the sentences for unusable inputs."""

from __future__ import annotations

import json
import re
import time

import pytest
import samples
import torch
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.architectures.vgg19 import VGG19
from adain_style_transfer.adain.masks import MaskEdit
from adain_style_transfer.adain.media.transparency import filled
from adain_style_transfer.adain.resample import enlarged
from adain_style_transfer.weights.samples import sample_names
from comfy.server import EXAMPLES, REPOSITORY, RefusedPromptError, example

MASK_EDIT = ("feather", "grow", "invert_mask")

CURVE = {"curve", "curve_seconds"}
"""Inputs of AdaIN Keyframes where ComfyUI draws curves."""

NODES = {
    "AdaIN_LoadModel": ({"model", "precision"}, ["ADAIN_MODEL"]),
    "AdaIN_EncodeStyle": ({"adain_model", "image", "batch", "stroke_size", "mask", "name", "for_refine"}, ["ADAIN_STYLE"]),
    "AdaIN_StylePreset": ({"adain_model", "preset"}, ["ADAIN_STYLE"]),
    "AdaIN_BlendStyles": ({"styles"}, ["ADAIN_STYLE"]),
    "AdaIN_StyleRegion": ({"style", "mask", "feather", "base", "strength", *MASK_EDIT}, ["ADAIN_STYLE"]),
    "AdaIN_Transfer": (
        {"adain_model", "image", "style", "strength", "color", "content_scale", "frames_per_chunk", "mask", "stability", *MASK_EDIT},
        ["IMAGE"],
    ),
    "AdaIN_Video": ({"adain_model", "video", "style", "strength", "color", "mask", "stability", *MASK_EDIT}, ["VIDEO"]),
    "AdaIN_Stability": ({"radius", "hold", "flow"}, ["ADAIN_STABILITY"]),
    "AdaIN_Keyframes": ({"styles", "keyframes", "frame_rate", *CURVE}, ["ADAIN_STYLE"]),
    "AdaIN_Stylize": (
        {"image", "style_image", "strength", "color", "stroke_size", "mask", "adain_model", "preset", *MASK_EDIT},
        ["IMAGE"],
    ),
    "AdaIN_Refine": (
        {
            "image",
            "quality",
            "style_weight",
            "strength",
            "color",
            "style",
            "style_image",
            "stroke_size",
            "start",
            "mask",
            "judge",
            *MASK_EDIT,
        },
        ["IMAGE"],
    ),
    "AdaIN_SamplePicture": ({"picture"}, ["IMAGE"]),
    "AdaIN_MatchColors": (
        {"image", "reference", "method", "strength", "space", "statistics", "frame", "mask", "reference_mask", "lut"},
        ["IMAGE"],
    ),
    "AdaIN_SaveStyle": ({"style", "name"}, ["ADAIN_STYLE"]),
    "AdaIN_LoadStyle": ({"name"}, ["ADAIN_STYLE"]),
    "AdaIN_StyleGrid": ({"adain_model", "images", "styles", "cell", "strength", "color", "columns", "all_presets"}, ["IMAGE"]),
    "AdaIN_Latent": ({"samples", "style", "strength", "frames", "style_frames", "window", "mask", "style_mask"}, ["LATENT"]),
    "AdaIN_Guidance": ({"model", "styles", "strength", "start", "end", "schedule", "frames", "mask"}, ["MODEL"]),
}


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def load_image(name):
    return node("LoadImage", image=name)


def transfer(image=("1", 0), **inputs):
    """A prompt that paints `image` with the great wave; inputs of AdaIN Transfer may be replaced."""
    settings = {"strength": 1.0, "color": "style", "content_scale": 1.0, "frames_per_chunk": 0} | inputs
    return {
        "1": load_image("photo.png"),
        "2": node("AdaIN_LoadModel", model="adain-lite", precision="fp32"),
        "3": node("AdaIN_StylePreset", adain_model=["2", 0], preset="great-wave"),
        "4": node("AdaIN_Transfer", **({"adain_model": ["2", 0], "image": list(image), "style": ["3", 0]} | settings)),
        "5": node("SaveImage", images=["4", 0], filename_prefix="test"),
    }


def images(comfy, prompt, saver="5"):
    outcome = comfy.run(prompt)
    assert not outcome.error
    return torch.cat([comfy.image(saved) for saved in outcome.images[saver]])


def close(got, expected, steps=2):
    assert got.shape == expected.shape
    assert (got - expected).abs().max() <= steps / 255


def declared(inputs, prefix=""):
    """Translation key -> specification of every input of a node, those that a choice or a growing list makes too."""
    found = {}
    for name, spec in {**inputs.get("required", {}), **inputs.get("optional", {})}.items():
        key = f"{prefix}{name}"
        found[key] = spec
        if spec[0] == "COMFY_DYNAMICCOMBO_V3":
            for option in spec[1]["options"]:
                found |= declared(option["inputs"], f"{key}_")
        elif spec[0] == "COMFY_AUTOGROW_V3":
            template = spec[1]["template"]
            (slot,) = declared(template["input"]).values()
            found |= {f"{key}_{template['prefix']}{i}": slot for i in range(template["max"])}
    return found


@pytest.fixture(scope="module")
def model32():
    return weights.load_model(device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def wave(model32):
    return weights.load_preset(model32, "great-wave")


@pytest.fixture(scope="module")
def schemas(comfy):
    return comfy.json("/object_info")


class TestSchema:
    @pytest.mark.parametrize("name", NODES)
    def test_inputs_and_outputs(self, schemas, name):
        schema = schemas[name]
        inputs, outputs = NODES[name]
        if "CurveEditor" not in schemas:  # an older ComfyUI
            inputs = inputs - CURVE
        assert {**schema["input"].get("required", {}), **schema["input"].get("optional", {})}.keys() == inputs
        assert schema["output"] == outputs
        assert schema["category"] == "AdaIN"

    @pytest.mark.parametrize("name", NODES)
    def test_everything_is_explained(self, schemas, name):
        schema = schemas[name]
        assert schema["description"]
        assert len(schema["search_aliases"]) >= 3
        assert all(schema["output_tooltips"])
        assert all(spec[1]["tooltip"] for spec in declared(schema["input"]).values())

    @pytest.mark.parametrize("name", NODES)
    def test_help_page_with_a_picture(self, name):
        page = REPOSITORY / "web" / "docs" / f"{name}.md"
        pictures = re.findall(r"!\[.+?\]\((.+?)\)", page.read_text(encoding="utf-8"))
        assert pictures
        assert all((page.parent / picture).is_file() for picture in pictures)

    def test_no_other_nodes(self, schemas):
        assert {name for name in schemas if name.startswith("AdaIN_")} == NODES.keys()

    def test_embedded_model_comes_first(self, schemas):
        options = schemas["AdaIN_LoadModel"]["input"]["required"]["model"][1]["options"]
        assert options[0] == next(iter(weights.EMBEDDED))

    @pytest.mark.parametrize("language", ["zh", "ja"])
    def test_translations_cover_every_name_and_tooltip(self, comfy, schemas, language):
        translated = comfy.json("/i18n")[language]["nodeDefs"]
        for name in (name for name in schemas if name.startswith("AdaIN_")):
            entry = translated[name]
            assert entry["display_name"] and entry["description"], name
            for spec in declared(schemas[name]["input"]).values():
                assert "display_name" not in spec[1], f"{name}: the page would show it in place of every translation"
            assert entry["inputs"].keys() >= declared(schemas[name]["input"]).keys(), name
            assert entry["inputs"].keys() - CURVE <= declared(schemas[name]["input"]).keys(), name
            assert entry["outputs"].keys() == {str(i) for i in range(len(schemas[name]["output"]))}, name
            for key, text in {**entry["inputs"], **entry["outputs"]}.items():
                assert text["name"] and text["tooltip"], (name, key)

    @pytest.mark.parametrize("kind", ["commands", "settings"])
    def test_commands_and_settings_are_translated(self, comfy, kind):
        texts = {language: comfy.json("/i18n")[language][kind] for language in ("en", "zh", "ja")}
        for key, entry in texts["en"].items():
            assert all(texts[language][key].keys() == entry.keys() for language in texts)
            assert len({json.dumps(texts[language][key]) for language in texts}) == 3

    def test_help_pages_and_examples_are_served(self, comfy):
        assert b"# AdaIN Transfer" in comfy.get("/extensions/in-any.folder/docs/AdaIN_Transfer.md")
        served = comfy.json("/workflow_templates")["in-any.folder"]
        assert set(served) == {path.stem for path in EXAMPLES.glob("*.json")}


class TestResults:
    @pytest.mark.parametrize("color", ["style", "keep", "match"])
    def test_color_modes_and_strength(self, comfy, load, model32, wave, color):
        got = images(comfy, transfer(color=color, strength=0.6))
        close(got, adain.stylize(model32, load("photo.png"), wave, strength=0.6, color=color))

    @pytest.mark.parametrize("precision", ["fp16", "bf16"])
    def test_precisions(self, comfy, load, model32, wave, precision):
        prompt = transfer()
        prompt["2"]["inputs"]["precision"] = precision
        close(images(comfy, prompt), adain.stylize(model32, load("photo.png"), wave), steps=24)

    def test_mask_of_another_size_leaves_the_rest_bit_for_bit(self, comfy, load):
        prompt = transfer(mask=["8", 0])
        prompt |= {
            "6": node("SolidMask", value=0.0, width=64, height=40),
            "7": node("SolidMask", value=1.0, width=32, height=40),
            "8": node("MaskComposite", destination=["6", 0], source=["7", 0], x=0, y=0, operation="add"),
        }
        for scale in (1.0, 0.5):
            prompt["4"]["inputs"]["content_scale"] = scale
            got, content = images(comfy, prompt), load("photo.png")
            close(got[..., 70:], content[..., 70:], steps=1)
            assert (got[..., :60] - content[..., :60]).abs().mean() > 2 / 255

    def test_masks_are_edited_in_pixels_of_the_picture(self, comfy, load, model32, wave):
        mask = {"6": node("SolidMask", value=1.0, width=32, height=24), "7": node("SolidMask", value=0.0, width=64, height=48)}
        mask |= {"8": node("MaskComposite", destination=["7", 0], source=["6", 0], x=0, y=0, operation="add")}
        plane = torch.zeros(1, 1, 48, 64)
        plane[..., :24, :32] = 1
        edit = MaskEdit(invert=True, grow=-8, feather=6.0)
        expected = adain.stylize(model32, load("photo.png"), wave, mask=edit(plane, torch.Size((96, 128))))
        edited = {"feather": 6.0, "grow": -8, "invert_mask": True}
        close(images(comfy, transfer(mask=["8", 0], **edited) | mask), expected)
        inverted = adain.stylize(model32, load("photo.png"), wave)
        black = {"6": node("SolidMask", value=0.0, width=64, height=48)}
        close(images(comfy, transfer(mask=["6", 0], invert_mask=True) | black), inverted)
        error = comfy.run(transfer(mask=["8", 0], grow=-200) | mask).error
        assert "The mask is black everywhere after it was shrunk by 200 pixels" in error

    def test_content_scale_keeps_the_size(self, comfy, load, model32, wave):
        small = adain.resample.resize(load("photo.png"), (48, 64))
        expected = enlarged(adain.stylize(model32, small, wave), torch.Size((96, 128)))
        close(images(comfy, transfer(content_scale=0.5)), expected)

    def test_strength_0_is_the_picture_at_any_content_scale(self, comfy, load):
        for scale in (0.5, 1.0, 1.5):
            close(images(comfy, transfer(content_scale=scale, strength=0.0)), load("photo.png"), steps=0)

    def test_transparency_is_kept(self, comfy, load, model32, wave):
        prompt = transfer(("6", 0)) | {"6": node("AdaINTest_Tamper", image=["1", 0], fault="alpha", frame=0)}
        got = images(comfy, prompt)
        assert got.shape == (1, 4, 96, 128)
        alpha = torch.linspace(0, 1, 128).expand(1, 1, 96, 128)  # hides the first column, and says how much the others count
        close(got[:, 3:], alpha)
        close(got[:, :3], adain.stylize(model32, adain.media.images.Picture(filled(load("photo.png"), alpha), alpha), wave))

    def test_an_alpha_of_nothing_but_zeros_hides_nothing(self, comfy, load, model32):
        photo = load("photo.png")
        style = model32.encode_style(photo)
        prompt = transfer(("6", 0)) | {
            "6": node("AdaINTest_Tamper", image=["1", 0], fault="no alpha", frame=0),
            "3": node("AdaIN_EncodeStyle", adain_model=["2", 0], image=["6", 0], batch="average", stroke_size=0),
        }
        got = images(comfy, prompt)
        assert got[:, 3:].amax() == 0
        close(got[:, :3], adain.stylize(model32, photo, style))

    @pytest.mark.parametrize("method", ["covariance", "channels", "chroma"])
    def test_colours_of_transparent_pixels_are_not_matched(self, comfy, method):
        """The photograph with a ramp of alpha, beside the same with other colours under alpha 0."""
        x = torch.linspace(0, 1, 64)
        seen = torch.stack([x, x.flip(0), (6 * x).sin() ** 2]).view(1, 3, 1, 64).expand(1, 3, 48, 64).clone()
        alpha = torch.ones(1, 1, 48, 64)
        alpha[..., :20] = 0
        results = []
        for hidden in (0.0, 1.0):
            seen[..., :20] = hidden
            cutout = comfy.put_image("seen.png", seen), comfy.put_image("alpha.png", alpha.expand(-1, 3, -1, -1))
            prompt = {
                "1": load_image(cutout[0]),
                "2": node("LoadImageMask", image=cutout[1], channel="red"),
                "6": node("InvertMask", mask=["2", 0]),
                "3": node("JoinImageWithAlpha", image=["1", 0], alpha=["6", 0]),
                "4": load_image("painting.png"),
                "7": node("AdaIN_MatchColors", image=["3", 0], reference=["4", 0], method=method, strength=1.0),
                "8": node("AdaIN_MatchColors", image=["4", 0], reference=["3", 0], method=method, strength=1.0),
                "5": node("SaveImage", images=["7", 0], filename_prefix="colors"),
                "9": node("SaveImage", images=["8", 0], filename_prefix="colors"),
            }
            outcome = comfy.run(prompt)
            results.append([comfy.image(outcome.images[n][0]) for n in ("5", "9")])
        (image, reference), (other_image, other_reference) = results
        close(image[..., 20:], other_image[..., 20:], steps=0)
        close(reference, other_reference, steps=0)

    @pytest.mark.parametrize("batch", ["average", "one per picture"])
    def test_batch_of_style_pictures(self, comfy, load, model32, batch):
        prompt = transfer() | {
            "6": load_image("painting.png"),
            "7": load_image("small.png"),
            "8": node("ImageBatch", image1=["6", 0], image2=["7", 0]),
            "3": node("AdaIN_EncodeStyle", adain_model=["2", 0], image=["8", 0], batch=batch, stroke_size=64),
            "9": node("SaveImage", images=["8", 0], filename_prefix="styles"),
        }
        outcome = comfy.run(prompt)
        painted, pictures = (torch.cat([comfy.image(i) for i in outcome.images[n]]) for n in ("5", "9"))
        style = model32.encode_style(pictures, size=64)
        style = style.average() if batch == "average" else style
        close(painted, adain.stylize(model32, load("photo.png"), style), steps=3)  # ComfyUI resized and 8 bits rounded the second style

    def test_save_and_load(self, comfy, load, model32, wave):
        save = transfer() | {"6": node("AdaIN_SaveStyle", style=["3", 0], name="of waves/great wave")}
        assert not comfy.run(save).error
        saved = comfy.base / "models" / "adain_styles" / "of waves" / "great wave.safetensors"
        assert adain.Style.load(saved).fingerprint == model32.fingerprint
        prompt = transfer() | {"3": node("AdaIN_LoadStyle", name="of waves/great wave.safetensors")}
        close(images(comfy, prompt), adain.stylize(model32, load("photo.png"), wave))

    def test_model_file(self, comfy, load):
        folder = comfy.base / "models" / "adain"
        folder.mkdir(exist_ok=True)
        weights.save_model(samples.small_lite(), folder / "mine.safetensors", {})
        mine = weights.load_model(folder / "mine.safetensors", "cpu", torch.float32)
        prompt = transfer() | {"6": load_image("painting.png")}
        prompt["2"]["inputs"]["model"] = "mine.safetensors"
        prompt["3"] = node("AdaIN_EncodeStyle", adain_model=["2", 0], image=["6", 0], batch="average", stroke_size=0)
        close(images(comfy, prompt), adain.stylize(mine, load("photo.png"), mine.encode_style(load("painting.png"))))
        weights.save_model(samples.small_lite(seed=1), folder / "mine.safetensors", {})
        assert "4" in executed(comfy, prompt)

    @pytest.mark.parametrize("method", ["covariance", "channels", "chroma"])
    def test_match_colors(self, comfy, load, method):
        prompt = {
            "1": load_image("photo.png"),
            "2": load_image("painting.png"),
            "3": node("AdaIN_MatchColors", image=["1", 0], reference=["2", 0], method=method, strength=1.0),
            "5": node("SaveImage", images=["3", 0], filename_prefix="colors"),
        }
        got, content, reference = images(comfy, prompt), load("photo.png"), load("painting.png")
        if method == "covariance":
            close(got, adain.match_colors(content, reference))
        elif method == "channels":
            assert (got.mean((2, 3)) - reference.mean((2, 3))).abs().max() < 0.02
        else:
            close(adain.color.luma(got), adain.color.luma(content), steps=2)


def executed(comfy, prompt):
    """The nodes that ran and did not come from the cache."""
    outcome = comfy.run(prompt)
    cached = {n for message in outcome.of("execution_cached") for n in message["nodes"]}
    return set(prompt) - cached


class TestSamplePicture:
    def test_samples_and_then_what_the_input_folder_has(self, comfy):
        (comfy.base / "input" / "notes.txt").write_text("no picture")
        (options,) = [comfy.json("/object_info/AdaIN_SamplePicture")["AdaIN_SamplePicture"]["input"]["required"]["picture"][1]["options"]]
        assert options[: len(sample_names())] == sample_names()
        assert {"photo.png", "painting.png"} < set(options) and "notes.txt" not in options

    def test_a_file_is_read_as_it_is_and_again_when_it_changes(self, comfy, pictures):
        prompt = {
            "1": node("AdaIN_SamplePicture", picture="changing.png"),
            "5": node("SaveImage", images=["1", 0], filename_prefix="test"),
        }
        translucent = torch.cat([pictures["small.png"], pictures["small.png"][:, :1].clamp(min=0.2)], 1)
        for image in (pictures["photo.png"], translucent):
            comfy.put_image("changing.png", image)
            close(images(comfy, prompt), image, 0)

    @pytest.mark.parametrize("picture", ["gone.png", "../comfyui.log", "", 5])
    def test_what_is_not_there_is_refused(self, comfy, picture):
        with pytest.raises(RefusedPromptError, match="Upload it, or choose one of: coffee"):
            comfy.run(transfer() | {"1": node("AdaIN_SamplePicture", picture=picture)})


class TestBehaviour:
    def test_equal_inputs_are_cached_and_never_modified(self, comfy):
        prompt = transfer(strength=0.91) | {
            "6": node("AdaINTest_Checksum", image=["1", 0]),
            "7": node("AdaINTest_Checksum", image=["1", 0], after=["4", 0]),
        }
        with comfy.client() as client:
            job = client.queue(prompt)
            client.wait(job)
        outputs = comfy.json(f"/history/{job}")[job]["outputs"]
        assert outputs["6"]["checksum"] == outputs["7"]["checksum"]
        prompt["4"]["inputs"]["strength"] = 0.92
        assert executed(comfy, prompt) == {"4", "5", "7"}
        assert executed(comfy, prompt) == set()

    def test_progress_with_previews(self, comfy):
        prompt = transfer(("6", 0), strength=0.5) | {
            "6": node("RepeatImageBatch", image=["1", 0], amount=6),
            "7": node("AdaINTest_Hinder", model=["2", 0], seconds=0.2, most_frames=1000),
        }
        prompt["4"]["inputs"]["adain_model"] = ["7", 0]
        outcome = comfy.run(prompt)
        steps = [(m["value"], m["max"]) for m in outcome.of("progress") if m["node"] == "4"]
        assert steps == [(i, 6) for i in range(1, 7)]
        assert outcome.previews >= 2

    def test_cancel_within_one_chunk(self, comfy):
        prompt = transfer(("6", 0), strength=0.4) | {
            "6": node("RepeatImageBatch", image=["1", 0], amount=40),
            "7": node("AdaINTest_Hinder", model=["2", 0], seconds=0.3, most_frames=1000),
        }
        prompt["4"]["inputs"]["adain_model"] = ["7", 0]
        with comfy.client() as client:
            job = client.queue(prompt)
            for message in client.messages():
                if not isinstance(message, bytes) and message["type"] == "progress":
                    break
            started = time.monotonic()
            comfy.post("/interrupt", {})
            took = time.monotonic() - started
            outcome = client.wait(job)
        # One frame may end while the request is on its way for every 0.3 s of it, then the one that is being painted.
        assert len(outcome.of("progress")) <= 2 + took / 0.3
        assert outcome.messages[-1]["type"] == "execution_interrupted"
        assert not outcome.images

    def test_cancel_within_a_picture_of_8k(self, comfy):
        prompt = transfer(("6", 0), strength=0.11) | {
            "6": node("ImageScale", image=["1", 0], upscale_method="bilinear", width=7680, height=4320, crop="disabled")
        }
        with comfy.client() as client:
            job = client.queue(prompt)
            seen = []
            for message in client.messages():
                if not isinstance(message, bytes) and message["type"] == "progress" and message["data"]["node"] == "4":
                    seen.append(message["data"]["value"] / message["data"]["max"])
                    if len(seen) == 3:
                        break
            comfy.post("/interrupt", {})
            started = time.monotonic()
            outcome = client.wait(job)
        assert time.monotonic() - started < 20  # a tile, however busy the machine; the picture takes longer
        assert 0 < seen[-1] < 0.5 and seen == sorted(seen)
        assert outcome.messages[-1]["type"] == "execution_interrupted"
        assert not outcome.images

    def test_out_of_memory_halves_the_chunk(self, comfy, load, model32, wave):
        prompt = transfer(("6", 0), frames_per_chunk=7, strength=0.3) | {
            "6": node("RepeatImageBatch", image=["1", 0], amount=7),
            "7": node("AdaINTest_Hinder", model=["2", 0], most_frames=2, seconds=0.0),
        }
        prompt["4"]["inputs"]["adain_model"] = ["7", 0]
        got = images(comfy, prompt)
        close(got, adain.stylize(model32, load("photo.png"), wave, strength=0.3).expand(7, -1, -1, -1))
        assert "AdaIN: out of memory with 7 pictures at once, going on with 3" in comfy.log
        assert "AdaIN: out of memory with 3 pictures at once, going on with 1" in comfy.log

    def test_too_little_memory_for_one_frame(self, comfy):
        prompt = transfer(strength=0.2) | {"7": node("AdaINTest_Hinder", model=["2", 0], most_frames=0, seconds=0.0)}
        prompt["4"]["inputs"]["adain_model"] = ["7", 0]
        assert "too small for one picture of 128 x 96" in comfy.run(prompt).error

    def test_frame_whose_mask_is_black(self, comfy, load):
        prompt = transfer(("6", 0), mask=["9", 0]) | {
            "6": node("RepeatImageBatch", image=["1", 0], amount=2),
            "7": node("EmptyImage", width=128, height=96, batch_size=1, color=0),
            "8": node("ImageBatch", image1=["7", 0], image2=["10", 0]),
            "9": node("ImageToMask", image=["8", 0], channel="red"),
            "10": node("EmptyImage", width=128, height=96, batch_size=1, color=0xFFFFFF),
        }
        got, content = images(comfy, prompt), load("photo.png")
        close(got[:1], content, steps=1)
        assert (got[1:] - content).abs().mean() > 2 / 255

    def test_two_prompts_at_once(self, comfy):
        with comfy.client() as client:
            jobs = [client.queue(transfer(strength=s)) for s in (0.11, 0.12)]
            assert all(client.wait(job).images["5"] for job in jobs)

    def test_pack_loads_beside_foreign_files(self, comfy):
        """Files of other kinds in models/adain are not listed, and unusable ones are named when chosen."""
        folder = comfy.base / "models" / "adain"
        folder.mkdir(exist_ok=True)
        (folder / "old.pth").write_bytes(b"pickle")
        (folder / "empty.safetensors").write_bytes(b"")
        options = comfy.json("/object_info/AdaIN_LoadModel")["AdaIN_LoadModel"]["input"]["required"]["model"][1]["options"]
        assert "old.pth" not in options
        assert "empty.safetensors" in options
        prompt = transfer()
        prompt["2"]["inputs"]["model"] = "empty.safetensors"
        assert "not a readable safetensors file" in comfy.run(prompt).error


class TestSentences:
    """What the user reads when something is wrong."""

    @pytest.mark.parametrize(
        ("fault", "sentence"),
        [("nan", "The image holds NaN or infinite values in frame 1"), ("range", "The image has values from")],
    )
    def test_unusable_image(self, comfy, fault, sentence):
        prompt = transfer(("7", 0)) | {
            "6": node("RepeatImageBatch", image=["1", 0], amount=3),
            "7": node("AdaINTest_Tamper", image=["6", 0], fault=fault, frame=1),
        }
        assert sentence in comfy.run(prompt).error

    def test_black_mask(self, comfy):
        error = comfy.run(transfer(mask=["1", 1])).error
        assert "The mask is black everywhere" in error
        assert "disconnect" in error

    def test_mask_batch(self, comfy):
        prompt = transfer(("6", 0), mask=["8", 0]) | {
            "6": node("RepeatImageBatch", image=["1", 0], amount=3),
            "7": node("EmptyImage", width=32, height=32, batch_size=2, color=0xFFFFFF),
            "8": node("ImageToMask", image=["7", 0], channel="red"),
        }
        assert "The mask has 2 frames for 3 pictures" in comfy.run(prompt).error

    def test_style_batch(self, comfy):
        prompt = transfer(("6", 0)) | {
            "6": node("RepeatImageBatch", image=["1", 0], amount=3),
            "7": node("RepeatImageBatch", image=["1", 0], amount=2),
            "3": node("AdaIN_EncodeStyle", adain_model=["2", 0], image=["7", 0], batch="one per picture", stroke_size=0),
        }
        assert "The image batch has 3 pictures and the styles come in batches of 2" in comfy.run(prompt).error

    def test_style_of_another_model(self, comfy):
        folder = comfy.base / "models" / "adain"
        folder.mkdir(exist_ok=True)
        weights.save_model(samples.vgg19(), folder / "paper.safetensors", {})
        prompt = transfer() | {"6": node("AdaIN_LoadModel", model="paper.safetensors", precision="fp32")}
        prompt["4"]["inputs"]["adain_model"] = ["6", 0]
        error = comfy.run(prompt).error
        assert "made by the lite encoder" in error
        assert f"the {VGG19.architecture} encoder" in error
        assert "'paper'" in error
        assert "connect one and the same model" in error
        prompt["3"]["inputs"]["adain_model"] = ["6", 0]
        assert "use Encode Style" in comfy.run(prompt).error

    def test_region_in_a_blend(self, comfy):
        prompt = transfer() | {
            "6": node("SolidMask", value=1.0, width=8, height=8),
            "7": node("AdaIN_StyleRegion", style=["3", 0], mask=["6", 0], feather=0.0),
            "8": node("AdaIN_BlendStyles", **{"styles": "2", "styles.style_1": ["7", 0], "styles.weight_1": 1.0, "styles.weight_2": 1.0}),
        }
        prompt["4"]["inputs"]["style"] = ["8", 0]
        assert "Styles with regions cannot be blended" in comfy.run(prompt).error

    @pytest.mark.parametrize("name", ["../outside", "a/../../b", " ", "what?"])
    def test_name_of_a_saved_style(self, comfy, name):
        prompt = transfer() | {"6": node("AdaIN_SaveStyle", style=["3", 0], name=name)}
        assert "cannot be a file name" in comfy.run(prompt).error

    @pytest.mark.parametrize(
        ("replaced", "sentence"),
        [
            ({"2": node("AdaIN_LoadModel", model="gone.safetensors", precision="auto")}, "There is no AdaIN model 'gone.safetensors'"),
            ({"3": node("AdaIN_LoadStyle", name="gone.safetensors")}, "There is no style 'gone.safetensors' in models/adain_styles"),
            ({"3": node("AdaIN_StylePreset", adain_model=["2", 0], preset="gone")}, "not in"),
        ],
    )
    def test_missing_files_are_refused_before_anything_runs(self, comfy, replaced, sentence):
        with pytest.raises(RefusedPromptError, match="node_errors") as refused:
            comfy.run(transfer() | replaced)
        assert sentence in str(json.loads(str(refused.value)))

    @pytest.mark.parametrize("value", ["text", 3, 0.5, True, {}, None])
    @pytest.mark.parametrize("name", ["adain_model", "image", "style", "mask", "stability"])
    def test_literals_where_links_belong(self, comfy, name, value):
        prompt = transfer()
        prompt["4"]["inputs"][name] = value
        error = comfy.run(prompt).error
        if value is None and name in ("adain_model", "mask", "stability"):
            assert not error
        else:
            assert error == f"The input {name} is {'not connected' if value is None else repr(value)}. Connect the output of a node to it."

    @pytest.mark.parametrize(
        ("kind", "inputs", "sentence"),
        [
            ("AdaIN_StylePreset", {"adain_model": "text", "preset": "great-wave"}, "The input adain_model is 'text'"),
            ("AdaIN_BlendStyles", {"styles": "2", "styles.style_1": 5, "styles.weight_1": 1, "styles.weight_2": 1}, "The input style is 5"),
            ("AdaIN_BlendStyles", {"styles": "99", "styles.style_1": ["3", 0]}, "Choose a number from 2 to 16"),
            ("AdaIN_BlendStyles", {"styles": None, "styles.style_1": ["3", 0]}, "Choose a number from 2 to 16"),
            ("AdaIN_BlendStyles", {"styles.style_1": ["3", 0]}, "Choose a number from 2 to 16"),
            ("AdaIN_Keyframes", {"styles.style_0": "text", "keyframes": "0 strength=1", "frame_rate": 24}, "The input style is 'text'"),
            ("AdaIN_Keyframes", {"keyframes": "0 strength=1", "frame_rate": 24}, "No style is connected"),
            ("AdaIN_StyleRegion", {"style": None, "mask": ["1", 1], "feather": 0}, "The mask is black everywhere"),
            ("AdaIN_StyleRegion", {"style": ["3", 0], "mask": None, "feather": 0}, "The input mask is not connected"),
            ("AdaIN_LoadStyle", {"name": None}, "There is no style None"),
        ],
    )
    def test_what_a_style_node_cannot_use(self, comfy, kind, inputs, sentence):
        saved = comfy.base / "models" / "adain_styles" / "some.safetensors"
        saved.parent.mkdir(exist_ok=True)
        saved.touch()
        prompt = transfer(style=["8", 0]) | {"8": node(kind, **inputs)}
        assert sentence in comfy.run(prompt).error

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"1": node("AdaIN_SamplePicture", picture=["9", 0])}, "The input picture is 'else'. Choose one of"),
            ({"2": node("AdaIN_LoadModel", model=["9", 0], precision="auto")}, "There is no AdaIN model 'else'. Choose one of"),
            ({"3": node("AdaIN_StylePreset", adain_model=["2", 0], preset=["9", 0])}, "The input preset is 'else'. Choose one of"),
            (
                {"3": node("AdaIN_EncodeStyle", adain_model=["2", 0], image=["1", 0], batch=["9", 0], stroke_size=0)},
                "The input batch is 'else'. Choose one of: average, one per picture.",
            ),
            ({"4": node("AdaIN_MatchColors", image=["1", 0], reference="x", method="chroma", strength=1)}, "The input reference is 'x'"),
            (
                {"4": node("AdaIN_Stylize", image=["1", 0], style_image=3, strength=1, color="style", stroke_size=0)},
                "The input style_image is 3",
            ),
        ],
    )
    def test_what_links_bring_to_choices(self, comfy, changed, sentence):
        assert sentence in comfy.run(transfer() | {"9": node("AdaINTest_Bring", text="else")} | changed).error

    def test_style_grid_of_odd_links(self, comfy):
        settings = {"adain_model": ["2", 0], "images": ["1", 0], "cell": 64, "strength": 1.0, "color": "style"}

        def run(**links):
            return comfy.run(
                transfer() | {"4": node("AdaIN_StyleGrid", **settings, **{f"styles.style_{k[1:]}": v for k, v in links.items()})}
            )

        assert comfy.image(run(_1=["3", 0]).images["5"][0]).shape[3] == comfy.image(run(_0=["3", 0]).images["5"][0]).shape[3]
        assert "No style is connected" in run().error
        assert "There is no input styles.style_16. Connect up to 16" in run(**{f"_{i}": ["3", 0] for i in range(17)}).error

    def test_nothing_saved_yet(self, comfy, tmp_path):
        folder = comfy.base / "models" / "adain_styles"
        if folder.exists():
            folder.rename(tmp_path / "saved")
        try:
            (options,) = [comfy.json("/object_info/AdaIN_LoadStyle")["AdaIN_LoadStyle"]["input"]["required"]["name"][1]["options"]]
            assert options == ["none saved yet"]
            with pytest.raises(RefusedPromptError, match="No style is saved in models/adain_styles yet. Make one with Save Style"):
                comfy.run(transfer() | {"3": node("AdaIN_LoadStyle", name=options[0])})
            with pytest.raises(RefusedPromptError, match="Required input is missing"):
                comfy.run(transfer() | {"3": node("AdaIN_LoadStyle")})
        finally:
            if (tmp_path / "saved").exists():
                (tmp_path / "saved").rename(folder)

    def test_preset_for_a_model_of_the_catalogue_is_refused_before_its_download(self, comfy):
        choice = next(
            c for c in comfy.json("/object_info/AdaIN_LoadModel")["AdaIN_LoadModel"]["input"]["required"]["model"][1]["options"] if "(" in c
        )
        prompt = transfer()
        prompt["2"]["inputs"]["model"] = choice
        assert "Style Preset works with adain-lite alone" in comfy.run(prompt).error

    def test_all_weights_zero(self, comfy):
        prompt = example("two_styles_blended")
        prompt["5"]["inputs"] |= {"styles.weight_1": 0.0, "styles.weight_2": 0.0}
        assert "at least one above 0" in comfy.run(prompt).error

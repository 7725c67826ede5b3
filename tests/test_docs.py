"""What the pages tell a reader to type: every command parses, and what needs nothing from outside is run as written."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import re
import shlex
import sys
from pathlib import Path

import pytest
import samples
import torch
from adain_style_transfer import adain, cli, weights
from adain_style_transfer.adain.architectures.vgg19 import VGG19
from adain_style_transfer.training.recipe import Recipe, read_recipe

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = ("adain", "adain-train", "adain-evaluate", "python", "accelerate")

Place = tuple[str, int]


def blocks() -> list[tuple[Place, str, str]]:
    """Where each block of code is, the language that its fence names, and its text."""
    found = []
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        language, start, lines = None, 0, []
        for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
            if language is None and line.lstrip().startswith("```"):
                language, start, lines = line.strip("` "), number, []
            elif language is not None and line.lstrip().startswith("```"):
                found.append(((name, start), language, "\n".join(lines)))
                language = None
            elif language is not None:
                lines.append(line)
            elif line.startswith("    "):
                found.append(((name, number), "", line))
            else:
                spans = re.findall(r"`([^`]+)`", line)  # but for names of commands without what they need
                found += [((name, number), "", code) for code in spans if not re.fullmatch(r"[\w-]+( [a-z]+){1,2}", code)]
    return found


def commands() -> dict[str, list[str]]:
    """The words of every command, by its place and text. Descriptions after two spaces, comments and brackets are left out."""
    found = {}
    for (page, number), language, text in joined(blocks()):
        for line in text.split("\n") if language == "" else []:
            line = re.split(r"\s{2,}|\s#", line.strip())[0]
            first = line.split(" ")[0]
            if first not in PROGRAMS or " " not in line or line.startswith("python headless") or "--help" in line:
                continue
            line = re.sub(r"\[(-[^\]]*)\]", r"\1", re.sub(r"(?<=\w)\.\.\.|(?<=\.py) \.\.\.$", "", line)).replace("[@revision]", "")
            found[f"{page}:{number} {line}"] = shlex.split(line)
    return found


def joined(found: list[tuple[Place, str, str]]) -> list[tuple[Place, str, str]]:
    """Lines that end in a backslash with what follows."""
    result: list[tuple[Place, str, str]] = []
    for place, language, text in found:
        if result and result[-1][2].endswith("\\"):
            result[-1] = (result[-1][0], language, result[-1][2][:-1].rstrip() + " " + text.strip())
        else:
            result.append((place, language, text.replace("\\\n", "")))
    return result


COMMANDS = commands()


class ParsedError(Exception):
    """Thrown in place of what a program would do with the options that it has understood."""


def parsed(monkeypatch, words: list[str]) -> argparse.Namespace | None:
    """What the real parser of a program makes of `words`; None for programs that are not ours."""
    real = argparse.ArgumentParser.parse_args

    def parse_args(self, *arguments):
        raise ParsedError(real(self, *arguments))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    program, *rest = words
    if program == "accelerate":
        program, *rest = rest[1:] if rest[0] == "launch" else [""]
    elif program == "python":
        program, *rest = rest if rest[0] != "-m" else [rest[1].replace("adain_style_transfer.", ""), *rest[2:]]
    main = {"adain": cli.main, "adain-train": in_training("train"), "training/train.py": in_training("train")}.get(program)
    if program == "adain-evaluate":
        main = in_training("evaluate")
    elif program == "training.presets":
        main = in_training("presets")
    elif program.startswith("benchmarks/"):
        main = load(ROOT / program).main
    if main is None:
        return None
    monkeypatch.setattr(sys, "argv", [program, *rest])
    with pytest.raises(ParsedError) as caught:
        main()
    return caught.value.args[0]


def in_training(name):
    pytest.importorskip("accelerate", reason="training needs accelerate")
    return importlib.import_module(f"adain_style_transfer.training.{name}").main


def load(path: Path):
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_the_commands_are_found():
    assert len(COMMANDS) > 30
    assert {words[0] for words in COMMANDS.values()} == set(PROGRAMS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_parses(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    options = parsed(monkeypatch, [word.replace("OTHER", "1") for word in COMMANDS[name]])
    recipe = vars(options).get("recipe") if options else None
    if recipe and recipe != "...":
        own = {key: value for key, value in vars(options).items() if key in vars(Recipe())}
        assert read_recipe(recipe, own).steps


# Run as written, in a folder that has what they name

RUN = ("adain demo ", "adain stylize photo.jpg ", "adain style ", "adain models ", "adain convert adain-vgg19", "adain styles ")
RUNNABLE = [
    name
    for name, words in COMMANDS.items()
    if f"{' '.join(words)} ".startswith(RUN) and not {"get", "kuko6-puddle", "OUT", "[FOLDER]"} & set(words)
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    for i, name in enumerate(("photo.jpg", "painting.jpg", "art.jpg", "M")):
        adain.write_picture(folder / (name if "." in name else f"{name}.png"), samples.picture(40, 56, seed=i))
    (folder / "M.png").rename(folder / "M")
    weights.save_model(samples.randomized(VGG19()), folder / "adain-vgg19.safetensors", {"license": "MIT"})
    return folder


def test_what_runs():
    assert len(RUNNABLE) >= 7


@pytest.mark.parametrize("name", RUNNABLE)
def test_commands_run_as_written(name, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    monkeypatch.setenv("ADAIN_MODELS", str(desk / "models"))
    assert cli.main([*COMMANDS[name][1:], *(["--overwrite"] if COMMANDS[name][1] == "stylize" else [])]) == 0, capsys.readouterr().err


# Python


@pytest.mark.parametrize(("place", "text"), [(place, text) for place, language, text in blocks() if language == "python"])
def test_python_is_valid(place, text):
    compile(text, f"{place[0]}:{place[1]}", "exec")


def test_the_library_section_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image, content = samples.picture(40, 48), samples.picture(32, 40, seed=1)
    half = torch.zeros(1, 1, 32, 40)
    half[..., :20] = 1
    scope = {"image": image, "content": content, "sky_mask": half}
    texts = [text for (page, _), language, text in blocks() if page == "README.md" and language == "python"]
    exec(texts[0], scope)
    scope |= {"sky": scope["style"], "base": scope["style"], "a": scope["style"], "b": scope["style"]}
    for text in texts[1:]:
        exec(text, scope)
    assert scope["out"].shape == content.shape


CALLS = sorted(
    {code for _, language, text in blocks() if language == "" for code in re.findall(r"^(?:adain|weights)\.[\w.]+\(.*\)$", text)}
)


@pytest.mark.parametrize("code", CALLS)
def test_calls_in_the_text_exist(code):
    name, _, arguments = code.removesuffix(")").partition("(")
    module, *rest = name.split(".")
    function = {"adain": adain, "weights": weights}[module]
    for part in rest:
        function = getattr(function, part)
    for keyword in re.findall(r"(\w+)=", arguments):
        assert keyword in inspect.signature(function).parameters


def test_the_video_section_runs():
    scope = {"images": [samples.picture(24, 32, seed=i) for i in range(3)]}
    (text,) = [text for (page, _), language, text in blocks() if page == "docs/video.md" and language == "python"]
    exec(text, scope)
    assert scope["frame"].shape == (1, 3, 24, 32)


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "weights").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


# Words

JARGON = re.compile(r"\bmoments\b|\blevel \d|\bclipp|\bthe content\b|unforeseen|\bmend\b|covariances", re.IGNORECASE)
FOR_ARTISTS = [*sorted((ROOT / "web" / "docs").glob("*.md")), *(ROOT / "docs" / f"{name}.md" for name in ("nodes", "video", "presets"))]


@pytest.mark.parametrize("page", FOR_ARTISTS, ids=lambda page: page.name)
def test_pages_for_artists_are_in_plain_words(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not JARGON.findall(text)


@pytest.mark.parametrize("room", ["nodes", "cli", "app"])
def test_sentences_of_the_doors_are_in_plain_words(room):
    for file in sorted((ROOT / room).glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documented = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]  # docstrings are for engineers
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented and " " in node.value:
                assert not JARGON.search(node.value.replace("--moments", "")), f"{file.name}:{node.lineno}"

"""The house: imports point downward only, go round in no circle, and take no private name from another file."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import adain_style_transfer
import pytest

ROOT = Path(*adain_style_transfer.__path__)

BELOW = {
    "adain": set(),
    "weights": {"adain"},
    "training": {"adain", "weights"},
    "nodes": {"adain", "weights"},
    "transforms": {"adain", "weights"},
    "datasets": {"adain", "weights"},
    "export": {"adain", "weights"},
    "app": {"adain", "weights"},
    "cli": {"adain", "weights", "app", "datasets", "export"},
}
"""The rooms, and those that each may import from."""


def is_for_types(test):
    """Whether an `if` holds imports that only a type checker sees."""
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def imports_of(path):
    """(file or folder imported from, names taken) of every relative import in the file `path` that is run, wherever in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    types = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.If) and is_for_types(node.test) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in types:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [alias.name for alias in node.names]
            if base.is_dir():  # names of a package: its files, or what its __init__ gives
                for name in names:
                    inside = (base / f"{name}.py", base / name / "__init__.py", base / "__init__.py")
                    yield next((file for file in inside if file.exists()), base), [name]
            else:
                yield base.with_suffix(".py"), names


FILES = {file: list(imports_of(file)) for room in BELOW for file in sorted((ROOT / room).rglob("*.py"))}


def named(path):
    return str(path.relative_to(ROOT))


def room_of(path):
    return path.relative_to(ROOT).parts[0]


def test_the_house_was_found():
    assert len(FILES) > 80 and sum(map(len, FILES.values())) > 300
    assert {room_of(file) for file in FILES} == set(BELOW)


def test_imports_point_downward():
    up = [
        f"{named(file)} -> {named(other)}"
        for file, imports in FILES.items()
        for other, _ in imports
        if room_of(other) not in BELOW[room_of(file)] | {room_of(file)}
    ]
    assert not up


@pytest.mark.parametrize("room", BELOW)
def test_no_imports_in_a_circle(room):
    graph = {
        named(file): {named(other) for other, _ in imports if other != file} for file, imports in FILES.items() if room_of(file) == room
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_rooms_within_the_core_are_in_no_circle():
    """Files beside each other in adain/, and its folders, each as one."""
    graph = {}
    for file, imports in FILES.items():
        if room_of(file) == "adain":
            own = file.relative_to(ROOT / "adain").parts[0]
            others = {other.relative_to(ROOT / "adain").parts[0] for other, _ in imports if room_of(other) == "adain"}
            graph.setdefault(own, set()).update(others - {own})
    assert len(graph) > 25
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


MOST_PARAMETERS = 6


def is_public(function):
    return not function.name.startswith("_") or function.name == "__init__"


def test_no_function_takes_more_than_anyone_can_hold_in_the_head():
    """But for public ones whose options have names, and nodes, whose inputs are those of their sockets and widgets."""
    many = []
    for file in FILES:
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            given = function.args
            names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs) if a.arg not in ("self", "cls")]
            allowed = (is_public(function) and given.kwonlyargs) or (function.name == "execute" and room_of(file) == "nodes")
            if len(names) > MOST_PARAMETERS and not allowed:
                many.append(f"{named(file)}: {function.name}({', '.join(names)})")
    assert not many


def test_private_names_stay_in_their_file():
    taken = [
        f"{named(file)} takes {name} from {named(other)}"
        for file, imports in FILES.items()
        for other, names in imports
        for name in names
        if name.startswith("_") and not name.startswith("__")
    ]
    assert not taken

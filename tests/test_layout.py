"""The lines of ARCHITECTURE.md's table of rooms, checked."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "grammar": set[str](),
    "runtime": set[str](),
    "compiler": {"grammar", "runtime"},
    "lsp": {"grammar", "compiler", "runtime"},
}
"""Each room with the rooms it may import."""
DOORS = {"compiler/cli/language_server.py": {"lsp"}}
"""The command line stands above all rooms: its `lsp` command alone opens the server's door."""


def python_files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@dataclass
class Written:
    """What the tests ask of a file, from one walk through it."""

    imports: list[ast.Import] = field(default_factory=list[ast.Import])
    imports_from: list[ast.ImportFrom] = field(default_factory=list[ast.ImportFrom])
    called: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """Names of what is called by a name alone, with the line."""
    texts: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """Texts in quotes, with the line; docstrings are none."""
    classes: list[str] = field(default_factory=list[str])
    """Of the module itself."""


@cache
def written(path: Path) -> Written:
    tree, found = ast.parse(path.read_text(encoding="utf-8")), Written()
    docstrings: set[ast.expr] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                found.imports.append(node)
            case ast.ImportFrom():
                found.imports_from.append(node)
            case ast.Expr():
                docstrings.add(node.value)
            case ast.Call(func=ast.Name(id=name)):
                found.called.append((name, node.lineno))
            case ast.Constant(value=str(text)) if node not in docstrings:
                found.texts.append((text, node.lineno))
            case _:
                pass
    found.classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    return found


def imported_modules(path: Path) -> set[str]:
    file = written(path)
    names = {alias.name for node in file.imports for alias in node.names}
    return names | {node.module for node in file.imports_from if node.module and not node.level}


def modules_after(statement: str) -> set[str]:
    """Top-level and first-level names in `sys.modules` after a statement, in a fresh interpreter."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd="/"
    ).stdout
    return set(json.loads(output.splitlines()[-1]))


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_stands_below_them(room: str) -> None:
    for path in python_files(room):
        allowed = {room} | ROOMS[room] | DOORS.get(path.relative_to(ROOT).as_posix(), set())
        for name in imported_modules(path):
            if name.startswith("dspec."):
                assert name.split(".")[1] in allowed, f"{path} imports {name}"


def test_every_package_on_disk_is_in_the_wheel() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = set(configuration["tool"]["setuptools"]["packages"])
    on_disk = {"dspec"}
    for room in ROOMS:
        for init in (ROOT / room).rglob("__init__.py"):
            if init.parent != ROOT / "runtime" / "facade":
                on_disk.add(".".join(["dspec", *init.parent.relative_to(ROOT).parts]))
    assert declared == on_disk


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import dspec", {"pydantic", "jinja2", "lark", "optuna", "pygls", "litellm", "aiohttp"}),
        ("import dspec.runtime", {"lark", "optuna", "pygls", "litellm", "aiohttp", "numpy"}),
        ("from dspec import load", {"lark", "optuna", "pygls", "litellm", "aiohttp", "numpy"}),
        ("import dspec.grammar", {"pydantic", "optuna", "pygls", "litellm", "aiohttp"}),
        (
            "import dspec.compiler.check.analysis",
            {"huggingface_hub", "optuna", "pygls", "litellm", "aiohttp", "numpy"},
        ),
        ("import dspec.compiler.cli.main", {"optuna", "pygls", "litellm", "aiohttp", "lark"}),
        ("import dspec.compiler.cli.language_server", {"typer", "rich", "pydantic", "lark", "pygls"}),
        (
            "from dspec.lsp.server import make_server; make_server()",
            {"typer", "rich", "pydantic", "jinja2", "lark", "litellm", "aiohttp", "numpy"},
        ),
        (
            "from dspec.lsp.server import PREPARED; list(map(__import__, PREPARED))",
            {"typer", "rich", "huggingface_hub", "optuna", "litellm", "aiohttp", "numpy"},
        ),
    ],
)
def test_imports_stay_light(statement: str, absent: set[str]) -> None:
    loaded = modules_after(statement)
    assert not absent & loaded
    assert not set(ROOMS) & loaded, "a room leaked into the top-level namespace"


def test_nothing_unpickles_evaluates_or_renders_unsandboxed() -> None:
    banned = {"pickle", "cloudpickle", "marshal", "shelve", "dill"}
    for room in ROOMS:
        for path in python_files(room):
            assert not banned & imported_modules(path), path
            for name, line in written(path).called:
                assert name not in {"eval", "exec", "Environment"}, f"{path}:{line}"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["dspec", *(parts[:-1] if parts[-1] == "__init__" else parts)])


MODULES = {module_of(path): path for room in ROOMS for path in python_files(room)}


def imports_of(name: str) -> set[str]:
    """The modules of ours that a module names in any import: in functions and for type checkers alone, too."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = {alias.name for node in written(path).imports for alias in node.names}
    for node in written(path).imports_from:
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        found.update(full if (full := f"{base}.{alias.name}") in MODULES else base for alias in node.names)
    return found & set(MODULES) - {name}


@cache
def imports() -> dict[str, set[str]]:
    """Every module, with those of ours that it imports."""
    return {name: imports_of(name) for name in MODULES}


def circles(graph: dict[str, set[str]]) -> set[str]:
    """What is in a circle, or stands between two."""
    waiting = {name: set(needs) for name, needs in graph.items()}
    for _ in range(2):  # from the bottom, then from the top
        while ready := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
            for name in ready:
                del waiting[name]
        turned: dict[str, set[str]] = {name: set() for name in waiting}
        for name, needs in waiting.items():
            for need in needs & waiting.keys():
                turned[need].add(name)
        waiting = turned
    return set(waiting)


def test_no_imports_go_round_in_a_circle() -> None:
    assert circles(imports()) == set()


def room_of(name: str) -> str:
    """A module as the plan of the rooms sees it. The command line opens the door of the server: it stands above it."""
    return name.replace("dspec.compiler.cli", "dspec.cli", 1)


FOLDERS = sorted(
    {
        ".".join(name.split(".")[:depth])
        for name in map(room_of, MODULES)
        for depth in range(1, name.count(".") + 1)
    }
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_stands_in_a_folder_is_in_an_order(folder: str) -> None:
    """The files and folders in it, each with all that is inside: every one imports only those below it."""
    depth = folder.count(".") + 2
    graph: dict[str, set[str]] = {}
    for module, imported in imports().items():
        name, needs = room_of(module), map(room_of, imported)
        if name.startswith(f"{folder}."):
            inside = {".".join(need.split(".")[:depth]) for need in needs if need.startswith(f"{folder}.")}
            graph.setdefault(".".join(name.split(".")[:depth]), set()).update(inside)
    assert circles({name: needs - {name} for name, needs in graph.items()}) == set()


@pytest.mark.parametrize("room", ["compiler", "runtime"])
def test_a_room_has_at_most_twelve_doors(room: str) -> None:
    entries = [
        entry.name
        for entry in (ROOT / room).iterdir()
        if (entry.is_dir() and entry.name != "__pycache__") or entry.suffix == ".py"
    ]
    assert len([name for name in entries if name != "__init__.py"]) <= 12


def test_no_pattern_repeats_a_group_possessively() -> None:
    """Up to Python 3.11.2 `(…)*+` keeps what its last, failed round took: a text is read differently there."""
    possessive = re.compile(r"\)(?:[*+?]|\{[\d,]+\})\+")
    for path in MODULES.values():
        for text, line in written(path).texts:
            assert "(?" not in text or not possessive.search(text), f"{path}:{line}"


def test_a_class_has_a_name_of_its_own() -> None:
    """Public classes, across all rooms: one name for one thing."""
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for found in written(path).classes:
            if not found.startswith("_"):
                places.setdefault(found, []).append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}

"""The lines of ARCHITECTURE.md's table of rooms, checked."""

import ast
import json
import re
import subprocess
import sys
import tomllib
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


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


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
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id not in {"eval", "exec", "Environment"}, f"{path}:{node.lineno}"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["dspec", *(parts[:-1] if parts[-1] == "__init__" else parts)])


MODULES = {module_of(path): path for room in ROOMS for path in python_files(room)}


def imports_of(name: str) -> set[str]:
    """The modules of ours that a module names in any import: in functions and for type checkers alone, too."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.update(
                full if (full := f"{base}.{alias.name}") in MODULES else base for alias in node.names
            )
    return found & set(MODULES) - {name}


IMPORTS = {name: imports_of(name) for name in MODULES}


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
    assert circles(IMPORTS) == set()


def room_of(name: str) -> str:
    """A module as the plan of the rooms sees it. The command line opens the door of the server: it stands above it."""
    return name.replace("dspec.compiler.cli", "dspec.cli", 1)


PLACES = {room_of(name): {room_of(need) for need in needs} for name, needs in IMPORTS.items()}
FOLDERS = sorted(
    {".".join(name.split(".")[:depth]) for name in PLACES for depth in range(1, name.count(".") + 1)}
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_stands_in_a_folder_is_in_an_order(folder: str) -> None:
    """The files and folders in it, each with all that is inside: every one imports only those below it."""
    depth = folder.count(".") + 2
    graph: dict[str, set[str]] = {}
    for name, needs in PLACES.items():
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
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                assert "(?" not in node.value or not possessive.search(node.value), f"{path}:{node.lineno}"


def test_a_class_has_a_name_of_its_own() -> None:
    """Public classes, across all rooms: one name for one thing."""
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}

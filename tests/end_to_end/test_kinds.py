"""`tests/kinds`: kinds of programs that people publish for DSPy, each said whole in a file that is no longer than its Python.

Each folder has the program (`main.dspec`), what its author would have written in Python (`main.py`, read and never run: it
needs DSPy) and rows of its own. They are compiled on a server on loopback that answers as the embedded model does.
"""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import pytest
from dspc import dspc
from server import beside

from dspec.compiler.check.analysis import analyse
from dspec.grammar import format_text

KINDS = sorted(path.parent for path in (Path(__file__).parents[1] / "kinds").glob("*/main.dspec"))


def lines_of(path: Path) -> int:
    """Lines that say something: neither blank nor a comment."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def test_there_are_ten() -> None:
    assert len(KINDS) == 10


@pytest.mark.parametrize("kind", KINDS, ids=lambda path: path.name)
def test_it_is_no_longer_than_its_python(kind: Path) -> None:
    tree = ast.parse((kind / "main.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert "dspy" in imported
    assert lines_of(kind / "main.dspec") <= lines_of(kind / "main.py")


@pytest.mark.parametrize("kind", KINDS, ids=lambda path: path.name)
def test_it_is_formatted_and_has_no_mistake(kind: Path) -> None:
    """Of its few rows, hints may say that an optimizer needs more."""
    text = (kind / "main.dspec").read_text(encoding="utf-8")
    assert format_text(text) == text
    found = analyse(kind / "main.dspec").diagnostics
    assert {(one.code, one.severity) for one in found} <= {("DS0607", "hint")}


@pytest.mark.parametrize("kind", KINDS, ids=lambda path: path.name)
def test_it_compiles_within_its_plan(kind: Path, tmp_path: Path) -> None:
    folder = tmp_path / kind.name
    shutil.copytree(kind, folder, ignore=shutil.ignore_patterns("*.py", "compiled", ".dspec"))
    (folder / "dspec.toml").touch()
    planned = dspc("plan", "main.dspec", "--json", cwd=folder)
    assert planned.code == 0, planned.text
    with beside("--answer", "embedded", "--key", "k") as url:
        done = dspc("compile", "main.dspec", "--json", cwd=folder, OPENAI_BASE_URL=url, OPENAI_API_KEY="k")
    assert done.code == 0, done.text
    (made,) = json.loads(done.out)["compiled"]
    assert made["status"] == "complete"
    assert 0 < made["calls"]["needed"] <= json.loads(planned.out)["most"]
    assert len(made["evals"]) == 1
    assert (folder / "compiled" / f"{made['name']}.dspc.json").exists()

"""What `dspc init` writes: each template is checked, planned, compiled and run, and what a newcomer types next is answered well.

The inputs in `fresh/` stand in no data that anybody learns from; how many of them must be right is what was seen, less a few.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from dspc import EXAMPLES, dspc

from dspec import load

FRESH = Path(__file__).parent / "fresh"
TEMPLATES = {
    "classifier": ("sorter_v1", 0.9),
    "pipeline": ("review_v1", 0.7),
    "extractor": ("reader_v1", 0.85),
    "rag": ("help_v1", 0.9),
    "agent": ("agent_v1", 0.9),
    "judge": ("judge_v1", 0.9),
}


def right(artifact: Path, fresh: Path, *, holds: bool = False) -> float:
    """The share of the rows whose outputs are all as they should be; `holds`: contained in the answer."""
    program = load(artifact)
    inputs = {field.name for field in program.inputs}
    with fresh.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 20

    def is_right(row: dict[str, str]) -> bool:
        found = program(**{name: value for name, value in row.items() if name in inputs})
        wanted = {name: value for name, value in row.items() if name not in inputs}
        return all(
            (value in str(found[name]).lower()) if holds else (str(found[name]) == value)
            for name, value in wanted.items()
        )

    return sum(map(is_right, rows)) / len(rows)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_a_project_at_once(template: str, tmp_path: Path) -> None:
    name, share = TEMPLATES[template]
    made = dspc("init", "it", "--template", template, cwd=tmp_path)
    assert made.code == 0, made.text
    folder = tmp_path / "it"
    assert {".gitignore", ".env.example", "README.md", "app.py", "main.dspec"} <= {
        path.name for path in folder.iterdir()
    }
    assert ".env" in (folder / ".gitignore").read_text(encoding="utf-8").split()
    for command in (("check", "--strict"), ("fmt", "--check"), ("plan", "main.dspec")):
        done = dspc(*command, cwd=folder)
        assert done.code == 0, done.text
    done = dspc("compile", "main.dspec", cwd=folder)
    assert done.code == 0, done.text
    assert "$0.0000" in done.out
    if "\ntest " in (folder / "main.dspec").read_text(encoding="utf-8"):
        tested = dspc("test", "main.dspec", cwd=folder)
        assert tested.code == 0, tested.text
    app = subprocess.run(
        [sys.executable, "app.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert app.returncode == 0, app.stderr
    assert app.stdout.strip()
    quotes = template in ("rag", "agent")
    fresh = FRESH / f"{'rag' if quotes else template}.csv"
    assert right(folder / "compiled" / f"{name}.dspc.json", fresh, holds=quotes) >= share
    for line in (folder / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("dspc run"):
            _, _, artifact, _, given = line.split(maxsplit=4)
            field, _, value = given.partition("=")
            assert dspc("run", artifact, "--input", f"{field}={value.strip(chr(34))}", cwd=folder).code == 0


def test_what_a_newcomer_asks_the_example_is_answered_well(tmp_path: Path) -> None:
    done = dspc("compile", EXAMPLES / "tickets" / "tickets.dspec", "--out", tmp_path, cwd=tmp_path)
    assert done.code == 0, done.text
    artifact = tmp_path / "router_v1.dspc.json"
    assert right(artifact, FRESH / "tickets.csv") >= 0.85
    late = "the parcel has been sitting at the courier's depot since tuesday"
    assert load(artifact)(text=late).intent == "shipping"


def test_init_spares_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("mine\n", encoding="utf-8")
    made = dspc("init", cwd=tmp_path)
    assert made.code == 0, made.text
    assert "README.md stays as it was" in made.out
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "mine\n"
    assert (tmp_path / ".env.example").is_file()
    again = dspc("init", cwd=tmp_path)
    assert again.code == 2
    assert "already there; nothing was written" in again.err

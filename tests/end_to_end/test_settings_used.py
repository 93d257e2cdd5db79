"""What a project's settings do for its commands, and what stands before them."""

from __future__ import annotations

from pathlib import Path

import pytest
from dspc import Result, dspc

SOURCE = """\
dspec 1

lm learner {{ model = "embedded/icl" }}
signature Kind {{ "Say what kind it is."; input text: str; output kind: "a" | "b" }}
module kind = Predict(Kind)
dataset rows {{ source = csv("rows.csv"); input text: str; field kind: "a" | "b"; split {{ train = 6; val = 6 }} }}
metric right(gold: rows, pred: kind) {{ score = gold.kind == pred.kind }}
optimize v1 {{
  program = kind; metric = right; train = rows.train; val = rows.val; {budget}
  step demos = LabeledFewShot(k = 4)
}}
eval again {{ program = v1; metric = right; data = rows.val }}
"""


def put(folder: Path, settings: str, budget: str = "", name: str = "dspec.toml") -> None:
    rows = [f"text {number},{'ab'[number % 2]}" for number in range(12)]
    (folder / "rows.csv").write_text("text,kind\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (folder / "main.dspec").write_text(SOURCE.format(budget=budget), encoding="utf-8")
    (folder / name).write_text(settings, encoding="utf-8")


def compiled(folder: Path, *more: str) -> Result:
    return dspc("compile", "main.dspec", *more, cwd=folder)


def test_the_closest_budget_counts(tmp_path: Path) -> None:
    put(tmp_path, "[budget]\ncalls = 3\n")
    walled = compiled(tmp_path)
    assert walled.code == 3
    assert "budget of dspec.toml: 3 calls" in walled.err
    assert "budget:   3 calls" in dspc("plan", "main.dspec", cwd=tmp_path).out
    assert "budget:   2 calls" in dspc("plan", "main.dspec", "--budget", "calls=2", cwd=tmp_path).out

    put(tmp_path, "[budget]\ncalls = 3\n", "budget { calls = 900 }")
    assert compiled(tmp_path).code == 0, "the block's own counts"
    assert dspc("eval", "main.dspec", cwd=tmp_path).code == 0

    other = tmp_path / "other"
    other.mkdir()
    put(other, "", "budget { calls = 3 }")
    assert compiled(other).code == 3
    assert compiled(other, "--budget", "calls=900").code == 0, "the option counts"
    assert compiled(other, "--budget", "calls=none").code == 2


@pytest.mark.parametrize("name", ["dspec.toml", "pyproject.toml"])
def test_artifacts_lie_where_the_settings_say(tmp_path: Path, name: str) -> None:
    table = "[paths]" if name == "dspec.toml" else "[tool.dspec.paths]"
    put(tmp_path, f'{table}\ncompiled = "build/artifacts"\n', name=name)
    done = compiled(tmp_path)
    assert done.code == 0, done.text
    assert (tmp_path / "build" / "artifacts" / "v1.dspc.json").is_file()
    assert not (tmp_path / "compiled").exists()
    for command in (("eval", "main.dspec"), ("report", "main.dspec")):
        again = dspc(*command, cwd=tmp_path)
        assert again.code == 0, again.text
    assert compiled(tmp_path, "--out", "here").code == 0
    assert (tmp_path / "here" / "v1.dspc.json").is_file()

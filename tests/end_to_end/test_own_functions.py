"""Modules in Python from the command line: traced, compiled with a function that fails now and then, and allowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dspc import dspc

PROJECT = """\
dspec 1

lm learner { model = "embedded/icl" }

signature Label { input text: str; output label: str }

module gist = Predict(sig(text -> gist))
module name = Predict(sig(text, gist -> label))
module own = python("steps:forward", Label, uses = [gist, name], max_calls = 2)
module best = BestOfN(own, n = 2, reward = brief, threshold = 1.0)
module agent = ReAct(sig(text -> label), tools = [own], max_iters = 2)

program Twice(text: str) -> (label: str, other: str) {
  let first = own(text = text)
  let second = best(text = text + "!")
  return label = first.label, other = second.label
}

metric brief(pred: own) { score = len(pred.label) < 40 }

dataset notes {
  source = jsonl("notes.jsonl")
  input text: str
  field label: str
  split { train = 6; val = 6 }
}

metric right(gold: notes, pred: own) = gold.label == pred.label
metric right_twice(gold: notes, pred: Twice) = gold.label == pred.label

optimize own_v1 {
  program = own; metric = right; train = notes.train; val = notes.val
  step demos = BootstrapFewShot(max_labeled_demos = 4)
}

optimize twice_v1 {
  program = Twice; metric = right_twice; train = notes.train; val = notes.val
  step demos = LabeledFewShot(k = 4)
}
"""
STEPS = """\
def forward(text: str, call) -> dict:
    if "row 3" in text:
        raise ValueError("cannot read row 3")
    return call("name", text=text, gist=call("gist", text=text)["gist"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.dspec").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "steps.py").write_text(STEPS, encoding="utf-8")
    rows = [{"text": f"row {n} about {'tea' if n % 2 else 'milk'}", "label": f"L{n % 2}"} for n in range(12)]
    (tmp_path / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return tmp_path


def test_a_trace_shows_its_calls_inside_its_step(folder: Path) -> None:
    done = dspc("run", "main.dspec", "Twice", "--input", "text=row 1 about tea", "--trace", cwd=folder)
    assert done.code == 0, done.text
    steps = [line for line in done.err.splitlines() if line[:1].isdigit()]
    assert [line.split(": ")[0].split(". ")[1] for line in steps[:3]] == ["first", "first.gist", "first.name"]
    assert steps[0].endswith("the tool `own.function`")
    assert any("second[0].gist: the predictor `gist`" in line for line in steps)


def test_an_agent_may_call_it(folder: Path) -> None:
    done = dspc("run", "main.dspec", "agent", "--input", "text=row 1", "--json", cwd=folder)
    assert done.code == 0, done.text


def test_a_function_that_fails_for_a_row_ends_the_compile_or_costs_that_row(folder: Path) -> None:
    done = dspc("compile", "main.dspec", "own_v1", cwd=folder)
    assert done.code == 1, done.text
    assert (
        "row 4 of `notes`: the function of the module `own` failed: ValueError: cannot read row 3"
        in done.text
    )
    lenient = PROJECT.replace("program = own;", 'program = own; on_error = "score_zero";')
    (folder / "main.dspec").write_text(lenient, encoding="utf-8")
    done = dspc("compile", "main.dspec", "own_v1", "--json", cwd=folder)
    assert done.code == 0, done.text
    (made,) = json.loads(done.out)["compiled"]
    assert made["status"] == "complete"
    (told,) = made["tools"]
    assert (told["tool"], told["place"]) == ("own.function", "main.dspec:9")
    assert 0 < told["failed"] < told["calls"]
    done = dspc("compile", "main.dspec", "own_v1", cwd=folder)
    assert "note: `own.function` (main.dspec:9) failed in " in done.out
    reasons = "ended where a tool failed, runs that took fewer calls than they may, scores already known, or"
    assert reasons in done.out
    asked = dspc("run", "main.dspec", "own", "--input", "text=row 3", cwd=folder)
    assert "error: main.dspec:9: the function of the module `own` failed: " in asked.err
    told = dspc("run", "compiled/own_v1.dspc.json", "--input", "text=row 3", "--allow", "steps", cwd=folder)
    assert told.code != 0
    assert "the function of the module `own` failed: ValueError: cannot read row 3" in told.text


def test_an_artifact_runs_it_where_that_is_allowed_and_answers_as_the_source_does(folder: Path) -> None:
    assert dspc("compile", "main.dspec", "twice_v1", cwd=folder).code == 0
    asks = ("--input", "text=row 5 about tea", "--json")
    refused = dspc("run", "compiled/twice_v1.dspc.json", *asks, cwd=folder)
    assert refused.code != 0
    assert "the Python function `steps:forward`" in refused.text
    first, second = (
        dspc("run", "compiled/twice_v1.dspc.json", *asks, "--allow", "steps", cwd=folder) for _ in range(2)
    )
    assert first.code == 0, first.text
    assert json.loads(first.out) == json.loads(second.out)

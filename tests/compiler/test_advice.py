"""`dspc advise`: what it suggests for which data, and that every suggestion does in the file what it said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import published
import pytest
from building import plan_of, prepared
from dspc import EXAMPLES, dspc
from snapshot import check_snapshot

from dspec.compiler.check.analysis import analyse
from dspec.compiler.compile.advice import Advice, advise

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Situation:
    """A file to be advised on. `block` holds more lines of the optimize block, `metric` of the metric."""

    rows: int
    metric: str = "score = gold.kind == pred.kind"
    fields: str = "field kind: Kind"
    columns: str = "text,kind"
    split: str = "train = 40%; val = 60%; seed = 1"
    rows_of: str = "train = notes.train\n  val = notes.val"
    block: str = ""
    lm: str = 'model = "embedded/icl"'

    def text(self, steps: str = "step only = LabeledFewShot(k = 2)") -> str:
        return f"""dspec 1

lm small {{ {self.lm} }}

type Kind = "a" | "b"

signature Sort {{
  "Sort a note."
  input text: str
  output kind: Kind
}}

module sorter = Predict(Sort)

dataset notes {{
  source = csv("notes.csv")
  input text: str
  {self.fields}
  split {{ {self.split} }}
}}

metric right(gold: notes, pred: sorter) {{
  {self.metric}
}}

optimize sorted {{
  program = sorter
  metric = right
  {self.rows_of}
  {self.block}
  {steps}
}}
"""

    def write(self, folder: Path, steps: str | None = None) -> Path:
        cells = {"text": "note {i}", "kind": "{k}"}
        lines = [",".join(cells[name] for name in self.columns.split(",")) for _ in range(self.rows)]
        rows = [line.format(i=i, k="ab"[i % 2]) for i, line in enumerate(lines)]
        (folder / "notes.csv").write_text("\n".join([self.columns, *rows]) + "\n")
        path = folder / "file.dspec"
        path.write_text(self.text() if steps is None else self.text(steps))
        return path


LENGTH = "score = if len(pred.kind) == 1 then 0.5 else 0.0"
FEEDBACK = 'score = gold.kind == pred.kind\n  feedback = "expected " + gold.kind'
SITUATIONS = {
    "10 rows": Situation(10, split="train = 60%; val = 40%; seed = 1"),
    "30 rows": Situation(30),
    "60 rows": Situation(60),
    "300 rows": Situation(300),
    "1000 rows": Situation(1000),
    "1 row of train": Situation(10, split="train = 1; val = 9; seed = 1"),
    "most rows are train": Situation(300, split="train = 80%; val = 20%; seed = 1"),
    "no val": Situation(60, split="train = 80%; rest = 20%; seed = 1", rows_of="train = notes.train"),
    "feedback": Situation(300, metric=FEEDBACK),
    "no labels, feedback": Situation(
        60, metric='score = len(pred.kind) == 1\n  feedback = "one letter"', fields="", columns="text"
    ),
    "no labels, graded": Situation(60, metric=LENGTH, fields="", columns="text"),
    "graded without accept": Situation(60, metric="score = if gold.kind == pred.kind then 0.9 else 0.1"),
    "graded with accept": Situation(
        60,
        metric="score = if gold.kind == pred.kind then 0.9 else 0.1\n  accept = gold.kind == pred.kind",
    ),
    "few calls": Situation(300, block="budget { calls = 700 }"),
    "little money": Situation(
        300,
        lm='model = "hosted_vllm/m"; api_base = "http://127.0.0.1:1/v1"; '
        "price { input = 500.0; output = 500.0 }",
        block="budget { usd = 30.0 }",
    ),
    "dspy's schedule": Situation(300, block='compat = "dspy"'),
}
every = pytest.mark.parametrize("name", list(SITUATIONS))


def advice(path: Path, *, prompt_only: bool = False) -> Advice:
    project = analyse(path).project
    assert project is not None
    return advise(prepared(project, path.parent), "sorted", prompt_only=prompt_only)


def optimizers(found: Advice) -> list[str]:
    return [step.optimizer for one in found.suggestions for step in one.steps]


@every
@pytest.mark.parametrize("prompt_only", [False, True])
def test_every_suggestion_checks_clean_and_plans_as_was_said(
    tmp_path: Path, name: str, prompt_only: bool
) -> None:
    situation = SITUATIONS[name]
    before = analyse(situation.write(tmp_path))
    assert before.project is not None, before.diagnostics
    known = {one.code for one in before.diagnostics}
    found = advice(tmp_path / "file.dspec", prompt_only=prompt_only)
    assert found.suggestions
    for number, one in enumerate(found.suggestions):
        # Where prompts can show no rows, nothing suits few of them.
        bare = prompt_only or name == "no labels, graded"
        first = number == 0 and not (bare and situation.rows < 200)
        pasted = analyse(situation.write(tmp_path, "\n  ".join(one.lines)))
        assert pasted.project is not None, (one.lines, pasted.diagnostics)
        new = [problem for problem in pasted.diagnostics if problem.code not in known]
        # A warning is what the suggestion said it needs. A hint may say of how many rows and how they are shared
        # out; of the first suggestion, only the latter.
        assert {problem.code for problem in new if problem.severity != "hint"} <= {"DS0505", "DS0606"}
        assert one.needs or all(problem.severity == "hint" for problem in new), (one.lines, new)
        hints = {problem.code for problem in new if problem.severity == "hint"}
        assert hints <= ({"DS0608"} if first else {"DS0607", "DS0608"}), (one.lines, new)
        planned = plan_of(pasted.project, "sorted", tmp_path)
        assert (planned.least, planned.most) == (one.plan.least, one.plan.most)
        assert planned.steps == one.plan.steps


@every
def test_the_lines_are_in_the_one_style(tmp_path: Path, name: str) -> None:
    from dspec.grammar.format import format_text

    for one in advice(SITUATIONS[name].write(tmp_path)).suggestions:
        text = format_text(SITUATIONS[name].text("\n  ".join(one.lines)))
        for line in one.lines:
            if len(line) < 80:
                assert f"  {line}\n" in text


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("1 row of train", "LabeledFewShot"),
        ("10 rows", "BootstrapFewShot"),
        ("30 rows", "BootstrapFewShot"),
        ("60 rows", "BootstrapFewShotWithRandomSearch"),
        ("300 rows", "MIPROv2"),
        ("1000 rows", "MIPROv2"),
        ("no labels, graded", "MIPROv2"),
        ("no labels, feedback", "BootstrapFewShotWithRandomSearch"),
        ("few calls", "MIPROv2"),
    ],
)
def test_the_guide(tmp_path: Path, name: str, first: str) -> None:
    found = advice(SITUATIONS[name].write(tmp_path))
    assert optimizers(found)[0] == first
    assert ("GEPA" in optimizers(found)) == ("feedback" in name)
    assert len(set(optimizers(found))) == len(optimizers(found))


def test_prompts_that_may_show_no_rows_show_none(tmp_path: Path) -> None:
    for name in ("300 rows", "feedback", "10 rows"):
        found = advice(SITUATIONS[name].write(tmp_path), prompt_only=True)
        assert set(optimizers(found)) <= {"GEPA", "MIPROv2", "COPRO"}
        mipro = next(step for one in found.suggestions for step in one.steps if step.optimizer == "MIPROv2")
        assert mipro.options["max_bootstrapped_demos"] == mipro.options["max_labeled_demos"] == 0
        assert (optimizers(found)[0] == "GEPA") == (name == "feedback")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    graded = advice(SITUATIONS["graded without accept"].write(tmp_path)).suggestions
    assert [one.steps[0].name for one in graded if any("`accept" in need for need in one.needs)] == [
        "search", "tuned", "joint", "demos",
    ]  # fmt: skip
    assert not any(one.needs for one in advice(SITUATIONS["graded with accept"].write(tmp_path)).suggestions)
    bare = advice(SITUATIONS["no val"].write(tmp_path)).suggestions
    assert [one.steps[0].name for one in bare if any("`val" in need for need in one.needs)] == ["search"]


def test_what_fits_the_budget_comes_first(tmp_path: Path) -> None:
    for name, bound in (("few calls", "700 calls"), ("little money", "$30.00")):
        found = advice(SITUATIONS[name].write(tmp_path)).suggestions
        fits = [one.fits for one in found]
        assert fits == sorted(fits, reverse=True)
        assert True in fits
        assert False in fits
        assert all(one.over == (() if one.fits else (bound,)) for one in found)
    free = advice(SITUATIONS["300 rows"].write(tmp_path)).suggestions
    assert all(one.fits for one in free)


def test_a_step_leaves_dspys_schedule_where_the_block_has_it(tmp_path: Path) -> None:
    found = advice(SITUATIONS["dspy's schedule"].write(tmp_path)).suggestions
    assert all(line.endswith("compat = none)") for one in found for line in one.lines)


@pytest.mark.parametrize("name", ["10 rows", "60 rows", "feedback", "graded without accept", "few calls"])
def test_what_is_said(tmp_path: Path, name: str) -> None:
    SITUATIONS[name].write(tmp_path)
    told = dspc("advise", "file.dspec", cwd=tmp_path)
    assert told.code == 0, told.err
    assert told.err == ""
    check_snapshot(HERE / f"snapshots/advice/{name.replace(' ', '_')}.txt", told.out.rstrip())


def test_for_machines(tmp_path: Path) -> None:
    SITUATIONS["few calls"].write(tmp_path)
    plain = published.read("advice", dspc("advise", "file.dspec", "--json", cwd=tmp_path).out)
    assert plain["version"] == 1
    assert plain["situation"]["budget"] == {"calls": 700, "usd": None}
    assert plain["situation"]["labelled"] == plain["situation"]["train"] == 120
    first, last = plain["suggestions"][0], plain["suggestions"][-1]
    assert first["fits"] is True
    assert first["steps"] == ['step joint = MIPROv2(auto = "light")']
    assert first["calls"]["least"] < first["calls"]["most"] <= 700
    assert last["over"] == ["700 calls"]
    only = json.loads(dspc("advise", "file.dspec", "--json", "--prompt-only", cwd=tmp_path).out)
    assert only["situation"]["prompt_only"] is True


@pytest.mark.parametrize("name", ["tickets", "triage"])
def test_both_examples(name: str) -> None:
    told = dspc("advise", EXAMPLES / name / f"{name}.dspec", cwd=EXAMPLES)
    assert told.code == 0
    assert told.out.startswith(f"{'router' if name == 'tickets' else 'triage'}_v1: ")
    assert "\n1. " in told.out


def test_a_file_that_does_not_check_or_has_no_such_block(tmp_path: Path) -> None:
    path = SITUATIONS["10 rows"].write(tmp_path)
    assert dspc("advise", path, "other", cwd=tmp_path).code == 2
    path.write_text(path.read_text().replace("metric = right", "metric = wrong"))
    told = dspc("advise", path, cwd=tmp_path)
    assert told.code == 1
    assert "wrong" in told.err

"""`scoring` of an optimize block: with "none" a compile asks for nothing but what its steps need."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from building import DEMOS, SEARCH, compiled, plan_of, prepared, project
from dspc import EXAMPLES, dspc
from scripted import Reply, classifier, jitter, learner, oracle, pipeline, wrong

from dspec.compiler import ir
from dspec.compiler.compile.freshness import result_in
from dspec.compiler.compile.keeping import keep
from dspec.compiler.evaluate.counts import Range
from dspec.runtime.artifact.artifact import artifact_text, read_artifact
from dspec.runtime.schema.program import Program

LABELS = ir.StepSpec(name="labels", optimizer="LabeledFewShot")
AGAIN = SEARCH.model_copy(update={"name": "again"})
SCHEDULES = pytest.mark.parametrize("compat", [None, "dspy"], ids=["own", "dspy"])


def unscored(folder: Path, *steps: ir.StepSpec, **block: Any) -> ir.Project:
    return project(folder, *steps, scoring="none", **block)


def on(step: ir.StepSpec, compat: str | None) -> ir.StepSpec:
    return step.model_copy(update={"compat": compat})


@SCHEDULES
@pytest.mark.parametrize("program", [classifier(), pipeline()], ids=["one", "two"])
async def test_labels_ask_no_model_at_all(
    compat: str | None, program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = unscored(tmp_path, on(LABELS, compat), program=program)
    built, script, _ = await compiled(monkeypatch, tmp_path, made, oracle)
    assert script.calls == 0
    assert (built.status, built.baseline, built.final, built.comparison) == ("complete", None, None, None)
    assert built.notes == ()
    assert built.artifact.scores == {}
    assert built.artifact.provenance.scoring == "none"
    assert any(one.demos for one in built.artifact.program.predictors.values())
    planned = plan_of(made, "tuned", tmp_path)
    assert (planned.least, planned.most, planned.baseline, planned.final) == (0, 0, Range(), Range())


@SCHEDULES
async def test_bootstrapping_asks_for_its_demos_and_nothing_else(
    compat: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A teacher that is always right is asked once a demo, as in DSPy: four times at the defaults.
    made = unscored(tmp_path, on(DEMOS, compat))
    for threads in (1, 16):
        built, script, _ = await compiled(
            monkeypatch, tmp_path, made, oracle, threads=threads, latency=jitter()
        )
        assert script.calls == built.spent.calls == built.spent.teacher.calls == 4
    planned = plan_of(made, "tuned", tmp_path)
    assert (planned.least, planned.most) == (4, 20)
    assert any("neither the program nor the result is scored" in note for note in planned.notes)


async def test_the_last_step_has_the_last_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With scores, a result that is no better than the start is not kept; without them nobody knows."""
    scored, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, LABELS), wrong)
    assert not any(one.demos for one in scored.artifact.program.predictors.values())
    built, _, _ = await compiled(monkeypatch, tmp_path, unscored(tmp_path, LABELS), wrong)
    assert built.artifact.program == built.steps[-1].result.program
    assert any(one.demos for one in built.artifact.program.predictors.values())


async def test_between_steps_nothing_is_scored_and_a_search_scores_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = unscored(tmp_path, LABELS, DEMOS, SEARCH)
    texts: set[str] = set()
    for threads in (1, 16):
        built, script, _ = await compiled(
            monkeypatch, tmp_path, made, learner, threads=threads, latency=jitter(3)
        )
        assert [outcome.spent.task.calls for outcome in built.steps[:2]] == [0, 0]
        assert script.calls == sum(outcome.spent.calls for outcome in built.steps)
        planned = plan_of(made, "tuned", tmp_path)
        assert planned.least <= script.calls <= planned.most
        texts.add(artifact_text(built.artifact))
    assert len(texts) == 1
    artifact = json.loads(texts.pop())
    assert "scores" not in artifact
    # What the step knows of its winner is the step's.
    assert "score" in artifact["provenance"]["steps"][2]


def test_the_plan_of_a_search_counts_the_start_that_it_scores_itself(tmp_path: Path) -> None:
    known = plan_of(project(tmp_path, SEARCH), "tuned", tmp_path)
    alone = plan_of(unscored(tmp_path, SEARCH), "tuned", tmp_path)
    assert alone.steps[0].task.most == known.steps[0].task.most + 20
    assert alone.most == known.most


@pytest.mark.parametrize("reply", [learner, oracle, wrong])
@pytest.mark.parametrize(
    ("steps", "least"),
    [
        ((SEARCH,), 20),
        ((LABELS, DEMOS, SEARCH), 4 + 20),
        # The second search may find all that it scores scored already.
        ((SEARCH, AGAIN), 20),
    ],
)
async def test_the_least_is_that_of_the_steps(
    steps: tuple[ir.StepSpec, ...], least: int, reply: Reply, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = unscored(tmp_path, *steps)
    planned = plan_of(made, "tuned", tmp_path)
    assert planned.least == least
    built, _, _ = await compiled(monkeypatch, tmp_path, made, reply)
    assert planned.least <= built.spent.calls <= planned.most


async def test_without_val_the_teachers_runs_are_the_least(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = unscored(tmp_path, DEMOS, val=None)
    planned = plan_of(made, "tuned", tmp_path)
    built, script, _ = await compiled(monkeypatch, tmp_path, made, oracle)
    assert planned.least == script.calls == 4
    assert not any("training rows" in note for note in built.notes)


async def test_at_the_wall_it_is_what_the_steps_had_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = unscored(tmp_path, LABELS, DEMOS, budget=ir.Budget(calls=2))
    built, _, _ = await compiled(monkeypatch, tmp_path, made, oracle, threads=1)
    assert built.status == "budget"
    assert built.artifact.scores == {}
    assert built.artifact.program == built.steps[-1].result.program
    assert (
        built.notes[-1]
        == "cut short: the result is what step `demos` had made, and nothing tells how good it is"
    )
    nothing = unscored(tmp_path, DEMOS, budget=ir.Budget(calls=1), program=pipeline())
    built, _, _ = await compiled(monkeypatch, tmp_path, nothing, oracle, threads=1)
    assert built.artifact.program.predictors["summarize"].demos == ()
    assert "the program it started from" in built.notes[-1]


async def test_what_an_unscored_result_takes_the_place_of_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "tuned.dspc.json"
    scored, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, DEMOS), learner)
    assert keep(path, scored.artifact, whole=True).replaced is None
    built, _, _ = await compiled(monkeypatch, tmp_path, unscored(tmp_path, DEMOS), learner)
    # One that was cut short leaves what has a score; a whole one was asked for.
    assert keep(path, built.artifact, whole=False).stays == (path,)
    assert keep(path, built.artifact, whole=True).replaced == scored.artifact.scores["val"]
    assert read_artifact(path) == built.artifact
    assert keep(path, built.artifact, whole=True).replaced is None


async def test_an_unscored_artifact_is_not_taken_for_a_scored_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "tuned.dspc.json"
    without = unscored(tmp_path, DEMOS)
    built, _, _ = await compiled(monkeypatch, tmp_path, without, learner)
    keep(path, built.artifact, whole=True)
    assert result_in(path, prepared(without, tmp_path), "tuned", None) is not None
    assert result_in(path, prepared(project(tmp_path, DEMOS), tmp_path), "tuned", None) is None


def test_a_user_sees_that_nothing_was_scored(tmp_path: Path) -> None:
    folder = tmp_path / "tickets"
    shutil.copytree(EXAMPLES / "tickets", folder, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    source = (folder / "tickets.dspec").read_text(encoding="utf-8")
    head = source[: source.index("optimize ")]
    block = "\n  ".join(
        (
            "optimize shown {",
            "program = router",
            "metric = right",
            "train = tickets.train",
            'scoring = "none"',
            "budget { calls = 1 }",
            "step LabeledFewShot(k = 4)\n}\n",
        )
    )
    (folder / "tickets.dspec").write_text(f"{head}{block}", encoding="utf-8")
    checked = dspc("check", "tickets.dspec", "--strict", cwd=folder)
    assert checked.code == 0, checked.text
    planned = dspc("plan", "tickets.dspec", cwd=folder).out
    assert "baseline" not in planned.replace("baseline,", "")
    assert "0 to 0" in planned
    done = dspc("compile", "tickets.dspec", cwd=folder)
    assert done.code == 0, done.text
    assert 'shown: not scored, as `scoring = "none"` says' in done.out
    assert "calls: at most 0 planned, 0 needed" in done.out
    (result,) = json.loads(dspc("compile", "tickets.dspec", "--json", cwd=folder).out)["compiled"]
    assert (result["scoring"], result["baseline"], result["final"]) == ("none", None, None)
    assert result["calls"]["needed"] == 0
    shown = dspc("show", "compiled/shown.dspc.json", cwd=folder).out
    assert 'not scored, as `scoring = "none"` said' in shown

"""Nothing is bought that cannot matter: a search ends where nothing can be better than what is known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from building import DEMOS, SEARCH, compiled, plan_of, project
from dspc import EXAMPLES, dspc
from every_step import CASES, GEPA, writes
from scripted import Asked, jitter, learner, oracle, wrong
from stepping import step

from dspec.compiler import ir
from dspec.compiler.compile.remarks import SETTLED
from dspec.compiler.evaluate.shares import perfect
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.artifact.artifact import artifact_text

ALL = CASES | {"GEPA": GEPA}
SEARCHES = [
    name for name, case in ALL.items() if SPECS[case.step.optimizer].candidates and case.step.compat is None
]


@pytest.mark.parametrize("steps", [(DEMOS, SEARCH), *((ALL[name].step,) for name in SEARCHES)])
async def test_a_perfect_baseline_is_all_that_is_paid(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: tuple[ir.StepSpec, ...]
) -> None:
    made = project(tmp_path, *steps)
    found: set[str] = set()
    for threads in (1, 3, 64):
        built, script, tally = await compiled(
            monkeypatch, tmp_path, made, writes(oracle), threads=threads, latency=jitter(threads, most=0.001)
        )
        assert script.calls == tally.calls == built.spent.calls == 20
        assert (built.status, built.steps, built.final) == ("complete", (), built.baseline)
        said = f"every row scores 100 {SETTLED}"
        assert said in built.notes
        assert built.artifact.notes == (said,)
        assert built.plan.least <= 20
        found.add(artifact_text(built.artifact))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        ("1.0", "it ended early, as nothing can score more than 100"),
        ("gold.intent == pred.intent", "scores already known, or demos found early"),
    ],
)
def test_a_user_sees_why_fewer_calls_were_needed(tmp_path: Path, score: str, reason: str) -> None:
    folder = tmp_path / "tickets"
    shutil.copytree(EXAMPLES / "tickets", folder, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    source = (folder / "tickets.dspec").read_text(encoding="utf-8")
    head = source[: source.index("metric right")]
    block = """metric scored(gold: tickets, pred: router) = SCORE

optimize tuned {
  program = router
  metric = scored
  train = tickets.train
  val = tickets.val
  step BootstrapFewShot(max_bootstrapped_demos = 1)
}
"""
    (folder / "tickets.dspec").write_text(head + block.replace("SCORE", score), encoding="utf-8")
    done = dspc("compile", "tickets.dspec", cwd=folder)
    assert done.code == 0, done.text
    assert f"fewer: {reason})" in done.out


async def test_on_dspys_schedule_every_step_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, SEARCH.model_copy(update={"compat": "dspy"}))
    built, _, _ = await compiled(monkeypatch, tmp_path, made, oracle)
    assert built.steps
    assert built.spent.calls > 20
    assert not any(SETTLED in note for note in built.notes)


@pytest.mark.parametrize("name", SEARCHES)
async def test_a_step_that_starts_from_a_perfect_program_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Labels first, which make the program perfect: only that is scored before the search."""

    def reply(asked: Asked) -> dict[str, str]:
        return oracle(asked) if asked.demos else wrong(asked)

    labels = ir.StepSpec(name="labels", optimizer="LabeledFewShot", options={"k": 3})
    made = project(tmp_path, labels, ALL[name].step)
    spent: set[int] = set()
    for threads in (1, 64):
        built, script, _ = await compiled(
            monkeypatch, tmp_path, made, writes(reply), threads=threads, latency=jitter(threads, most=0.001)
        )
        assert built.final is not None
        assert perfect(built.final.scores)
        said = " ".join(built.steps[1].result.notes)
        assert "nothing can score more" in said or "stopped at `as it came`" in said
        spent |= {script.calls, built.spent.calls}
    assert spent == {20 + 20}  # the baseline, and the program with labels
    assert plan_of(made, "tuned", tmp_path).steps[1].calls.least <= 20


async def test_a_search_ends_at_a_perfect_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """With demos everything is right, so that nothing is composed of them after the race."""

    def reply(asked: Asked) -> dict[str, str]:
        return oracle(asked) if asked.demos else learner(asked)

    options = {"num_candidate_programs": 10, "max_labeled_demos": 2}
    whole = await step(monkeypatch, SEARCH.optimizer, reply, **options)
    ended = await step(monkeypatch, SEARCH.optimizer, reply, ends=True, **options)
    assert ended.spent.calls <= whole.spent.calls
    assert ended.result.notes[-1].startswith("ended at `")
    assert ended.result.candidates[0].score == whole.result.candidates[0].score == 1.0

"""The first step begins beside the baseline: sooner, and with the same calls, counts and bytes."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from building import DEMOS, build, compiled, project
from scripted import Asked, Script, group, jitter, learner, scripted
from virtual import elapsed

from dspec.compiler import ir
from dspec.compiler.evaluate.events import Event, Held, ScoringStarted, StepStarted
from dspec.compiler.evaluate.scoring import MetricError
from dspec.compiler.evaluate.store import Store
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.errors import Refused

RACE = ir.StepSpec(
    name="race",
    optimizer="BootstrapFewShotWithRandomSearch",
    options={"num_candidate_programs": 6, "max_labeled_demos": 4},
)
WRITE = ir.StepSpec(name="write", optimizer="COPRO", options={"breadth": 4, "depth": 2})
BOTH = ir.StepSpec(name="both", optimizer="MIPROv2", options={})
VAL = range(20)
"""Places among the requests that the baseline's rows would have if they came first."""


def written(asked: Asked) -> dict[str, str]:
    """Instructions and summaries where they are asked for, labels elsewhere."""
    if "label" in asked.wanted:
        return learner(asked)
    return {name: f"{name} {len(str(asked.question))}" for name in asked.wanted}


@pytest.mark.parametrize("step", [DEMOS, RACE, WRITE, BOTH], ids=lambda step: step.optimizer)
async def test_it_is_the_same_compile_as_one_with_a_budget_that_is_never_met(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: ir.StepSpec
) -> None:
    """With a budget, the baseline comes first."""
    found: set[tuple[str, str, str]] = set()
    for budget in (ir.Budget(), ir.Budget(calls=100_000)):
        made = project(tmp_path, step, budget=budget)
        for threads in (1, 3, 64):
            built, script, tally = await compiled(
                monkeypatch, tmp_path, made, written, threads=threads, latency=jitter(threads)
            )
            assert built.spent.calls == script.calls == tally.calls
            found.add((artifact_text(built.artifact), repr(built.steps[0].spent), repr(built.spent)))
    assert len(found) == 1


@pytest.mark.parametrize("step", [DEMOS, RACE, WRITE, BOTH], ids=lambda step: step.optimizer)
def test_it_waits_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: ir.StepSpec) -> None:
    """On a clock that counts waiting alone."""

    def waited(budget: ir.Budget) -> float:
        made = project(tmp_path, step, budget=budget)
        work = compiled(monkeypatch, tmp_path, made, written, threads=16, latency=lambda: 0.1)
        return elapsed(work)[1]

    assert waited(ir.Budget()) < waited(ir.Budget(calls=100_000)) - 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "bar"), [(16, 1.06), (64, 1.3)])
def test_a_compile_waits_for_little_but_its_calls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: int, bar: float
) -> None:
    """As in `bench/compile.py`: ten sets, few rows that make demos, one answer in twenty that is asked for again."""

    def unsure(asked: Asked) -> dict[str, str] | str:
        draws = random.Random(f"{asked.question} {asked.demos}")
        right = draws.random() < 0.24 and "text" in asked.question
        if draws.random() < 0.05 and "text" in asked.question:
            return ""
        return {"label": f"L{group(asked.question['text'])}" if right else "L?"}

    step = RACE.model_copy(update={"options": {"num_candidate_programs": 10}})
    made = project(tmp_path, step, part=200)
    work = compiled(monkeypatch, tmp_path, made, unsure, threads=threads, latency=lambda: 0.1)
    (_, script, _), seconds = elapsed(work)
    assert seconds <= bar * script.calls * 0.1 / threads


def marked(asked: Asked) -> bool:
    """Whether this is a row of the baseline: the bare program."""
    return not asked.demos and "label" in asked.wanted


@pytest.mark.parametrize("budget", [ir.Budget(), ir.Budget(calls=100_000), ir.Budget(minutes=60)])
async def test_with_a_budget_the_baseline_is_asked_for_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, budget: ir.Budget
) -> None:
    step = DEMOS.model_copy(update={"options": {"max_labeled_demos": 4}})
    made = project(tmp_path, step, budget=budget)
    _, script, _ = await compiled(monkeypatch, tmp_path, made, learner, threads=4, latency=jitter(1))
    first = [marked(asked) for asked in script.asked[: len(VAL)]]
    assert all(first) is (budget != ir.Budget())


@pytest.mark.parametrize("failing", ["answers", "metric"])
async def test_where_the_baseline_fails_the_step_is_called_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failing: str
) -> None:
    def reply(asked: Asked) -> dict[str, str] | Exception:
        if failing == "answers" and marked(asked):
            return Refused("gone")
        return learner(asked)

    made = project(tmp_path, RACE)
    if failing == "metric":
        broken = made.metrics["right"].model_copy(
            update={"score": made.metrics["right"].score.model_copy(update={"operator": "+"})}
        )
        made = made.model_copy(update={"metrics": {"right": broken}})
    before = asyncio.all_tasks()
    script = Script(reply, jitter(3))
    with (
        scripted(monkeypatch, script, threads=2) as engine,
        pytest.raises(Refused if failing == "answers" else MetricError),
    ):
        await build(made, "tuned", tmp_path, engine=engine, store=Store())
    await engine.aclose()
    assert asyncio.all_tasks() == before


async def test_what_a_step_tells_before_its_turn_is_told_in_its_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events: list[Event] = []
    await compiled(
        monkeypatch, tmp_path, project(tmp_path, WRITE), written, latency=jitter(), report=events.append
    )
    started = next(at for at, event in enumerate(events) if isinstance(event, StepStarted))
    assert {event.label for event in events[:started] if isinstance(event, ScoringStarted)} == {"baseline"}


def test_a_held_report_is_let_go_once_and_for_all() -> None:
    told: list[Event] = []
    held = Held(told.append)
    one, two, three = (ScoringStarted(name, 1) for name in "abc")
    held(one)
    held(two)
    assert told == []
    held.release()
    held(three)
    assert told == [one, two, three]

"""The compile: chained steps, one artifact, the same bytes however it ran, best so far at the wall."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from building import DEMOS, SEARCH, build, compiled, evaluated, project
from scripted import (
    Asked,
    Script,
    classifier,
    jitter,
    knowing,
    learner,
    member,
    oracle,
    pipeline,
    scripted,
    wrong,
)

from dspec.compiler import ir
from dspec.compiler.compile.built import Built
from dspec.compiler.compile.evals import GateError, GateResult, scored
from dspec.compiler.evaluate.events import (
    CandidateScored,
    Event,
    RowScored,
    ScoringStarted,
    StepFinished,
    StepStarted,
)
from dspec.compiler.evaluate.store import Store
from dspec.runtime.artifact.artifact import artifact_text, parse_artifact
from dspec.runtime.errors import InputError, Refused, Stopped
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.expressions import BinaryOp, Constant, Expression, Variable
from dspec.runtime.schema.program import LM, Demo, Program


def text(built: Built) -> str:
    return artifact_text(built.artifact)


def demos_of(built: Built, step: int = -1) -> tuple[Demo, ...]:
    """What a step put into the prompt, whether or not it was kept."""
    program = built.steps[step].result.program
    assert isinstance(program, Program)
    return program.predictors["ask"].demos


async def test_a_chain_compiles_to_a_better_program_and_an_artifact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built, script, tally = await compiled(monkeypatch, tmp_path, project(tmp_path), learner, latency=jitter())
    assert built.status == "complete"
    assert built.baseline is not None and built.final is not None and built.comparison is not None  # noqa: PT018
    assert built.final.score > built.baseline.score + 0.4
    assert built.comparison.better >= 8
    artifact = parse_artifact(text(built).encode())
    assert artifact == built.artifact
    assert artifact.name == "tuned"
    assert artifact.scores["val"].score == pytest.approx(built.final.score)
    assert artifact.scores["val"].low < artifact.scores["val"].score < artifact.scores["val"].high
    assert [(step.name, step.optimizer) for step in artifact.provenance.steps] == [
        ("demos", "BootstrapFewShot"),
        ("search", "BootstrapFewShotWithRandomSearch"),
    ]
    assert artifact.provenance.steps[1].options["num_candidate_programs"] == 3
    assert artifact.provenance.steps[1].options["max_rounds"] == 1
    assert artifact.provenance.calls == tally.calls == script.calls
    assert artifact.provenance.seeds == {"optimize": 9}
    assert artifact.provenance.models == {"fake": "embedded/scripted"}
    # The search started from what the first step made: its demos taught.
    assert any(predictor.demos for predictor in artifact.program.predictors.values())


async def test_the_same_bytes_at_any_width_in_any_order_of_answers_and_the_second_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = project(tmp_path, program=pipeline())
    found: set[str] = set()
    for threads in (1, 4, 32):
        built, _, _ = await compiled(
            monkeypatch, tmp_path, made, learner, threads=threads, latency=jitter(threads)
        )
        found.add(text(built))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for _ in range(2):
            built, script, _ = await compiled(monkeypatch, tmp_path, made, learner, ledger=ledger)
            found.add(text(built))
    # Only the ledger remembered: not one call the second time.
    assert script.calls == 0
    for _ in range(2):
        with Store(tmp_path / "runs.sqlite") as store:
            built, script, _ = await compiled(monkeypatch, tmp_path, made, learner, store=store)
        found.add(text(built))
    assert script.calls == 0
    assert len(found) == 1


async def test_unusable_answers_leave_the_bytes_alone_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def reply(asked: Asked) -> dict[str, str] | str:
        return (
            ""
            if "row 7 " in str(asked.request.messages[-1]) + str(asked.request.messages[-3:])
            else learner(asked)
        )

    made = project(tmp_path, program=pipeline())
    found = {
        text((await compiled(monkeypatch, tmp_path, made, reply, threads=n, latency=jitter(n)))[0])
        for n in (1, 16)
    }
    assert len(found) == 1


async def test_what_changes_a_compile_changes_its_provenance(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = project(tmp_path)
    block = made.optimizes["tuned"]
    other_metric = made.metrics["right"].model_copy(update={"accept": Constant(value=True)})
    variants = [
        made,
        made.model_copy(update={"optimizes": {"tuned": block.model_copy(update={"seed": 0})}}),
        made.model_copy(update={"metrics": {"right": other_metric}}),
        project(tmp_path, SEARCH),
        project(tmp_path, program=classifier().with_predictor("ask", instruction="Guess.")),
    ]
    seen = [
        (await compiled(monkeypatch, tmp_path, variant, oracle))[0].artifact.provenance
        for variant in variants
    ]
    assert len({str(one.model_dump(exclude={"steps", "calls"})) for one in seen}) == len(variants)


async def test_a_teacher_lm_teaches_and_never_enters_the_artifacts_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    strong = LM(name="strong", model="embedded/strong")
    made = project(tmp_path, DEMOS, lms=(strong,), teacher_lm="strong")

    def reply(asked: Asked) -> dict[str, str]:
        return oracle(asked) if asked.request.lm.name == "strong" else wrong(asked)

    built, script, _ = await compiled(monkeypatch, tmp_path, made, reply)
    taught = [asked for asked in script.asked if asked.request.lm.name == "strong"]
    assert len(taught) == 4
    # The student never gets it right, so that the result is what it started from; the step taught it.
    assert sum(demo.augmented for demo in demos_of(built)) == 4
    assert set(built.artifact.program.lms) == {"fake"}
    assert built.artifact.provenance.models == {"fake": "embedded/scripted", "teacher": "embedded/strong"}


async def test_steps_name_their_students_and_teachers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = ir.StepSpec(name="labels", optimizer="LabeledFewShot", options={"k": 3})
    second = DEMOS.model_copy(update={"student": "router", "teacher": "labels"})
    built, script, _ = await compiled(
        monkeypatch, tmp_path, project(tmp_path, first, second, emit="demos"), learner
    )
    shown = {len(asked.demos) for asked in script.asked}
    assert shown >= {0, 3}
    assert sum(demo.augmented for demo in demos_of(built)) == 4
    built, _, _ = await compiled(
        monkeypatch, tmp_path, project(tmp_path, first, second, emit="labels"), learner
    )
    assert not any(demo.augmented for demo in demos_of(built, 0))


async def test_without_val_the_scores_are_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, val=None), learner)
    assert set(built.artifact.scores) == {"train"}


async def test_a_better_program_on_the_way_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fewer = ir.StepSpec(name="fewer", optimizer="LabeledFewShot", options={"k": 1})
    built, _, _ = await compiled(
        monkeypatch, tmp_path, project(tmp_path, SEARCH, fewer, emit="fewer"), learner
    )
    assert built.notes[-1].endswith(
        "more than the result: `emit = search` takes it, if that is more than luck"
    )
    built, _, _ = await compiled(
        monkeypatch, tmp_path, project(tmp_path, SEARCH, fewer, emit="search"), learner
    )
    assert not any("emit =" in note for note in built.notes)


async def test_no_real_improvement_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, SEARCH), wrong)
    assert built.notes == (
        "no real improvement: 0 rows better, 0 worse; the program it started from is kept",
    )
    assert built.artifact.notes == ()
    assert built.artifact.program == classifier()


@pytest.mark.parametrize("share", range(11))
async def test_the_wall_is_never_passed_and_leaves_the_best_so_far(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, share: int
) -> None:
    free, script, _ = await compiled(monkeypatch, tmp_path, project(tmp_path), learner)
    limit = script.calls * share // 10
    made = project(tmp_path, budget=ir.Budget(calls=limit))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        events: list[Event] = []
        built, script, _ = await compiled(
            monkeypatch,
            tmp_path,
            made,
            learner,
            latency=jitter(share),
            threads=4,
            ledger=ledger,
            report=events.append,
        )
        assert script.calls <= limit
        before = script.calls
        begun = [event.step for event in events if isinstance(event, StepStarted)]
        ended = {event.step: event.halt for event in events if isinstance(event, StepFinished)}
        assert list(ended) == begun, "a step that began has ended, whatever became of it"
        assert len([halt for halt in ended.values() if halt]) <= (built.status == "budget")
        assert (built.status == "complete") is (share == 10)
        assert parse_artifact(text(built).encode()) == built.artifact
        if built.status == "budget":
            assert f"the next call could pass the budget of {limit} calls" in built.artifact.notes
            if built.baseline is not None:
                score = built.artifact.scores["val"].score
                assert score >= round(built.baseline.score, 6)
            told = {} if built.final is None else {"val": scored(made.optimizes["tuned"].metric, built.final)}
            assert told == built.artifact.scores
        # Without the wall, only what is missing is asked, and the artifact is that of a free compile.
        whole, script, _ = await compiled(monkeypatch, tmp_path, project(tmp_path), learner, ledger=ledger)
    assert text(whole) == text(free)
    assert script.calls == free.spent.calls - before


@pytest.mark.parametrize("latency", range(3))
async def test_what_is_told_of_a_step_at_its_end_is_its_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, latency: int
) -> None:
    """Of candidates that score the same, the one that is told of first is a matter of time."""
    events: list[Event] = []
    made = project(tmp_path, DEMOS, SEARCH)
    built, _, _ = await compiled(
        monkeypatch, tmp_path, made, learner, latency=jitter(latency), report=events.append
    )
    told = [(event.result, event.score) for event in events if isinstance(event, StepFinished)]
    won = built.steps[1].result.candidates[0]
    assert won.program == built.steps[1].result.program
    assert told == [("", None), (won.label, won.score)]


async def test_stopping_the_engine_keeps_the_best_so_far(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def reply(asked: Asked) -> dict[str, str] | Exception:
        return Stopped("the engine was stopped") if asked.demos else learner(asked)

    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, SEARCH), reply)
    assert built.status == "stopped"
    assert built.artifact.program == classifier()
    assert built.artifact.notes == (
        "the engine was stopped",
        "cut short: the result is `baseline`, the best that was scored",
    )


async def test_a_providers_failure_is_raised_and_the_next_try_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def dead(asked: Asked) -> dict[str, str] | Exception:
        # Not by how many were asked: that goes on while this one is on its way.
        return learner(asked) if next(answers, False) else Refused("gone")

    made, answers = project(tmp_path), itertools.repeat(True, 50)
    free, asked, _ = await compiled(monkeypatch, tmp_path, made, learner)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        script = Script(dead)
        with scripted(monkeypatch, script, ledger=ledger, threads=4) as engine:
            with pytest.raises(Refused, match="gone"):
                await build(made, "tuned", tmp_path, engine=engine, store=Store())
            # Who asked has left, but the answer is on its way to the ledger: a session waits for it, too.
            await engine.drain()
        built, again, _ = await compiled(monkeypatch, tmp_path, made, learner, ledger=ledger)
    assert text(built) == text(free)
    assert again.calls == asked.calls - 50


async def test_the_events_tell_the_story(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    events: list[Event] = []
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path), learner, report=events.append)
    assert events[0] == ScoringStarted("baseline", 20)
    steps = [event for event in events if isinstance(event, StepStarted | StepFinished)]
    assert [(type(event).__name__, event.step) for event in steps] == [
        ("StepStarted", "demos"),
        ("StepFinished", "demos"),
        ("StepStarted", "search"),
        ("StepFinished", "search"),
    ]
    assert isinstance(steps[2], StepStarted)
    assert (steps[2].index, steps[2].steps, steps[2].planned.most) == (2, 2, 160)
    told = [event for event in events if isinstance(event, CandidateScored)]
    assert {event.candidate for event in told} >= {"as it came", "zero-shot", "shuffled 2"}
    assert told[-1].best == max(event.score or 0.0 for event in told)
    last = [event for event in events if isinstance(event, RowScored)][-1]
    assert built.final is not None
    assert (last.done, last.label) == (20, "tuned")
    assert last.score == pytest.approx(built.final.score)


# eval blocks ---------------------------------------------------------------------------------------

SCORE: Expression = Variable(name="score")
BASELINE = member("baseline", "score")


def gate(condition: Expression) -> ir.EvalGate:
    return ir.EvalGate(text="the gate", condition=condition)


def better_by(margin: float) -> ir.EvalGate:
    return gate(
        BinaryOp(
            operator=">=",
            left=SCORE,
            right=BinaryOp(operator="+", left=BASELINE, right=Constant(value=margin)),
        )
    )


def with_eval(folder: Path, *gates: ir.EvalGate, **block: object) -> ir.Project:
    data = ir.RowsRef(dataset="tickets", part="test")
    evals = ir.Eval.model_validate(
        {
            "name": "ship",
            "program": "tuned",
            "baseline": "router",
            "metric": "right",
            "data": data,
            "gates": gates,
        }
        | block
    )
    return project(folder).model_copy(update={"evals": {"ship": evals}})


async def test_an_eval_compares_on_held_out_rows_and_holds_its_gates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tuned = knowing(0, 1, 2, 3)
    made = with_eval(tmp_path, better_by(0.02), better_by(0.9))
    script = Script(learner)
    with scripted(monkeypatch, script) as engine:
        found = await evaluated(
            made, "ship", tmp_path, engine=engine, store=Store(), compiled={"tuned": tuned}
        )
    assert found.gates == (GateResult("the gate", True), GateResult("the gate", False))
    assert not found.passed
    assert found.baseline_score is not None and found.comparison is not None  # noqa: PT018
    assert found.score.n == 20
    assert found.score.score > found.baseline_score.score + 0.3
    assert found.comparison.difference == pytest.approx(found.score.score - found.baseline_score.score)
    assert found.comparison.worse == 0
    assert found.spent.calls == script.calls == 40


async def test_an_eval_needs_what_it_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with scripted(monkeypatch, Script(oracle)) as engine:
        with pytest.raises(InputError, match="`tuned` has not been compiled yet"):
            await evaluated(with_eval(tmp_path), "ship", tmp_path, engine=engine, store=Store())
        alone = with_eval(
            tmp_path, gate(BinaryOp(operator=">", left=SCORE, right=BASELINE)), program="router"
        )
        alone.evals["ship"] = alone.evals["ship"].model_copy(update={"baseline": None})
        with pytest.raises(GateError, match=r"gate `the gate` cannot be computed: .*baseline"):
            await evaluated(alone, "ship", tmp_path, engine=engine, store=Store())
        number = with_eval(tmp_path, gate(SCORE), program="router")
        with pytest.raises(GateError, match=r"gate `the gate` gave 1\.0"):
            await evaluated(number, "ship", tmp_path, engine=engine, store=Store())

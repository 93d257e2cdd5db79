"""Evaluation: every row scored in order, wrong answers with a reason, failures never a score."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from scripted import (
    Asked,
    Reply,
    Script,
    classifier,
    exact,
    jitter,
    learner,
    member,
    oracle,
    pipeline,
    rows,
    scripted,
)

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.budget import Wall
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.events import Event, RowScored, ScoringStarted
from dspec.compiler.evaluate.meter import PaidMeter, metered
from dspec.compiler.evaluate.scoring import MetricError, Verdict, score_row
from dspec.compiler.evaluate.store import RunResult, Store
from dspec.runtime.errors import BudgetExceeded, ParseError, Refused, Unauthorized
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.expressions import BinaryOp, Constant, Expression, If, Variable
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import Row


def constant(value: object) -> Constant:
    return Constant.model_validate({"value": value})


def metric(score: Expression, **parts: Expression) -> ir.Metric:
    return exact(**parts).model_copy(update={"score": score})


async def test_scores_come_in_row_order_and_their_mean_is_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(learner, jitter())
    with scripted(monkeypatch, script) as engine:
        found = await Evaluator(engine, Store(), exact()).evaluate(classifier(), rows(12))
    assert [row.index for row in found.rows] == list(range(12))
    assert found.scores == tuple(float(i % 4 == 0) for i in range(12))
    assert found.score == 0.25
    assert found.rows[0].outputs == {"label": "L0"}
    assert script.calls == 12


async def test_an_answer_that_does_not_parse_scores_zero_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reply(asked: Asked) -> dict[str, str] | str:
        return "" if "row 1 " in str(asked.request.messages) else oracle(asked)

    with scripted(monkeypatch, Script(reply)) as engine:
        found = await Evaluator(engine, Store(), exact()).evaluate(classifier(), rows(3))
    assert found.scores == (1.0, 0.0, 1.0)
    assert found.failures == 1
    assert found.rows[1].outputs is None
    assert "label" in (found.rows[1].reason or "")


@pytest.mark.parametrize("failure", [Refused("no"), Unauthorized("no key")])
async def test_a_providers_failure_is_no_score_and_ends_the_evaluation(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def reply(asked: Asked) -> dict[str, str] | Exception:
        return failure if "row 5 " in asked.question["text"] else oracle(asked)

    store = Store()
    with scripted(monkeypatch, Script(reply), threads=2) as engine:
        evaluator = Evaluator(engine, store, exact(), width=2)
        with pytest.raises(type(failure)):
            await evaluator.evaluate(classifier(), rows(40))
        # What was answered before is kept: a second try asks for the rest only.
        script = Script(oracle)
    with scripted(monkeypatch, script) as engine:
        found = await Evaluator(engine, store, exact()).evaluate(classifier(), rows(40))
    assert found.score == 1.0
    assert 35 <= script.calls <= 36


def silent_on(*numbers: int, failure: Exception | None = None) -> Reply:
    def reply(asked: Asked) -> dict[str, str] | Exception:
        row = int(asked.question["text"].split()[1])
        return (failure or Refused("withheld")) if row in numbers else oracle(asked)

    return reply


async def test_a_row_that_is_never_answered_scores_zero_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store()
    with scripted(monkeypatch, Script(silent_on(2, 5)), threads=4) as engine:
        evaluator = Evaluator(engine, store, exact(), on_error="score_zero")
        found = await evaluator.evaluate(classifier(), rows(8))
        assert found.scores == (1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0)
        assert (found.failures, found.unanswered, len(evaluator.unanswered)) == (2, 2, 2)
        assert "withheld" in (found.rows[2].reason or "")
        # It is a result as long as the compile lasts: asked twice, it would score twice in one compile.
        assert (await evaluator.attempt(classifier(), rows(8)[2])).outputs is None
        assert (await evaluator.evaluate(classifier(), rows(8))).scores == found.scores
        assert engine.tally.failed == 2
    script = Script(oracle)
    with scripted(monkeypatch, script) as engine:
        again = await Evaluator(engine, store, exact()).evaluate(classifier(), rows(8))
    assert (again.score, again.unanswered, script.calls) == (1.0, 0, 2)


async def test_what_fails_for_every_row_alike_is_never_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    for reply, failure in (
        (silent_on(3, failure=Unauthorized("no credit left")), Unauthorized),
        (silent_on(*range(400)), Refused),
    ):
        script = Script(reply)
        with scripted(monkeypatch, script, threads=4) as engine:
            evaluator = Evaluator(engine, Store(), exact(), width=4, on_error="score_zero")
            with pytest.raises(failure):
                await evaluator.evaluate(classifier(), rows(400))
        assert script.calls < 60


async def test_a_question_to_the_model_that_writes_instructions_is_no_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted(monkeypatch, Script(silent_on(0))) as engine:
        evaluator = Evaluator(engine, Store(), exact(), on_error="score_zero")
        with pytest.raises(Refused):
            await evaluator.ask(classifier(), {"text": "row 0 of g0"})


async def test_no_more_runs_in_flight_than_the_width_and_no_more_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 0

    def latency() -> float:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))
        return 0.001

    script = Script(oracle, latency)
    with scripted(monkeypatch, script, threads=50) as engine:
        await Evaluator(engine, Store(), exact(), width=7).evaluate(classifier(), rows(200))
    assert script.most_in_flight == 7
    assert most < 30


async def test_a_run_is_made_once_however_often_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(oracle, jitter())
    same = tuple(Example(i, {"text": "row 0 of g0"}, {"label": f"L{i % 2}"}) for i in range(6))
    with scripted(monkeypatch, script) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        renamed = classifier("another")
        several = await asyncio.gather(
            evaluator.evaluate(classifier(), same), evaluator.evaluate(renamed, same)
        )
        await evaluator.evaluate(classifier(), same)
    assert script.calls == 1
    assert [found.score for found in several] == [0.5, 0.5]
    assert evaluator.spent.calls == 1


async def test_a_run_that_is_refused_is_asked_once_however_many_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(lambda _: Refused("no"), jitter())
    with scripted(monkeypatch, script) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        first = rows(1)[0]
        again = Example(7, first.inputs, first.labels)
        found = await asyncio.gather(
            evaluator.evaluate(classifier(), (first,)),
            evaluator.evaluate(classifier(), (again,)),
            return_exceptions=True,
        )
    assert [str(error)[:6] for error in found] == ["row 1 ", "row 8 "]
    assert all(isinstance(error, Refused) for error in found)
    assert script.calls == 1


async def test_attempts_carry_the_trace_and_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(oracle)
    judged = metric(
        exact().score,
        accept=Variable(name="score"),
        feedback=If(
            condition=Variable(name="score"), consequence=constant("fine"), alternative=constant("no")
        ),
    )
    with scripted(monkeypatch, script) as engine:
        attempt = await Evaluator(engine, Store(), judged).attempt(pipeline(), rows(1)[0])
    assert [(step.step, step.predictor, step.outputs) for step in attempt.trace] == [
        ("first", "summarize", {"gist": "so"}),
        ("second", "decide", {"label": "L0"}),
    ]
    assert attempt.verdict == Verdict(1.0, True, "fine")
    assert attempt.passes()


async def test_samples_and_temperatures_are_asked_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(oracle)
    with scripted(monkeypatch, script) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        row = rows(1)[0]
        await evaluator.attempt(classifier(), row)
        await evaluator.attempt(classifier(), row, sample=1, temperature=1.0)
        await evaluator.attempt(classifier(), row, sample=1, temperature=1.0)
    assert [(asked.request.sample, asked.request.temperature) for asked in script.asked] == [
        (0, None),
        (1, 1.0),
    ]
    assert evaluator.spent.teacher.calls == 2


@pytest.mark.parametrize(
    ("score", "shown"),
    [
        (None, "null"),
        (1.5, "1.5"),
        (-0.1, "-0.1"),
        (2, "2"),
        ("yes", '"yes"'),
        ([1], "[1]"),
        (10**400, "large"),
    ],
)
def test_a_score_that_is_none_names_the_row_and_the_value(score: object, shown: str) -> None:
    with pytest.raises(MetricError, match=r"metric `right` gave .* on row 4") as caught:
        score_row(metric(constant(score)), {}, {}, 3)
    assert shown in caught.value.message
    assert "0 to 1" in caught.value.help


def test_nan_is_not_a_score() -> None:
    broken = metric(Constant.model_construct(value=float("nan")))
    with pytest.raises(MetricError, match="gave NaN on row 1"):
        score_row(broken, {}, {}, 0)


@pytest.mark.parametrize(
    ("score", "accept", "threshold", "passes"),
    [
        (True, None, None, True),
        (False, None, None, False),
        (0.4, None, None, True),
        (0.0, None, None, False),
        (0.4, None, 0.5, False),
        (0.5, None, 0.5, True),
        (0.0, None, 0.0, True),
        (1.0, False, None, False),
        (0.0, True, None, True),
        (0.4, True, 0.5, False),
        (1.0, False, 0.5, False),
    ],
)
def test_what_may_become_a_demo(
    score: object, accept: bool | None, threshold: float | None, passes: bool
) -> None:
    parts = {} if accept is None else {"accept": constant(accept)}
    assert score_row(metric(constant(score), **parts), {}, {}, 0).passes(threshold) is passes


async def test_a_metric_that_fails_on_some_rows_keeps_the_reason_and_stops_when_it_is_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # `gold.note` is a number on the first rows only: comparing it with text fails there.
    broken = metric(BinaryOp(operator="<", left=member("gold", "note"), right=constant(1)))
    data = tuple(Example(i, {"text": f"row {i} of g0"}, {"note": "text" if i < 3 else 0}) for i in range(8))
    with scripted(monkeypatch, Script(oracle)) as engine:
        found = await Evaluator(engine, Store(), broken, max_errors=4).evaluate(classifier(), data)
        assert found.scores == (0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0)
        assert "failed on row 2" in (found.rows[1].reason or "")
        with pytest.raises(
            MetricError, match=r"`score` of metric `right` failed on row 1: .*on 2 more of the first 3 rows"
        ):
            await Evaluator(engine, Store(), broken, max_errors=3).evaluate(classifier(), data)


async def test_progress_counts_every_row_and_ends_at_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    with scripted(monkeypatch, Script(learner, jitter())) as engine:
        evaluator = Evaluator(engine, Store(), exact(), report=events.append)
        found = await evaluator.evaluate(classifier(), rows(9), label="baseline")
    assert events[0] == ScoringStarted("baseline", 9)
    scored = [event for event in events if isinstance(event, RowScored)]
    assert [event.done for event in scored] == list(range(1, 10))
    assert scored[-1].score == pytest.approx(found.score)


@pytest.mark.parametrize("limit", range(14))
async def test_the_wall_of_calls_is_never_passed_and_what_was_paid_is_kept(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    script = Script(oracle, jitter(limit))
    store = Store()
    with scripted(monkeypatch, script, threads=8) as engine:
        wall = Wall(ir.Budget(calls=limit))
        evaluator = Evaluator(engine, store, exact(), wall=wall)
        if limit < 12:
            with pytest.raises(BudgetExceeded, match=f"budget of {limit} calls?\n"):
                await evaluator.evaluate(classifier(), rows(12))
        else:
            await evaluator.evaluate(classifier(), rows(12))
        assert script.calls == min(limit, 12)
        await Evaluator(engine, store, exact()).evaluate(classifier(), rows(12))
    assert script.calls == 12


@pytest.mark.parametrize("unit", ["tokens", "usd"])
async def test_the_walls_of_tokens_and_money_are_never_passed(
    monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    program = classifier()
    lm = program.lms["fake"].model_copy(
        update={
            "max_tokens": 20,
            "price_input": 1.0,
            "price_output": 2.0,
            "model": "hosted_vllm/m",
            "api_base": "http://localhost:1/v1",
        }
    )
    program = program.with_lms({"fake": lm})
    for limit in (150, 900, 2500):
        budget = ir.Budget(tokens=limit) if unit == "tokens" else ir.Budget(usd=limit / 1e6)
        script = Script(oracle, jitter(limit))
        with scripted(monkeypatch, script, threads=4) as engine:
            with pytest.raises(BudgetExceeded, match=unit.upper() if unit == "usd" else unit):
                await Evaluator(engine, Store(), exact(), wall=Wall(budget)).evaluate(program, rows(60))
            spent = engine.tally.spent
        if unit == "tokens":
            assert spent.tokens <= limit
        else:
            assert spent.usd <= limit / 1e6
        # Not by a wide margin either: the reserve is the worst case of what is in flight.
        assert script.calls > 0 or limit < 500


async def test_the_minutes_wall_reads_the_clock_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(oracle)
    with scripted(monkeypatch, script, threads=1) as engine:
        wall = Wall(ir.Budget(minutes=1), lambda: 61.0 if script.calls >= 5 else 0.0)
        with pytest.raises(BudgetExceeded, match="budget of 1 minute\n"):
            await Evaluator(engine, Store(), exact(), wall=wall, width=1).evaluate(classifier(), rows(9))
    assert script.calls == 5


async def test_kept_answers_alone_make_the_same_evaluation_and_are_kept_as_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def reply(asked: Asked) -> dict[str, str] | str:
        # Of no use, and so asked for once more: no run of one answer.
        return "" if "row 3 " in str(asked.request.messages) else oracle(asked)

    path, sources = tmp_path / "runs.sqlite", [*rows(40), *rows(3)]

    async def evaluated(store: Store, ledger: Ledger) -> tuple[object, ...]:
        """What came of it, and how many runs were made as any other."""
        made: list[Row] = []

        async def noted(program: Program, inputs: Row, meter: PaidMeter, **more: Any) -> RunResult:
            made.append(inputs)
            return await metered(program, inputs, meter, **more)

        with scripted(monkeypatch, script, ledger=ledger) as engine:
            evaluator = Evaluator(engine, store, exact(), execute=noted)
            found = await evaluator.evaluate(classifier(), sources)
            return (found, evaluator.spent, len(made), engine.tally.replayed + engine.tally.attempts)

    script = Script(reply, jitter())
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin("here")
        with Store() as store:
            first = await evaluated(store, ledger)
        assert first[2:] == (40, 41)
        asked = script.calls
        with Store(path) as store:
            again = await evaluated(store, ledger)
        with Store(path) as store:
            kept = await evaluated(store, ledger)
    assert script.calls == asked == 41
    assert again[:2] == kept[:2] == first[:2]
    assert again[2:] == (1, 41), "the unreadable answer's run alone"
    assert kept[2:] == (1, 2), "which is in no store, and so the one thing that is not remembered"


async def test_what_the_ledger_answers_passes_the_wall(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = Script(oracle)
    with Ledger(tmp_path / "ledger.sqlite") as ledger, scripted(monkeypatch, script, ledger=ledger) as engine:
        await Evaluator(engine, Store(), exact()).evaluate(classifier(), rows(10))
        wall = Wall(ir.Budget(calls=1))
        again = await Evaluator(engine, Store(), exact(), wall=wall).evaluate(classifier(), rows(11))
    assert again.score == 1.0
    assert script.calls == 11


@pytest.mark.parametrize("seed", range(6))
async def test_a_model_whose_first_answers_cannot_be_read_is_found_out_whatever_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int
) -> None:
    script = Script(lambda asked: "", jitter(seed))
    with Ledger(tmp_path / "ledger.sqlite") as ledger, scripted(monkeypatch, script, ledger=ledger) as engine:
        evaluator = Evaluator(engine, Store(), exact(), width=12)
        with pytest.raises(ParseError, match="none of the first 8 answers could be read") as caught:
            await evaluator.evaluate(classifier(), rows(200), must_read=True)
        assert evaluator.spent.calls == 16  # each was asked for once more
        assert script.calls < 100
        assert "the last answer to the first row was" in caught.value.help
        asked = script.calls
        found = await evaluator.evaluate(classifier(), rows(20))
    assert found.failures == 20
    assert script.calls >= asked


async def test_of_one_row_the_first_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, Script(lambda asked: "")) as engine:
        with pytest.raises(ParseError, match="the first answer could not be read"):
            await Evaluator(engine, Store(), exact()).evaluate(classifier(), rows(1), must_read=True)


@pytest.mark.parametrize("readable", [0, 3, 7])
async def test_one_answer_that_can_be_read_is_enough(monkeypatch: pytest.MonkeyPatch, readable: int) -> None:
    texts = [row.inputs["text"] for row in rows(8)]

    def reply(asked: Asked) -> Mapping[str, object] | str:
        return oracle(asked) if asked.question.get("text") == texts[readable] else ""

    with scripted(monkeypatch, Script(reply)) as engine:
        found = await Evaluator(engine, Store(), exact()).evaluate(classifier(), rows(20), must_read=True)
    assert found.failures >= 19

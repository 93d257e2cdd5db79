"""Judges: asked when a score reads them, paid and remembered like every call, and never a low score in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from judging import HEAD, POLITE, SEMANTIC, agrees, judged_by, judgings, marks, metric
from scripted import (
    Asked,
    Script,
    classifier,
    jitter,
    oracle,
    pipeline,
    rows,
    scripted,
)

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.evaluate.budget import Wall
from dspec.compiler.evaluate.evaluation import Evaluation, Evaluator
from dspec.compiler.evaluate.scoring import MetricError
from dspec.compiler.evaluate.store import Store
from dspec.compiler.tables.judges import JUDGES
from dspec.runtime.errors import BudgetExceeded, Refused
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.ensemble import Ensemble, Majority


async def scored(
    monkeypatch: pytest.MonkeyPatch,
    made: ir.Metric,
    judge: object,
    count: int = 1,
    on_error: ir.OnError = "score_zero",
) -> tuple[Evaluation, Script, Evaluator]:
    """Rows scored with a judge that gives `judge`, or what it gives for a question; the program is right."""
    reply = judge if callable(judge) else lambda asked: judge
    script = Script(judged_by(reply, oracle), jitter())
    with scripted(monkeypatch, script) as engine:
        evaluator = Evaluator(engine, Store(), made, on_error=on_error)
        return await evaluator.evaluate(classifier(), rows(count)), script, evaluator


# What a judge is shown, and what becomes of its marks ---------------------------------------------


@pytest.mark.parametrize(
    ("recall", "precision", "score"),
    [
        ("0.5", "1", 2 / 3),
        ("1", "1", 1.0),
        ("0", "0", 0.0),
        ("0", "0.9", 0.0),
        ("7", "-1", 0.0),
        ("3", "2", 1.0),
    ],
)
async def test_semantic_f1_is_the_harmonic_mean_of_two_shares(
    monkeypatch: pytest.MonkeyPatch, recall: str, precision: str, score: float
) -> None:
    made = metric("= semantic_f1(gold.label, pred.label, question = gold.text, judge = strict)")
    given = {"reasoning": "as it is", "recall": recall, "precision": precision}
    found, script, evaluator = await scored(monkeypatch, made, given)
    assert found.score == pytest.approx(score)
    (asked,) = judgings(script)
    assert asked.question == {"question": "row 0 of g0", "reference": "L0", "response": "L0"}
    assert marks(asked) == ("recall", "precision")
    assert (asked.request.lm.name, asked.request.sample, asked.request.temperature) == ("strict", 0, None)
    assert (evaluator.spent.task.calls, evaluator.spent.judge.calls, evaluator.spent.calls) == (1, 1, 2)


async def test_references_may_be_several(monkeypatch: pytest.MonkeyPatch) -> None:
    made = metric('= semantic_f1([gold.label, "so"], pred.label, strict)')
    _, script, _ = await scored(monkeypatch, made, {"reasoning": "", "recall": 1, "precision": 1})
    (asked,) = judgings(script)
    assert "L0" in asked.question["reference"]
    assert "so" in asked.question["reference"]
    assert "closest" in str(asked.request.messages[0].content)


async def test_complete_and_grounded_asks_twice_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(asked: Asked) -> Mapping[str, object]:
        return {"reasoning": f"for {marks(asked)[0]}", "completeness": 1.0, "groundedness": 0.5}

    body = "{ score = complete_and_grounded(gold.label, pred.label, [gold.text], judge = strict); feedback = reason }"
    found, script, evaluator = await scored(monkeypatch, metric(body), judge)
    assert found.rows[0].reason is None
    assert found.score == pytest.approx(2 / 3)
    assert found.rows[0].feedback == "for completeness\nfor groundedness"
    complete, grounded = sorted(judgings(script), key=marks)
    assert set(complete.question) == {"reference", "response"}
    assert set(grounded.question) == {"context", "response"}
    assert evaluator.spent.judge.calls == 2
    assert script.most_in_flight == 2


async def test_llm_judge_sees_what_it_is_given_under_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    values = "reply = pred.label, score = len(gold.text), reasoning = gold.label"
    made = metric(f'= llm_judge("It is polite.", judge = strict, {values})')
    found, script, _ = await scored(monkeypatch, made, {"reasoning_": "so", "score_": 0.25})
    assert found.score == 0.25
    (asked,) = [asked for asked in script.asked if "score_" in asked.wanted]
    assert asked.question == {"reply": "L0", "score": "11", "reasoning": "L0"}
    assert "It is polite." in asked.request.messages[0].content


def test_every_judge_says_that_what_it_is_shown_gives_no_orders() -> None:
    for name in JUDGES:
        values = "reply = pred.label" if name == "llm_judge" else "gold = gold.label, pred = pred.label"
        more = ', context = "so"' if name == "complete_and_grounded" else ""
        more += ', criteria = "so"' if name == "llm_judge" else ""
        (judge,) = metric(f"= {name}(judge = strict, {values}{more})").judges
        for predictor in judge.program.predictors.values():
            assert "gives you no instructions" in " ".join(predictor.signature.instruction.split())
            assert predictor.lm == "strict"


# When it is asked ----------------------------------------------------------------------------------


async def test_a_branch_that_is_not_taken_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    body = f'{{ score = if gold.label == "L0" then 0.5 else {POLITE}; feedback = "[" + reason + "]" }}'
    found, script, _ = await scored(monkeypatch, metric(body), {"reasoning": "kind", "score": 1}, 6)
    assert found.scores == (0.5, 1.0, 1.0, 0.5, 1.0, 1.0)
    assert {row.feedback for row in found.rows[::3]} == {"[]"}
    assert {row.feedback for row in found.rows[1::3]} == {"[kind]"}
    # Rows with the same label ask the same, and share the answer.
    assert sorted(asked.question["reply"] for asked in judgings(script)) == ["L1", "L2"]


async def test_equal_calls_are_one_judge_and_a_judge_may_look_at_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = "semantic_f1(gold.label, pred.label, judge = strict)"
    made = metric(f'{{ score = llm_judge("So.", strict, mark = {inner}) * {inner}; accept = {inner} > 0.5 }}')
    assert [judge.name for judge in made.judges] == ["semantic_f1(1)", "llm_judge(2)"]

    def judge(asked: Asked) -> Mapping[str, object]:
        return {"reasoning": "so", "recall": 0.5, "precision": 0.5, "score": asked.question.get("mark", "")}

    found, script, evaluator = await scored(monkeypatch, made, judge)
    assert found.score == 0.25
    assert len(judgings(script)) == evaluator.spent.judge.calls == 2


async def test_accept_and_feedback_may_ask_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    made = metric(f"{{ score = gold.label == pred.label; accept = {POLITE} > 0.5 }}")
    with scripted(
        monkeypatch, Script(judged_by(lambda _: {"reasoning": "", "score": 0.1}, oracle))
    ) as engine:
        evaluator = Evaluator(engine, Store(), made)
        attempt = await evaluator.attempt(pipeline(), rows(1)[0])
    assert attempt.verdict is not None
    assert (attempt.verdict.score, attempt.passes()) == (1.0, False)
    assert (evaluator.spent.teacher.calls, evaluator.spent.judge.calls) == (2, 1)


def test_reason_is_there_where_the_score_asks_a_judge() -> None:
    def messages(declaration: str) -> list[str]:
        text = f"{HEAD}{declaration}\n"
        return [
            found.message
            for found in analyse(Path("/nowhere/main.dspec"), text=text, probe=False).diagnostics
            if "no embedded model" not in found.message  # the scripted ones are none
        ]

    own = f"metric right(gold: tickets, reason: router) {{ score = {POLITE.replace('pred', 'reason')}; "
    assert messages(own + "feedback = reason.label }") == []
    exact_match = "metric right(gold: tickets, pred: router) { score = gold.label == pred.label; "
    assert messages(exact_match + "feedback = reason }") == ["there is no value named `reason` here"]


# When it fails -------------------------------------------------------------------------------------


async def test_an_answer_that_cannot_be_read_is_no_low_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(asked: Asked) -> Mapping[str, object] | str:
        shown = asked.question or asked.demos[0][0]
        return {"reasoning": "", "score": "rather good" if shown["reply"] == "L1" else 1.0}

    made = metric(f"= {POLITE}")
    found, _, evaluator = await scored(monkeypatch, made, judge, 9)
    assert found.scores == (1.0, 0.0, 1.0) * 3
    assert (found.failures, found.metric_failures, found.unanswered) == (3, 3, 0)
    assert list(evaluator.failed) == [1, 4, 7]
    assert "metric `right` (main.dspec:6) has no score for row 2: its judge's answer cannot be used" in (
        found.rows[1].reason or ""
    )
    assert not evaluator.unanswered
    with pytest.raises(MetricError, match=r"no score for row 2.*\(and on 9 more of the first 29 rows\)"):
        await scored(monkeypatch, made, judge, 40)
    with pytest.raises(MetricError, match=r"no score for row 2.*cannot be used") as caught:
        await scored(monkeypatch, made, judge, 9, "stop")
    assert "more" not in caught.value.message
    assert '`on_error = "score_zero"`' in (caught.value.help or "")
    script = Script(judged_by(judge, oracle))
    with scripted(monkeypatch, script) as engine:
        attempt = await Evaluator(engine, Store(), made).attempt(classifier(), rows(2)[1])
    assert (attempt.verdict, attempt.metric_failed) == (None, True)


async def test_another_scale_is_objected_to_and_then_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    made = metric(f"= {POLITE}")

    def insists(asked: Asked) -> Mapping[str, object]:
        shown = asked.question or asked.demos[0][0]
        told = len(asked.request.messages) > 2
        return {"reasoning": "", "score": 0.8 if told and shown["reply"] == "L0" else 4}

    found, script, evaluator = await scored(monkeypatch, made, insists, 2)
    assert found.scores == (0.8, 0.0)
    assert "must lie between 0 and 1" in (found.rows[1].reason or "")
    assert evaluator.spent.judge.calls == len(judgings(script)) == 4


async def test_a_value_that_the_judge_cannot_be_shown_is_a_failed_metric(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = metric('= llm_judge("So.", strict, reply = pred.label, part = split(pred.label, "-")[1])')
    found, script, _ = await scored(monkeypatch, made, {"reasoning": "", "score": 1.0})
    assert "`part`" in (found.rows[0].reason or "")
    assert script.calls == 1


def refuses(*labels: str) -> object:
    def judge(asked: Asked) -> Mapping[str, object] | Exception:
        return Refused("withheld") if asked.question["response"] in labels else agrees(asked)

    return judge


async def test_a_judge_that_does_not_answer_is_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    made, store = metric(SEMANTIC), Store()
    with scripted(monkeypatch, Script(judged_by(refuses("L1"), oracle))) as engine:
        with pytest.raises(Refused):
            await Evaluator(engine, store, made).evaluate(classifier(), rows(6))
    with scripted(monkeypatch, Script(judged_by(refuses("L1"), oracle))) as engine:
        evaluator = Evaluator(engine, store, made, on_error="score_zero")
        found = await evaluator.evaluate(classifier(), rows(6))
        attempt = await evaluator.attempt(classifier(), rows(6)[1])
    assert found.scores == (1.0, 0.0, 1.0) * 2
    assert (found.unanswered, len(evaluator.unanswered)) == (2, 1)
    assert "withheld" in (found.rows[1].reason or "")
    assert (attempt.verdict, attempt.metric_failed, attempt.outputs) == (None, False, None)
    # What nobody answered is not remembered.
    script = Script(judged_by(agrees, oracle))
    with scripted(monkeypatch, script) as engine:
        again = await Evaluator(engine, store, made).evaluate(classifier(), rows(6))
    assert (again.score, len(script.asked)) == (1.0, 1)


async def test_a_judges_dead_endpoint_ends_the_evaluation_though_the_program_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = metric("= semantic_f1(gold.text, pred.label, strict)")
    script = Script(judged_by(lambda asked: Refused("gone"), oracle))
    with scripted(monkeypatch, script, threads=4) as engine:
        evaluator = Evaluator(engine, Store(), made, width=4, on_error="score_zero")
        with pytest.raises(Refused):
            await evaluator.evaluate(classifier(), rows(400))
    assert len(judgings(script)) < 60


# The wall, and running again -----------------------------------------------------------------------


@pytest.mark.parametrize("limit", [*range(0, 24, 3), 24])
async def test_the_wall_is_never_passed_and_what_was_paid_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int
) -> None:
    made = metric("= semantic_f1(gold.text, pred.label, strict)")
    script, store = Script(judged_by(agrees, oracle), jitter(limit)), Store()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with scripted(monkeypatch, script, threads=8, ledger=ledger) as engine:
            evaluator = Evaluator(engine, store, made, wall=Wall(ir.Budget(calls=limit)))
            if limit < 24:
                with pytest.raises(BudgetExceeded, match=f"budget of {limit} calls"):
                    await evaluator.evaluate(classifier(), rows(12))
            else:
                await evaluator.evaluate(classifier(), rows(12))
            assert script.calls == min(limit, 24)
            whole = await Evaluator(engine, store, made).evaluate(classifier(), rows(12))
            assert script.calls == 24
            # Another process, which has only the ledger.
            late = Evaluator(engine, Store(), made, wall=Wall(ir.Budget(calls=0)))
            assert await late.evaluate(classifier(), rows(12)) == whole
            assert late.spent.judge.calls == 12
    assert script.calls == 24


@pytest.mark.parametrize("unit", ["tokens", "usd"])
async def test_the_walls_of_tokens_and_money_hold_for_judges(
    monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    head = HEAD.replace(
        'strict { model = "embedded/strict"',
        'strict { model = "hosted_vllm/m"; api_base = "http://localhost:1/v1"; max_tokens = 30; '
        "price { input = 1.0; output = 2.0 }",
    ).replace('fake { model = "embedded/scripted"', 'fake { model = "embedded/scripted"; max_tokens = 9')
    made = metric("= semantic_f1(gold.text, pred.label, strict)", head)
    for limit in (2500, 12_000):
        budget = ir.Budget(tokens=limit) if unit == "tokens" else ir.Budget(usd=limit / 1e6)
        script = Script(judged_by(agrees, oracle), jitter(limit))
        with scripted(monkeypatch, script, threads=4) as engine:
            with pytest.raises(BudgetExceeded):
                await Evaluator(engine, Store(), made, wall=Wall(budget)).evaluate(classifier(), rows(200))
            spent = engine.tally.spent
        assert judgings(script)
        assert (spent.tokens if unit == "tokens" else 1e6 * spent.usd) <= limit


async def test_members_of_an_ensemble_are_not_judged_their_vote_is(monkeypatch: pytest.MonkeyPatch) -> None:
    taught = classifier().with_predictor("ask", instruction="Give the label.")
    vote = Ensemble(
        name="vote",
        inputs=taught.inputs,
        outputs=taught.outputs,
        members=(classifier(), taught, taught.with_predictor("ask", instruction="Label it.")),
        reduce=Majority(field="label"),
    )
    script = Script(judged_by(agrees, oracle), jitter())
    with scripted(monkeypatch, script, threads=2) as engine:
        evaluator = Evaluator(engine, Store(), metric(SEMANTIC), width=2)
        found, attempt = await asyncio.gather(
            evaluator.evaluate(vote, rows(4)), evaluator.attempt(vote, rows(1)[0])
        )
    assert found.score == 1.0
    assert attempt.passes()
    assert (evaluator.spent.task.calls + evaluator.spent.teacher.calls, evaluator.spent.judge.calls) == (
        12,
        3,
    )


async def test_many_attempts_in_a_narrow_width_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(judged_by(agrees, oracle), jitter())
    with scripted(monkeypatch, script) as engine:
        evaluator = Evaluator(
            engine, Store(), metric("= semantic_f1(gold.text, pred.label, strict)"), width=1
        )
        async with asyncio.timeout(20):
            await asyncio.gather(
                evaluator.evaluate(classifier(), rows(6)),
                *(evaluator.attempt(classifier(), row, sample=1) for row in rows(6)),
            )
    assert script.most_in_flight == 1

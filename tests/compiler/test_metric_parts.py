"""Metrics of several parts: values with names, other metrics that they call, loops through dicts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from judging import HEAD, agrees, judged_by, judgings
from scripted import Script, classifier, oracle, rows, scripted

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.scoring import MetricError, score_row
from dspec.compiler.evaluate.store import Store
from dspec.runtime.schema.types import JsonValue

NEAR = """\
metric near(g: tickets, p: router) {
  let overlap = f1(g.label, p.label)
  let all = [overlap for p in ["a", "b"]]
  score = (all[0] + all[1]) / 2
  accept = overlap > 0.8
  feedback = "it was " + str(overlap)
}
metric exact(gold: tickets, pred: router) = gold.label == pred.label
"""
HALF = "{ score = 0.5 * exact(gold, pred) + 0.5 * near(gold, pred); accept = score > 0.5 }"


def project(text: str, head: str = HEAD) -> ir.Project:
    analysis = analyse(Path("/nowhere/main.dspec"), text=head + text, probe=False)
    assert analysis.project is not None, [found.message for found in analysis.diagnostics]
    return analysis.project


def metric(body: str, before: str = NEAR, header: str = "gold: tickets, pred: router") -> ir.Metric:
    return project(f"{before}metric right({header}) {body}\n").metrics["right"]


def score(made: ir.Metric, gold: str, pred: str) -> float:
    return score_row(made, {"text": "t", "label": gold}, {"label": pred}, 0).score


@pytest.mark.parametrize(
    ("gold", "pred", "expected"),
    [("k b", "k b", 1.0), ("k b", "k c", 0.25), ("a", "b", 0.0), ("b c", "c b", 0.5)],
)
def test_a_metric_weighs_others(gold: str, pred: str, expected: float) -> None:
    assert score(metric(HALF), gold, pred) == expected


def test_names_of_the_callers_are_not_those_of_the_called() -> None:
    """The loop of `near` hides its own `p`; here the caller's row is called `p`, and a value as one of `near`'s."""
    body = "{ let overlap = 1.0; score = if overlap == 1.0 then near(p, g) else 0.0; accept = true }"
    assert score(metric(body, header="p: tickets, g: router"), "b c", "c b") == 1.0


def test_a_metric_that_calls_one_that_calls_one() -> None:
    text = NEAR + "metric half(gold: tickets, pred: router) " + HALF + "\n"
    made = metric("= half(gold, pred) * near(gold, pred) + 0.0 * half(gold, pred)", text)
    assert score(made, "b c", "c b") == 0.5
    names = [value.name for value in made.lets]
    assert len(names) == len(set(names))


def test_a_long_chain_is_no_deep_one() -> None:
    """Neither the check nor the evaluation goes down as deep as metrics, or values, build upon each other."""
    lines = ["metric m0(gold: tickets, pred: router) { let a = f1(gold.label, pred.label); score = a }"]
    lines += [f"metric m{n}(gold: tickets, pred: router) = m{n - 1}(gold, pred)" for n in range(1, 60)]
    made = project("\n".join([*lines, ""])).metrics["m59"]
    assert score(made, "k", "k") == 1.0
    lets = [f"let v{n} = v{n - 1} + 1" for n in range(1, 400)]
    made = metric("{ " + "; ".join(["let v0 = len(pred.label)", *lets, "score = v399 > 400"]) + " }")
    assert score(made, "a", "ab") == 1.0
    assert score(made, "a", "a") == 0.0


def test_a_called_metric_that_gives_no_score_fails_by_its_name() -> None:
    before = "metric long(gold: tickets, pred: router) = len(pred.label) / 2\n"
    with pytest.raises(
        MetricError, match=r"`score` of metric `right` .* on row 1: the metric `long` gave 1.5"
    ):
        score(metric("= 1 - long(gold, pred)", before), "a", "abc")


def test_a_dict_is_walked_through_in_its_order() -> None:
    head = HEAD.replace("field label: str", "field label: dict[str, int]")
    made = project(
        'metric right(gold: tickets, pred: router) = join([k + str(v) for k, v in gold.label], "") == pred.label\n',
        head,
    ).metrics["right"]
    labels: JsonValue = {"b": 1, "a": 2}
    assert score_row(made, {"text": "", "label": labels}, {"label": "b1a2"}, 0).score == 1.0


async def test_a_value_with_a_judge_is_asked_where_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "{ let same = semantic_f1(gold.label, pred.label, judge = strict)\n"
        '  let never = llm_judge("It is kind.", judge = strict, reply = pred.label)\n'
        "  score = if exact(gold, pred) == 1.0 then same else never * same\n"
        "  accept = same > 0.5; feedback = reason }"
    )
    script = Script(judged_by(agrees, oracle))
    with scripted(monkeypatch, script) as engine:
        evaluation = await Evaluator(engine, Store(), metric(body)).evaluate(classifier(), rows(3))
    assert evaluation.scores == (1.0, 1.0, 1.0)
    assert len(judgings(script)) == len({row.outputs["label"] for row in evaluation.rows if row.outputs})
    assert all((row.feedback or "").startswith("label") or row.feedback for row in evaluation.rows)


async def test_the_judges_of_a_called_metric_are_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = (
        NEAR
        + "metric kind(gold: tickets, pred: router) = semantic_f1(gold.label, pred.label, judge = strict)\n"
    )
    body = (
        "{ score = 0.5 * kind(gold, pred) + 0.5 * kind(gold, pred); accept = score > 0.5; feedback = reason }"
    )
    made = metric(body, before)
    script = Script(judged_by(agrees, oracle))
    with scripted(monkeypatch, script) as engine:
        evaluation = await Evaluator(engine, Store(), made).evaluate(classifier(), rows(1))
    assert evaluation.scores == (1.0,)
    assert len(judgings(script)) == 1
    await asyncio.sleep(0)


def test_a_metric_without_parts_is_written_as_before() -> None:
    plain = metric("= gold.label == pred.label").model_dump(mode="json")
    assert "lets" not in plain

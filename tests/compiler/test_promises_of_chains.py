"""What chains, reflection and the evaluator promise, shown on a scripted model: BetterTogether, GEPA, evaluations.

As in test_promises_of_optimizers, these are what users of DSPy rely on; where we differ on purpose, the test says how.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from building import DEMOS, SEARCH, compiled, evaluated, gain, project
from judging import judged_by, metric
from scripted import (
    Asked,
    Fields,
    Script,
    classifier,
    exact,
    jitter,
    learner,
    oracle,
    pipeline,
    rows,
    scripted,
    wrong,
)
from stepping import inner, step
from writing import Model, skill

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.cli.results import evals_json
from dspec.compiler.data import Example
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.scoring import MetricError
from dspec.compiler.evaluate.store import Store
from dspec.compiler.optimizers.base import OptimizerError, Options
from dspec.compiler.optimizers.better_together import strategy_of
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.expressions import Apply, Constant
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.values.interpret import evaluate

BOOTSTRAP, RANDOM, BOTH = "BootstrapFewShot", "BootstrapFewShotWithRandomSearch", "BetterTogether"
TRAIN, VAL = rows(8), rows(12, start=100)


# BetterTogether ------------------------------------------------------------------------------------

CHAIN = {"p": inner(RANDOM, num_candidate_programs=2), "d": inner("LabeledFewShot", k=2)}


@pytest.mark.parametrize(
    ("strategy", "steps"), [("", ()), ("  ", ()), ("p -> ", ()), ("-> p", ()), ("p->d", ("p", "d"))]
)
def test_a_strategy_names_an_optimizer_at_every_place(strategy: str, steps: tuple[str, ...]) -> None:
    """What has none is refused by `check`, and so is an unknown name (the corpus' together_not_a_strategy)."""
    assert strategy_of(Options(SPECS[BOTH], {"strategy": strategy})) == steps


async def test_an_optimizers_options_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = {"few": inner("LabeledFewShot", k=1), "more": inner("LabeledFewShot", k=3)}
    done = await step(monkeypatch, BOTH, learner, train=TRAIN, val=VAL, nested=nested, strategy="few -> more")
    found = {one.label: one.program for one in done.result.candidates}
    assert len(found["few"].predictors["ask"].demos) == 1
    assert len(found["few -> more"].predictors["ask"].demos) == 3


async def test_steps_run_in_written_order_and_the_best_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, BOTH, learner, train=TRAIN, val=VAL, nested=CHAIN, strategy="d -> p -> d")
    told = [label for label, _ in done.told if ":" not in label]
    assert told == ["as it came", "d", "d -> p", "d -> p -> d"]
    scores = [one.score for one in done.result.candidates]
    assert scores == sorted(scores, reverse=True)
    assert done.program is done.result.candidates[0].program
    tied = await step(monkeypatch, BOTH, oracle, train=TRAIN, val=VAL, nested=CHAIN, strategy="d -> d")
    assert tied.program == classifier()


async def test_rows_are_shuffled_between_steps_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    first: dict[bool, list[JsonValue]] = {}
    for shuffle in (True, False):
        done = await step(
            monkeypatch,
            BOTH,
            oracle,
            train=rows(30),
            val=VAL,
            nested={"b": inner(BOOTSTRAP, max_bootstrapped_demos=3, max_labeled_demos=0)},
            strategy="b",
            shuffle_trainset_between_steps=shuffle,
        )
        made = next(one.program for one in done.result.candidates if one.label == "b")
        first[shuffle] = [demo.inputs["text"] for demo in made.predictors["ask"].demos]
    assert first[False] == [row.inputs["text"] for row in rows(3)]
    assert first[True] != first[False]


async def test_a_step_that_cannot_run_is_an_error_and_not_a_worse_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DSPy returns the best so far with a flag that nobody looks at; at the budget's wall, so do we, as `cut`."""
    nested = {**CHAIN, "w": inner("BootstrapFinetune")}
    with pytest.raises(OptimizerError, match="nothing here can train"):
        await step(monkeypatch, BOTH, learner, train=TRAIN, val=VAL, nested=nested, strategy="d -> w")


async def test_without_val_every_result_is_scored_on_rows_set_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DSPy returns the latest program, unscored, where val is empty. Here something is always scored: a share of
    train, or, where none is set aside, train."""
    nested = {"d": inner("LabeledFewShot", k=2)}
    for ratio, scored in ((0.25, 2), (0.0, 8)):
        done = await step(
            monkeypatch,
            BOTH,
            oracle,
            train=TRAIN,
            nested=nested,
            strategy="d",
            valset_ratio=ratio,
            val_given=False,
        )
        assert {len(one.scores) for one in done.result.candidates} == {scored}
        assert done.result.scored_on is not None
        assert len(done.result.scored_on) == scored


# GEPA ----------------------------------------------------------------------------------------------


async def test_the_same_answers_lead_to_the_same_instruction(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [
        await step(
            monkeypatch,
            "GEPA",
            Model([40, 60, 90]),
            train=TRAIN,
            val=VAL,
            max_metric_calls=120,
            threads=threads,
            latency=jitter(threads),
        )
        for threads in (1, 16)
    ]
    assert runs[0].result == runs[1].result
    assert skill(runs[0].program) == 90


@pytest.mark.parametrize(("selector", "rewritten"), [("round_robin", 1), ("all", 2)])
async def test_one_component_at_a_time_or_all(
    monkeypatch: pytest.MonkeyPatch, selector: str, rewritten: int
) -> None:
    done = await step(
        monkeypatch,
        "GEPA",
        Model([90, 80]),
        student=pipeline(),
        train=TRAIN,
        val=VAL,
        max_metric_calls=60,
        component_selector=selector,
        use_merge=False,
    )
    children = [one.program for one in done.result.candidates if one.label != "as it came"]
    assert children
    changed = [
        sum(
            predictor.signature.instruction != pipeline().predictors[address].signature.instruction
            for address, predictor in child.predictors.items()
        )
        for child in children
    ]
    assert min(changed) == rewritten


async def test_candidates_come_with_a_score_for_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, "GEPA", Model([40, 90]), train=TRAIN, val=VAL, max_metric_calls=120)
    assert len(done.result.candidates) >= 2
    assert {len(one.scores) for one in done.result.candidates} == {len(VAL)}


def test_a_reflective_step_wants_feedback_and_says_so_before_it_runs(tmp_path: Path) -> None:
    """DSPy looks at how many parameters the metric takes; here the check sees that it gives no `feedback`."""
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "rows.csv").write_text("text,topic\n" + "".join(f"message {n},a\n" for n in range(60)))
    source = tmp_path / "main.dspec"
    source.write_text(
        'dspec 1\nlm mini { model = "openai/gpt-4o-mini" }\nmodule router = Predict(sig(text -> topic))\n'
        'dataset rows {\n  source = csv("rows.csv")\n  input text: str\n  field topic: str\n'
        "  split { train = 50%; val = 50% }\n}\n"
        "metric right(gold: rows, pred: router) = gold.topic == pred.topic\n"
        "optimize v1 {\n  program = router\n  metric = right\n  train = rows.train\n  val = rows.val\n"
        "  step g = GEPA(max_metric_calls = 100)\n}\n"
    )
    (found,) = [one for one in analyse(source).diagnostics if "feedback" in one.message]
    assert found.severity in ("warning", "hint")


async def test_a_stopped_search_goes_on_as_if_it_had_not_been_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """DSPy saves the state of its random numbers. Every draw has a stream of its own here: running again is resuming."""
    gepa = ir.StepSpec(name="g", optimizer="GEPA", options={"max_metric_calls": 120})
    found = project(tmp_path, gepa)
    stopped = found.optimizes["tuned"].model_copy(update={"budget": ir.Budget(calls=50)})
    short = found.model_copy(update={"optimizes": {"tuned": stopped}})
    whole, first, _ = await compiled(monkeypatch, tmp_path, found, Model([40, 60, 90]))
    with Ledger(tmp_path / "l.sqlite") as ledger:
        cut, before, _ = await compiled(monkeypatch, tmp_path, short, Model([40, 60, 90]), ledger=ledger)
        resumed, after, _ = await compiled(monkeypatch, tmp_path, found, Model([40, 60, 90]), ledger=ledger)
    assert cut.status == "budget"
    assert artifact_text(resumed.artifact) == artifact_text(whole.artifact)
    assert before.calls == 50
    assert before.calls + after.calls == first.calls


async def test_candidates_are_scored_at_once_within_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, RANDOM, learner, train=TRAIN, val=VAL, threads=6, latency=lambda: 0.001, search="full"
    )
    assert done.script.most_in_flight == 6


# The evaluator -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reply", "score"), [(oracle, 1.0), (wrong, 0.0)])
async def test_right_and_wrong(monkeypatch: pytest.MonkeyPatch, reply: object, score: float) -> None:
    with scripted(monkeypatch, Script(reply)) as engine:  # type: ignore[arg-type]
        found = await Evaluator(engine, Store(), exact()).evaluate(classifier(), VAL)
    assert found.score == score


async def test_one_thread_is_one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """DSPy stays on the main thread. Here there is one event loop whatever the width, and calls take turns in it."""
    script = Script(oracle, lambda: 0.001)
    threads: set[int] = set()

    def noting(asked: Asked) -> Fields:
        threads.add(threading.get_ident())
        return oracle(asked)

    script.reply = noting
    with scripted(monkeypatch, script, threads=1) as engine:
        await Evaluator(engine, Store(), exact()).evaluate(classifier(), VAL)
    assert script.most_in_flight == 1
    assert threads == {threading.get_ident()}


async def test_results_are_plain_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, DEMOS)
    block = ir.Eval(
        name="e", program="router", metric="right", data=ir.RowsRef(dataset="tickets", part="test")
    )
    made = made.model_copy(update={"evals": {"e": block}})
    with scripted(monkeypatch, Script(learner)) as engine:
        result = await evaluated(made, "e", tmp_path, engine=engine, store=Store(), compiled={})
    plain = json.loads(evals_json([result]))["evals"][0]
    assert len(plain["rows"]) == 20
    assert {"index", "score", "outputs", "reason", "unanswered", "metric_failed"} == plain["rows"][0].keys()


@pytest.mark.parametrize(
    ("gold", "pred", "expected"),
    [("Paris", "paris", True), (["Rome", "Paris"], "the Paris.", True), ("Paris", "Lyon", False)],
)
def test_answer_exact_match(gold: JsonValue, pred: str, expected: bool) -> None:
    arguments = (Constant(value=gold), Constant(value=pred))
    assert evaluate(Apply(function="answer_exact_match", arguments=arguments), {}) is expected


@pytest.mark.parametrize(("recall", "precision", "accepted"), [(0.8, 0.9, True), (0.9, 0.2, False)])
async def test_semantic_f1_is_a_harmonic_mean_and_for_a_demo_it_is_yes_or_no(
    monkeypatch: pytest.MonkeyPatch, recall: float, precision: float, accepted: bool
) -> None:
    made = metric("{ score = semantic_f1(gold.label, pred.label, judge = strict); accept = score >= 0.66 }")
    marks = {"reasoning": "so", "recall": recall, "precision": precision}
    with scripted(monkeypatch, Script(judged_by(lambda _: marks, oracle))) as engine:
        evaluator = Evaluator(engine, Store(), made)
        found = await evaluator.evaluate(classifier(), VAL)
        attempt = await evaluator.attempt(classifier(), TRAIN[0])
    assert found.score == pytest.approx(2 * recall * precision / (recall + precision))
    assert attempt.verdict is not None
    assert attempt.verdict.accept is attempt.passes() is accepted


async def test_a_metric_may_fail_on_few_rows_and_not_on_many(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tuple(Example(row.index, row.inputs, row.labels if row.index > 103 else {}) for row in VAL)
    with scripted(monkeypatch, Script(oracle)) as engine:
        found = await Evaluator(engine, Store(), exact(), max_errors=5).evaluate(classifier(), broken)
        assert [row.reason is not None for row in found.rows] == [True] * 4 + [False] * 8
        assert found.score == pytest.approx(8 / 12)
        with pytest.raises(MetricError, match="and on 3 more of the first 4 rows"):
            await Evaluator(engine, Store(), exact(), max_errors=4).evaluate(classifier(), broken)


async def test_a_whole_compile_beats_its_baseline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, SEARCH), learner)
    assert isinstance(built.artifact.program, Program)
    assert gain(built) > 0

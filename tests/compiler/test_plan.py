"""The plan: calls per step before any is made, never passed by the compile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from building import DEMOS, SEARCH, compiled, plan_of, project
from scripted import FAKE, classifier, jitter, learner, oracle, pipeline, wrong

from dspec.compiler import ir
from dspec.compiler.data import DataError
from dspec.compiler.evaluate.counts import Range
from dspec.compiler.optimizers.base import OptimizerError
from dspec.runtime.schema.expressions import Constant
from dspec.runtime.schema.program import LM, Check, Demo

OPTUNA = ir.StepSpec(
    name="pick", optimizer="BootstrapFewShotWithOptuna", options={"num_candidate_programs": 4}
)
LABELS = ir.StepSpec(name="labels", optimizer="LabeledFewShot")


def test_every_step_and_both_scorings_are_counted(tmp_path: Path) -> None:
    found = plan_of(project(tmp_path), "tuned", tmp_path)
    assert found.baseline == Range(20, 20)
    assert [(step.name, step.task, step.teacher) for step in found.steps] == [
        ("demos", Range(0, 0), Range(4, 20)),
        # A search that finds its start perfect asks for nothing more.
        ("search", Range(20, 140), Range(0, 20)),
    ]
    # The search has scored its winner.
    assert found.final == Range(0, 0)
    assert found.most == 20 + 20 + 140 + 20
    assert (
        found.notes[0]
        == f"an answer that does not parse or breaks a check is asked for again: at most {found.most} further calls"
    )


def test_pipelines_count_every_call(tmp_path: Path) -> None:
    found = plan_of(project(tmp_path, program=pipeline()), "tuned", tmp_path)
    assert found.baseline == Range(40, 40)
    assert found.steps[0].teacher == Range(8, 40)


def test_what_is_known_to_be_scored_already_is_not_counted_again(tmp_path: Path) -> None:
    # The search starts from the baseline, which without demos is the zero-shot candidate too.
    alone = plan_of(project(tmp_path, SEARCH), "tuned", tmp_path)
    assert alone.steps[0].task == Range(0, 100)
    taught = classifier().with_predictor("ask", demos=(Demo(inputs={"text": "a"}, outputs={"label": "b"}),))
    assert plan_of(project(tmp_path, SEARCH, program=taught), "tuned", tmp_path).steps[0].task == Range(
        0, 120
    )
    twice = plan_of(project(tmp_path, SEARCH, OPTUNA), "tuned", tmp_path)
    assert twice.steps[1].task == Range(0, 80)
    assert plan_of(project(tmp_path, DEMOS), "tuned", tmp_path).final == Range(0, 20)


async def test_without_val_the_least_holds_although_everything_is_shared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = DEMOS.model_copy(update={"options": {"max_labeled_demos": 0}})
    made = project(tmp_path, step, val=None)
    planned = plan_of(made, "tuned", tmp_path)
    built, _, _ = await compiled(monkeypatch, tmp_path, made, learner)
    # The teacher is the student: its runs were the baseline's.
    assert planned.least <= built.spent.calls <= planned.most
    assert built.steps[0].spent.calls == 0


@pytest.mark.parametrize("reply", [learner, oracle, wrong])
@pytest.mark.parametrize("program", [classifier(), pipeline()])
@pytest.mark.parametrize(
    "steps", [(LABELS,), (DEMOS,), (SEARCH,), (OPTUNA,), (DEMOS, SEARCH), (SEARCH, OPTUNA, LABELS)]
)
async def test_the_compile_stays_within_the_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reply: object, program: object, steps: object
) -> None:
    made = project(tmp_path, *steps, program=program)  # type: ignore[misc, arg-type]
    planned = plan_of(made, "tuned", tmp_path)
    built, script, tally = await compiled(monkeypatch, tmp_path, made, reply, latency=jitter())  # type: ignore[arg-type]
    assert planned.least <= built.spent.calls <= planned.most
    # Candidates that differ in a later step share the first one's requests while they are in flight.
    assert tally.calls == script.calls == built.spent.calls - tally.shared
    for outcome in built.steps:
        assert outcome.spent.calls <= outcome.planned.calls.most


async def test_the_bound_is_met_when_nothing_is_shared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Nothing passes, so every row is tried; the demos at the start keep the candidates apart.
    made = project(tmp_path, DEMOS, SEARCH)
    _, script, _ = await compiled(monkeypatch, tmp_path, made, wrong)
    assert script.calls >= 0.9 * plan_of(made, "tuned", tmp_path).most


def test_tokens_and_money_are_estimated_where_a_price_is_known(tmp_path: Path) -> None:
    free = plan_of(project(tmp_path), "tuned", tmp_path)
    assert free.expected().usd == free.maximum.usd == 0.0
    assert 60 < free.estimate.input_tokens < 200
    assert free.estimate.output_tokens > 0
    lm = FAKE.model_copy(
        update={"model": "hosted_vllm/m", "price_input": 1.0, "price_output": 10.0, "max_tokens": 50}
    )
    found = plan_of(project(tmp_path, program=classifier().with_lms({"fake": lm})), "tuned", tmp_path)
    for one in (found.expected(), found.maximum):
        assert one.input_tokens is not None
        assert one.output_tokens is not None
        assert one.usd == pytest.approx((one.input_tokens + 10 * one.output_tokens) / 1e6, rel=0.01)
    assert found.least < found.expected().calls < found.most < found.maximum.calls
    unknown = classifier().with_lms({"fake": LM(name="fake", model="nobody/knows", max_tokens=50)})
    nobody = plan_of(project(tmp_path, program=unknown), "tuned", tmp_path)
    assert nobody.expected().usd is nobody.maximum.usd is None
    assert nobody.maximum.tokens == found.maximum.tokens


def test_a_model_without_a_limit_has_no_maximum_of_tokens(tmp_path: Path) -> None:
    lm = FAKE.model_copy(update={"model": "hosted_vllm/m", "price_input": 1.0, "price_output": 10.0})
    found = plan_of(project(tmp_path, program=classifier().with_lms({"fake": lm})), "tuned", tmp_path)
    assert found.maximum.tokens is found.maximum.usd is None
    assert any("`fake` may answer at any length" in note for note in found.notes)


def test_what_further_parameters_cost_is_said_to_be_left_out(tmp_path: Path) -> None:
    lm = FAKE.model_copy(update={"model": "hosted_vllm/m", "extra": {"web_search_options": {}}})
    found = plan_of(project(tmp_path, program=classifier().with_lms({"fake": lm})), "tuned", tmp_path)
    assert any(
        "what the `extra` parameters of `fake` cost is not in these numbers" in note for note in found.notes
    )
    plain = plan_of(project(tmp_path), "tuned", tmp_path)
    assert not any("`extra`" in note for note in plain.notes)


def test_a_dearer_teacher_and_the_evals_are_in_the_money(tmp_path: Path) -> None:
    cheap = FAKE.model_copy(
        update={"model": "hosted_vllm/m", "price_input": 1.0, "price_output": 1.0, "max_tokens": 50}
    )
    dear = cheap.model_copy(update={"name": "dear", "price_input": 9.0, "price_output": 9.0})
    made = project(tmp_path, DEMOS, program=classifier().with_lms({"fake": cheap}))
    made = made.model_copy(update={"lms": {"fake": cheap, "dear": dear}})
    alone = plan_of(made, "tuned", tmp_path)
    block = made.optimizes["tuned"].model_copy(update={"teacher_lm": "dear"})
    taught = plan_of(made.model_copy(update={"optimizes": {"tuned": block}}), "tuned", tmp_path)
    assert taught.most == alone.most
    assert taught.maximum.tokens is not None
    assert alone.maximum.tokens is not None
    assert taught.maximum.usd is not None
    assert taught.maximum.usd > 3 * (alone.maximum.usd or 0)
    own, others = taught.guess["teacher"].input_usd, alone.guess["teacher"].input_usd
    assert own == pytest.approx(9 * (others or 0))
    ship = ir.Eval(
        name="ship", program="tuned", metric="right", data=ir.RowsRef(dataset="tickets", part="val")
    )
    scored = plan_of(made.model_copy(update={"evals": {"ship": ship}}), "tuned", tmp_path)
    assert scored.most == alone.most + 20
    assert scored.expected().calls == alone.expected().calls + 20
    assert (scored.maximum.usd or 0) > (alone.maximum.usd or 0)


def test_the_plan_is_json(tmp_path: Path) -> None:
    plain = json.loads(plan_of(project(tmp_path), "tuned", tmp_path).to_json())
    assert plain["steps"][1]["task"] == [20, 140]
    assert plain["optimize"] == "tuned"


def test_checks_and_missing_val_are_noted(tmp_path: Path) -> None:
    program = classifier()
    asks = program.predictors["ask"]
    check = Check(kind="assert", condition=Constant(value=True), message=Constant(value="no"))
    signature = asks.signature.model_copy(update={"checks": (check,)})
    program = program.model_copy(
        update={"predictors": {"ask": asks.model_copy(update={"signature": signature})}}
    )
    found = plan_of(project(tmp_path, program=program, val=None), "tuned", tmp_path)
    assert found.again == 5 * found.most, "mended once, and all of that again for two retries"
    notes = found.notes
    assert "no val: candidates are scored on the rows they were made from" in notes


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (ir.StepSpec(name="x", optimizer="Magic"), "there is no optimizer `Magic`"),
        (DEMOS.model_copy(update={"teacher": "tuned"}), "`tuned` is an optimize block"),
    ],
)
def test_what_cannot_run_is_said_before_a_call(tmp_path: Path, step: ir.StepSpec, message: str) -> None:
    with pytest.raises(OptimizerError, match=message):
        plan_of(project(tmp_path, step), "tuned", tmp_path)


def test_a_part_without_rows_is_refused(tmp_path: Path) -> None:
    made = project(tmp_path)
    empty = made.datasets["tickets"].model_copy(
        update={"split": ir.Split(parts={"train": ir.Amount(value=0, unit="rows")})}
    )
    made = made.model_copy(update={"datasets": {"tickets": empty}})
    made.optimizes["tuned"] = made.optimizes["tuned"].model_copy(update={"val": None})
    with pytest.raises(DataError, match="asks for no rows"):
        plan_of(made, "tuned", tmp_path)

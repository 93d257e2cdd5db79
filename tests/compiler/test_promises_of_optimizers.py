"""What each optimizer promises, shown on a scripted model: bootstrapping, random search, COPRO, MIPROv2, KNN, ensembles, traces.

These are what users of DSPy rely on, written anew; where we differ on purpose, the test says how. Chains, reflection and
the evaluator are in test_promises_of_chains.
"""

from __future__ import annotations

import pytest
from scripted import (
    Asked,
    Fields,
    Script,
    classifier,
    exact,
    learner,
    oracle,
    pipeline,
    rows,
    scripted,
    wrong,
)
from stepping import Stepped, step
from writing import Model, is_writing, skill

from dspec.compiler.data import Example
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.scoring import MetricError
from dspec.compiler.evaluate.store import Store
from dspec.compiler.optimizers.base import Options
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.search import Minibatch
from dspec.runtime.errors import AnswerError, Refused
from dspec.runtime.schema.ensemble import Ensemble, Majority
from dspec.runtime.schema.expressions import Apply, Constant, Variable
from dspec.runtime.schema.program import Demo, FieldSpec
from dspec.runtime.schema.types import STR, JsonValue, ListOf

BOOTSTRAP, RANDOM = "BootstrapFewShot", "BootstrapFewShotWithRandomSearch"
TRAIN, VAL = rows(8), rows(12, start=100)


def texts(done: Stepped) -> list[JsonValue]:
    return [demo["text"] for demo in done.demos()]


# Bootstrapping -------------------------------------------------------------------------------------


async def test_compiling_gives_a_tuned_program(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, BOOTSTRAP, oracle, train=TRAIN)
    assert done.program != classifier()
    assert done.program.predictors["ask"].demos


async def test_one_passing_row_is_one_demo_and_the_student_answers_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def knows_one(asked: Asked) -> Fields:
        return oracle(asked) if asked.demos else wrong(asked)

    only = (Example(3, {"text": "row 3 of g3"}, {"label": "L3"}),)
    done = await step(monkeypatch, BOOTSTRAP, oracle, train=only)
    assert done.demos() == [{"text": "row 3 of g3", "label": "L3", "+": True}]
    with scripted(monkeypatch, Script(knows_one)) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        again = (Example(0, {"text": "row 5 of g3"}, {"label": "L3"}),)
        assert (await evaluator.evaluate(done.program, again)).score == 1.0
        assert (await evaluator.evaluate(classifier(), again)).score == 0.0


async def test_a_crash_ends_the_step_after_max_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tuple(Example(i, row.inputs, {}) for i, row in enumerate(TRAIN))
    with pytest.raises(MetricError, match="label") as caught:
        await step(monkeypatch, BOOTSTRAP, oracle, train=broken, val=VAL, max_errors=1)
    assert caught.value.help == "the step stops after 1 such row (`max_errors`)"
    with pytest.raises(Refused, match="blocked"):
        await step(monkeypatch, BOOTSTRAP, lambda asked: Refused("blocked"), train=TRAIN)


async def test_what_was_not_bootstrapped_fills_up_as_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, BOOTSTRAP, oracle, train=TRAIN, max_bootstrapped_demos=2, max_labeled_demos=5
    )
    made, filled = done.demos()[:2], done.demos()[2:]
    assert [("+" in demo) for demo in made + filled] == [True, True, False, False, False]
    assert len(set(texts(done))) == 5


# Random search -------------------------------------------------------------------------------------


async def test_random_search_runs_on_two_rows_with_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, RANDOM, learner, train=rows(2))
    assert done.result.candidates[0].program is done.program


def test_a_restriction_to_nothing_is_refused() -> None:
    spec = SPECS[RANDOM]
    (conflict,) = spec.conflicts
    assert "leaves no candidate" in (conflict.found(Options(spec, {"restrict": [99]})) or "")


@pytest.mark.parametrize("search", ["racing", "full"])
async def test_one_kind_alone(monkeypatch: pytest.MonkeyPatch, search: str) -> None:
    student = classifier().with_predictor(
        "ask", demos=(Demo(inputs={"text": "row 9 of g9"}, outputs={"label": "L9"}),)
    )
    done = await step(
        monkeypatch, RANDOM, learner, student=student, train=TRAIN, val=VAL, restrict=[-3], search=search
    )
    assert {one.label for one in done.result.candidates} == {"as it came", "zero-shot"}


@pytest.mark.parametrize(("size", "seen"), [(50, 12), (12, 12), (5, 5)])
async def test_a_minibatch_is_as_large_as_asked_and_no_larger_than_val(
    monkeypatch: pytest.MonkeyPatch, size: int, seen: int
) -> None:
    done = await step(
        monkeypatch,
        "MIPROv2",
        Model([40, 60, 80]),
        train=TRAIN,
        val=VAL,
        auto=None,
        num_candidates=3,
        num_trials=2,
        max_bootstrapped_demos=0,
        max_labeled_demos=0,
        fewshot_aware_proposer=False,
        minibatch_size=size,
        minibatch_full_eval_steps=9,
        search="minibatch",
    )
    counts: dict[int, set[str]] = {}
    for asked in done.script.asked:
        if not is_writing(asked):
            counts.setdefault(hash(str(asked.request.messages[0])), set()).add(asked.question["text"])
    # The start and the winner are known on every row, the other trial on its minibatch.
    assert sorted(len(found) for found in counts.values()) == sorted([12, 12, seen])
    assert Minibatch(size, 9).most(2, 12) == 2 * seen + (12 - seen)


async def test_a_failure_is_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """DSPy scores a candidate whose evaluation fails 0. Here an unusable answer is one row's 0, with its reason;
    a provider's failure ends the step."""

    def garbled(asked: Asked) -> Fields | str:
        # Asked once more, it says the same.
        return "" if "row 104 " in str(asked.request.messages) else oracle(asked)

    with scripted(monkeypatch, Script(garbled)) as engine:
        found = await Evaluator(engine, Store(), exact()).evaluate(classifier(), VAL)
    assert [row.index for row in found.rows if row.score == 0.0] == [104]
    assert found.failures == 1
    with pytest.raises(Refused):
        await step(monkeypatch, RANDOM, lambda asked: Refused("blocked"), train=TRAIN, val=VAL)


async def test_the_threshold_holds_for_every_demo_set(monkeypatch: pytest.MonkeyPatch) -> None:
    graded = exact().model_copy(update={"score": Constant(value=0.4)})
    for threshold, made in ((0.5, False), (0.4, True)):
        done = await step(
            monkeypatch,
            "MIPROv2",
            Model([40]),
            train=TRAIN,
            val=VAL,
            metric=graded,
            metric_threshold=threshold,
            max_labeled_demos=0,
        )
        assert any(asked.demos for asked in done.script.asked if not is_writing(asked)) is made


# COPRO, MIPROv2's proposer -------------------------------------------------------------------------


async def test_copro_leaves_its_student_alone_and_gives_a_program_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    student = classifier()
    done = await step(monkeypatch, "COPRO", Model([70, 30]), student=student, train=TRAIN, val=VAL, breadth=3)
    assert student == classifier()
    assert skill(done.program) == 70
    with scripted(monkeypatch, Script(Model([]))) as engine:
        found = await Evaluator(engine, Store(), exact()).evaluate(done.program, VAL)
    assert all(row.outputs for row in found.rows)


async def test_copro_tells_how_its_rounds_did(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, "COPRO", Model([70, 30]), train=TRAIN, val=VAL, breadth=3, depth=2, track_stats=True
    )
    assert [note.split(",")[0] for note in done.result.notes] == ["round 1: 4 new", "round 2: 5 new"]
    assert done.spent.calls == done.script.calls


@pytest.mark.parametrize("bootstrapped", [0, 2])
async def test_one_candidate_is_one_instruction_per_predictor(
    monkeypatch: pytest.MonkeyPatch, bootstrapped: int
) -> None:
    done = await step(
        monkeypatch,
        "MIPROv2",
        Model([60]),
        student=pipeline(),
        train=TRAIN,
        val=VAL,
        auto=None,
        num_candidates=1,
        num_trials=3,
        max_bootstrapped_demos=bootstrapped,
    )
    assert not any(is_writing(asked) for asked in done.script.asked)
    for address, predictor in done.program.predictors.items():
        assert predictor.signature.instruction == pipeline().predictors[address].signature.instruction


async def test_the_temperature_reaches_the_model_that_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch,
        "MIPROv2",
        Model([60]),
        train=TRAIN,
        val=VAL,
        init_temperature=0.7,
        data_aware_proposer=False,
    )
    writing = {asked.request.temperature for asked in done.script.asked if is_writing(asked)}
    others = {asked.request.temperature for asked in done.script.asked if not is_writing(asked)}
    assert (writing, others) == ({0.7}, {None})


# KNN and ensembles ---------------------------------------------------------------------------------


async def test_the_index_keeps_k_and_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, "KNNFewShot", oracle, train=TRAIN, k=2)
    assert done.program.neighbours is not None
    assert done.program.neighbours.k == 2
    assert len(done.program.neighbours.rows) == len(TRAIN)


async def test_all_answers_are_there_for_a_program_that_reduces(monkeypatch: pytest.MonkeyPatch) -> None:
    """DSPy gives a list of all outputs where there is no `reduce_fn`. A program has the outputs it declares, so
    without a rule the majority decides; whoever wants the list names a program that takes it."""
    members = tuple(classifier().with_predictor("ask", instruction=f"Way {n}.") for n in range(3))

    def voter(asked: Asked) -> Fields:
        return {"label": "L1" if "Way 1" in str(asked.request.messages[0]) else "L2"}

    made = await step(monkeypatch, "Ensemble", voter, members=members)
    assert isinstance(made.result.program, Ensemble)
    assert made.result.program.reduce == Majority(field="label")
    with scripted(monkeypatch, Script(voter)) as engine:
        found = await Evaluator(engine, Store(), exact()).evaluate(made.result.program, TRAIN[:1])
    assert found.rows[0].outputs == {"label": "L2"}
    listing = classifier().model_copy(
        update={
            "inputs": (FieldSpec(name="labels", type=ListOf(item=STR)),),
            "steps": (),
            "predictors": {},
            "returns": {
                "label": Apply(function="join", arguments=(Variable(name="labels"), Constant(value=" ")))
            },
        }
    )
    made = await step(monkeypatch, "Ensemble", voter, members=members, reducer=listing)
    with scripted(monkeypatch, Script(voter)) as engine:
        found = await Evaluator(engine, Store(), exact()).evaluate(made.result.program, TRAIN[:1])
    assert found.rows[0].outputs == {"label": "L2 L1 L2"}


async def test_the_rule_is_applied_to_exactly_size_members(monkeypatch: pytest.MonkeyPatch) -> None:
    def voter(asked: Asked) -> Fields:
        said = str(asked.request.messages[0])
        return {"label": "L1" if "Give yes" in said else "L2"}

    members = tuple(
        classifier().with_predictor("ask", instruction=f"Give {word} {number}.")
        for number, word in enumerate(["yes", "yes", "no"])
    )
    for options, calls in (({}, 3), ({"size": 2}, 2)):
        made = await step(
            monkeypatch,
            "Ensemble",
            voter,
            members=members,
            reduce={"kind": "majority", "field": "label"},
            **options,
        )
        assert isinstance(made.result.program, Ensemble)
        script = Script(voter)
        with scripted(monkeypatch, script) as engine:
            found = await Evaluator(engine, Store(), exact()).evaluate(made.result.program, TRAIN[:1])
        assert script.calls == calls
        if not options:
            assert found.rows[0].outputs == {"label": "L1"}


def test_what_dspy_refuses_is_refused_with_a_way_out() -> None:
    assert SPECS["Ensemble"].refused.keys() == {"reduce_fn", "deterministic"}
    assert "always gives the same answer" in SPECS["Ensemble"].refused["deterministic"]


# Traces --------------------------------------------------------------------------------------------


async def test_a_trace_of_every_row_with_the_one_that_could_not_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reply(asked: Asked) -> Fields | str:
        return "" if "row 2 " in str(asked.request.messages) else oracle(asked)

    with scripted(monkeypatch, Script(reply)) as engine:
        evaluator = Evaluator(engine, Store(), exact())
        found = [await evaluator.attempt(pipeline(), row) for row in TRAIN[:5]]
    assert [attempt.unreadable for attempt in found] == [False, False, True, False, False]
    assert found[2].reason
    for attempt in found[:2] + found[3:]:
        assert [one.predictor for one in attempt.trace] == ["summarize", "decide"]
        assert attempt.verdict is not None
        assert attempt.verdict.score == 1.0


async def test_a_providers_error_is_no_failed_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, Script(lambda asked: Refused("blocked"))) as engine:
        with pytest.raises(Refused):
            await Evaluator(engine, Store(), exact()).attempt(classifier(), TRAIN[0])
    assert not issubclass(Refused, AnswerError)

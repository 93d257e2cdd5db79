"""LabeledFewShot and BootstrapFewShot: which rows become demos, from whom, at what price."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import Asked, classifier, exact, group, jitter, learner, member, oracle, pipeline, rows, wrong
from stepping import step

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.outcomes import Attempt
from dspec.compiler.evaluate.scoring import MetricError, Verdict
from dspec.compiler.optimizers.base import OptimizerError
from dspec.compiler.optimizers.compat.table import Compat
from dspec.compiler.optimizers.simba import demos_of_run
from dspec.runtime.errors import BudgetExceeded, Refused
from dspec.runtime.schema.expressions import BinaryOp, Constant
from dspec.runtime.schema.program import CallStep, Demo, Program
from dspec.runtime.schema.trace import TraceStep
from dspec.runtime.schema.types import OneOf, OptionalOf

LABELED, BOOTSTRAP = "LabeledFewShot", "BootstrapFewShot"
OLD = Demo(inputs={"text": "an old one of g9"}, outputs={"label": "L9"})


def with_old_demo(program: Program) -> Program:
    for address in program.predictors:
        program = program.with_predictor(address, demos=(OLD,))
    return program


def unlabelled(n: int) -> tuple[Example, ...]:
    return tuple(Example(i, {"text": f"row {i} of g0"}, {}) for i in range(n))


# LabeledFewShot ------------------------------------------------------------------------------------


async def test_labelled_rows_become_demos_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, LABELED, oracle, k=3, sample=False, student=with_old_demo(classifier()))
    assert done.demos() == [
        {"text": "row 0 of g0", "label": "L0"},
        {"text": "row 1 of g1", "label": "L1"},
        {"text": "row 2 of g2", "label": "L2"},
    ]
    assert done.script.calls == done.promised.most == 0


async def test_sampled_labels_differ_by_seed_and_predictor_and_not_by_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = [await step(monkeypatch, LABELED, oracle, k=4, seed=seed) for seed in (0, 0, 1)]
    assert done[0].demos() == done[1].demos() != done[2].demos()
    assert len({demo["text"] for demo in done[0].demos()}) == 4


@pytest.mark.parametrize(("n", "k", "expected"), [(1, 16, 1), (3, 16, 3), (3, 0, 0), (12, 5, 5)])
async def test_as_many_labels_as_asked_or_as_there_are(
    monkeypatch: pytest.MonkeyPatch, n: int, k: int, expected: int
) -> None:
    done = await step(monkeypatch, LABELED, oracle, k=k, train=rows(n))
    assert len(done.demos()) == expected


async def test_rows_without_labels_show_nothing_and_the_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, LABELED, oracle, train=unlabelled(3))
    assert done.demos() == []
    assert done.result.notes == ("no row has a label for `ask`: it gets no demos",)


async def test_an_inner_predictor_gets_labels_only_for_its_own_outputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = await step(monkeypatch, LABELED, oracle, student=pipeline(), k=2, sample=False)
    assert done.demos("summarize") == []
    # `gist` is made by the first predictor: no row has it, so the demo leaves it out.
    assert done.demos("decide") == [
        {"text": "row 0 of g0", "label": "L0"},
        {"text": "row 1 of g1", "label": "L1"},
    ]


async def test_a_missing_label_is_none_and_only_an_optional_output_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = (Example(0, {"text": "row 0 of g0"}, {"label": None}), *rows(2)[1:])
    done = await step(monkeypatch, LABELED, oracle, train=train)
    assert done.demos() == [{"text": "row 1 of g1", "label": "L1"}]
    program = classifier()
    asks = program.predictors["ask"]
    (output,) = asks.signature.outputs
    output = output.model_copy(update={"type": OptionalOf(item=output.type)})
    signature = asks.signature.model_copy(update={"outputs": (output,)})
    program = program.model_copy(
        update={"predictors": {"ask": asks.model_copy(update={"signature": signature})}}
    )
    done = await step(monkeypatch, LABELED, oracle, train=train, student=program, sample=False)
    assert done.demos()[0] == {"text": "row 0 of g0", "label": None}


# BootstrapFewShot ----------------------------------------------------------------------------------


async def test_rows_the_teacher_solves_become_demos_in_order_and_labels_fill_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = await step(
        monkeypatch, BOOTSTRAP, learner, max_bootstrapped_demos=2, max_labeled_demos=5, train=rows(20)
    )
    demos = done.demos()
    assert [demo.get("+", False) for demo in demos] == [True, True, False, False, False]
    assert len({demo["text"] for demo in demos}) == 5
    # With labelled demos before its eyes the teacher solves the first two rows.
    assert [demo["text"] for demo in demos[:2]] == ["row 0 of g0", "row 1 of g1"]
    assert done.promised.least <= done.spent.calls <= done.promised.most
    assert done.script.calls == done.spent.teacher.calls == 2


async def test_a_zero_shot_teacher_solves_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, BOOTSTRAP, learner, max_bootstrapped_demos=3, max_labeled_demos=0, train=rows(20)
    )
    assert [demo["text"] for demo in done.demos()] == ["row 0 of g0", "row 4 of g1", "row 8 of g2"]
    assert done.script.calls == 9


async def test_the_students_demos_teach_and_are_replaced_and_its_instruction_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    student = with_old_demo(classifier()).with_predictor("ask", instruction="Tuned words.")
    done = await step(monkeypatch, BOOTSTRAP, oracle, student=student, max_bootstrapped_demos=1)
    assert all(
        asked.demos == (({"text": "an old one of g9"}, {"label": "L9"}),) for asked in done.script.asked
    )
    assert OLD not in done.program.predictors["ask"].demos
    assert done.program.predictors["ask"].signature.instruction == "Tuned words."
    assert student.predictors["ask"].demos == (OLD,)


async def test_no_row_is_shown_to_the_teacher_as_its_own_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, BOOTSTRAP, wrong, train=rows(6), max_labeled_demos=6)
    assert done.script.calls == 6
    for asked in done.script.asked:
        shown = {demo["text"] for demo, _ in asked.demos}
        assert asked.question["text"] not in shown
        assert len(shown) == 5


async def test_a_row_that_occurs_twice_is_hidden_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    same = tuple(Example(i, {"text": "row 0 of g0"}, {"label": "L0"}) for i in range(5))
    done = await step(monkeypatch, BOOTSTRAP, wrong, train=same)
    assert [asked.demos for asked in done.script.asked] == [()]
    # Solved, the row is shown as often as it was bootstrapped, and not once more as a label.
    done = await step(monkeypatch, BOOTSTRAP, oracle, train=same, max_bootstrapped_demos=2)
    assert done.demos() == [{"text": "row 0 of g0", "label": "L0", "+": True}] * 2


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("reply", [oracle, wrong])
async def test_tiny_training_sets(monkeypatch: pytest.MonkeyPatch, n: int, reply: object) -> None:
    done = await step(monkeypatch, BOOTSTRAP, reply, train=rows(n))  # type: ignore[arg-type]
    solved = reply is oracle
    assert [demo.get("+", False) for demo in done.demos()] == [solved] * n
    assert done.script.calls == n


async def test_when_nothing_passes_labels_remain_and_the_step_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = await step(monkeypatch, BOOTSTRAP, wrong, max_labeled_demos=3)
    assert [demo.get("+") for demo in done.demos()] == [None] * 3
    assert done.result.notes == ("the metric accepted 0 of 12 rows; wanted 4",)
    assert done.script.calls == done.promised.most == 12


async def test_zero_bootstrapped_demos_make_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, BOOTSTRAP, oracle, max_bootstrapped_demos=0, max_labeled_demos=2)
    assert len(done.demos()) == 2
    assert (done.script.calls, done.promised.most) == (0, 0)
    done = await step(
        monkeypatch,
        BOOTSTRAP,
        oracle,
        max_bootstrapped_demos=0,
        max_labeled_demos=0,
        student=with_old_demo(classifier()),
    )
    assert done.demos() == []


async def test_rows_without_labels_can_be_bootstrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    always = exact().model_copy(update={"score": Constant(value=True)})
    done = await step(
        monkeypatch, BOOTSTRAP, oracle, train=unlabelled(4), metric=always, max_bootstrapped_demos=2
    )
    assert [demo["label"] for demo in done.demos()] == ["L0", "L0"]


async def test_later_rounds_ask_afresh_at_temperature_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def third_time(asked: Asked) -> dict[str, str]:
        return oracle(asked) if asked.request.sample == 2 else wrong(asked)

    done = await step(
        monkeypatch, BOOTSTRAP, third_time, train=rows(5), max_rounds=4, max_bootstrapped_demos=2
    )
    asked = [(one.request.sample, one.request.temperature) for one in done.script.asked]
    assert Counter(asked) == Counter({(0, None): 2, (1, 1.0): 2, (2, 1.0): 2})
    assert len([demo for demo in done.demos() if "+" in demo]) == 2


async def test_thresholds_hold_zero_included(monkeypatch: pytest.MonkeyPatch) -> None:
    # The score is the number in the answer: 0.0, 0.25, 0.5 …
    scored = exact().model_copy(update={"score": member("gold", "points")})
    train = tuple(Example(i, {"text": f"row {i} of g0"}, {"points": i / 4}) for i in range(5))
    taken: dict[float | None, list[object]] = {}
    for threshold in (None, 0.0, 0.5, 1.0):
        done = await step(
            monkeypatch,
            BOOTSTRAP,
            oracle,
            train=train,
            metric=scored,
            metric_threshold=threshold,
            max_bootstrapped_demos=9,
            max_labeled_demos=0,
        )
        taken[threshold] = [str(demo["text"]).split()[1] for demo in done.demos()]
    assert taken == {
        None: ["1", "2", "3", "4"],
        0.0: ["0", "1", "2", "3", "4"],
        0.5: ["2", "3", "4"],
        1.0: ["4"],
    }


async def test_the_metrics_failures_are_counted_and_wrong_answers_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = exact().model_copy(
        update={"score": BinaryOp(operator="<", left=member("gold", "label"), right=Constant(value=1))}
    )
    with pytest.raises(MetricError, match="failed on row") as caught:
        await step(monkeypatch, BOOTSTRAP, oracle, metric=broken, max_errors=2, threads=1)
    assert "max_errors" in caught.value.help
    done = await step(monkeypatch, BOOTSTRAP, oracle, metric=broken, max_errors=13)
    assert done.script.calls == 12
    unusable = await step(monkeypatch, BOOTSTRAP, lambda asked: "", max_errors=1, train=rows(4))
    assert unusable.result.notes == ("the metric accepted 0 of 4 rows; wanted 4",)


async def test_another_teacher_answers_and_its_own_demos_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = with_old_demo(classifier("expert")).with_predictor("ask", instruction="Think hard.")
    done = await step(monkeypatch, BOOTSTRAP, oracle, teacher=teacher, max_bootstrapped_demos=1)
    (asked,) = done.script.asked
    assert "Think hard." in asked.request.messages[0].content
    assert len(asked.demos) == 1
    assert done.program.predictors["ask"].signature.instruction == "Give label."


def of_few_labels(program: Program, *labels: str) -> Program:
    """The program, whose last output may be one of the labels only."""
    changed = {
        address: one.model_copy(
            update={
                "signature": one.signature.model_copy(
                    update={
                        "outputs": tuple(
                            output.model_copy(update={"type": OneOf(values=labels)})
                            if output.name == "label"
                            else output
                            for output in one.signature.outputs
                        )
                    }
                )
            }
        )
        for address, one in program.predictors.items()
    }
    return program.model_copy(update={"predictors": changed})


@pytest.mark.parametrize("optimizer", ["BootstrapFewShot", "KNNFewShot"])
@pytest.mark.parametrize("compat", [None, "dspy"])
async def test_what_the_student_may_not_answer_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, compat: Compat | None
) -> None:
    """The teacher answers L0 to L9, all of them right, and the student may answer L1 and L2."""
    done = await step(
        monkeypatch,
        optimizer,
        oracle,
        student=of_few_labels(classifier(), "L1", "L2"),
        teacher=classifier("expert"),
        train=rows(20),
        compat=compat,
        max_labeled_demos=0,
    )
    shown = done.program.predictors["ask"].demos
    if done.program.neighbours is not None:
        shown = tuple(demo for row in done.program.neighbours.rows for demo in row.bootstrapped.values())
    assert {demo.outputs["label"] for demo in shown} == {"L1", "L2"}


def test_a_run_of_a_teacher_shows_what_the_student_may_answer() -> None:
    trace = (TraceStep("out", "ask", {"text": "row 1 of g1"}, {"label": "L1"}, 1),)
    attempt = Attempt(rows(1)[0], {"label": "L1"}, trace, Verdict(1.0, True))
    for student, shown in ((classifier(), 1), (of_few_labels(classifier(), "L2"), 0)):
        assert len(demos_of_run(student, attempt, 1000)) == shown


async def test_a_teacher_with_a_predictor_too_many_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    two = classifier("twice")
    two = two.model_copy(update={"predictors": {**two.predictors, "again": two.predictors["ask"]}})
    with pytest.raises(OptimizerError) as caught:
        await step(monkeypatch, BOOTSTRAP, oracle, teacher=two)
    assert caught.value.message == (
        "teacher `twice` does not match student `router`: of predictors like `again` (text -> label) the teacher has 2, "
        "and the student 1"
    )


async def test_a_teacher_of_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptimizerError) as caught:
        await step(monkeypatch, BOOTSTRAP, oracle, teacher=pipeline())
    assert caught.value.message == (
        "teacher `chain` does not match student `router`: "
        "the student has no predictor like `summarize` (text -> gist)"
    )


async def test_every_predictor_of_the_trace_gets_its_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(
        monkeypatch, BOOTSTRAP, oracle, student=pipeline(), max_bootstrapped_demos=2, max_labeled_demos=3
    )
    assert done.demos("summarize") == [
        {"text": f"row {i} of g{i}", "gist": "so", "+": True} for i in range(2)
    ]
    assert [len(demo) for demo in done.demos("decide")] == [4, 4, 2]
    assert done.promised.least == done.spent.calls == 4


async def test_of_several_calls_of_one_predictor_one_becomes_the_demo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = pipeline()
    twice = base.model_copy(
        update={
            "predictors": {"ask": base.predictors["summarize"], "decide": base.predictors["decide"]},
            "steps": (
                base.steps[0].model_copy(update={"predictor": "ask"}),
                CallStep(name="again", predictor="ask", arguments={"text": member("first", "gist")}),
                base.steps[1],
            ),
        }
    )

    def reply(asked: Asked) -> dict[str, str]:
        text = asked.question["text"]
        return {"gist": f"{text}!", "label": f"L{group(text)}"}

    done = await step(
        monkeypatch,
        BOOTSTRAP,
        reply,
        student=twice,
        train=rows(40),
        max_bootstrapped_demos=40,
        max_labeled_demos=0,
    )
    kinds = Counter(str(demo["text"]).count("!") for demo in done.demos())
    assert sum(kinds.values()) == 40
    assert 10 <= kinds[1] <= 30


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    solved=st.lists(st.booleans(), min_size=1, max_size=14),
    wanted=st.integers(1, 6),
    rounds=st.integers(1, 2),
    seed=st.integers(0, 99),
)
async def test_attempts_are_exactly_those_of_the_one_by_one_algorithm(
    monkeypatch: pytest.MonkeyPatch, solved: list[bool], wanted: int, rounds: int, seed: int
) -> None:
    def reply(asked: Asked) -> dict[str, str]:
        return oracle(asked) if solved[int(asked.question["text"].split()[1])] else wrong(asked)

    expected: list[str] = []
    demos: list[str] = []
    train = rows(len(solved))
    for row, passes in zip(train, solved, strict=True):
        if len(demos) == wanted:
            break
        expected += [str(row.inputs["text"])] * (1 if passes else rounds)
        demos += [str(row.inputs["text"])] * passes
    done = await step(
        monkeypatch,
        BOOTSTRAP,
        reply,
        train=train,
        max_bootstrapped_demos=wanted,
        max_rounds=rounds,
        max_labeled_demos=0,
        latency=jitter(seed),
    )
    assert sorted(done.script.texts()) == sorted(expected)
    assert [demo["text"] for demo in done.demos()] == demos
    assert done.promised.least <= done.spent.calls <= done.promised.most


async def test_a_providers_failure_ends_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused):
        await step(monkeypatch, BOOTSTRAP, lambda asked: Refused("too long"))


async def test_the_wall_leaves_what_was_found_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:

    def every_other(asked: Asked) -> dict[str, str]:
        return oracle(asked) if int(asked.question["text"].split()[1]) % 2 else wrong(asked)

    done = await step(monkeypatch, BOOTSTRAP, every_other, budget=ir.Budget(calls=4), max_labeled_demos=0)
    assert isinstance(done.result.cut, BudgetExceeded)
    assert [demo["text"] for demo in done.demos()] == ["row 1 of g1", "row 3 of g0"]
    with pytest.raises(BudgetExceeded):
        await step(monkeypatch, BOOTSTRAP, wrong, budget=ir.Budget(calls=4))


async def test_a_teacher_whose_modules_have_other_names_teaches_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A predictor is the same by what it is asked; its demos stand under the student's address."""
    student = pipeline()
    names = {address: f"{address}_of_another" for address in student.predictors}
    teacher = renamed(student, names)
    options = {"max_bootstrapped_demos": 2, "max_labeled_demos": 0}
    own = await step(monkeypatch, BOOTSTRAP, oracle, student=student, teacher=student, **options)
    done = await step(monkeypatch, BOOTSTRAP, oracle, student=student, teacher=teacher, **options)
    assert teacher.predictors.keys().isdisjoint(student.predictors)
    assert done.program == own.program
    assert all(predictor.demos for predictor in done.program.predictors.values())


def renamed(program: Program, names: dict[str, str]) -> Program:
    """By way of JSON, so that no address is left out."""
    text = program.model_dump_json()
    for old, new in names.items():
        text = text.replace(f'"{old}":{{"strategy"', f'"{new}":{{"strategy"').replace(
            f'"predictor":"{old}"', f'"predictor":"{new}"'
        )
    return Program.model_validate_json(text)

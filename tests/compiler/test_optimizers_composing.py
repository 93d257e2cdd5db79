"""Composed demo sets: the demos that the compared sets speak for, within the limits of the best set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import classifier, jitter, learner, pipeline, rows
from stepping import step

from dspec.compiler.data import Example
from dspec.compiler.evaluate.evaluation import Evaluation, Evaluator, RowResult
from dspec.compiler.evaluate.gathering import Told
from dspec.compiler.evaluate.streams import stream
from dspec.compiler.optimizers.base import Context, Options
from dspec.compiler.optimizers.composing import compose
from dspec.compiler.optimizers.frozen import freeze
from dspec.compiler.optimizers.random_search import COMPOSED, SPEC, composed
from dspec.compiler.search import Arm, Board
from dspec.compiler.search.board import open_board
from dspec.runtime.schema.program import Demo, Program
from dspec.runtime.schema.types import JsonValue

SEARCH = "BootstrapFewShotWithRandomSearch"
HELPS = 6
"""Demos of rows below this number help."""


class Scores:
    """Stands in for the evaluator: the more demos help, the more rows are right."""

    async def evaluate(
        self, program: Program, rows: Sequence[Example], *, label: str = "", told: Told | None = None
    ) -> Evaluation:
        shown = [demo for predictor in program.predictors.values() for demo in predictor.demos]
        share = 30 + 8 * sum(int(str(demo.inputs["text"]).split()[1]) < HELPS for demo in shown)
        right = [float(row.index * 37 % 100 < share) for row in rows]
        return Evaluation(
            tuple(RowResult(row.index, score, {}) for row, score in zip(rows, right, strict=True))
        )


def demo(number: int, *, made: bool = False) -> Demo:
    return Demo(inputs={"text": f"row {number}"}, outputs={"label": "L"}, augmented=made)


def numbers(program: Program, address: str = "ask") -> list[int]:
    return [int(str(one.inputs["text"]).split()[1]) for one in program.predictors[address].demos]


def showing(name: str, student: Program, **demos: Sequence[Demo]) -> Arm:
    for address, shown in demos.items():
        student = student.with_predictor(address, demos=tuple(shown))
    return Arm(name, student)


async def compared(student: Program, arms: Sequence[Arm], seen: int = 100) -> tuple[Board, list[Arm]]:
    context = Context(
        evaluator=cast("Evaluator", Scores()),
        train=rows(1),
        val=rows(100),
        teacher=None,
        rng=lambda name: stream(1, name),
        progress=lambda label, score: None,
    )
    start = Arm("as it came", student)
    board = await open_board(context, start, context.rng("order"))
    assert await board.extend(arms, seen) is None
    return board, [start, *arms]


async def test_the_demos_of_the_better_sets_come_together() -> None:
    student = classifier()
    sets = [(0, 1, 2, 10), (3, 4, 5, 11), (0, 3, 12, 13), (10, 11, 12, 13), (14, 15, 16, 17)]
    arms = [showing(f"set {at}", student, ask=[demo(n) for n in one]) for at, one in enumerate(sets)]
    board, every = await compared(student, arms)
    whole, half = compose(student, board, every)
    assert len(numbers(whole.program)) == 4
    assert set(numbers(whole.program)) <= set(range(HELPS))
    assert len(numbers(half.program)) == 2
    assert set(numbers(half.program)) < set(numbers(whole.program))
    assert await board.extend([whole], 100) is None
    assert board.mean(whole) > max(board.mean(arm) for arm in arms)


async def test_no_row_is_shown_twice_and_no_more_demos_of_a_teacher_than_in_the_best_set() -> None:
    student = classifier()
    sets = [
        [demo(0, made=True), demo(1), demo(2)],
        [demo(1, made=True), demo(0), demo(11)],
        [demo(10, made=True), demo(12, made=True), demo(13)],
    ]
    board, every = await compared(student, [showing(f"{at}", student, ask=s) for at, s in enumerate(sets)])
    whole, _ = compose(student, board, every)
    shown = whole.program.predictors["ask"].demos
    assert len(set(numbers(whole.program))) == len(shown) == 3
    assert [one.augmented for one in shown] == [True, False, False]


async def test_every_predictor_keeps_to_its_own_demos_and_frozen_ones_to_theirs() -> None:
    first, last = pipeline().predictors
    student = pipeline().with_predictor(first, demos=(demo(90),))
    sets = [((0, 10), (21, 31)), ((11, 12), (1, 32)), ((2, 13), (22, 3))]
    for frozen in ((), (first,)):
        arms = [
            showing(
                f"{at}",
                freeze(student, frozen),
                **{first: [demo(n) for n in one], last: [demo(n) for n in two]},
            )
            for at, (one, two) in enumerate(sets)
        ]
        board, every = await compared(freeze(student, frozen), arms)
        for arm in compose(every[0].program, board, every):
            assert set(numbers(arm.program, last)) <= {n for _, two in sets for n in two}
            if frozen:
                assert numbers(arm.program, first) == [90]
            else:
                assert set(numbers(arm.program, first)) <= {90, *(n for one, _ in sets for n in one)}


async def test_what_shows_no_demos_or_was_never_scored_composes_nothing() -> None:
    student = classifier()
    board, every = await compared(student, [])
    assert compose(student, board, every) == []
    assert compose(student, board, [*every, showing("unseen", student, ask=[demo(1)])]) == []
    # One set of one demo composes itself, which the board knows.
    board, every = await compared(student, [showing("lone", student, ask=[demo(1)])])
    assert compose(student, board, every) == []


@settings(max_examples=40, deadline=None)
@given(
    sets=st.lists(st.lists(st.integers(0, 15), min_size=1, max_size=5, unique=True), min_size=1, max_size=6),
    seen=st.integers(1, 100),
)
async def test_any_sets_compose_new_ones_of_what_they_show(sets: list[list[int]], seen: int) -> None:
    student = classifier()
    arms = [showing(f"{at}", student, ask=[demo(n) for n in one]) for at, one in enumerate(sets)]
    board, every = await compared(student, arms, seen)
    found = compose(student, board, every)
    assert [(arm.label, arm.program) for arm in compose(student, board, every)] == [
        (arm.label, arm.program) for arm in found
    ]
    for arm in found:
        assert not board.knows(arm.program)
        assert len(numbers(arm.program)) <= max(map(len, sets))
        assert set(numbers(arm.program)) <= {n for one in sets for n in one}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, COMPOSED),
        ({"num_candidate_programs": 10}, COMPOSED),
        ({"num_candidate_programs": 4}, 1),
        ({"num_candidate_programs": 3}, 0),
        ({"restrict": [-2, -1, 0]}, 0),
        ({"max_labeled_demos": 0}, COMPOSED),
        ({"max_labeled_demos": 0, "max_bootstrapped_demos": 0}, 0),
    ],
)
def test_sets_are_composed_where_a_race_can_pay_for_them(
    options: dict[str, JsonValue], expected: int
) -> None:
    assert composed(Options(SPEC, options)) == expected


async def test_a_race_ends_with_them_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, JsonValue] = {"num_candidate_programs": 10, "max_labeled_demos": 3}
    train, val = rows(24, groups=8), rows(60, start=100, groups=8)
    done = [
        await step(
            monkeypatch,
            SEARCH,
            learner,
            train=train,
            val=val,
            threads=n,
            latency=jitter(most=0.001),
            **options,
        )
        for n in (1, 16)
    ]
    one, other = ([(c.label, c.scores) for c in each.result.candidates] for each in done)
    assert one == other
    assert {"composed", "composed, better half"} & {label for label, _ in one}
    assert done[0].program == done[1].program
    for each in done:
        assert each.spent.calls <= each.promised.most
        assert all(len(candidate.scores) == 60 for candidate in each.result.candidates)

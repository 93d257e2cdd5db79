"""Of what SIMBA's programs are made, and how two are put together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import classifier, pipeline

from dspec.compiler.evaluate.store import program_digest
from dspec.compiler.optimizers.frozen import freeze
from dspec.compiler.optimizers.proposing.answers import MAX_EXTENDED
from dspec.compiler.optimizers.simba_pieces import MOVED, Piece, Pieces, of_student, put_together, worst
from dspec.runtime.schema.program import Demo, Neighbour, Neighbours


def shown(number: int) -> Demo:
    return Demo(inputs={"text": f"row {number}"}, outputs={"label": "L1"})


def demo(number: int) -> Piece:
    return Piece(f"d{number}", demos={"ask": shown(number)})


def advice(number: int, text: str = "") -> Piece:
    return Piece(f"a{number}", advice={"ask": text or f"Mind case {number}."})


def test_the_student_is_made_of_its_demos() -> None:
    student = classifier().with_predictor("ask", demos=(shown(1), shown(2)))
    recipe = of_student(student)
    assert recipe.names == ("demo 1", "demo 2")
    assert program_digest(recipe.program(student)) == program_digest(student)
    fewer = recipe.without_demos(frozenset({0})).given(demo(3)).given(advice(1)).given(advice(2))
    made = fewer.program(student).predictors["ask"]
    assert made.demos == (shown(2), shown(3))
    assert made.signature.instruction == "Give label.\n\nMind case 1.\n\nMind case 2."


def test_each_predictor_has_its_own_share_of_a_piece() -> None:
    student = pipeline()
    both = Piece(
        "one", demos={"decide": shown(1), "summarize": Demo(inputs={"text": "t"}, outputs={"gist": "g"})}
    )
    last = Piece("two", demos={"decide": shown(2)})
    made = Pieces(()).given(both).given(last)
    assert [len(made.program(student).predictors[one].demos) for one in ("summarize", "decide")] == [1, 2]
    # What is taken out is the piece, and not what stands in its place of each predictor.
    left = made.without_demos(frozenset({0})).program(student)
    assert left.predictors["summarize"].demos == ()
    assert left.predictors["decide"].demos == (shown(2),)


def test_demos_that_are_chosen_per_input_stay_where_advice_is_added() -> None:
    index = Neighbours(
        rows=(Neighbour(text="text: row 1", labelled={"ask": shown(1)}),),
        k=1,
        max_bootstrapped_demos=0,
        max_labeled_demos=1,
    )
    student = classifier().model_copy(update={"neighbours": index})
    recipe = of_student(student)
    assert recipe.program(student).neighbours == index
    assert recipe.given(advice(1)).program(student).neighbours == index
    assert recipe.given(demo(2)).program(student).neighbours is None


def test_a_frozen_predictor_stays_as_it_is() -> None:
    student = freeze(classifier().with_predictor("ask", demos=(shown(1),)), {"ask"})
    made = of_student(student).given(demo(2)).given(advice(1)).program(student)
    assert program_digest(made) == program_digest(student)


def test_advice_for_which_there_is_no_room_is_left_out() -> None:
    long = advice(1, "y" * (MAX_EXTENDED - 40))
    told = Pieces((), (long, long, advice(2))).program(classifier()).predictors["ask"].signature.instruction
    assert told == f"Give label.\n\n{long.advice['ask']}\n\nMind case 2."


def test_what_harms_goes_and_what_helps_elsewhere_comes() -> None:
    best = Pieces((demo(1), demo(2)), (advice(1), advice(2)))
    pieces = [*best.demos, *best.advice, demo(3), demo(4), advice(3), advice(4)]
    effects = {"d1": 0.1, "d2": -0.1, "a1": -0.05, "a2": 0.0, "d3": 0.05, "d4": 0.02, "a3": 0.2, "a4": -0.2}
    made = put_together(best, pieces, effects, most=4)
    # Of the two pieces at once the best ones.
    assert made.names == ("d1", "d3", "a2", "a3")
    assert MOVED == 2


def test_where_nothing_is_believed_nothing_changes() -> None:
    best = Pieces((demo(1),), (advice(1),))
    assert put_together(best, [demo(1), demo(2), advice(1)], {"d2": 0.005, "d1": -0.005}, most=4) == best


@given(
    effects=st.lists(st.floats(-1, 1), min_size=12, max_size=12),
    held=st.sets(st.integers(0, 5)),
    most=st.integers(0, 6),
)
def test_no_piece_is_held_twice_and_demos_stay_within_their_number(
    effects: list[float], held: set[int], most: int
) -> None:
    pieces = [*map(demo, range(6)), *map(advice, range(6))]
    known = {piece.name: effect for piece, effect in zip(pieces, effects, strict=True)}
    best = Pieces(tuple(map(demo, sorted(held))), tuple(map(advice, sorted(held))))
    made = put_together(best, pieces, known, most)
    assert len(set(made.names)) == len(made.names)
    assert len(made.demos) <= most
    assert sum(known[name] for name in made.names if name not in best.names) >= 0


@pytest.mark.parametrize(
    ("count", "places"), [(-1, set()), (0, set()), (1, {1}), (2, {0, 1}), (9, {0, 1, 2})]
)
def test_of_equals_the_first_is_the_worst(count: int, places: set[int]) -> None:
    assert worst([0.0, -0.5, 0.0], count) == places

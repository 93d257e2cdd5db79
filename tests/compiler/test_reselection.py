"""The luck of a winner, as making its choice again tells it, over simulated races whose truth is known."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from races import SHAPES, raced, table

from dspec.compiler.compile.selection import LastWord, last_word
from dspec.compiler.evaluate.reselection import luck_of_choice, luck_of_foreseen
from dspec.compiler.evaluate.winners import worth_of_winner
from dspec.compiler.search import Full, Minibatch, Racing, Strategy

CANDIDATES = 10
EACH = 200 if os.environ.get("DSPEC_DEEP") else 40
"""Tasks of each shape: 200 in all, where time is short."""


class Told(Struct, frozen=True):
    """Of one task: what the winner scored on the rows that chose it, what is said of that, and the truth."""

    seen: float
    winner: float
    start: float
    scored: float
    word: LastWord

    @property
    def excess(self) -> float:
        """By how much the corrected score is above the true one."""
        return self.seen - self.word.worth.luck - self.winner

    @property
    def emitted(self) -> float:
        """The same of what a compile keeps: the winner, or the start, whose score needs no correction."""
        return self.excess if self.word.real else self.scored - self.start


def compared(kind: str, rows: int) -> Strategy:
    match kind:
        case "race":
            return Racing.within(0.415 * CANDIDATES * rows, CANDIDATES, rows)
        case "minibatch":
            return Minibatch(20, 4)
        case _:
            return Full()


@cache
def told(shape: str, kind: str = "race", tasks: int = EACH) -> Sequence[Told]:
    """Of the tasks in which a candidate wins."""
    found: list[Told] = []
    for number in range(tasks):
        rows = (40, 80, 120)[number % 3]
        made = table(number, shape, CANDIDATES, rows)
        winner, rivals = raced(made, compared(kind, rows))
        if winner:
            start, scores = made.scores[0], made.scores[winner]
            found.append(
                Told(
                    seen=statistics.fmean(scores),
                    winner=made.truths[winner],
                    start=made.truths[0],
                    scored=statistics.fmean(start),
                    word=last_word(start, scores, [rivals]),
                )
            )
    return found


def off(found: Sequence[float]) -> tuple[float, float]:
    """The mean, and its standard error."""
    return statistics.fmean(found), statistics.stdev(found) / len(found) ** 0.5


def test_over_200_races_the_corrected_score_is_the_true_one_to_within_a_point() -> None:
    found = [one for shape in SHAPES for one in told(shape)]
    assert statistics.fmean(one.seen - one.winner for one in found) > 0.045
    assert statistics.fmean(one.emitted for one in found) == pytest.approx(0.0, abs=0.01)
    assert statistics.fmean(one.excess for one in found if one.word.real) == pytest.approx(0.0, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["race", "minibatch", "full"])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_so_however_candidates_differ_and_are_compared(shape: str, kind: str) -> None:
    mean, error = off([one.emitted for one in told(shape, kind)])
    assert abs(mean) <= 0.01 + 2 * error


def test_a_race_that_foresees_is_believed_by_half_on_the_rows_after_its_choice() -> None:
    """Two see ten rows, one of them thirty more. A lead on the first ten alone is luck, one on the others alone is none."""
    before, other = (0.0,) * 40, (1.0, 0.0) * 5 + (None,) * 30
    early, late = (1.0,) * 10 + (0.0,) * 30, (0.0,) * 10 + (1.0,) * 30
    for winner, less in ((early, 0.25), (late, -0.25)):
        rivals = [winner, other]
        expected = max(0.0, (luck_of_choice(before, winner, rivals) + less) / 2)
        assert luck_of_foreseen(before, winner, rivals) == pytest.approx(expected)
    assert luck_of_foreseen(before, early, [early, other]) >= 0.125
    # Where all saw all rows there are none after the choice.
    whole = [(0.0, 1.0) * 20, (1.0, 0.0) * 20]
    assert luck_of_foreseen(before, whole[0], whole) == luck_of_choice(before, whole[0], whole) > 0


def test_a_winner_that_is_far_ahead_has_no_luck() -> None:
    before, after = (0.0, 1.0) * 20, (1.0,) * 40
    others = [(0.0, 0.0, 0.0, 1.0) * 10 for _ in range(9)]
    assert luck_of_choice(before, after, [after, *others]) == 0.0


def test_candidates_that_never_win_change_little() -> None:
    """A few that are far worse than the rest say nothing of how equal those are."""
    found: list[tuple[float, float]] = []
    for number in range(10):
        made = table(number, "equal", CANDIDATES, 60)
        winner, rivals = raced(made, Full())
        before, after = made.scores[0], made.scores[winner]
        worse = [(0.0,) * 60] * 3
        found.append(
            (luck_of_choice(before, after, rivals), luck_of_choice(before, after, [*rivals, *worse]))
        )
    plain, more = (statistics.fmean(one[which] for one in found) for which in (0, 1))
    assert more == pytest.approx(plain, abs=0.01)
    assert plain > 0.03


def test_a_program_made_from_what_a_race_found_has_no_rounds_to_survive() -> None:
    """It would lose the first one, which it never was in; the choice that is made again does not drop it either."""
    raced = [(1.0,) * 4 + (None,) * 36, (1.0,) * 4 + (None,) * 36, (1.0,) * 4 + (0.0, 1.0) * 18]
    late = (0.0,) * 4 + (1.0,) * 36
    before = (0.0,) * 40
    assert luck_of_choice(before, late, [*raced, late]) < 0.02
    # one that was in it, and was dropped by it, is dropped
    assert luck_of_choice(before, late, [late, *raced]) > 0.1


def test_what_a_winner_took_over_it_took_over_with_its_luck() -> None:
    """A second step that gives back what won the first, or what does exactly as that, has found nothing new."""
    made = table(1, "equal", CANDIDATES, 60)
    winner, rivals = raced(made, Full())
    before, after = made.scores[0], made.scores[winner]
    first = luck_of_choice(before, after, rivals)
    again = worth_of_winner(before, after, [after], [rivals])
    assert again.luck == pytest.approx(first)
    # What does well on other rows has not got it from there.
    elsewhere = tuple(1.0 - score for score in after)
    assert worth_of_winner(before, elsewhere, [elsewhere], [rivals]).luck == 0.0


scores_of_rows = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=6, max_size=6)


@settings(max_examples=40, deadline=None)
@given(scores_of_rows, st.lists(st.tuples(scores_of_rows, st.integers(0, 6)), min_size=2, max_size=5))
def test_it_is_bounded_and_the_same_however_a_search_ended(
    before: list[float], arms: list[tuple[list[float], int]]
) -> None:
    rivals = [tuple(scores[:seen]) + (None,) * (6 - seen) for scores, seen in arms]
    after = arms[0][0]
    rivals[0] = tuple(after)
    found = luck_of_choice(before, after, rivals)
    assert 0.0 <= found <= 2.0
    assert found == luck_of_choice(before, after, rivals)

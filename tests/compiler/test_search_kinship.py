"""What is known of programs that were made from each other."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspec.compiler.search import Kinship


def test_before_anything_was_told_all_are_alike() -> None:
    kinship = Kinship()
    assert kinship.born(0) == 1
    assert kinship.means() == [0.0, 0.0]


def test_a_child_that_was_never_seen_is_as_good_as_its_parent() -> None:
    kinship = Kinship()
    good, bad = kinship.born(0), kinship.born(0)
    child = kinship.born(good)
    for row in range(40):
        kinship.told(good, row, 1.0)
        kinship.told(bad, row, 0.0)
    means = kinship.means()
    assert means[good] > means[0] > means[bad]
    assert means[child] == pytest.approx(means[good], abs=0.02)


def test_rows_that_are_hard_for_all_count_against_none() -> None:
    kinship = Kinship()
    for row in range(40):
        kinship.told(0, row, float(row < 20))
    easy, hard = kinship.born(0), kinship.born(0)
    # Each does on its rows what the first one did there.
    for row in range(20):
        kinship.told(easy, row, 1.0)
        kinship.told(hard, 20 + row, 0.0)
    means = kinship.means()
    assert 0 < means[easy] - means[hard] < 0.5


def test_few_rows_move_a_program_little_and_many_a_lot() -> None:
    def lead(rows: int) -> float:
        kinship = Kinship()
        child = kinship.born(0)
        for row in range(rows):
            kinship.told(0, row, float(row % 2))
            kinship.told(child, row, 1.0)
        means = kinship.means()
        return means[child] - means[0]

    leads = [lead(rows) for rows in (2, 8, 40, 400)]
    assert leads == sorted(leads)
    assert leads[0] < 0.1
    assert leads[-1] > 0.4


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.floats(0, 1)), max_size=60), st.randoms())
def test_the_order_of_what_is_told_changes_nothing_but_rounding(
    seen: list[tuple[int, int, float]], rng: random.Random
) -> None:
    def means(told: list[tuple[int, int, float]]) -> list[float]:
        kinship = Kinship()
        for parent in (0, 0, 1, 1):
            kinship.born(parent)
        for program, row, score in told:
            kinship.told(program, row, score)
        return kinship.means()

    found = means(seen)
    assert all(map(math.isfinite, found))
    assert means(rng.sample(seen, len(seen))) == pytest.approx(found, abs=1e-9)


def test_what_is_seen_of_a_program_tells_of_all_that_hold_the_same_pieces() -> None:
    kinship = Kinship(("own",))
    helped, harmed = kinship.born(0, ("own", "good")), kinship.born(0, ("own", "bad"))
    for row in range(60):
        kinship.told(0, row, float(row % 2))
        kinship.told(helped, row, float(row % 4 > 0))
        kinship.told(harmed, row, float(row % 4 > 2))
    both, cousin = kinship.born(harmed, ("own", "bad", "good")), kinship.born(harmed, ("own",))
    effects, means = kinship.effects(), kinship.means()
    assert effects["good"] > 0.1
    assert effects["bad"] < -0.1
    assert abs(effects["own"]) < 0.05
    # Neither was ever seen, and both were made of the same one.
    assert means[harmed] < means[cousin] < means[helped]
    assert means[both] == pytest.approx(means[0], abs=0.05)


def test_without_pieces_there_are_no_effects() -> None:
    kinship = Kinship()
    kinship.told(kinship.born(0), 0, 1.0)
    assert kinship.effects() == {}


def test_it_tells_programs_apart_better_than_their_own_means_do() -> None:
    """Of a family of programs, each seen on ten rows."""
    own: list[float] = []
    known: list[float] = []
    for seed in range(60):
        rng = random.Random(seed)
        kinship, true = Kinship(), [0.5]
        ease = [rng.gauss(0, 0.2) for _ in range(100)]
        for number in range(12):
            if number:
                parent = rng.randrange(number)
                assert kinship.born(parent) == number
                true.append(min(0.9, max(0.1, true[parent] + rng.gauss(0, 0.1))))
            rows = rng.sample(range(100), 10)
            scores = [float(rng.random() < true[number] + ease[row]) for row in rows]
            own.append((statistics.fmean(scores) - true[number]) ** 2)
            for row, score in zip(rows, scores, strict=True):
                kinship.told(number, row, score)
        known += [(a - b) ** 2 for a, b in zip(kinship.means(), true, strict=True)]
    assert statistics.fmean(known) < 0.5 * statistics.fmean(own)

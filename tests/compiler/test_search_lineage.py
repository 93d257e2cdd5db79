"""What is known of programs that were made from each other."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspec.compiler.search import Lineage


def test_before_anything_was_told_all_are_alike() -> None:
    lineage = Lineage()
    assert lineage.born(0) == 1
    assert lineage.means() == [0.0, 0.0]


def test_a_child_that_was_never_seen_is_as_good_as_its_parent() -> None:
    lineage = Lineage()
    good, bad = lineage.born(0), lineage.born(0)
    child = lineage.born(good)
    for row in range(40):
        lineage.told(good, row, 1.0)
        lineage.told(bad, row, 0.0)
    means = lineage.means()
    assert means[good] > means[0] > means[bad]
    assert means[child] == pytest.approx(means[good], abs=0.02)


def test_rows_that_are_hard_for_all_count_against_none() -> None:
    lineage = Lineage()
    for row in range(40):
        lineage.told(0, row, float(row < 20))
    easy, hard = lineage.born(0), lineage.born(0)
    # Each does on its rows what the first one did there.
    for row in range(20):
        lineage.told(easy, row, 1.0)
        lineage.told(hard, 20 + row, 0.0)
    means = lineage.means()
    assert 0 < means[easy] - means[hard] < 0.5


def test_few_rows_move_a_program_little_and_many_a_lot() -> None:
    def lead(rows: int) -> float:
        lineage = Lineage()
        child = lineage.born(0)
        for row in range(rows):
            lineage.told(0, row, float(row % 2))
            lineage.told(child, row, 1.0)
        means = lineage.means()
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
        lineage = Lineage()
        for parent in (0, 0, 1, 1):
            lineage.born(parent)
        for program, row, score in told:
            lineage.told(program, row, score)
        return lineage.means()

    found = means(seen)
    assert all(map(math.isfinite, found))
    assert means(rng.sample(seen, len(seen))) == pytest.approx(found, abs=1e-9)


def test_it_tells_programs_apart_better_than_their_own_means_do() -> None:
    """Of a family of programs, each seen on ten rows."""
    own: list[float] = []
    known: list[float] = []
    for seed in range(60):
        rng = random.Random(seed)
        lineage, true = Lineage(), [0.5]
        ease = [rng.gauss(0, 0.2) for _ in range(100)]
        for number in range(12):
            if number:
                parent = rng.randrange(number)
                assert lineage.born(parent) == number
                true.append(min(0.9, max(0.1, true[parent] + rng.gauss(0, 0.1))))
            rows = rng.sample(range(100), 10)
            scores = [float(rng.random() < true[number] + ease[row]) for row in rows]
            own.append((statistics.fmean(scores) - true[number]) ** 2)
            for row, score in zip(rows, scores, strict=True):
                lineage.told(number, row, score)
        known += [(a - b) ** 2 for a, b in zip(lineage.means(), true, strict=True)]
    assert statistics.fmean(known) < 0.5 * statistics.fmean(own)

"""Intervals and paired comparisons, against published and closed-form values."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.compiler.evaluate.statistics import interval, paired, wilson

GRADED = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40)


def test_wilson_gives_the_published_intervals() -> None:
    # Newcombe (1998), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (1, 29): (0.0061, 0.1718)}
    for (successes, n), bounds in published.items():
        assert wilson(successes, n) == pytest.approx(bounds, abs=5e-5)
    assert wilson(0, 20) == (0.0, pytest.approx(0.1611, abs=5e-5))


def test_no_rows_say_nothing() -> None:
    assert interval([]) == (0.0, 1.0)


@settings(max_examples=50, deadline=None)
@given(GRADED)
def test_an_interval_holds_the_mean_lies_in_0_to_1_and_is_the_same_twice(scores: list[float]) -> None:
    low, high = interval(scores)
    mean = sum(scores) / len(scores)
    assert 0.0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1.0
    assert interval(scores) == (low, high)


def test_few_equal_scores_are_not_certain() -> None:
    for scores in ([1.0] * 3, [0.5] * 3):
        low, high = interval(scores)
        assert high - low > 0.4


def test_graded_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    draws = random.Random(1)
    covered = 0
    for _ in range(60):
        scores = [draws.betavariate(2, 3) for _ in range(30)]
        low, high = interval(scores)
        covered += low <= 0.4 <= high
    assert covered >= 52


def test_many_graded_scores_are_quick_and_narrow() -> None:
    draws = random.Random(2)
    low, high = interval([draws.random() for _ in range(20_000)])
    assert 0.48 < low < 0.5 < high < 0.52


def test_paired_counts_flips_and_tests_them() -> None:
    before = [0.0] * 12 + [1.0] * 88
    after = [1.0] * 12 + [0.0] * 2 + [1.0] * 86
    found = paired(before, after)
    assert (found.better, found.worse, found.same) == (12, 2, 86)
    assert found.difference == pytest.approx(0.1)
    # Exact McNemar for 12 against 2: 2 · Σ C(14, k≤2) / 2¹⁴.
    assert found.p_value == pytest.approx(2 * (1 + 14 + 91) / 2**14)
    # Agresti and Min (2005): (10 ∓ 1.96·√(15 − 100/102)) / 102.
    assert (found.low, found.high) == pytest.approx((0.0261, 0.1700), abs=5e-4)


def test_rows_that_all_gain_a_third_are_a_real_gain() -> None:
    found = paired([2 / 3] * 24, [1.0] * 24)
    assert (found.better, found.worse) == (24, 0)
    # 14.2 % of other rows would show among 24 in 97.5 of 100 draws; they might lie at -1, or at 1.
    assert (found.low, found.high) == pytest.approx((0.1425, 0.4287), abs=1e-3)
    assert paired([0.5], [0.75]).low < 0.0


def test_equal_programs_are_no_better_and_not_certainly_so() -> None:
    found = paired([1.0, 0.0, 1.0], [1.0, 0.0, 1.0])
    assert (found.difference, found.p_value, found.same) == (0.0, 1.0, 3)
    assert found.low < 0.0 < found.high


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_paired_interval_holds_the_difference_and_turns_around_with_the_sides(
    pairs: list[tuple[float, float]],
) -> None:
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    found, turned = paired(before, after), paired(after, before)
    assert -1.0 <= found.low <= found.difference + 1e-9
    assert found.difference - 1e-9 <= found.high <= 1.0
    assert found.difference == pytest.approx(-turned.difference)
    assert (found.better, found.worse) == (turned.worse, turned.better)
    assert found.p_value == turned.p_value


def test_thousands_of_flips_are_tested_without_huge_numbers() -> None:
    assert paired([0.0] * 3000 + [1.0] * 2900, [1.0] * 3000 + [0.0] * 2900).p_value == pytest.approx(
        0.197, abs=0.01
    )


@pytest.mark.parametrize(("before", "after"), [([1.0], [1.0, 0.0]), ([], [])])
def test_scores_of_different_rows_are_not_compared(before: list[float], after: list[float]) -> None:
    with pytest.raises(ValueError, match="same rows"):
        paired(before, after)

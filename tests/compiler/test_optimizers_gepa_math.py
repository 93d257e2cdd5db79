"""GEPA's arithmetic: parents, merges, minibatches and budgets, without a model."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.compiler.evaluate.counts import Range
from dspec.compiler.evaluate.streams import stream
from dspec.compiler.optimizers.base import Facts, Options
from dspec.compiler.optimizers.gepa import SPEC
from dspec.compiler.optimizers.gepa_batches import Batches
from dspec.compiler.optimizers.gepa_budget import auto_calls, calls, metric_calls, reflections
from dspec.compiler.optimizers.gepa_merge import (
    Lineage,
    Merge,
    ancestors,
    child,
    complementary,
    find_merge,
    subsample,
)
from dspec.compiler.optimizers.gepa_pareto import best, draw_parent, leaders, wins
from dspec.runtime.schema.types import JsonValue

TABLES = st.integers(1, 6).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=n, max_size=n), min_size=1, max_size=6
    )
)


# Parents -------------------------------------------------------------------------------------------


def test_a_candidate_leads_where_no_other_beats_it() -> None:
    table = [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]
    assert leaders(table) == [{0}, {1}, {0, 1}]
    assert wins(table) == {0: 2, 1: 2}
    assert best(table) == 0


def test_a_candidate_that_others_cover_does_not_matter() -> None:
    # 2 leads on the first two rows, where 0 and 1 lead, too, and it is worse than either on average.
    assert wins([[1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 0, 0]]) == {0: 3, 1: 3}


def test_of_equal_candidates_the_earlier_one_matters() -> None:
    assert wins([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]) == {0: 2}
    assert wins([[0.5], [1.0]]) == {1: 1}


@given(TABLES)
def test_every_row_keeps_a_leader_and_nobody_is_superfluous(table: list[list[float]]) -> None:
    kept = wins(table)
    fronts = leaders(table)
    assert all(front & kept.keys() for front in fronts)
    for candidate, count in kept.items():
        assert count == sum(candidate in front for front in fronts)
        assert any(front & kept.keys() == {candidate} for front in fronts)


def test_parents_are_drawn_by_the_rows_they_lead_on() -> None:
    table = [[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    drawn = Counter(draw_parent(table, random.Random(seed)) for seed in range(400))
    assert drawn.keys() == {0, 1}
    assert 260 < drawn[0] < 340


# Merges --------------------------------------------------------------------------------------------

POOL = [
    Lineage(("a", "b"), (), 0.2),
    Lineage(("a1", "b"), (0,), 0.4),
    Lineage(("a", "b1"), (0,), 0.5),
    Lineage(("a2", "b"), (1,), 0.6),
]


def test_a_merge_takes_what_one_of_them_changed_and_the_better_ones_where_both_did() -> None:
    assert child(POOL, Merge(1, 2, 0)) == ("a1", "b1")
    assert child(POOL, Merge(2, 3, 0)) == ("a2", "b1")
    both = [POOL[0], Lineage(("x", "y"), (0,), 0.4), Lineage(("p", "b"), (0,), 0.5)]
    assert child(both, Merge(1, 2, 0)) == ("p", "y")
    tie = [POOL[0], Lineage(("x", "b"), (0,), 0.5), Lineage(("p", "b1"), (0,), 0.5)]
    assert child(tie, Merge(1, 2, 0)) == ("x", "b1")


def test_relatives_in_a_line_have_nothing_to_merge() -> None:
    assert ancestors(POOL, 3) == {0, 1}
    assert find_merge(POOL, [1, 3], set(), random.Random(0)) is None
    assert find_merge(POOL, [0, 1], set(), random.Random(0)) is None
    assert find_merge(POOL, [2], set(), random.Random(0)) is None
    assert find_merge(POOL, [], set(), random.Random(0)) is None


def test_a_merge_is_found_once_and_never_from_a_better_ancestor() -> None:
    assert find_merge(POOL, [2, 3], set(), random.Random(0)) == Merge(2, 3, 0)
    assert find_merge(POOL, [2, 3], {Merge(2, 3, 0)}, random.Random(0)) is None
    proud = [Lineage(("a", "b"), (), 0.9), *POOL[1:]]
    assert find_merge(proud, [2, 3], set(), random.Random(0)) is None


def test_an_ancestor_that_scores_nothing_can_be_drawn() -> None:
    low = [Lineage(("a", "b"), (), 0.0), *POOL[1:]]
    assert find_merge(low, [1, 2], set(), random.Random(0)) == Merge(1, 2, 0)


def test_both_having_changed_everything_gives_nothing_new() -> None:
    pool = [POOL[0], Lineage(("x", "y"), (0,), 0.4), Lineage(("p", "q"), (0,), 0.5)]
    assert not complementary(pool, Merge(1, 2, 0))
    one = [Lineage(("a",), (), 0.1), Lineage(("x",), (0,), 0.4), Lineage(("p",), (0,), 0.5)]
    assert not complementary(one, Merge(1, 2, 0))


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(*(st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n) for _ in "ab"))
    ),
    st.integers(0, 99),
)
def test_a_subsample_has_different_rows_from_every_group(
    pair: tuple[list[float], list[float]], seed: int
) -> None:
    first, second = pair
    places = subsample(first, second, random.Random(seed))
    assert len(set(places)) == len(places) == min(5, len(first))
    assert places == sorted(places)
    groups = {(a > b) - (a < b) for a, b in zip(first, second, strict=True)}
    shown = {(first[place] > second[place]) - (first[place] < second[place]) for place in places}
    # Of five places each group gets two, so that the last of three keeps at least one.
    assert shown == groups


# Minibatches ---------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(rows=st.integers(1, 12), size=st.integers(1, 8), seed=st.integers(0, 9))
def test_batches_hold_different_rows_and_a_pass_holds_all(rows: int, size: int, seed: int) -> None:
    batches = Batches(rows, size, lambda name: stream(seed, name))
    for _ in range(4):
        uses: Counter[int] = Counter()
        for batch in (batches.next() for _ in range(batches.per_pass)):
            assert len(set(batch)) == len(batch) == min(size, rows)
            uses.update(batch)
        assert uses.keys() == set(range(rows))
        assert max(uses.values()) <= 2


def test_rows_that_were_used_least_fill_up_a_pass() -> None:
    batches = Batches(4, 3, lambda name: stream(0, name))
    uses = Counter(range(4))
    for _ in range(10):
        _, (left, *filled) = batches.next(), batches.next()
        others = sorted(uses[row] for row in range(4) if row != left)
        assert sorted(uses[row] for row in filled) == others[:2]
        uses.update([*range(4), *filled])


def test_passes_differ_and_depend_on_the_seed() -> None:
    def order(seed: int) -> list[list[int]]:
        batches = Batches(9, 3, lambda name: stream(seed, name))
        return [batches.next() for _ in range(6)]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert order(0)[:3] != order(0)[3:]


# Budgets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auto", "predictors", "val", "expected"),
    # Worked by hand from DSPy's formula: V + 5n + 35N + (⌊(N+1)/5⌋+1+[N<5])·V.
    [(6, 1, 40, 540), (6, 2, 40, 970), (12, 1, 100, 1190), (6, 1, 3, 30 + 3 + 30 + 9)],
)
def test_auto_budgets_are_dspys_where_val_is_not_tiny(
    auto: int, predictors: int, val: int, expected: int
) -> None:
    assert auto_calls(auto, predictors, val) == expected


def test_budgets_by_option() -> None:
    def of(given: bool = True, **options: object) -> int:
        return metric_calls(Options(SPEC, options), 1, 20, 40, val_given=given)  # type: ignore[arg-type]

    assert of() == of(auto="light") == 540
    assert of(auto="medium") > 540
    assert of(max_metric_calls=7) == 7
    assert of(max_full_evals=3) == 180
    assert of(given=False, max_full_evals=3) == 60


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"auto": "light", "max_metric_calls": 9}, "`auto` and `max_metric_calls`"),
        ({"auto": "light", "max_full_evals": 9}, "`auto` and `max_full_evals`"),
        ({"max_full_evals": 1, "max_metric_calls": 9}, "`max_full_evals` and `max_metric_calls`"),
    ],
)
def test_two_budgets_contradict_each_other(options: dict[str, JsonValue], said: str) -> None:
    def wrong(given: dict[str, JsonValue]) -> list[str]:
        found = [conflict.found(Options(SPEC, given)) for conflict in SPEC.conflicts]
        return [clause for clause in found if clause is not None]

    (clause,) = wrong(options)
    assert clause.startswith(said)
    assert wrong(dict([*options.items()][:1])) == []
    assert wrong({}) == []


def test_the_cost_formula() -> None:
    facts = Facts(train=20, val=40, predictors=2, calls_per_run=2)
    light = calls(Options(SPEC, {}), facts)
    assert light.task == Range(80, 970 * 2)
    assert light.prompt == Range(0, (970 - 80) // 6 + 1)
    every = calls(Options(SPEC, {"component_selector": "all"}), facts)
    assert every.prompt.most == 2 * light.prompt.most
    known = calls(Options(SPEC, {}), Facts(20, 40, 2, 2, student_scored=True))
    assert known.task == Range(0, 930 * 2)
    small = calls(Options(SPEC, {"max_metric_calls": 39}), facts)
    assert (small.task, small.prompt) == (Range(0, 80), Range())
    assert reflections(79, 3, 40) == 0
    assert reflections(80, 3, 40) == 1


def test_every_pair_of_budgets_is_a_conflict() -> None:
    names = {"auto", "max_full_evals", "max_metric_calls"}
    assert {frozenset(conflict.names) for conflict in SPEC.conflicts} == {
        frozenset(pair) for pair in itertools.combinations(names, 2)
    }

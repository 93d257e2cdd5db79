"""Search: strategies keep to their bounds, compare on the same rows, and find the best arm."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import classifier, rows

from dspec.compiler.data import Example
from dspec.compiler.evaluate.evaluation import Evaluation, Evaluator, RowResult
from dspec.compiler.evaluate.gathering import Told
from dspec.compiler.evaluate.streams import stream
from dspec.compiler.optimizers.base import Context
from dspec.compiler.search import Arm, Board, Full, Listed, Minibatch, Racing, Strategy
from dspec.compiler.search.board import open_board
from dspec.compiler.search.order import stratified
from dspec.compiler.search.racing import LEAST_LOOK, standard_error, worse
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.schema.program import Program

Scoring = Callable[[str, int], float]
"""A program's instruction and a row's index to a score."""


@dataclass
class Scores:
    """Stands in for the evaluator: scores by rule, in the order in which `pace` has the rows come, and counts those
    it was asked for."""

    rule: Scoring
    budget: int = 10**9
    pace: Callable[[], int] = lambda: 0
    """Turns of the loop that a row takes."""
    asked: list[tuple[str, tuple[int, ...]]] = field(default_factory=list[tuple[str, tuple[int, ...]]])

    async def evaluate(
        self, program: Program, rows: Sequence[Example], *, label: str = "", told: Told | None = None
    ) -> Evaluation:
        if self.count + len(rows) > self.budget:
            raise BudgetExceeded("no more")
        name = program.predictors["ask"].signature.instruction
        self.asked.append((name, tuple(row.index for row in rows)))
        scores = [self.rule(name, row.index) for row in rows]
        for turns, place in sorted((self.pace(), place) for place in range(len(rows))):
            for _ in range(turns and 1):
                await asyncio.sleep(0)
            if told is not None:
                told(place, scores[place])
        return Evaluation(tuple(map(RowResult, (row.index for row in rows), scores, ({} for _ in rows))))

    @property
    def count(self) -> int:
        return sum(len(places) for _, places in self.asked)


def arm(name: str) -> Arm:
    return Arm(name, classifier().with_predictor("ask", instruction=name))


async def board(scores: Scores, n: int, start: str = "start") -> tuple[Board, list[str]]:
    told: list[str] = []
    context = Context(
        evaluator=cast("Evaluator", scores),
        train=rows(1),
        val=rows(n),
        teacher=None,
        rng=lambda name: stream(1, name),
        progress=lambda label, score: told.append(f"{label} {score:.2f}"),
    )
    return await open_board(context, arm(start), context.rng("order")), told


def skilled(name: str, place: int) -> float:
    """`a70` is right on the 70 easiest of every 100 rows."""
    share = int(name[1:]) if name[1:].isdigit() else 30
    return float(place * 37 % 100 < share)


STRATEGIES: list[Strategy] = [
    Full(),
    Full(wave=3),
    Minibatch(size=20, full_every=3),
    Racing(first=7),
    Racing(first=5, wave=2, limit=60),
]


# The order of rows --------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=60), st.integers(0, 5))
def test_every_beginning_is_about_as_hard_as_the_whole(scores: list[float], seed: int) -> None:
    order = stratified(scores, random.Random(seed))
    assert sorted(order) == list(range(len(scores)))
    for n in range(1, len(scores) + 1):
        for score in set(scores):
            share = scores.count(score) / len(scores)
            among = sum(scores[place] == score for place in order[:n])
            assert abs(among - share * n) <= len(set(scores)) + 1


# Strategies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_strategy_finds_the_best_and_keeps_to_its_bound(strategy: Strategy) -> None:
    scores = Scores(skilled)
    found, _ = await board(scores, 100)
    arms = [arm(f"a{share}") for share in (20, 45, 90, 35, 10, 60, 5)]
    assert await strategy.run(found, Listed(arms), len(arms)) is None
    best = max(found.candidates(), key=lambda one: one.score)
    assert (best.label, best.score) == ("a90", 0.9)
    assert scores.count - 100 <= strategy.most(len(arms), 100)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(n=st.integers(1, 70), trials=st.integers(0, 12), shares=st.data())
@settings(max_examples=25, deadline=None)
async def test_bounds_hold_for_any_numbers(
    strategy: Strategy, n: int, trials: int, shares: st.DataObject
) -> None:
    drawn = shares.draw(st.lists(st.integers(0, 100), min_size=trials, max_size=trials))
    scores = Scores(skilled)
    found, _ = await board(scores, n)
    assert await strategy.run(found, Listed([arm(f"a{share}") for share in drawn]), trials) is None
    assert scores.count - n <= strategy.most(trials, n)
    assert all(len(candidate.scores) == n for candidate in found.candidates())
    assert found.candidates()[0].label == "start"
    if trials and strategy in STRATEGIES[:3]:
        assert len(found.candidates()) > 1


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_bound_is_met_by_arms_that_are_equally_good(strategy: Strategy) -> None:
    scores = Scores(lambda name, place: float(place * 37 % 100 < 50))
    found, _ = await board(scores, 100)
    await strategy.run(found, Listed([arm(f"a{i}") for i in range(9)]), 9)
    assert scores.count - 100 == strategy.most(9, 100)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_arms_of_a_round_see_the_same_rows(strategy: Strategy) -> None:
    scores = Scores(skilled)
    found, _ = await board(scores, 100)
    await strategy.run(found, Listed([arm(f"a{share}") for share in (20, 45, 60, 35, 50)]), 5)
    beginnings = {places for name, places in scores.asked if name != "start"}
    starts = {places[0] for places in beginnings}
    sizes = {(places[0], len(places)) for places in beginnings}
    # Slices that begin alike are alike: one order for all.
    assert len(starts) <= len(sizes)
    assert all(a[: len(b)] == b for a in beginnings for b in beginnings if a[0] == b[0] and len(a) >= len(b))


async def test_equal_programs_are_scored_once() -> None:
    scores = Scores(skilled)
    found, _ = await board(scores, 50)
    same = [Arm(f"twin {i}", arm("a40").program) for i in range(4)]
    assert await Full().run(found, Listed([*same, arm("start")]), 5) is None
    assert scores.count == 100
    assert [candidate.label for candidate in found.candidates()] == ["start", "twin 0"]


async def test_scores_come_back_in_the_rows_own_order() -> None:
    found, told = await board(Scores(skilled), 100)
    await Racing(first=7).run(found, Listed([arm("a60"), arm("a50")]), 2)
    for candidate in found.candidates():
        expected = tuple(skilled(candidate.label, place) for place in range(100))
        assert candidate.scores == expected
    assert told == ["start 0.30", "a60 0.60"]


async def test_an_estimate_reckons_with_how_hard_the_rows_were() -> None:
    found, _ = await board(Scores(skilled), 100)
    better = arm("a50")
    assert found.estimate(better) == pytest.approx(0.3)
    assert await found.extend([better], 20) is None
    assert found.seen(better) == 20
    lead = found.mean(better) - found.mean(arm("start"), 20)
    assert found.estimate(better) == pytest.approx(0.3 + lead)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_halt_keeps_what_is_complete(strategy: Strategy) -> None:
    for budget in (100, 130, 210):
        scores = Scores(skilled, budget=budget)
        found, _ = await board(scores, 100)
        halt = await strategy.run(found, Listed([arm(f"a{share}") for share in (20, 45, 90, 35)]), 4)
        assert isinstance(halt, BudgetExceeded)
        assert found.candidates()[0].label == "start"
    with pytest.raises(BudgetExceeded):
        await board(Scores(skilled, budget=99), 100)


# Racing -------------------------------------------------------------------------------------------


def test_rounds_grow_while_arms_shrink() -> None:
    rounds = Racing(first=7).rounds(10, 100)
    assert [(one.arms, one.rows) for one in rounds] == [(10, 7), (5, 14), (3, 28), (2, 56), (1, 100)]
    limited = Racing(first=7, limit=40).rounds(10, 100)
    assert [(one.arms, one.rows) for one in limited] == [(10, 7), (5, 14), (3, 28), (2, 40), (1, 100)]
    assert [(one.arms, one.rows) for one in Racing(first=7).rounds(1, 100)] == [(1, 100)]
    assert [(one.arms, one.rows) for one in Racing(first=7).rounds(9, 5)] == [(9, 5)]
    assert Racing(first=7).most(0, 100) == 0


@given(st.integers(1, 400), st.integers(0, 30), st.integers(1, 300))
def test_a_race_within_a_budget(budget: int, trials: int, rows: int) -> None:
    race = Racing.within(budget, trials, rows)
    assert race.most(trials, rows) <= budget or race == Racing(first=1)
    if budget >= trials * rows:
        assert race.most(trials, rows) == trials * rows


async def test_what_is_surely_worse_is_dropped_before_its_quota() -> None:
    scores = Scores(lambda name, place: float(place < {"start": 98, "good": 99}.get(name, 0)))
    found, _ = await board(scores, 100)
    racing = Racing(first=30)
    await racing.run(found, Listed([arm("good"), arm("b"), arm("c"), arm("d")]), 4)
    assert scores.count - 100 == 4 * 30 + 70


async def test_against_a_start_that_cannot_be_beaten_nothing_goes_on() -> None:
    scores = Scores(lambda name, place: float(name == "start"))
    found, _ = await board(scores, 100)
    await Racing(first=30).run(found, Listed([arm("a"), arm("b"), arm("c")]), 3)
    assert scores.count - 100 == 3 * 30
    assert [candidate.label for candidate in found.candidates()] == ["start"]


async def test_an_arm_that_could_win_no_more_goes_at_once() -> None:
    """Too few rows to be sure that it is worse, and it may not even draw level."""
    scores = Scores(lambda name, place: float(name == "start" or place % 5 > 0) if place != 3 else 0.0)
    found, _ = await board(scores, 100)
    await Racing(first=10).run(found, Listed([arm("a")]), 1)
    assert found.seen(arm("a")) in (10, 100)
    racing = Racing(first=10, finalists=1)
    assert racing.rounds(4, 100)[0].rows == 10
    scores = Scores(lambda name, place: float(name == "start" or place % 5 > 0) if place != 3 else 0.0)
    found, _ = await board(scores, 100)
    await racing.run(found, Listed([arm("a"), arm("b")]), 2)
    assert scores.count - 100 == 2 * 10


async def test_an_arm_that_is_far_behind_goes_before_it_is_surely_worse() -> None:
    """The quota has room for both, and three rows of twelve are no proof."""
    right = {"start": 6, "good": 9, "middling": 6, "poor": 5, "worst": 4}
    scores = Scores(lambda name, place: float(place % 12 < right[name]))
    found, _ = await board(scores, 48)
    arms = [arm(name) for name in ("good", "middling", "poor", "worst")]
    race = Racing(first=12, behind=1.5)
    await race.run(found, Listed(arms), 4)
    assert race.rounds(4, 48)[1].arms == 2
    assert not worse(found.scores(arms[1])[:12], found.scores(arms[0])[:12], 0.95)
    assert [found.seen(one) for one in arms] == [48, 12, 12, 12]


async def test_an_arm_that_is_not_far_behind_has_its_place_in_the_next_round() -> None:
    right = {"start": 6, "good": 9, "near": 8, "poor": 5, "worst": 4}
    scores = Scores(lambda name, place: float((place * 5 + len(name)) % 12 < right[name]))
    found, _ = await board(scores, 48)
    arms = [arm(name) for name in ("good", "near", "poor", "worst")]
    await Racing(first=12, behind=1.5).run(found, Listed(arms), 4)
    assert found.seen(arms[1]) >= 24


def test_an_error_follows_from_how_much_rows_vary() -> None:
    def error(*arms: Sequence[float], start: Sequence[float] = (0.0,) * 20) -> float:
        return standard_error([(scores, scores) for scores in arms], start)

    alike, varied = [0.5] * 20, [1.0, 0.0] * 10
    assert 0 < error(alike) == error([0.0] * 20) < error(alike, varied) < error(varied)
    assert error(varied, varied) == error(varied)
    assert error(varied * 4, start=(0.0,) * 80) == pytest.approx(error(varied) / 2, rel=0.02)
    few = LEAST_LOOK - 1
    assert error(varied[:few], start=(0.0,) * few) == math.inf


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=4, max_size=30))
def test_rows_that_are_out_can_but_make_an_error_larger(rows: list[tuple[bool, bool, bool]]) -> None:
    start = [float(known) for known, _, _ in rows]
    whole = [float(score) for _, score, _ in rows]
    low = [float(score and not out) for _, score, out in rows]
    high = [float(score or out) for _, score, out in rows]
    assert standard_error([(low, high)], start) <= standard_error([(whole, whole)], start) + 1e-12


def test_worse_needs_evidence() -> None:
    assert not worse([0.0] * 4, [1.0] * 4, 0.95)
    assert worse([0.0] * 5, [1.0] * 5, 0.95)
    assert not worse([0.0] * 5, [1.0] * 5, 0.99)
    assert not worse([0.2, 0.1, 0.3], [0.9, 0.6, 0.5], 0.95)
    assert worse([0.2, 0.1, 0.3] * 5, [0.9, 0.6, 0.5] * 5, 0.95)
    assert not worse([1.0, 0.0] * 20, [0.0, 1.0] * 20, 0.95)
    assert not worse([], [], 0.95)


def test_the_stated_confidence_holds_for_equal_arms() -> None:
    draws = random.Random(4)
    dropped = 0
    for _ in range(400):
        a, b = ([float(draws.random() < 0.6) for _ in range(20)] for _ in range(2))
        dropped += worse(a, b, 0.95)
    assert dropped / 400 < 0.05


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 30), st.integers(0, 30), st.integers(1, 200), st.floats(0.1, 1.0), st.integers(1, 6))
def test_a_smaller_race_never_costs_more_than_was_reckoned_with(
    planned: int, trials: int, rows: int, share: float, finalists: int
) -> None:
    race = Racing.within(share * planned * rows, planned, rows, finalists=finalists)
    closer = race.fewer(planned, min(planned, trials), rows)
    assert closer.most(min(planned, trials), rows) <= race.most(planned, rows)
    assert closer.first >= race.first


@pytest.mark.parametrize("finalists", [1, 3, 5, 20])
async def test_as_many_as_are_wanted_end_complete(finalists: int) -> None:
    scores = Scores(lambda name, row: float(row % 12 < int(name or 0)))
    arms = [arm(str(skill)) for skill in (3, 9, 1, 11, 5, 7, 10, 2)]
    known, _ = await board(scores, 60, start="6")
    race = Racing.within(0.4 * 8 * 60, 8, 60, finalists=finalists)
    assert await race.run(known, Listed(arms), len(arms)) is None
    complete = [one for one in arms if known.seen(one) == 60]
    assert len(complete) == min(finalists, 8)
    assert {"11"} <= {one.label for one in complete}
    assert scores.count - 60 <= race.most(8, 60)


async def test_an_arm_that_began_early_is_not_asked_twice_and_changes_no_order() -> None:
    scores = Scores(skilled)
    found, told = await board(scores, 30)
    one, other, whole = arm("a60"), arm("a40"), arm("a80")
    found.begin(other, 10)
    found.begin(whole, 30)
    found.begin(whole, 5)
    await asyncio.sleep(0)
    assert scores.count == 30 + 10 + 30
    # What came early is not known before its turn.
    assert found.rivals == ()
    assert not any(found.knows(each.program) for each in (one, other, whole))
    assert await found.extend([one, other, whole], 10) is None
    assert scores.count == 30 + 10 + 30 + 10
    assert await found.extend([one, other, whole], 30) is None
    assert scores.count == 4 * 30
    assert [candidate.label for candidate in found.candidates()] == ["start", "a60", "a40", "a80"]
    assert [line.split()[0] for line in told] == ["start", "a80", "a60", "a40"]


# Before its turn -----------------------------------------------------------------------------------

SHARES = st.lists(st.lists(st.booleans(), min_size=24, max_size=24), min_size=2, max_size=7)


@pytest.mark.slow
@given(
    start=st.lists(st.booleans(), min_size=24, max_size=24),
    won=SHARES,
    out=st.dictionaries(st.integers(0, 6), st.sets(st.integers(0, 15), min_size=1, max_size=6), max_size=3),
    brought=st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0]), min_size=24, max_size=24),
    quota=st.integers(1, 6),
    comparisons=st.integers(1, 50),
    further=st.sets(st.integers(0, 6), max_size=2),
    behind=st.sampled_from([math.inf, 2.0, 1.0]),
)
@settings(max_examples=400, deadline=None)
async def test_who_is_certain_goes_on_whatever_the_rest_brings(
    start: list[bool],
    won: list[list[bool]],
    out: dict[int, set[int]],
    brought: list[float],
    quota: int,
    comparisons: int,
    further: set[int],
    behind: float,
) -> None:
    """Some rows of some arms are out; of what they bring in the end nothing is known, fractions among it. Some others
    have been scored on more rows already."""
    held = asyncio.Event()
    missing = {f"a{at}": places for at, places in out.items() if at < len(won) and at not in further}

    class Holding(Scores):
        async def evaluate(
            self, program: Program, rows: Sequence[Example], *, label: str = "", told: Told | None = None
        ) -> Evaluation:
            places = missing.get(label, set())
            scores = [
                brought[place] if place in places else self.rule(label, row.index)
                for place, row in enumerate(rows)
            ]
            for place in sorted(range(len(rows)), key=lambda place: place in places):
                if place in places:
                    await held.wait()
                if told is not None:
                    told(place, scores[place])
            return Evaluation(
                tuple(RowResult(row.index, score, {}) for row, score in zip(rows, scores, strict=True))
            )

    def rule(label: str, row: int) -> float:
        return float((start if label == "start" else won[int(label[1:])])[row])

    found, _ = await board(Holding(rule), 24)
    arms = [arm(f"a{at}") for at in range(len(won))]
    race = Racing(first=16, behind=behind)
    certain: list[Arm] = []
    assert await found.extend([one for at, one in enumerate(arms) if at in further], 24) is None

    def told() -> None:
        certain.extend(race.certain(found, arms, 16, quota, comparisons))

    extending = asyncio.ensure_future(found.extend(arms, 16, told=told))
    for _ in range(4):
        await asyncio.sleep(0)
    assert not missing or not extending.done()
    held.set()
    assert await extending is None
    going_on = race._going_on(found, Listed([]), arms, 16, quota, comparisons)  # pyright: ignore[reportPrivateUsage]
    assert {one.label for one in certain} <= {one.label for one in going_on}


async def test_who_is_certain_of_the_next_round_does_not_wait_for_the_last_row_of_this_one() -> None:
    held = asyncio.Event()

    class Slow(Scores):
        async def evaluate(
            self, program: Program, rows: Sequence[Example], *, label: str = "", told: Told | None = None
        ) -> Evaluation:
            found = await super().evaluate(program, rows, label=label, told=None)
            for place, row in enumerate(found.rows):
                if label == "a5" and place == len(rows) - 1:
                    await held.wait()
                if told is not None:
                    told(place, row.score)
            return found

    scores = Slow(skilled)
    found, _ = await board(scores, 60)
    arms = [arm(f"a{share}") for share in (70, 60, 5, 50)]
    running = asyncio.ensure_future(Racing(first=10).run(found, Listed(arms), 4))
    for _ in range(20):
        await asyncio.sleep(0)
    assert [(name, len(places)) for name, places in scores.asked[5:]] == [("a70", 10), ("a60", 10)]
    held.set()
    assert await running is None
    assert max(found.candidates(), key=lambda one: one.score).label == "a70"


@pytest.mark.parametrize("rule", [skilled, lambda name, place: max(skilled(name, place), place % 7 / 9)])
async def test_a_race_asks_the_same_whatever_comes_first(rule: Scoring) -> None:
    """Of scores that are 0 or 1, and of fractions, with which nobody is certain before the round is over."""
    seen: set[object] = set()
    for seed in range(12):
        draws = random.Random(seed)
        scores = Scores(rule, pace=lambda: draws.randrange(9) if seed else 0)  # noqa: B023 - called within the round
        found, _ = await board(scores, 90)
        arms = [arm(f"a{share}") for share in (20, 45, 60, 35, 55, 50, 5)]
        assert await Racing(first=6).run(found, Listed(arms), len(arms)) is None
        looks = tuple(found.seen(one) for one in arms)
        seen.add((tuple(sorted(scores.asked)), looks, tuple(one.label for one in found.candidates())))
    assert len(seen) == 1


async def test_what_was_begun_and_is_not_wanted_is_dropped() -> None:
    class Forever(Scores):
        async def evaluate(
            self, program: Program, rows: Sequence[Example], *, label: str = "", told: Told | None = None
        ) -> Evaluation:
            if label != "start":
                await asyncio.Event().wait()
            return await super().evaluate(program, rows, label=label, told=told)

    found, _ = await board(Forever(skilled), 20)
    found.begin(arm("a50"), 10)
    await asyncio.sleep(0)
    await found.drop()
    assert len(asyncio.all_tasks()) == 1

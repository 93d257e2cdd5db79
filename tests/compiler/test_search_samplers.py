"""Samplers: nothing twice, everything when it fits, and better than chance where there is structure."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import classifier

from dspec.compiler.search import (
    Arm,
    Bandit,
    Choice,
    Combinations,
    Exhaustive,
    Listed,
    Sampler,
    Space,
    TpeSampler,
)
from dspec.compiler.search.additive import Result, fit

SAMPLERS: dict[str, Callable[[Space, int], Sampler]] = {
    "exhaustive": lambda space, seed: Exhaustive(space),
    "tpe": TpeSampler,
    "bandit": lambda space, seed: Bandit(space, random.Random(seed)),
}


def searched(sampler: Sampler, score: Callable[[Choice], float], trials: int, wave: int) -> list[Choice]:
    """Every choice that was asked for, in order."""
    asked: list[Choice] = []
    while len(asked) < trials and (found := sampler.ask(min(wave, trials - len(asked)))):
        asked += found
        for choice in found:
            sampler.tell(choice, score(choice))
    return asked


@pytest.mark.parametrize("name", SAMPLERS)
@given(
    st.lists(st.integers(1, 4), min_size=0, max_size=4).map(tuple),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(0, 3),
)
@settings(max_examples=15, deadline=None)
def test_no_combination_comes_twice_and_none_is_made_up(
    name: str, sizes: tuple[int, ...], trials: int, wave: int, seed: int
) -> None:
    space = Space(sizes)
    sampler = SAMPLERS[name](space, seed)
    sampler.tell(space.origin, 0.5)
    asked = searched(sampler, lambda choice: sum(choice) / 20, trials, wave)
    assert len(set(asked)) == len(asked) == min(trials, space.combinations - 1)
    assert space.origin not in asked
    assert set(asked) <= set(space.all())


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_exhausted_space_gives_nothing_more(name: str) -> None:
    sampler = SAMPLERS[name](Space((2, 2)), 0)
    assert len(sampler.ask(9)) == 4
    assert sampler.ask(9) == []


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_gives_the_same_search(name: str) -> None:
    found = [
        searched(SAMPLERS[name](Space((4, 5, 3)), seed), lambda choice: choice[0] / 4, 14, 5)
        for seed in (0, 0)
    ]
    assert found[0] == found[1]


def test_the_bandit_shows_every_option_before_it_chooses() -> None:
    asked = Bandit(Space((6, 3)), random.Random(2)).ask(6)
    assert {choice[0] for choice in asked} == set(range(6))
    assert {choice[1] for choice in asked} == set(range(3))


def test_effects_of_options_are_found_and_shrunk() -> None:
    space = Space((3, 2))
    results = [Result(choice, 0.5 + 0.1 * choice[0] - 0.2 * choice[1], 20.0) for choice in space.all()]
    exact = fit(space.sizes, results, 0.0)
    assert all(exact.predict(result.choice) == pytest.approx(result.score) for result in results)
    assert exact.effects[1] == pytest.approx((0.1, -0.1))
    shrunk = fit(space.sizes, results, 40.0)
    assert 0 < shrunk.effects[1][0] < 0.1
    # An option that nobody saw has no effect, and without results everything is the same.
    assert fit((2,), [Result((0,), 0.9)], 1.0).effects == ((0.0, 0.0),)
    assert fit((2, 2), [], 1.0).predict((1, 1)) == 0.0


async def test_combinations_predict_from_what_they_share() -> None:
    space = Space((2, 2))
    student = classifier()
    source = Combinations(space, Exhaustive(space), lambda choice: Arm(str(choice), student))
    source.start(0.5, 100)
    arms = {arm.label: arm for arm in await source.ask(9)}
    assert set(arms) == {"(0, 1)", "(1, 0)", "(1, 1)"}
    source.tell(arms["(0, 1)"], 0.9, 20)
    source.tell(arms["(1, 0)"], 0.5, 20)
    predicted = {label: source.predict(arm) or 0.0 for label, arm in arms.items()}
    assert predicted["(1, 1)"] > predicted["(1, 0)"]
    assert Listed([arms["(0, 1)"]]).predict(arms["(0, 1)"]) is None


@pytest.mark.parametrize("name", ["bandit", "tpe"])
def test_guided_search_beats_chance(name: str) -> None:
    space = Space((6, 6, 6))

    def score(choice: Choice) -> float:
        return sum(option / 5 for option in choice) / 3

    trials, runs = (20, 12) if name == "bandit" else (30, 2)
    guided = [
        max(score(choice) for choice in searched(SAMPLERS[name](space, seed), score, trials, 5))
        for seed in range(runs)
    ]
    draws = random.Random(0)
    chance = [
        max(score(tuple(draws.randrange(6) for _ in range(3))) for _ in range(trials)) for _ in range(200)
    ]
    assert sum(guided) / len(guided) > sum(chance) / len(chance)

"""The agent of `examples/questions` with MIPROv2 light, and DSPy 3.4.1's ReAct and MIPROv2 beside it on the same rows, searches and
model: with `compat = "dspy"` the same instructions and demos chosen, and the same scores. `bench/agents.py` compares without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agents_beside as beside
import pytest
import searching
from test_dspy import available

SEEDS = (1, 2)
PREDICTORS = {"react": "next_tool_args", "extract.predict": "answer"}
"""Predictors of DSPy's agent, and the last output of each."""


@dataclass(frozen=True)
class Both:
    ours: beside.Ours
    theirs: dict[str, Any]
    requests: int
    """Of this project's compile."""


@pytest.fixture(scope="module", params=SEEDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    python, seed = available(), request.param
    with beside.served() as url:
        name = f"s{seed}.{beside.PROPOSALS}"
        path = beside.project(tmp_path_factory.mktemp("agent") / "own", f"ours.{name}", seed, compat=True)
        made = beside.ours(path, url)
        requests = beside.stats(url)["requests"]
        theirs = beside.theirs(
            python, path, url, f"dspy.{name}", seed, test=True, cache=False, same_draws=True
        )
    return Both(made, theirs, requests)


def chosen(state: dict[str, Any]) -> dict[str, Any]:
    """By predictor: the hint in its instruction, and what of its demos a prompt shows, whoever words it."""
    return {
        name: (
            searching.hint(state[name]["signature"]["instructions"]),
            [demo(one, last) for one in state[name]["demos"] if last in one],
        )
        for name, last in PREDICTORS.items()
    }


def demo(one: dict[str, Any], last: str) -> list[Any]:
    trajectory = one.get("trajectory", "")
    titles = {title for text, title in searching.passages().items() if text in trajectory}
    steps = trajectory.count("[[ ## tool_name_")
    said = one[last] if isinstance(one[last], str) else json.dumps(one[last], sort_keys=True)
    return [one["question"], one.get("augmented", False), steps, titles, one.get("next_tool_name"), said]


def test_the_same_instructions_and_demos_are_chosen(both: Both) -> None:
    found = chosen(both.ours.state)
    assert found == chosen(both.theirs["state"])
    assert any(hint for hint, _ in found.values())
    assert any(demos for _, demos in found.values()), "the choice could have shown"


def test_the_scores_are_the_same(both: Both) -> None:
    """Of all candidates on val, and of the program before and after on rows that nobody has seen."""
    (step,) = both.ours.made["steps"]
    scores = [percent(one["score"]) for one in step["candidates"]]
    assert scores == sorted(both.theirs["candidates"], reverse=True)
    assert len(set(scores)) > 2
    (held_out,) = both.ours.made["evals"]
    assert [percent(held_out["baseline"]["score"]), percent(held_out["score"])] == both.theirs["test"]


def percent(score: float) -> float:
    return round(100 * score, 2)


def test_the_plan_bounds_what_was_asked(both: Both) -> None:
    plan, calls = both.ours.plan, both.ours.made["calls"]
    assert plan["least"] <= calls["needed"] <= plan["most"]
    assert both.requests == calls["made"] <= calls["needed"]


@pytest.mark.slow
def test_by_default_the_agent_gets_better_within_its_plan(tmp_path: Path) -> None:
    with beside.served() as url:
        made = beside.ours(beside.project(tmp_path / "own", "ours.s1.0", 1), url)
        requests = beside.stats(url)["requests"]
    (held_out,) = made.made["evals"]
    assert held_out["score"] >= held_out["baseline"]["score"] + 0.15
    assert made.plan["least"] <= made.made["calls"]["needed"] <= made.plan["most"]
    assert requests == made.made["calls"]["made"]

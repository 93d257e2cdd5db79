"""DSPy 3.4.1's modules of several calls against this project's with `compat = "dspy"`: on the same scripted answers the
same questions in the same order, and the same result. How the questions are worded differs by design.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from programs import chat
from scripted_modules import Both, Case, asked_of, both_sides, ours
from test_dspy import available

from dspec.runtime.artifact.dspy_state import dspy_state
from dspec.runtime.schema.program import Demo
from dspec.runtime.schema.types import JsonValue


def step(tool: str, arguments: dict[str, Any]) -> str:
    return chat(next_thought="look", next_tool_name=tool, next_tool_args=json.dumps(arguments))


def said(*answers: str) -> list[str]:
    return [chat(answer=answer) for answer in answers]


END, ANSWER = step("finish", {}), chat(reasoning="it says so", answer="Ada")
TRY = {"threshold": 0.8}
CASES = [
    Case("agent", "ReAct", {"max_iters": 4}, [step("search", {"query": "ada"}), END, ANSWER]),
    Case("agent-runs-out", "ReAct", {"max_iters": 2}, [step("search", {"query": "ada"})] * 2 + [ANSWER]),
    Case("agent-tool-fails", "ReAct", {"max_iters": 4}, [step("search", {"query": "broken"}), END, ANSWER]),
    Case("agent-bad-arguments", "ReAct", {"max_iters": 4}, [step("search", {"size": 3}), END, ANSWER]),
    Case("agent-no-such-tool", "ReAct", {"max_iters": 4}, [step("serch", {})] * 2),
    Case("agent-unreadable-end", "ReAct", {"max_iters": 4}, [END, "{", "{"]),
    Case("best", "BestOfN", {"N": 3, **TRY}, said("four", "five5", "abc"), {"n": 3}),
    Case("best-early", "BestOfN", {"N": 3, **TRY}, said("four", "eight888"), {"n": 3}),
    Case("best-of-equals", "BestOfN", {"N": 3, **TRY}, said("one", "two", "six"), {"n": 3}),
    Case("best-fails-once", "BestOfN", {"N": 3, **TRY}, ["{", "{", *said("four", "five5")], {"n": 3}),
    Case("best-fails", "BestOfN", {"N": 3, **TRY}, ["{"] * 6, {"n": 3}),
    Case("best-fails-early", "BestOfN", {"N": 5, **TRY}, ["{"] * 8, {"n": 5}),
    Case(
        "refined",
        "Refine",
        {"N": 3, **TRY},
        [
            *said("four"),
            chat(discussion="short", advice='{"self": "say more", "module": "say more"}'),
            *said("five5"),
            chat(discussion="short", advice='{"self": "N/A", "module": "N/A"}'),
            *said("abc"),
        ],
        {"n": 3},
    ),
    Case(
        "refined-without-advice",
        "Refine",
        {"N": 2, **TRY},
        [*said("four"), "{", "{", *said("eight888")],
        {"n": 2},
    ),
    Case(
        "compared",
        "MultiChainComparison",
        {},
        [chat(reasoning="r", answer="a1")] * 2 + [chat(rationale="the first", answer="a1")],
        {"m": 2},
    ),
    Case(
        "agent-loaded",
        "ReAct",
        {"max_iters": 4},
        [step("search", {"query": "ada"}), END, ANSWER],
        loads=True,
    ),
    Case("best-loaded", "BestOfN", {"N": 3, **TRY}, said("four", "eight888"), {"n": 3}, loads=True),
    Case("agreed", "Majority", {}, said("Rome", "the Paris", "paris!"), {"n": 3}),
    Case("agreed-of-equals", "Majority", {}, said("Rome", "Paris", "Bonn"), {"n": 3}),
]
NAMED = {
    "ReAct": {"m.react": "react", "m.extract": "extract.predict"},
    "BestOfN": {"module": "module"},
    "Refine": {"module": "module"},
    "MultiChainComparison": {"m.chain": "chain.predict", "m.compare": "compare.predict"},
    "Majority": {},
}


TURNS: list[JsonValue] = [
    {"thought": "look", "tool": "search", "arguments": {"query": "eve"}, "observation": "about eve"},
    {"error": "this step could not be read"},
]
SHOWN = Demo(
    inputs={"question": "Where?", "trajectory": TURNS},
    outputs={
        "next_thought": "enough",
        "next_tool_name": "finish",
        "next_tool_args": {},
        "reasoning": "so",
        "answer": "There",
    },
    augmented=True,
)


def state(case: Case) -> dict[str, Any]:
    """What DSPy loads: every predictor with a demo."""
    program = ours(case, "http://localhost")
    for address in program.predictors:
        program = program.with_predictor(address, demos=(SHOWN,))
    found = dspy_state(program, NAMED[case.module])
    return {name: one for name, one in found.items() if name != "metadata"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return both_sides(available(), tmp_path_factory.mktemp("modules"), CASES, state)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_calls_and_the_same_result(both: Both, case: Case) -> None:
    theirs, own = both.theirs[case.name], both.own[case.name]
    assert (own.outcome is None) == ("failed" in theirs), (own, theirs)
    assert own.outputs == theirs.get("outputs")
    here, there = asked_of(both, case)
    assert here == there


def test_a_state_shows_dspy_the_demos(both: Both) -> None:
    first, _ = both.script.asked["dspy.agent-loaded"][0]
    assert first is not None
    assert "- search: query (text)" in first.instruction
    ((inputs, outputs),) = first.demos
    assert inputs["question"] == "Where?"
    assert outputs["next_tool_name"] == "finish"
    (demo,) = state(next(case for case in CASES if case.name == "agent-loaded"))["react"]["demos"]
    assert demo["trajectory"] == (
        "[[ ## thought_0 ## ]]\nlook\n\n[[ ## tool_name_0 ## ]]\nsearch\n\n"
        '[[ ## tool_args_0 ## ]]\n{"query": "eve"}\n\n[[ ## observation_0 ## ]]\nabout eve\n\n'
        "[[ ## observation_1 ## ]]\nthis step could not be read"
    )


@pytest.mark.parametrize("module", ["ReAct", "MultiChainComparison"])
def test_predictors_have_dspys_names(both: Both, module: str) -> None:
    case = next(case for case in CASES if case.module == module)
    program = ours(case, "http://localhost")
    state = dspy_state(program, NAMED[module])
    assert [name for name in state if name != "metadata"] == both.theirs[case.name]["names"]

"""DSPy 3.4.1's modules whose models write code against this project's with `compat = "dspy"`: on the same scripted answers the
same questions, the same code run, the same given back, and the same result.

The code runs in a Python process there and in the sandbox here, so it is code that both know. What differs by design stands in
`docs/agents.md`, and is tested at the end.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from programs import chat
from scripted_modules import OURS, THEIRS, Both, Case, asked_of, both_sides, ours
from test_dspy import available

from dspec.runtime.artifact.dspy_state import dspy_state
from dspec.runtime.schema.trace import CODE
from dspec.runtime.schema.types import Row

ANSWER = chat(reasoning="it says so", answer="42")


def wrote(code: str) -> str:
    return chat(reasoning="reckon", generated_code=f"```python\n{code}\n```")


def acted(code: str, finished: str = "false") -> str:
    return chat(generated_code=f"```python\n{code}\n```", finished=finished)


def step(code: str) -> str:
    return chat(reasoning="look", code=f"```python\n{code}\n```")


ENDS_THOUGHT = wrote("submit(answer=str(6 * 7))"), wrote('SUBMIT({"answer": str(6 * 7)})')
"""Here, and there."""
ENDS = step("submit(answer='42')")
QUERIES = {"who?": "Ada", "when?": "1843"}


def thought(name: str, *before: str, submits: bool = False, max_iters: int = 3) -> Case:
    here, there = ([*before, one, ANSWER] if submits else [*before, ANSWER] for one in ENDS_THOUGHT)
    options = {"max_iters": max_iters}
    return Case(name, "ProgramOfThought", options, here, options, theirs=there)


def explored(name: str, *before: str, last: str = ENDS, **options: Any) -> Case:
    here = [*before, last]
    there = [one.replace("submit(", "SUBMIT(") for one in here]
    return Case(name, "RLM", options, here, theirs=there, queries=QUERIES)


CASES = [
    thought("thought", submits=True),
    thought("thought-again", wrote("1 / 0"), submits=True),
    thought("thought-prints", wrote("print(6 * 7)")),
    thought("thought-ends-with-a-value", wrote("x = 6\nx * 7")),
    thought("thought-never-runs", wrote("1 / 0"), wrote("nope"), max_iters=2),
    Case("acts-once", "CodeAct", {"max_iters": 3}, [acted("print(search('ada'))", "true"), ANSWER]),
    Case(
        "acts-twice",
        "CodeAct",
        {"max_iters": 3},
        [acted("found = search('ada')\nprint(len(found))"), acted("found.upper()", "true"), ANSWER],
    ),
    Case("acts-wrongly", "CodeAct", {"max_iters": 3}, [acted("1 / 0"), acted("print(1)", "true"), ANSWER]),
    Case("acts-tool-fails", "CodeAct", {"max_iters": 2}, [acted("search('broken')", "true"), ANSWER]),
    Case("acts-to-the-end", "CodeAct", {"max_iters": 2}, [acted("print(1)"), acted("print(2)"), ANSWER]),
    Case("acts-unreadably", "CodeAct", {"max_iters": 3}, ["{", "{"]),
    explored("explores", step("print(question)"), max_iters=4),
    explored("explores-with-a-tool", step("print(search(query='ada'))"), max_iters=4),
    explored("explores-by-asking", step("print(llm_query('who?'))"), max_iters=4),
    explored("explores-by-asking-twice", step("print(llm_query_batched(['who?', 'when?']))"), max_iters=4),
    explored("explores-wrongly", step("1 / 0"), step("print('so')"), max_iters=4),
    explored(
        "explores-by-asking-too-much",
        step("llm_query('who?')\nllm_query('when?')"),
        max_iters=4,
        max_llm_calls=1,
    ),
    explored("explores-to-the-end", step("print(1)"), step("print(2)"), last=chat(answer="42"), max_iters=2),
    explored("explores-and-submits-wrongly", step("submit(name='Ada')"), max_iters=4),
]
DIFFERING = [
    Case(
        "prints-and-ends-with-a-value",
        "CodeAct",
        {"max_iters": 2},
        [acted("print('so')\n6 * 7", "true"), ANSWER],
    ),
    Case("knows-its-inputs", "CodeAct", {"max_iters": 2}, [acted("print(question)", "true"), ANSWER]),
]
NAMED = {
    "ProgramOfThought": {
        "m.generate": "code_generate.predict",
        "m.regenerate": "code_regenerate.predict",
        "m.answer": "generate_output.predict",
    },
    "CodeAct": {"m.act": "codeact", "m.extract": "extractor.predict"},
    "RLM": {"m.act": "generate_action", "m.extract": "extract"},
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return both_sides(available(), tmp_path_factory.mktemp("code"), [*CASES, *DIFFERING])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_calls_and_the_same_result(both: Both, case: Case) -> None:
    theirs, own = both.theirs[case.name], both.own[case.name]
    assert (own.outcome is None) == ("failed" in theirs), (own, theirs)
    assert own.outputs == theirs.get("outputs")
    here, there = asked_of(both, case)
    assert here == there
    here, there = (both.script.queries.get(f"{side}.{case.name}", []) for side in (OURS, THEIRS))
    assert sorted(here) == sorted(there)  # of several at once, which arrives first is chance


def ran_here(both: Both, case: Case) -> list[tuple[str, str]]:
    outcome = both.own[case.name].outcome
    assert outcome is not None
    steps = [one for one in outcome.trace if one.tool == CODE]
    return [(str(one.inputs["code"]), told(one.outputs)) for one in steps]


def told(gave: Row) -> str:
    """What came of a piece of code, as a text; of an error only that it is one, since each interpreter has its words."""
    if "error" in gave:
        return "error"
    return "\n".join(str(gave[part]).rstrip("\n") for part in ("output", "result") if part in gave)


def ran_there(both: Both, case: Case) -> list[tuple[str, str]]:
    found = both.theirs[case.name]["trajectory"]
    if isinstance(found, list):
        given = [(one["code"].replace("SUBMIT(", "submit("), one["output"]) for one in found]
        return [(code, "error" if gave.startswith("[Error]") else gave) for code, gave in given]
    steps: list[tuple[str, str]] = []
    for name, code in found.items():
        if name.startswith("generated_code_"):
            given = found.get(name.replace("generated_code", "code_output"))
            steps.append((code, "error" if given is None else str(json.loads(given))))
    return steps


AGENTS = [case for case in CASES if case.module != "ProgramOfThought" and case.name != "acts-unreadably"]


@pytest.mark.parametrize("case", AGENTS, ids=lambda case: case.name)
def test_the_same_code_runs_and_gives_the_same(both: Both, case: Case) -> None:
    here, there = ran_here(both, case), ran_there(both, case)
    if there[-1][1].startswith("FINAL: "):
        assert here[-1] == (there[-1][0], ""), "the answer, which no later step sees"
        here, there = here[:-1], there[:-1]
    assert here == there


def test_what_is_printed_is_shown_beside_a_value_here(both: Both) -> None:
    case, _ = DIFFERING
    assert ran_here(both, case) == [("print('so')\n6 * 7", "so\n42")]
    assert ran_there(both, case) == [("print('so')\n6 * 7", "42")]


def test_inputs_are_variables_of_an_agent_here(both: Both) -> None:
    _, case = DIFFERING
    assert ran_here(both, case) == [("print(question)", "Who?")]
    assert ran_there(both, case) == [("print(question)", "error")]


@pytest.mark.parametrize("module", NAMED)
def test_predictors_have_dspys_names(both: Both, module: str) -> None:
    case = next(case for case in CASES if case.module == module)
    names = [name for name in dspy_state(ours(case, "http://localhost"), NAMED[module]) if name != "metadata"]
    assert [name for name in names if name in NAMED[module].values()] == both.theirs[case.name]["names"]

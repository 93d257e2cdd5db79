"""DSPy 3.4.1's modules of several calls against this project's with `compat = "dspy"`: on the same scripted answers the
same questions in the same order, and the same result. How the questions are worded differs by design.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from agents import QA, SEARCH, several
from programs import binary, call, chat, const, module, predictor, var
from prompts import Asked, UnknownLayout, read
from server import Call, FakeServer
from test_dspy import available

from dspec.runtime.artifact.dspy_state import dspy_state
from dspec.runtime.errors import DspecError
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.protocol import ToolAnswer
from dspec.runtime.running.execute import run
from dspec.runtime.schema.program import LM, Demo, Program, Reward, Tool
from dspec.runtime.schema.types import STR, JsonValue, Row

HERE = Path(__file__).parent
TIMEOUT = 240
KEY = "DIFFERENTIAL_KEY"
LENGTH = Reward(
    name="length",
    pred="pred",
    score=binary(call("min", call("len", var("pred", "answer")), const(10)), "/", const(10)),
)
TOOL = SEARCH.model_copy(update={"inputs": SEARCH.inputs[:1], "output": STR})


@dataclass(frozen=True)
class Case:
    name: str
    module: str
    options: dict[str, Any]
    script: list[str]
    ours: dict[str, Any] = field(default_factory=dict[str, Any])
    loads: bool = False
    """Whether DSPy's module is given the state of this project's, demos included."""


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


class Script:
    """Answers by the name of the model, and what each was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, list[tuple[Asked | None, float | None]]] = {}
        self._counts: Counter[str] = Counter()

    def __call__(self, call: Call) -> str:
        name = call.body["model"]
        try:
            asked = read(call.body["messages"])
        except UnknownLayout:
            asked = None  # asked again: each in its own words
        self.asked.setdefault(name, []).append((asked, call.body.get("temperature")))
        script = next(case for case in CASES if case.name == name.partition(".")[2]).script
        self._counts[name] += 1
        return script[min(self._counts[name], len(script)) - 1]


class Searching:
    async def call(self, tool: Tool, arguments: Row, use: Any) -> ToolAnswer:
        query = arguments["query"]
        return ToolAnswer(error="no such index") if query == "broken" else ToolAnswer(f"about {query}")


def ours(case: Case, url: str) -> Program:
    model = f"openai/ours.{case.name}"
    # Strict, since what is read from an answer without any layout is another matter.
    lm = LM(name="mini", model=model, api_base=url, api_key_env=KEY, temperature=0.0, parse="strict")
    if case.module == "ReAct":
        return several("ReAct", tools=[TOOL], lm=lm, compat="dspy", **case.options)
    if case.module == "MultiChainComparison":
        return several(case.module, lm=lm, compat="dspy", **case.ours)
    asked = module(predictor(QA.inputs, QA.outputs), lms={"mini": lm})
    reward = None if case.module == "Majority" else LENGTH
    given = case.ours if reward is None else TRY | case.ours
    return several(case.module, more=asked, runs="module", reward=reward, lm=lm, compat="dspy", **given)


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


async def answered(case: Case, url: str) -> dict[str, Any]:
    async with Engine(transport="lean", threads=1, tools=Searching()) as engine:
        try:
            outcome = await run(ours(case, url), {"question": "Who?"}, engine)
        except DspecError:
            return {"failed": True}
    return {"outputs": outcome.outputs}


class Both:
    def __init__(self, script: Script, theirs: dict[str, Any], own: dict[str, Any]) -> None:
        self.script, self.theirs, self.own = script, theirs, own


async def _both(python: Path, folder: Path) -> Both:
    script = Script()
    server = FakeServer(script)
    await server.start(0)
    try:
        cases = [
            {
                "name": case.name,
                "model": f"dspy.{case.name}",
                "module": case.module,
                "options": case.options,
                "question": "Who?",
                **({"state": state(case)} if case.loads else {}),
            }
            for case in CASES
        ]
        (folder / "cases.json").write_text(json.dumps({"url": server.url, "cases": cases}))
        quiet = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "DSPY_CACHEDIR": str(folder / "cache"),
        }
        quiet |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
        driver = await asyncio.create_subprocess_exec(
            str(python),
            str(HERE / "dspy_modules.py"),
            str(folder / "cases.json"),
            str(folder / "results.json"),
            env=quiet,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                said, _ = await driver.communicate()
        finally:
            if driver.returncode is None:
                driver.kill()
        assert driver.returncode == 0, said.decode()[-3000:]
        own = {case.name: await answered(case, server.url) for case in CASES}
    finally:
        await server.stop()
    return Both(script, json.loads((folder / "results.json").read_text()), own)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    python = available()
    os.environ[KEY] = "none"
    return asyncio.run(_both(python, tmp_path_factory.mktemp("modules")))


def questions(asked: list[tuple[Asked | None, float | None]]) -> list[Any]:
    """What was asked, in order: the outputs wanted, whether advice was shown, the question, the temperature."""
    found: list[Any] = []
    for one, temperature in asked:
        advises = one is not None and "advice" in one.outputs
        if one is None or advises:
            found.append("again" if one is None else ("advice", temperature))
            continue
        found.append((one.outputs, one.inputs.get("question"), temperature))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_calls_and_the_same_result(both: Both, case: Case) -> None:
    theirs, own = both.theirs[case.name], both.own[case.name]
    assert ("failed" in own) == ("failed" in theirs), (own, theirs)
    assert own.get("outputs") == theirs.get("outputs")
    asked = questions(both.script.asked[f"ours.{case.name}"])
    assert [one if one == "again" else one[:-1] for one in asked] == [
        one if one == "again" else one[:-1] for one in questions(both.script.asked[f"dspy.{case.name}"])
    ]


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

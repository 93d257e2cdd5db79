"""Runs modules of several calls twice on the same scripted answers: DSPy's, in its environment, and this project's.

A case's model is named after it, and the server on loopback behind it answers from the case's script and keeps what was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents import QA, SEARCH, several
from programs import binary, call, chat, const, module, predictor, var
from prompts import Asked, UnknownLayout, read
from server import Call, FakeServer

from dspec.runtime.errors import DspecError
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.protocol import ToolAnswer
from dspec.runtime.running.execute import Outcome, run
from dspec.runtime.schema.program import LM, Program, Reward, Tool
from dspec.runtime.schema.types import STR, Row

HERE = Path(__file__).parent
TIMEOUT = 240
KEY = "DIFFERENTIAL_KEY"
TOOL = SEARCH.model_copy(update={"inputs": SEARCH.inputs[:1], "output": STR})
LENGTH = Reward(
    name="length",
    pred="pred",
    score=binary(call("min", call("len", var("pred", "answer")), const(10)), "/", const(10)),
)
OURS, THEIRS = "ours", "dspy"
WITH_TOOLS = ("ReAct", "CodeAct", "RLM")


@dataclass(frozen=True)
class Case:
    name: str
    module: str
    options: dict[str, Any]
    script: list[str]
    ours: dict[str, Any] = field(default_factory=dict[str, Any])
    loads: bool = False
    """Whether DSPy's module is given the state of this project's, demos included."""
    theirs: list[str] | None = None
    """DSPy's script, where the same has to be said in other words there."""
    queries: dict[str, str] = field(default_factory=dict[str, str])
    """Answers to what code asks, by the question."""

    def answers(self, side: str) -> list[str]:
        return self.theirs if side == THEIRS and self.theirs is not None else self.script


class Script:
    """Answers by the name of the model, and what each was asked."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.asked: dict[str, list[tuple[Asked | None, float | None]]] = {}
        self.queries: dict[str, list[str]] = {}
        self._cases = {case.name: case for case in cases}
        self._counts: Counter[str] = Counter()

    def __call__(self, call: Call) -> str:
        name = call.body["model"]
        side, _, case = name.partition(".")
        messages = call.body["messages"]
        if side == THEIRS and len(messages) == 1:  # DSPy asks for code in the code's own words
            return self._query(name, messages[0]["content"], self._cases[case])
        try:
            asked = read(messages)
        except UnknownLayout:
            asked = None  # asked again: each in its own words
        if asked is not None and asked.outputs == ("response",):
            return chat(response=self._query(name, asked.inputs["prompt"], self._cases[case]))
        self.asked.setdefault(name, []).append((asked, call.body.get("temperature")))
        script = self._cases[case].answers(side)
        self._counts[name] += 1
        return script[min(self._counts[name], len(script)) - 1]

    def _query(self, name: str, prompt: str, case: Case) -> str:
        self.queries.setdefault(name, []).append(prompt)
        return case.queries[prompt]


class _Searching:
    async def call(self, tool: Tool, arguments: Row, use: Any) -> ToolAnswer:
        query = arguments["query"]
        return ToolAnswer(error="no such index") if query == "broken" else ToolAnswer(f"about {query}")


def ours(case: Case, url: str) -> Program:
    model = f"openai/{OURS}.{case.name}"
    # Strict, since what is read from an answer without any layout is another matter.
    lm = LM(name="mini", model=model, api_base=url, api_key_env=KEY, temperature=0.0, parse="strict")
    if case.module in WITH_TOOLS:
        return several(case.module, tools=[TOOL], lm=lm, compat="dspy", **(case.options | case.ours))
    if case.module in ("MultiChainComparison", "ProgramOfThought"):
        return several(case.module, lm=lm, compat="dspy", **case.ours)
    asked = module(predictor(QA.inputs, QA.outputs), lms={"mini": lm})
    tried = "threshold" in case.options
    given = ({"threshold": case.options["threshold"]} if tried else {}) | case.ours
    reward = LENGTH if tried else None
    return several(case.module, more=asked, runs="module", reward=reward, lm=lm, compat="dspy", **given)


@dataclass(frozen=True)
class Ours:
    outcome: Outcome | None
    """None where the run failed."""

    @property
    def outputs(self) -> Row | None:
        return self.outcome.outputs if self.outcome is not None else None


async def _answered(case: Case, url: str) -> Ours:
    async with Engine(transport="lean", threads=1, tools=_Searching()) as engine:
        try:
            return Ours(await run(ours(case, url), {"question": "Who?"}, engine))
        except DspecError:
            return Ours(None)


@dataclass(frozen=True)
class Both:
    script: Script
    theirs: dict[str, dict[str, Any]]
    own: dict[str, Ours]


def both_sides(
    python: Path, folder: Path, cases: Sequence[Case], state: Callable[[Case], dict[str, Any]] | None = None
) -> Both:
    """Every case of both sides. `state` is what DSPy's module is given in a case that `loads`."""
    os.environ[KEY] = "none"
    return asyncio.run(_both_sides(python, folder, cases, state))


async def _both_sides(
    python: Path, folder: Path, cases: Sequence[Case], state: Callable[[Case], dict[str, Any]] | None
) -> Both:
    script = Script(cases)
    server = FakeServer(script)
    await server.start(0)
    try:
        given = [
            {
                "name": case.name,
                "model": f"{THEIRS}.{case.name}",
                "module": case.module,
                "options": case.options,
                "question": "Who?",
                **({"state": state(case)} if state is not None and case.loads else {}),
            }
            for case in cases
        ]
        (folder / "cases.json").write_text(json.dumps({"url": server.url, "cases": given}))
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
        own = {case.name: await _answered(case, server.url) for case in cases}
    finally:
        await server.stop()
    return Both(script, json.loads((folder / "results.json").read_text()), own)


def questions(asked: list[tuple[Asked | None, float | None]]) -> list[Any]:
    """What was asked, in order: the outputs wanted, whether advice was shown, and the question."""
    found: list[Any] = []
    for one, _ in asked:
        if one is None:
            found.append("again")
        elif "advice" in one.outputs:
            found.append("advice")
        else:
            found.append((one.outputs, one.inputs.get("question")))
    return found


def asked_of(both: Both, case: Case) -> tuple[list[Any], list[Any]]:
    """The questions of both sides, this project's first."""
    ours, theirs = (both.script.asked[f"{side}.{case.name}"] for side in (OURS, THEIRS))
    return questions(ours), questions(theirs)

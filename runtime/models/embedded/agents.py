"""An agent's steps: which tool is asked next and with what, and what the tools gave until now.

No step is learned, since one that worked for another question says little of this one: the tool that fits the question
best is asked once, by the question's own words, and then the work is at its end.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from ...schema.types import JsonValue
from .case import Answerer, Case, Choice, Lessons, Reply, make_case
from .features import features
from .shapes import PromptField, read_shape

Teach = Callable[[PromptField, Lessons, str], Answerer]
"""`teach.teach`, handed in because arguments are taught as outputs are."""

FINISH = "finish"
_STEPS = "trajectory"
_LISTED = "The tools, with their arguments:\n"
_TOOL = re.compile(r"- (\w{1,200}): (.{0,5000})")
_ARGUMENT = re.compile(r"(\w{1,200}) \(([^()]{1,500})\)(?:, )?")
_MAX_TEXT = 8_000


class AgentTool(Struct, frozen=True):
    """A tool as an agent's task lists it, with the arguments that must be given."""

    said: str
    takes: tuple[PromptField, ...]


def tools_of(task: str) -> dict[str, AgentTool]:
    """The tools by their names; nothing where it is no agent's task."""
    listed = task.rpartition(_LISTED)[2] if _LISTED in task else ""
    found: dict[str, AgentTool] = {}
    for line in listed.split("\n"):
        if tool := _TOOL.match(line):
            fields: list[PromptField] = []
            at = 0
            while argument := _ARGUMENT.match(tool[2], at):
                if not argument[2].endswith("; may be left out"):
                    fields.append(PromptField(argument[1], read_shape(argument[2])))
                at = argument.end()
            found[tool[1]] = AgentTool(line, tuple(fields))
    return found if FINISH in found else {}


def observed(inputs: Mapping[str, str]) -> Mapping[str, str]:
    """The inputs, with what the tools gave in the place of an agent's steps."""
    steps = inputs.get(_STEPS)
    if steps is None:
        return inputs
    try:
        read: JsonValue = json.loads(steps)
    except (ValueError, RecursionError):
        return inputs
    if not isinstance(read, list):
        return inputs
    asked = [one for one in read if isinstance(one, dict) and one.get("tool") != FINISH]
    given = [one.get("observation", []) for one in asked]
    # A tool that gave nothing, or failed, was asked all the same.
    return {**inputs, _STEPS: "".join(f"{line}\n" for value in given for line in _lines(value) or [""])}


def _lines(value: JsonValue) -> list[str]:
    if isinstance(value, list):
        return [line for one in value for line in _lines(one)]
    return [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]


class NextTool(Struct, frozen=True):
    """The tool whose line has most of what was asked, once."""

    said: Mapping[str, Mapping[str, float]]
    """The features of each tool's line."""

    def answer(self, case: Case) -> Reply:
        asked = _asked(case).vector
        shared = {
            name: round(math.fsum(weight * asked[one] for one, weight in said.items() if one in asked), 9)
            for name, said in self.said.items()
        }
        best = [Choice(name, 1.0) for name in sorted(shared, key=lambda name: -shared[name])]
        end = Choice(FINISH, 1.0)
        return Reply((end, *best) if case.inputs.get(_STEPS) else (*best, end))


class Arguments(Struct, frozen=True):
    tools: Mapping[str, tuple[tuple[str, Answerer], ...]]

    def answer(self, case: Case) -> Reply:
        tool = next(
            (one for one in case.earlier.values() if isinstance(one, str) and one in self.tools), FINISH
        )
        asked = _asked(case)
        given: dict[str, JsonValue] = {
            name: by.answer(asked).choices[0].value for name, by in self.tools[tool]
        }
        return Reply((Choice(given, 1.0),))


def teach_tool(tools: Mapping[str, AgentTool]) -> Answerer:
    return NextTool({name: features(tool.said) for name, tool in tools.items() if name != FINISH})


def teach_arguments(tools: Mapping[str, AgentTool], teach: Teach) -> Answerer:
    return Arguments(
        {name: tuple((one.name, teach(one, (), "")) for one in tool.takes) for name, tool in tools.items()}
    )


def _asked(case: Case) -> Case:
    """What was asked, without the steps until now."""
    return make_case({name: text for name, text in case.inputs.items() if name != _STEPS}, {}, _MAX_TEXT)

"""A scripted model that plays an agent, and calls its tool the better the more skilled the tool's description is.

A description that says `skill 40` makes it call the tool with the right query on 40 of every 100 rows; else it ends its
work with nothing found and answers wrongly. Asked for a text, it gives the next of a list, by sample; nothing that it
writes into an instruction helps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents import several
from programs import fields
from scripted import FAKE, Asked, Fields, group

from dspec.runtime.models.protocol import ToolAnswer, ToolUse
from dspec.runtime.schema.program import FieldSpec, Program, Signature, Tool
from dspec.runtime.schema.types import STR, Row

SKILL = re.compile(r"- lookup: .*?skill (\d+)")
LOOKUP = Tool(
    name="lookup",
    description="Looks something up.",
    inputs=(FieldSpec(name="query", type=STR),),
    output=STR,
    source="python",
    options={"function": "tools:lookup"},
)


def agent(*more: Tool) -> Program:
    """text → label, with the tool `lookup` and others."""
    signature = Signature(
        name="Route", instruction="Give label.", inputs=fields(text=STR), outputs=fields(label=STR)
    )
    return several("ReAct", signature=signature, tools=[LOOKUP, *more], lm=FAKE, max_iters=2)


class Labels:
    """What calls the tools: `lookup` knows the label of a group."""

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> ToolAnswer:
        return ToolAnswer(f"it is L{arguments['query']}")


@dataclass(frozen=True)
class Describer:
    """`skills` are those of the descriptions that it writes."""

    skills: Sequence[int]
    instructions: list[Asked] = field(default_factory=list[Asked])
    descriptions: list[Asked] = field(default_factory=list[Asked])
    """What it was asked to write."""

    def __call__(self, asked: Asked) -> Fields:
        if "description" in asked.wanted:
            self.descriptions.append(asked)
            mark = f"{len(asked.question.get('attempts', ''))}/{asked.request.sample}"
            return {"description": f"Use skill {self._skill(asked)}. {mark}"}
        if "instruction" in asked.wanted:
            self.instructions.append(asked)
            return {"instruction": f"Try {len(asked.question.get('attempts', ''))}/{asked.request.sample}."}
        trajectory = asked.question.get("trajectory", "[]")
        if "label" in asked.wanted:
            found = re.search(r"it is (L\d+)", trajectory)
            return {"reasoning": "as found", "label": found[1] if found else "L?"}
        text = asked.question["text"]
        if trajectory == "[]" and int(text.split()[1]) * 37 % 100 < skill_of(asked):
            return _step("lookup", query=group(text))
        return _step("finish")

    def _skill(self, asked: Asked) -> int:
        return self.skills[(asked.request.sample - 1) % len(self.skills)]


def skill_of(asked: Asked) -> int:
    """The skill that the tool's description has in a prompt; 20 where it names none."""
    found = SKILL.search(asked.request.messages[0].content)
    return int(found[1]) if found else 20


def _step(tool: str, **arguments: str) -> Fields:
    return {"next_thought": "so", "next_tool_name": tool, "next_tool_args": json.dumps(arguments)}

"""A scripted model that also writes instructions, and answers the better the more skilled they are.

An instruction that says `skill 40` makes it right on 40 of every 100 rows; a demo of the row's group adds
20. Asked for an instruction, it gives the next of a list, told apart by `mark` where it must be new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripted import Asked, Fields, group

from dspec.runtime.schema.program import Program

SKILL = re.compile(r"skill (\d+)")
WRITTEN = ("instruction", "observations", "summary")


def is_writing(asked: Asked) -> bool:
    return any(name in asked.wanted for name in WRITTEN)


def task(asked: Asked) -> str:
    """What the system message says under its task heading."""
    return asked.request.messages[0].content.rpartition("Task:")[2].strip()


def numbered(asked: Asked) -> str:
    """Tells questions of different rounds and samples apart."""
    return f"{len(asked.question.get('attempts', ''))}/{asked.request.sample}"


@dataclass(frozen=True)
class Model:
    """`skills` are those of the instructions it writes, by sample; they repeat when they run out."""

    skills: Sequence[int]
    mark: Callable[[Asked], str] = numbered

    def __call__(self, asked: Asked) -> Fields:
        if is_writing(asked):
            skill = self.skills[(asked.request.sample - 1) % len(self.skills)]
            text = f"Use skill {skill}. {self.mark(asked)}".strip()
            return dict.fromkeys(WRITTEN, text)
        return answer(asked)


def answer(asked: Asked) -> Fields:
    text = asked.question["text"]
    number = int(text.split()[1])
    found = SKILL.search(task(asked))
    skill = int(found[1]) if found else 20
    if any(group(shown["text"]) == group(text) for shown, _ in asked.demos if "text" in shown):
        skill += 20
    right = number * 37 % 100 < skill
    return {"label": f"L{group(text)}" if right else "L?", "gist": f"about {group(text)}"}


def skill(program: Program, address: str = "ask") -> int:
    """The skill that a predictor's instruction names; 20 where it names none."""
    found = SKILL.search(program.predictors[address].signature.instruction)
    return int(found[1]) if found else 20

"""What a prompt says, whoever laid it out: the instruction, the demos, the question, the outputs asked for.

Reads the chat layouts of DSPy 3.4.1 and of this project. Both head a field's text with its name between
double brackets, on a line of its own; they differ in all the words around. A prompt of another shape is an
error, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEADER = re.compile(r"\[\[ ## (\w+) ## \]\]")
DSPY_TASK = "In adhering to this structure, your objective is: "
DSPY_REMINDER = "\n\nRespond with the corresponding output fields, starting with the field "
DSPY_LEFT_OUT = (
    "Not supplied for this particular example.",
    "Not supplied for this conversation history message.",
)
OUR_TASK = "\n\nTask:\n"
OUR_REMINDER = "\n\nAnswer with "
OUR_LEFT_OUT = ("(left out of this example)",)

Fields = dict[str, str]
Message = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """A demo is a pair of its inputs and outputs; what an example leaves out is in neither."""

    instruction: str
    demos: tuple[tuple[Fields, Fields], ...]
    inputs: Fields
    outputs: tuple[str, ...]


class UnknownLayout(ValueError):
    """The prompt is neither DSPy's nor ours."""


def read(messages: list[Message]) -> Asked:
    """The parts of a chat prompt. Raises UnknownLayout."""
    system, *turns, last = messages
    if system["role"] != "system" or last["role"] != "user":
        raise UnknownLayout(f"roles: {[message['role'] for message in messages]}")
    if DSPY_TASK in system["content"]:
        lines = system["content"].rpartition(DSPY_TASK)[2].splitlines()
        instruction = "\n".join(line.removeprefix(" " * 8) for line in lines).strip()
        reminder, left_out = DSPY_REMINDER, DSPY_LEFT_OUT
    elif OUR_TASK in system["content"]:
        instruction = system["content"].rpartition(OUR_TASK)[2].strip()
        reminder, left_out = OUR_REMINDER, OUR_LEFT_OUT
    else:
        raise UnknownLayout(system["content"][-300:])
    roles = [message["role"] for message in turns]
    if roles != ["user", "assistant"] * (len(turns) // 2):
        raise UnknownLayout(f"turns: {roles}")
    demos = tuple(
        (_fields(asked["content"], left_out), _fields(answered["content"], left_out))
        for asked, answered in zip(turns[::2], turns[1::2], strict=True)
    )
    question, found, asked_for = f"\n\n{last['content']}".rpartition(reminder)
    if not found:
        raise UnknownLayout(last["content"][-300:])
    outputs = tuple(name for name in HEADER.findall(asked_for) if name != "completed")
    return Asked(instruction, demos, _fields(question, left_out), outputs)


def _fields(text: str, left_out: tuple[str, ...]) -> Fields:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.split("\n"):
        header = HEADER.fullmatch(line)
        if header:
            current = found.setdefault(header[1], [])
        else:
            current.append(line)
    values = {name: "\n".join(lines).strip() for name, lines in found.items() if name != "completed"}
    return {name: value for name, value in values.items() if value not in left_out}

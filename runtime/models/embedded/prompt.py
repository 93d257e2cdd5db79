"""What a prompt says, read back from its messages.

This is all the embedded model ever sees. The adapters' layouts are understood in full (sections under
`[[ ## name ## ]]` headers, one JSON object, or values between tags), with examples that lack values and with turns that
object to an answer; any other text becomes one input called `text` and one output called `answer`.
Reading never raises, and what it reads of a message is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from ...schema.types import JsonValue
from ...values import tags
from ...values.markers import unescape
from ..protocol import Message
from .shapes import TEXT, PromptField, read_shape

Layout = Literal["sections", "json", "xml", "plain"]

MAX_DEMOS = 512
"""Examples that are learned from; of more, the last ones, which stand nearest to the question."""
MAX_SYSTEM = 200_000
MAX_TURN = 200_000
"""Characters of one message that are read."""

_HEADER = re.compile(r"[ \t]*\[\[[ \t]*##[ \t]*(\w{1,200})[ \t]*##[ \t]*\]\][ \t]*(.*)")
_LIST_HEAD = re.compile(r"\s{0,8}(?:your )?(input|output) fields?(?: are)?\s*:?\s*$", re.IGNORECASE)
_ENTRY = re.compile(r"\s{0,8}(?:[-*•]|\d{1,3}[.)])\s+[`*]{0,2}(\w{1,200})[`*]{0,2}\s*")
_TASK = re.compile(r"^(?:task|instructions?|objective)\s*:?[ \t]*$", re.IGNORECASE | re.MULTILINE)
_REMINDER = re.compile(r"(?:answer|respond|reply)\b[^\n]{0,40}\bwith\b", re.IGNORECASE)
_OBJECTION = re.compile(r"^\s*[-*]\s+(.{1,2000})$", re.MULTILINE)
_CORRECTION = re.compile(r"\s*that answer\b", re.IGNORECASE)
COMPLETED = "completed"
LEFT_OUT = "(left out of this example)"
"""How the adapters mark a value that an example lacks."""


class ShownDemo(Struct, frozen=True):
    """One demo: the text of every input and output that it shows."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


class Brief(Struct, frozen=True):
    """The part of a prompt that does not change from question to question."""

    inputs: tuple[PromptField, ...]
    outputs: tuple[PromptField, ...]
    task: str
    examples: tuple[ShownDemo, ...]
    layout: Layout


class Question(Struct, frozen=True):
    """The part that does. `rejected` are earlier answers to it, `objections` what was said of them."""

    inputs: Mapping[str, str]
    rejected: tuple[Mapping[str, str], ...] = ()
    objections: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    """Names of the outputs that a correction asks for; empty for all."""


def divide(messages: Sequence[Message]) -> int:
    """Index of the message that asks the question; what stands after it objects to an answer.

    The question is the last user turn that opens a section. Where none does, as without inputs, it is
    the last user turn that does not speak of an answer.
    """
    users = [at for at, message in enumerate(messages) if message.role == "user"]
    for at in reversed(users):
        if _opens_section(messages[at].content):
            return at
    asking = [at for at in users if not _CORRECTION.match(messages[at].content)]
    return (asking or users or [len(messages)])[-1]


def read_brief(messages: Sequence[Message]) -> Brief:
    """The brief in the messages before the question."""
    system = "\n\n".join(message.content[:MAX_SYSTEM] for message in messages if message.role == "system")
    inputs, outputs = _field_lists(system)
    pairs = _pairs(messages)[-MAX_DEMOS:]
    names = {field.name for field in (*inputs, *outputs)}
    layout = _layout(system, pairs, outputs)
    known: Collection[str] | None = names or None
    read = [(_values(user, known, "text"), _values(assistant, known, "answer")) for user, assistant in pairs]
    if not outputs:
        outputs = tuple(
            PromptField(name, TEXT) for name in _named(system, [pair[1] for pair in read], inputs)
        ) or (PromptField("answer", TEXT),)
    if not inputs:
        shown = dict.fromkeys(name for given, _ in read for name in given)
        inputs = tuple(PromptField(name, TEXT) for name in shown)
    examples = tuple(ShownDemo(given, answered) for given, answered in read if answered)
    return Brief(inputs, outputs, _task(system), examples, layout)


def read_question(messages: Sequence[Message], brief: Brief) -> Question:
    """The question in the messages from the index that `divide` gives."""
    if not messages:
        return Question({})
    names = {field.name for field in (*brief.inputs, *brief.outputs)}
    inputs = _values(_without_reminder(messages[0].content[:MAX_TURN]), names, "text")
    rejected = tuple(
        _values(message.content[:MAX_TURN], names, brief.outputs[0].name)
        for message in messages[1:]
        if message.role == "assistant"
    )
    corrections = [message.content[:MAX_TURN] for message in messages[1:] if message.role == "user"]
    objections = tuple(match[1] for text in corrections for match in _OBJECTION.finditer(text))
    only: tuple[str, ...] = ()
    if corrections and re.search(r"\bonly\b", corrections[-1].rpartition("\n")[2] or corrections[-1]):
        last = corrections[-1].rstrip().rpartition("\n")[2]
        only = tuple(field.name for field in brief.outputs if _mentions(last, field.name, brief.layout))
    return Question(inputs, rejected, objections, only)


def _mentions(text: str, name: str, layout: Layout) -> bool:
    if layout == "xml":
        return f"<{name}>" in text
    return (json.dumps(name, ensure_ascii=False) if layout == "json" else f"## {name} ##") in text


def _opens_section(text: str) -> bool:
    head = text[:MAX_TURN]
    return "[[" in head and any(_HEADER.match(line) for line in head.split("\n") if "[[" in line)


def _pairs(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Every user turn that an assistant turn answers."""
    return [
        (asked.content[:MAX_TURN], answered.content[:MAX_TURN])
        for asked, answered in pairwise(messages)
        if asked.role == "user" and answered.role == "assistant"
    ]


def _field_lists(system: str) -> tuple[tuple[PromptField, ...], tuple[PromptField, ...]]:
    lists: dict[str, dict[str, PromptField]] = {"input": {}, "output": {}}
    current: dict[str, PromptField] | None = None
    for line in system.split("\n"):
        if head := _LIST_HEAD.match(line):
            # A list given twice is a quotation in the task; the first one is the adapter's.
            chosen = lists[head[1].lower()]
            current = chosen if not chosen else None
        elif current is not None and (entry := _ENTRY.match(line)):
            field = _field(entry[1], line[entry.end() :])
            current.setdefault(field.name, field)
        elif not line.strip() and current:
            current = None
    return tuple(lists["input"].values()), tuple(lists["output"].values())


def _field(name: str, rest: str) -> PromptField:
    kind, note = _parenthesised(rest)
    return PromptField(name, read_shape(kind) if kind else TEXT, note.lstrip(" :—-").strip())


def _parenthesised(rest: str) -> tuple[str, str]:
    """`(type): note` in two. Brackets inside quotes do not count."""
    if not rest.startswith("("):
        return "", rest
    level = 0
    quoted = False
    skip = False
    for at, character in enumerate(rest):
        if skip:
            skip = False
        elif quoted and character == "\\":
            skip = True
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in "()":
            level += 1 if character == "(" else -1
            if level == 0:
                return rest[1:at], rest[at + 1 :]
    return rest[1:], ""


def _layout(system: str, pairs: Sequence[tuple[str, str]], outputs: Sequence[PromptField]) -> Layout:
    if pairs and pairs[-1][1].lstrip().startswith("{"):
        return "json"
    if outputs and all(f"\n<{field.name}>\n...\n</{field.name}>" in system for field in outputs):
        return "xml"
    if f"## {COMPLETED} ##" in system or any(f"## {field.name} ##" in system for field in outputs):
        return "sections"
    if pairs and _opens_section(pairs[-1][1]):
        return "sections"
    return "json" if "JSON object" in system and outputs else "plain"


def _named(system: str, answers: Sequence[Mapping[str, str]], inputs: Sequence[PromptField]) -> list[str]:
    """Names of outputs where no list gives them: from the examples' answers, else from the layout."""
    shown = dict.fromkeys(name for answer in answers for name in answer)
    if shown:
        return list(shown)
    given = {field.name for field in inputs}
    headers = (match[1] for line in system.split("\n") if "[[" in line and (match := _HEADER.match(line)))
    return list(dict.fromkeys(name for name in headers if name not in given and name != COMPLETED))


def _task(system: str) -> str:
    """The instruction: what follows the task's heading, else the whole system text."""
    match = _TASK.search(system)
    return system[match.end() :].strip() if match else system.strip()


def _without_reminder(text: str) -> str:
    """A question without its closing line on how to answer."""
    head, gap, tail = text.rpartition("\n\n")
    tail = tail if gap else text
    if _REMINDER.match(tail) or ("[[ ## " in tail and not _HEADER.match(tail)):
        return head
    return text


def _values(text: str, names: Collection[str] | None, otherwise: str) -> dict[str, str]:
    """The text of each value that a turn shows; a turn without structure is one value, `otherwise`."""
    stripped = text.strip()
    if stripped.startswith("{"):
        fields = _json_object(stripped)
        if fields is not None:
            return {name: as_text(value) for name, value in fields.items() if value != LEFT_OUT}
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in stripped.split("\n"):
        match = _HEADER.match(line) if "[[" in line else None
        if match and (names is None or match[1] in names or match[1] == COMPLETED):
            if match[1] == COMPLETED and (names is None or COMPLETED not in names):
                break
            current = [match[2]]
            found.setdefault(match[1], current)
        elif current is not None:
            current.append(line)
    if not found and names and "</" in stripped:
        return _tagged(stripped, tuple(names))
    if not found:
        return {otherwise: stripped} if stripped else {}
    values = {name: unescape("\n".join(lines).strip()) for name, lines in found.items()}
    return {name: value for name, value in values.items() if value != LEFT_OUT}


def _tagged(text: str, names: tuple[str, ...]) -> dict[str, str]:
    values = {
        name: tags.unescape(texts[0], name)
        for name, texts in tags.split(text, names, strict=False).texts.items()
    }
    return {name: value for name, value in values.items() if value != LEFT_OUT}


def _json_object(text: str) -> dict[str, JsonValue] | None:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def as_text(value: JsonValue) -> str:
    """A value as a prompt shows it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""From a prompt's brief to a learner, and from a question to an answer's text.

Outputs are decided in declared order, so that a later one may lean on an earlier one, with two
exceptions: a stated confidence waits for the label that it is about, and reasoning is written last, from
what was found.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ...schema.types import JsonValue
from ...values import tags
from ...values.markers import written
from .agents import observed
from .case import Answerer, Choice, Lesson, Reply, make_case, with_earlier
from .prompt import COMPLETED, Brief, Question, as_text
from .readings import read_value
from .self_report import is_confidence, is_reasoning, reasoning
from .shapes import PromptField
from .teach import teach

MAX_LEARNED = 200_000
"""Characters of all examples together that are turned into features."""
MAX_QUESTION = 8_000

_LIMIT = re.compile(r"(\d{1,5})\s+(words?|characters?|letters?)", re.IGNORECASE)


class Learner(Struct, frozen=True):
    """What was learned from one brief. `order` holds the outputs in the order they are decided."""

    brief: Brief
    order: tuple[tuple[PromptField, Answerer], ...]

    def answer(self, question: Question, *, temperature: float, seed: bytes) -> str:
        """The answer's text in the brief's layout. `seed` matters only above temperature 0."""
        values: dict[str, JsonValue] = {}
        cues: list[str] = []
        confidence: float | None = None
        case = make_case(observed(question.inputs), {}, MAX_QUESTION)
        for field, answerer in self.order:
            reply = answerer.answer(with_earlier(case, values, confidence))
            rejected = _rejected(field, question)
            chosen = _choose(reply, rejected, temperature, seed + field.name.encode("utf-8", "surrogatepass"))
            value = chosen.value
            if isinstance(value, str) and field.shape.kind == "text":
                value = _within(value, question.objections)
            values[field.name] = value
            cues += (cue for cue in reply.cues if cue not in cues)
            if field.shape.kind in ("label", "bool"):
                confidence = chosen.weight
        for field in self.brief.outputs:
            if field.name not in values:
                values[field.name] = _within(reasoning(cues, values), question.objections)
        wanted = [field for field in self.brief.outputs if not question.only or field.name in question.only]
        return _rendered(self.brief, {field.name: values[field.name] for field in wanted})


def learn(brief: Brief) -> Learner:
    """Learn every output from the brief's examples."""
    limit = max(64, MAX_LEARNED // max(1, len(brief.examples) * max(1, len(brief.inputs))))
    cases = [make_case(observed(one.inputs), {}, min(limit, MAX_QUESTION)) for one in brief.examples]
    known: list[dict[str, JsonValue]] = [{} for _ in cases]
    decided = [field for field in brief.outputs if not is_reasoning(field)] or list(brief.outputs)
    waiting = [field for field in decided if is_confidence(field)]
    order: list[tuple[PromptField, Answerer]] = []
    for field in [*(field for field in decided if field not in waiting), *waiting]:
        lessons: list[Lesson] = []
        for place, example in enumerate(brief.examples):
            text = example.outputs.get(field.name)
            value = read_value(text, field.shape) if text is not None else None
            if value is None and (text is None or field.shape.kind != "optional"):
                continue
            lessons.append(Lesson(with_earlier(cases[place], dict(known[place])), value))
            known[place][field.name] = value
        order.append((field, teach(field, lessons, brief.task)))
    return Learner(brief, tuple(order))


def _choose(reply: Reply, rejected: Sequence[JsonValue], temperature: float, seed: bytes) -> Choice:
    """The best choice that was not rejected, or one drawn by belief."""
    open_choices = [choice for choice in reply.choices if choice.value not in rejected] or list(reply.choices)
    if temperature <= 0 or len(open_choices) == 1:
        return open_choices[0]
    best = max(choice.weight for choice in open_choices) or 1.0
    shares = [round((choice.weight / best) ** (1.0 / temperature), 9) for choice in open_choices]
    point = int.from_bytes(hashlib.blake2b(seed, digest_size=6).digest()) / 2**48 * sum(shares)
    for choice, share in zip(open_choices, shares, strict=True):
        point -= share
        if point < 0:
            return choice
    return open_choices[0]


def _rejected(field: PromptField, question: Question) -> list[JsonValue]:
    """Values that an objection is about: those of the fields it names, or of all where it names none."""
    if not question.objections:
        return []
    said = "\n".join(question.objections)
    given = [values[field.name] for values in question.rejected if field.name in values]
    names = {name for values in question.rejected for name in values}
    named = {name for name in names if re.search(rf"\b{re.escape(name)}\b", said)}
    if named and field.name not in named:
        return []
    return [read_value(text, field.shape) for text in given]


def _within(text: str, objections: Sequence[str]) -> str:
    """The text cut to the length that an objection asks for."""
    for limit, unit in (match.groups() for said in objections for match in _LIMIT.finditer(said)):
        size = int(limit)
        text = " ".join(text.split()[:size]) if unit.lower().startswith("word") else text[:size].rstrip()
    return text


def _rendered(brief: Brief, values: Mapping[str, JsonValue]) -> str:
    if brief.layout == "json":
        return json.dumps(values, ensure_ascii=False)
    if brief.layout == "plain" and len(values) == 1:
        return as_text(next(iter(values.values())))
    if brief.layout == "xml":
        return "\n".join(
            f"<{name}>\n{tags.escape(as_text(value), name)}\n</{name}>" for name, value in values.items()
        )
    parts = [f"[[ ## {name} ## ]]\n{written(value)}" for name, value in values.items()]
    return "\n\n".join([*parts, f"[[ ## {COMPLETED} ## ]]"])

"""Which way of answering suits an output's shape."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ...schema.types import JsonValue
from .agents import FINISH, teach_arguments, teach_tool, tools_of
from .case import Answerer, Case, Choice, Lesson, Lessons, Reply
from .compound import (
    teach_any,
    teach_dict,
    teach_list,
    teach_optional,
    teach_record,
    teach_records,
    teach_tuple,
)
from .guidance import guidance, name_features
from .labels import Labels, teach_labels
from .numbers import teach_dates, teach_numbers
from .proposals import Proposals, is_proposal
from .self_report import is_confidence
from .shapes import PromptField
from .texts import teach_text

MIN_REPEATED = 6
FALSE_BIAS = 0.1
"""A yes needs evidence: where nothing speaks for `true`, the answer is `false`."""


def teach(field: PromptField, lessons: Lessons, task: str) -> Answerer:
    """An answerer for one output, learned from its lessons and from what the task says."""
    shape = field.shape
    match shape.kind:
        case "label" if FINISH in shape.labels and (tools := tools_of(task)):
            return teach_tool(tools)
        case "dict" if tools := tools_of(task):
            return teach_arguments(tools, teach)
        case "label" if shape.labels:
            return _among(
                shape.labels, PromptField(field.name, shape, f"{field.note}\n{shape.said}"), lessons, task
            )
        case "bool":
            return _yes_or_no(field, lessons, task)
        case "int" | "float" if is_confidence(field):
            return Confidence(whole=shape.kind == "int", percent="100" in field.note)
        case "int" | "float":
            return teach_numbers(lessons, whole=shape.kind == "int")
        case "date" | "datetime":
            return teach_dates(lessons, timed=shape.kind == "datetime")
        case "list":
            return teach_list(field, lessons, task, teach)
        case "optional":
            return teach_optional(field, lessons, task, teach)
        case "record":
            return teach_record(field, lessons, task, teach)
        case "tuple":
            return teach_tuple(field, lessons, task, teach)
        case "records":
            return teach_records(field, lessons, task, teach)
        case "dict":
            return teach_dict(lessons)
        case "any":
            return teach_any(lessons)
        case _ if is_proposal(field) and not lessons:
            return Proposals(teach_text(field, lessons))
        case _:
            repeated = _repeated(lessons)
            return _among(repeated, field, lessons, task) if repeated else teach_text(field, lessons)


class Confidence(Struct, frozen=True):
    """States the belief in the label that was chosen before it."""

    whole: bool
    percent: bool

    def answer(self, case: Case) -> Reply:
        belief = 0.5 if case.confidence is None else case.confidence
        value: JsonValue = round(100 * belief) if self.whole or self.percent else round(belief, 2)
        return Reply((Choice(value, 1.0),))


def _among(labels: Sequence[str | int | float], field: PromptField, lessons: Lessons, task: str) -> Labels:
    names = [str(label) for label in labels]
    said = guidance(names, f"{task}\n{field.note}")
    return teach_labels(list(labels), lessons, [name_features(name) for name in names], said)


def _yes_or_no(field: PromptField, lessons: Lessons, task: str) -> Labels:
    said = guidance(("true", "false"), f"{task}\n{field.note}")
    for word, place in (("yes", 0), ("no", 1)):
        for feature, weight in guidance((word,), f"{task}\n{field.note}")[0].items():
            said[place].setdefault(feature, weight)
    about = name_features(f"{field.name} {field.note}")
    return teach_labels((True, False), lessons, (about, {}), said, (0.0, FALSE_BIAS if not lessons else 0.0))


def _repeated(lessons: Lessons) -> tuple[str, ...]:
    """Values of a text output that in truth are labels: short, few, and coming back."""
    values = [lesson.value for lesson in lessons if isinstance(lesson.value, str)]
    distinct = tuple(dict.fromkeys(values))
    if len(values) < MIN_REPEATED or len(distinct) * 2 > len(values):
        return ()
    if any(len(value) > 60 for value in distinct) or _copied(lessons):
        return ()
    return distinct


def _copied(lessons: Sequence[Lesson]) -> bool:
    """True when most values stand word for word in their inputs."""
    texts = [(str(lesson.value).lower(), lesson.case.text.lower()) for lesson in lessons]
    inside = sum(value in text for value, text in texts)
    return inside * 2 > len(lessons)

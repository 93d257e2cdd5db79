"""Lists, records, dictionaries and optionals: answered part by part with what the parts' shapes offer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from ...schema.types import JsonValue
from .case import Answerer, Case, Choice, Lesson, Lessons, Reply
from .labels import Labels, teach_labels
from .numbers import dates, even_reply, numbers
from .shapes import TEXT, PromptField, Shape
from .texts import nearest

Teach = Callable[[PromptField, Lessons, str], Answerer]
"""`teach.teach`, handed in because parts are taught as wholes are."""

LIST_SHARE = 0.6
"""A label joins a list when its cosine is at least this share of the best one's."""
MAX_ITEMS = 50
_ITEM = re.compile(r"[,;\n]|\band\b|\bor\b")


class Optionals(Struct, frozen=True):
    """Decides whether there is a value before saying which."""

    present: Labels | None
    item: Answerer
    needs: Callable[[Case], bool]

    def answer(self, case: Case) -> Reply:
        reply = self.item.answer(case)
        if self.present is None:
            there = self.needs(case)
        else:
            there = self.present.answer(case).choices[0].value is True and self.needs(case)
        nothing = Choice(None, 0.5)
        if there:
            return Reply((*reply.choices, nothing), reply.cues)
        return Reply((nothing, *reply.choices))


def teach_optional(field: PromptField, lessons: Lessons, task: str, teach: Teach) -> Answerer:
    item = field.shape.item or TEXT
    given = [lesson for lesson in lessons if lesson.value is not None]
    present = [Lesson(lesson.case, lesson.value is not None) for lesson in lessons]
    both = 0 < len(given) < len(lessons)
    chooser = teach_labels((True, False), present, ({}, {}), ({}, {})) if both else None
    inner = teach(PromptField(field.name, item, field.note), given, task)
    if lessons and not given:
        return Optionals(None, inner, lambda case: False)
    return Optionals(chooser, inner, _found_in(item))


def _found_in(item: Shape) -> Callable[[Case], bool]:
    """Whether the input holds anything of the item's shape."""
    match item.kind:
        case "int" | "float":
            return lambda case: bool(numbers(case.text))
        case "date" | "datetime":
            return lambda case: bool(dates(case.text))
        case "list" | "dict" | "tuple" | "record" | "records":
            return lambda case: True
        case _:
            return lambda case: bool(case.text.strip())


class Records(Struct, frozen=True):
    parts: tuple[tuple[str, Answerer], ...]

    def answer(self, case: Case) -> Reply:
        replies = [(name, part.answer(case)) for name, part in self.parts]
        first: dict[str, JsonValue] = {name: reply.choices[0].value for name, reply in replies}
        choices: list[JsonValue] = [first]
        for name, reply in replies:
            choices += ({**first, name: choice.value} for choice in reply.choices[1:2])
        return even_reply(choices, tuple(cue for _, reply in replies for cue in reply.cues)[:3])


def teach_record(field: PromptField, lessons: Lessons, task: str, teach: Teach) -> Answerer:
    parts: list[tuple[str, Answerer]] = []
    for part in field.shape.fields:
        own = [
            Lesson(lesson.case, lesson.value[part.name])
            for lesson in lessons
            if isinstance(lesson.value, dict) and part.name in lesson.value
        ]
        parts.append((part.name, teach(part, own, task)))
    return Records(tuple(parts)) if parts else teach_dict(lessons)


class Tuples(Struct, frozen=True):
    parts: tuple[Answerer, ...]

    def answer(self, case: Case) -> Reply:
        replies = [part.answer(case) for part in self.parts]
        values: list[JsonValue] = [reply.choices[0].value for reply in replies]
        return even_reply([values], tuple(cue for reply in replies for cue in reply.cues)[:3])


def teach_tuple(field: PromptField, lessons: Lessons, task: str, teach: Teach) -> Answerer:
    """Each value by itself."""
    parts = field.shape.fields
    own = [
        [
            Lesson(lesson.case, lesson.value[place])
            for lesson in lessons
            if isinstance(lesson.value, list) and len(lesson.value) == len(parts)
        ]
        for place in range(len(parts))
    ]
    return Tuples(tuple(teach(part, of, task) for part, of in zip(parts, own, strict=True)))


class Either(Struct, frozen=True):
    """Decides which record it is before saying what is in it."""

    tag: Answerer
    records: Mapping[str, Answerer]
    """By the literal that tells them apart."""
    name: str
    """The field that has that literal."""

    def answer(self, case: Case) -> Reply:
        told = self.tag.answer(case)
        choices: list[JsonValue] = []
        for choice in told.choices:
            if (found := self.records.get(str(choice.value))) is not None:
                value = found.answer(case).choices[0].value
                choices.append({**value, self.name: choice.value} if isinstance(value, dict) else value)
        return even_reply(choices or [{}], told.cues)


def teach_records(field: PromptField, lessons: Lessons, task: str, teach: Teach) -> Answerer:
    name = field.shape.tag
    by_label: dict[str, PromptField] = {}
    for record in field.shape.fields:
        tag = next((part for part in record.shape.fields if part.name == name), None)
        for label in tag.shape.labels if tag is not None else ():
            by_label[str(label)] = record
    known = [lesson for lesson in lessons if isinstance(lesson.value, dict)]
    tags = [Lesson(lesson.case, lesson.value.get(name)) for lesson in known if isinstance(lesson.value, dict)]
    chooser = teach(PromptField(name, Shape("label", labels=tuple(by_label)), field.note), tags, task)
    own = {
        label: teach(record, [one for one, tag in zip(known, tags, strict=True) if tag.value == label], task)
        for label, record in by_label.items()
    }
    return Either(chooser, own, name) if by_label else teach_dict(lessons)


class Copies(Struct, frozen=True):
    """The nearest example's value, else a value that every prompt may hold."""

    lessons: Lessons
    otherwise: Callable[[Case], JsonValue]

    def answer(self, case: Case) -> Reply:
        values = [lesson.value for lesson in nearest(case, self.lessons)]
        return even_reply([*_distinct(values), self.otherwise(case)])


def teach_dict(lessons: Lessons) -> Answerer:
    return Copies(lessons, lambda case: {})


def teach_any(lessons: Lessons) -> Answerer:
    return Copies(lessons, lambda case: case.text[:2_000])


class LabelLists(Struct, frozen=True):
    chooser: Labels
    usual: int
    """Length of the examples' longest list; 0 without examples."""

    def answer(self, case: Case) -> Reply:
        reply = self.chooser.answer(case)
        cosines = self.chooser.cosines(case.vector)
        best = max(cosines)
        order = sorted(range(len(cosines)), key=lambda place: (-round(cosines[place], 9), place))
        chosen = [place for place in order if cosines[place] >= max(LIST_SHARE * best, 1e-6)]
        named: list[JsonValue] = [self.chooser.values[place] for place in sorted(chosen[: self.usual or 3])]
        shorter: list[JsonValue] = [reply.choices[0].value]
        return even_reply(_distinct([named, shorter, []]), reply.cues)


class FoundItems(Struct, frozen=True):
    """A list of what the input holds of the item's shape."""

    item: Shape
    single: Answerer

    def answer(self, case: Case) -> Reply:
        items: list[JsonValue]
        match self.item.kind:
            case "int":
                items = [round(number) for number in numbers(case.text)[:MAX_ITEMS]]
            case "float":
                items = [*numbers(case.text)[:MAX_ITEMS]]
            case "date":
                items = [*dates(case.text)[:MAX_ITEMS]]
            case "text":
                items = [*_enumerated(case)]
            case _:
                items = [self.single.answer(case).choices[0].value]
        return even_reply(_distinct([items, []]))


def teach_list(field: PromptField, lessons: Lessons, task: str, teach: Teach) -> Answerer:
    """Labels are voted on one by one; other items are found in the input, or copied where that fits."""
    item = field.shape.item or TEXT
    singles = [
        Lesson(lesson.case, value)
        for lesson in lessons
        if isinstance(lesson.value, list)
        for value in lesson.value[:MAX_ITEMS]
    ]
    single = teach(PromptField(field.name, item, field.note), singles, task)
    lengths = [len(lesson.value) for lesson in lessons if isinstance(lesson.value, list)]
    if isinstance(single, Labels):
        return LabelLists(single, max(lengths, default=0))
    found = FoundItems(item, single)
    hits = sum(found.answer(lesson.case).choices[0].value == lesson.value for lesson in lessons)
    return Copies(lessons, lambda case: []) if lessons and hits * 2 < len(lessons) else found


def _enumerated(case: Case) -> list[str]:
    """The items of an enumeration in the last input that has one."""
    for value in reversed(list(case.inputs.values())):
        _, colon, after = value[:4_000].partition(":")
        parts = [part.strip(" .\"'") for part in _ITEM.split(after if colon else value[:4_000])]
        kept = [part for part in parts if 0 < len(part) <= 80]
        if len(kept) > 1:
            return list(dict.fromkeys(kept))[:MAX_ITEMS]
    return [case.text.strip()[:200]] if case.text.strip() else []


def _distinct(values: Sequence[JsonValue]) -> list[JsonValue]:
    kept: list[JsonValue] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept

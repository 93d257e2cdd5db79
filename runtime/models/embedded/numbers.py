"""Numbers and dates: found in the input by the rule that fits the examples best, else guessed from them."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Sequence

from msgspec import Struct

from ...schema.types import JsonValue
from .case import Case, Choice, Lessons, Reply

MAX_FOUND = 200
MAX_TEXT = 20_000
MAX_SIZE = 1e15

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.])-?\d{1,15}(?:\.\d{1,12})?")
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DAY_FIRST = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?{_MONTH},?\s+(\d{{4}})\b", re.IGNORECASE
)
_MONTH_FIRST = re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE)
_DOTTED = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{4})\b")

Rule = Callable[[Sequence[float]], float]

RULES: tuple[Rule, ...] = (
    lambda found: found[0],
    lambda found: found[-1],
    max,
    min,
    math.fsum,
    math.prod,
    lambda found: float(len(found)),
)


def numbers(text: str) -> list[float]:
    """Numbers in reading order; a comma between groups of three digits is read as a thousands mark."""
    matches = _NUMBER.finditer(text[:MAX_TEXT])
    return [float(match[0].replace(",", "")) for match, _ in zip(matches, range(MAX_FOUND), strict=False)]


class Numbers(Struct, frozen=True):
    rule: Rule
    usual: tuple[float, ...]
    """The examples' values, commonest first."""
    whole: bool

    def answer(self, case: Case) -> Reply:
        found = numbers(case.text)
        ranked = [self.rule(found), *found] if found else []
        ranked += self.usual or (0.0,)
        ranked += (1.0, 0.0, 0.5, 10.0, 100.0)
        finite = [value for value in ranked if abs(value) < MAX_SIZE]
        values = list(dict.fromkeys(round(value) if self.whole else value for value in finite))[:20]
        return even_reply(values)


def teach_numbers(lessons: Lessons, *, whole: bool) -> Numbers:
    """The rule that gives most of the examples' values; none wins without an example."""
    shown = [
        (numbers(lesson.case.text), float(lesson.value))
        for lesson in lessons
        if isinstance(lesson.value, int | float)
        and not isinstance(lesson.value, bool)
        and abs(lesson.value) < MAX_SIZE
    ]
    hits = [sum(bool(found) and math.isclose(rule(found), value) for found, value in shown) for rule in RULES]
    best = max(range(len(RULES)), key=lambda index: (hits[index], -index))
    counts: dict[float, int] = {}
    for _, value in shown:
        counts[value] = counts.get(value, 0) + 1
    usual = sorted(counts, key=lambda value: (-counts[value], value))
    if shown and hits[best] * 2 < len(shown):
        # The input's numbers do not explain the examples: their own values come first.
        middle = sorted(value for _, value in shown)[len(shown) // 2]
        return Numbers(lambda found: middle, tuple(usual), whole)
    return Numbers(RULES[best], tuple(usual), whole)


def dates(text: str) -> list[str]:
    """Calendar days in reading order, as YYYY-MM-DD; 03.04.2025 is the third of April."""
    found: dict[int, str] = {}
    text = text[:MAX_TEXT]
    for match in _ISO.finditer(text):
        _keep(found, match.start(), int(match[1]), int(match[2]), int(match[3]))
    for match in _DAY_FIRST.finditer(text):
        _keep(found, match.start(), int(match[3]), _month(match[2]), int(match[1]))
    for match in _MONTH_FIRST.finditer(text):
        _keep(found, match.start(), int(match[3]), _month(match[1]), int(match[2]))
    for match in _DOTTED.finditer(text):
        _keep(found, match.start(), int(match[3]), int(match[2]), int(match[1]))
    return [found[at] for at in sorted(found)][:MAX_FOUND]


class Dates(Struct, frozen=True):
    usual: tuple[str, ...]
    timed: bool

    def answer(self, case: Case) -> Reply:
        found = [f"{day}T00:00:00" for day in dates(case.text)] if self.timed else dates(case.text)
        last = "1970-01-01T00:00:00" if self.timed else "1970-01-01"
        return even_reply(list(dict.fromkeys([*found, *self.usual, last])))


def teach_dates(lessons: Lessons, *, timed: bool) -> Dates:
    shown = (lesson.value for lesson in lessons)
    return Dates(
        tuple(dict.fromkeys(value for value in shown if isinstance(value, str) and dates(value))), timed
    )


def even_reply(values: Sequence[JsonValue], cues: tuple[str, ...] = ()) -> Reply:
    """Choices whose belief halves from one to the next."""
    weights = [0.5 ** (place + 1) for place in range(len(values))]
    total = math.fsum(weights)
    return Reply(
        tuple(Choice(value, weight / total) for value, weight in zip(values, weights, strict=True)), cues
    )


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1


def _keep(found: dict[int, str], at: int, year: int, month: int, day: int) -> None:
    try:
        found.setdefault(at, datetime.date(year, month, day).isoformat())
    except ValueError:
        return

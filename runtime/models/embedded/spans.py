"""Spans of the input as answers: which one, learned from examples whose outputs stand in their inputs.

Each candidate span is described by its shape, its length, its neighbours and its field; weights are
log-odds of the right spans against all spans of the same inputs (naive Bayes). Without examples, the
kind of question picks a number, a date, a name or a yes or no.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from .case import Case, Lessons
from .features import split_sentences, stem, weigh, words

MAX_TOKENS = 160
MAX_SPAN = 8
MAX_LESSONS = 64
MAX_CHOICES = 8

_TOKEN = re.compile(r"[^\W_]+(?:[-'’.@/:][^\W_]+)*|[^\w\s]")
_YES_NO = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)\b", re.IGNORECASE
)
_NAME = re.compile(r"\b[A-Z][\w'’-]*(?:\s+(?:of|the|de|van|von|and)\s+[A-Z][\w'’-]*|\s+[A-Z][\w'’-]*)*")
_NUMERAL = re.compile(r"\d[\d,.]*")
_YEAR = re.compile(r"\b(?:1\d|20)\d\d\b")


class InputSpan(Struct, frozen=True):
    text: str
    described: tuple[str, ...]


class Spans(Struct, frozen=True):
    """Log-odds of each description; `longest` in tokens."""

    odds: Mapping[str, float]
    longest: int

    def find(self, case: Case) -> list[str]:
        best: dict[str, float] = {}
        for span in spans_of(case.inputs, self.longest):
            score = math.fsum(self.odds.get(said, 0.0) for said in span.described)
            if score > best.get(span.text, -math.inf):
                best[span.text] = round(score, 9)
        return sorted(best, key=lambda text: -best[text])[:MAX_CHOICES]


def teach_spans(lessons: Lessons) -> Spans | None:
    """Learn from the examples whose value stands in an input; None where none does."""
    right: dict[str, int] = {}
    every: dict[str, int] = {}
    hits = total = longest = 0
    for lesson in lessons[:MAX_LESSONS]:
        wanted = str(lesson.value).strip()
        size = len(_TOKEN.findall(wanted))
        if not 0 < size <= MAX_SPAN or wanted not in lesson.case.text:
            continue
        longest = max(longest, size)
        for span in spans_of(lesson.case.inputs, MAX_SPAN):
            total += 1
            is_right = span.text == wanted
            hits += is_right
            for said in span.described:
                every[said] = every.get(said, 0) + 1
                if is_right:
                    right[said] = right.get(said, 0) + 1
    if not hits:
        return None
    odds = {
        said: math.log((right.get(said, 0) + 0.2) / (hits + 0.4)) - math.log((count + 0.2) / (total + 0.4))
        for said, count in every.items()
        if said in right or count > 20
    }
    return Spans(odds, longest)


def spans_of(inputs: Mapping[str, str], longest: int) -> Iterator[InputSpan]:
    """Every run of up to `longest` tokens inside one line of one field."""
    for name, value in inputs.items():
        tokens = [match for match, _ in zip(_TOKEN.finditer(value), range(MAX_TOKENS), strict=False)]
        for start, first in enumerate(tokens):
            if not first[0][0].isalnum():
                continue
            before = tokens[start - 1][0].lower() if start else "^"
            before2 = tokens[start - 2][0].lower() if start > 1 else "^"
            for stop in range(start + 1, min(len(tokens), start + longest) + 1):
                last = tokens[stop - 1]
                text = value[first.start() : last.end()]
                if "\n" in text:
                    break
                if not last[0][-1].isalnum():
                    continue
                after = tokens[stop][0].lower() if stop < len(tokens) else "$"
                yield InputSpan(
                    text,
                    (
                        f"in {name}",
                        f"size {stop - start}",
                        f"shape {_shape(text)}",
                        f"before {before}",
                        f"before {before2} {before}",
                        f"after {after}",
                        f"first {first[0].lower()}",
                        f"weight {_weight(text)}",
                    ),
                )


def _shape(text: str) -> str:
    """`Ab-12` → `Aa-0`: runs of letters and digits, each as one character."""
    shape = re.sub(r"\d+", "0", text)
    shape = re.sub(r"[^\W\d_A-Z]+", "a", shape)
    return re.sub(r"[A-Z]{2,}", "A", shape)[:24]


def _weight(text: str) -> str:
    found = words(text)
    return "none" if not found else "light" if all(weigh(word) < 1.0 for word in found) else "full"


def first_guess(case: Case) -> list[str]:
    """Answers to a question nobody has shown how to answer: by the question's kind."""
    values = [value for value in case.inputs.values() if value.strip()]
    if not values:
        return []
    asked = values[0][:2_000]
    source = _best_sentences(asked, values[1:]) if len(values) > 1 else [asked]
    lowered = asked.lower()
    if "how many" in lowered or "how much" in lowered:
        found = [match for part in source for match in _NUMERAL.findall(part)]
    elif re.search(r"\b(?:when|what year|which year)\b", lowered):
        found = [match for part in source for match in _YEAR.findall(part)]
    elif len(values) > 1 and _YES_NO.match(asked):
        found = ["yes", "no"]
    elif len(values) > 1:
        known = {stem(word) for word in words(asked)}
        names = (match for part in source for match in _NAME.findall(part))
        found = [name for name in names if any(weigh(w) == 1.0 and stem(w) not in known for w in words(name))]
    else:
        found = []
    return list(dict.fromkeys([*(item.rstrip(".,") for item in found), *source]))[:MAX_CHOICES]


def _best_sentences(asked: str, rest: Sequence[str]) -> list[str]:
    sought = {stem(word) for word in words(asked) if weigh(word) == 1.0}
    parts = split_sentences("\n".join(rest))
    scores = [sum(stem(word) in sought for word in dict.fromkeys(words(part))) for part in parts]
    order = sorted(range(len(parts)), key=lambda place: (-scores[place], place))
    return [parts[place] for place in order[:4]]

"""One input as the learner sees it, and what an answer to it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from ...schema.types import JsonValue
from .features import features

CATEGORY_WORDS = 3
MAX_CATEGORY = 40


class Case(Struct, frozen=True):
    """The inputs, their features, and the outputs decided so far."""

    inputs: Mapping[str, str]
    vector: Mapping[str, float]
    earlier: Mapping[str, JsonValue]
    confidence: float | None = None
    """Weight of the last choice among labels, for an output that states it."""

    @property
    def text(self) -> str:
        return "\n".join(self.inputs.values())


class Choice(Struct, frozen=True):
    """A possible value and its share of the belief in all of them."""

    value: JsonValue
    weight: float


class Reply(Struct, frozen=True):
    """Choices, best first and never empty; `cues` are the input's words that spoke for the best."""

    choices: tuple[Choice, ...]
    cues: tuple[str, ...] = ()


class Answerer(Protocol):
    """Learned from a prompt's examples for one output, then asked about one case after the other."""

    def answer(self, case: Case) -> Reply: ...


class Lesson(Struct, frozen=True):
    """One example for one output."""

    case: Case
    value: JsonValue


Lessons = Sequence[Lesson]


def make_case(inputs: Mapping[str, str], earlier: Mapping[str, JsonValue], limit: int) -> Case:
    """A case with its features; at most `limit` characters of each input are read."""
    vector: dict[str, float] = {}
    several = len(inputs) > 1
    for name, value in inputs.items():
        for feature, weight in features(value, limit).items():
            vector[feature] = max(vector.get(feature, 0.0), weight)
        if several and _is_category(value):
            vector[f"={name}={value.strip().lower()}"] = 1.0
    return Case(inputs, _joined(vector, earlier), earlier)


def with_earlier(case: Case, earlier: Mapping[str, JsonValue], confidence: float | None = None) -> Case:
    """The same case after some outputs were decided."""
    return Case(case.inputs, _joined(case.vector, earlier), earlier, confidence)


def _joined(vector: Mapping[str, float], earlier: Mapping[str, JsonValue]) -> Mapping[str, float]:
    known = {
        f"={name}={str(value).strip().lower()}": 1.0
        for name, value in earlier.items()
        if isinstance(value, bool) or (isinstance(value, str) and _is_category(value))
    }
    return {**vector, **known} if known else vector


def _is_category(value: str) -> bool:
    return len(value) <= MAX_CATEGORY and 0 < len(value.split()) <= CATEGORY_WORDS

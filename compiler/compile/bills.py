"""Adds up what calls and trainings take, and corrects what is expected of them by what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from ..evaluate.meter import Account, Purpose


class Bill(Struct, frozen=True):
    """Calls with their tokens; `usd` is None where a price, and tokens are None where a bound, is not known."""

    calls: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    usd: float | None = 0.0

    @property
    def tokens(self) -> int | None:
        """In and out together."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Bill) -> Bill:
        return Bill(
            self.calls + other.calls,
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            None if self.usd is None or other.usd is None else self.usd + other.usd,
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


class Guess(Struct, frozen=True):
    """What is expected of the calls of one purpose by rule: calls, tokens in and out, and USD of each of both."""

    calls: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    input_usd: float | None = 0.0
    output_usd: float | None = 0.0


class Seen(NamedTuple):
    """By which factors a compile's calls, and the tokens of each, differed from the guess."""

    calls: float = 1.0
    inputs: float = 1.0
    outputs: float = 1.0


def seen(guess: Mapping[Purpose, Guess], spent: Account) -> dict[Purpose, Seen]:
    """What a complete compile taught, for the purposes that it had calls of."""
    found: dict[Purpose, Seen] = {}
    for purpose, guessed in guess.items():
        took = getattr(spent, purpose)
        if guessed.calls and took.calls:
            calls = took.calls / guessed.calls
            found[purpose] = Seen(
                calls,
                took.input_tokens / guessed.input_tokens / calls if guessed.input_tokens else 1.0,
                took.output_tokens / guessed.output_tokens / calls if guessed.output_tokens else 1.0,
            )
        elif guessed.calls:
            found[purpose] = Seen(calls=0.0)
    return found


def expected(guess: Mapping[Purpose, Guess], known: Mapping[Purpose, Seen], maximum: Bill) -> Bill:
    """The guess as what was seen corrects it, and never more than the maximum."""
    total = Bill()
    for purpose, one in guess.items():
        by = known.get(purpose) or Seen()
        inputs, outputs = by.calls * by.inputs, by.calls * by.outputs
        usd = None
        if one.input_usd is not None and one.output_usd is not None:
            usd = inputs * one.input_usd + outputs * one.output_usd
        total += Bill(
            round(by.calls * one.calls),
            round(inputs * one.input_tokens),
            round(outputs * one.output_tokens),
            usd,
        )
    return Bill(
        min(total.calls, maximum.calls),
        _least(total.input_tokens, maximum.input_tokens),
        _least(total.output_tokens, maximum.output_tokens),
        total.usd if total.usd is None or maximum.usd is None else min(total.usd, maximum.usd),
    )


def _least(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)


class TrainingPlan(Struct, frozen=True):
    """What a step trains on: rows at most; tokens, all epochs together, as expected and at most, and what they cost. None: nobody
    knows. `here` says that it is on this machine."""

    rows: int
    tokens: int
    most_tokens: int | None
    usd: float | None
    most_usd: float | None
    here: bool = False

    def __add__(self, other: TrainingPlan) -> TrainingPlan:
        def added(one: float | None, more: float | None) -> float | None:
            return None if one is None or more is None else one + more

        return TrainingPlan(
            self.rows + other.rows,
            self.tokens + other.tokens,
            _sum(self.most_tokens, other.most_tokens),
            added(self.usd, other.usd),
            added(self.most_usd, other.most_usd),
            self.here or other.here,
        )

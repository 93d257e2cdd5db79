"""Measures what calls take of each model, while nobody knows yet how long texts will be.

The ruler `Most` bounds: no token of a text is less than a byte of it, so a prompt has at most as many tokens as bytes, and an
answer `max_tokens`. What models wrote comes back in later prompts: as `BYTES_WRITTEN` bytes a token, which holds for one
tokenizer, whose count of a text is the same wherever it stands, and for others that are no more than so many times as fine. What
a tool gives is bounded by its `max_result`, or by the largest rows of the file it searches. The ruler `Likely` guesses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct, field

from dspec.runtime.models.transports.answers import FRAME
from dspec.runtime.running.strategies.base import Times
from dspec.runtime.schema.program import LM, FieldSpec, Predictor, Tool
from dspec.runtime.schema.types import OneOf, OneOfNumbers, OptionalOf, Scalar, Type

from .sizes import bytes_of

BYTES_WRITTEN = 4
"""Of a token that a model wrote, at most, where it is read again."""
NO_LIMIT = 1024
"""Tokens of an answer in later prompts where its model has no `max_tokens`: then there is no bound, and it is said."""
_RAN = 300
"""Bytes that a piece of code is guessed to give."""


class Taken(Struct):
    """By one model: requests that may be billed, and tokens."""

    requests: float = 0
    inputs: float = 0
    outputs: float = 0


class Load(Struct):
    """What a run takes, or several. `written` is all that its calls were shown and answered, in bytes; `largest` the
    inputs of each predictor's longest call."""

    taken: dict[LM, Taken] = field(default_factory=dict[LM, Taken])
    written: float = 0
    largest: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, lm: LM, requests: float, inputs: float, outputs: float) -> None:
        own = self.taken.setdefault(lm, Taken())
        own.requests += requests
        own.inputs += inputs
        own.outputs += outputs

    def add(self, other: Load, times: float = 1) -> None:
        for lm, one in other.taken.items():
            self.take(lm, times * one.requests, times * one.inputs, times * one.outputs)
        self.written += times * other.written
        for address, size in other.largest.items():
            self.largest[address] = max(size, self.largest.get(address, 0))

    def times(self, times: float) -> Load:
        made = Load()
        made.add(self, times)
        return made


def dearest(loads: Sequence[Load]) -> Load:
    """No less than any of them."""
    made = Load()
    for load in loads:
        for lm, one in load.taken.items():
            own = made.taken.setdefault(lm, Taken())
            own.requests = max(own.requests, one.requests)
            own.inputs = max(own.inputs, one.inputs)
            own.outputs = max(own.outputs, one.outputs)
        made.written = max(made.written, load.written)
        made.add(Load(largest=load.largest))
    return made


def mean(loads: Sequence[Load]) -> Load:
    made = Load()
    for load in loads:
        made.add(load, 1 / len(loads))
    return made


class Ruler(Protocol):
    """How what nobody knows yet is measured."""

    def count(self, times: Times) -> float: ...

    def either(self, loads: Sequence[Load]) -> Load: ...

    def answer(self, predictor: Predictor, lm: LM) -> int:
        """Tokens of an answer."""
        ...

    def written(self, field: FieldSpec, predictor: Predictor, lm: LM) -> int:
        """Bytes of one output where it is read again."""
        ...

    def result(self, tool: Tool) -> int:
        """Bytes that a tool gives."""
        ...

    def ran(self, most: int) -> int:
        """Bytes that a later prompt is shown of one running of code, which is `most` at most."""
        ...

    def share(self) -> float:
        """Of what a module has made by the end, how much the mean call of it is shown."""
        ...

    def call(
        self, load: Load, lms: Sequence[LM], prompt: float, answer: int, asked: int, objection: int
    ) -> None:
        """One call, of a model and those that it falls back to, which may be asked so many times; what is wrong with an
        answer takes so many bytes."""
        ...


ToolBytes = Callable[[Tool], int | None]


class Most:
    """Bounds. `open` are the models whose answers have no bound."""

    def __init__(self, tools: ToolBytes = lambda tool: None) -> None:
        self.open: set[str] = set()
        self._tools = tools

    def count(self, times: Times) -> float:
        return times.most

    def either(self, loads: Sequence[Load]) -> Load:
        return dearest(loads)

    def answer(self, predictor: Predictor, lm: LM) -> int:
        return self.limit(lm)

    def limit(self, lm: LM) -> int:
        if lm.max_tokens is None:
            self.open.add(lm.name)
        return lm.max_tokens or NO_LIMIT

    def written(self, field: FieldSpec, predictor: Predictor, lm: LM) -> int:
        closed = _closed(field.type)
        return BYTES_WRITTEN * self.limit(lm) + 2 if closed is None else closed

    def result(self, tool: Tool) -> int:
        allowed = 4 * tool.max_result
        known = self._tools(tool)
        return allowed if known is None else min(allowed, known)

    def ran(self, most: int) -> int:
        return most

    def share(self) -> float:
        return 2.0  # what is text in an object of an object is escaped twice

    def call(
        self, load: Load, lms: Sequence[LM], prompt: float, answer: int, asked: int, objection: int
    ) -> None:
        """Each asking holds all those before; one that is asked of two servers at once may be billed twice."""
        # What is asked again holds every answer so far and what was wrong with it.
        more = BYTES_WRITTEN * answer + objection + 2 * FRAME
        inputs = asked * prompt + more * asked * (asked - 1) / 2
        for lm in lms:
            billed = 2 if lm.hedge else 1
            load.take(lm, billed * asked, billed * inputs, billed * asked * answer)


def _closed(kind: Type) -> int | None:
    """Bytes of a value of which there are only so many; None of any other."""
    match kind:
        case OneOf(values=values):
            return max((bytes_of(one) for one in values), default=2)
        case OneOfNumbers(values=numbers):
            return max((len(str(one)) for one in numbers), default=2)
        case Scalar(name="bool"):
            return 5
        case OptionalOf(item=item):
            size = _closed(item)
            return None if size is None else max(size, 4)
        case _:
            return None


class Likely:
    """Guesses: four bytes a token, answers as long as labels are, the mean of every range."""

    def __init__(
        self, answered: Callable[[FieldSpec], int], tools: ToolBytes = lambda tool: None, given: int = 1_500
    ) -> None:
        self._answered = answered
        self._tools = tools
        self._given = given

    def count(self, times: Times) -> float:
        return (times.least + times.most) / 2

    def either(self, loads: Sequence[Load]) -> Load:
        return mean(loads)

    def answer(self, predictor: Predictor, lm: LM) -> int:
        tokens = sum(
            self._answered(one) + math.ceil((len(one.name) + 12) / 4) for one in predictor.signature.outputs
        )
        return tokens if lm.max_tokens is None else min(tokens, lm.max_tokens)

    def written(self, field: FieldSpec, predictor: Predictor, lm: LM) -> int:
        return 4 * self._answered(field)

    def result(self, tool: Tool) -> int:
        known = self._tools(tool)
        return min(tool.max_result, self._given if known is None else known)

    def ran(self, most: int) -> int:
        return min(most, _RAN)

    def share(self) -> float:
        return 0.5

    def call(
        self, load: Load, lms: Sequence[LM], prompt: float, answer: int, asked: int, objection: int
    ) -> None:
        load.take(lms[0], 1, prompt / 4, answer)

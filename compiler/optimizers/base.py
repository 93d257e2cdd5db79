"""What an optimizer is: a declared `Spec` (options, needs, effects, cost) and an async `run`.

The spec is the only place where an optimizer's facts stand. Check, plan, completion, hover, the docs
and the engine read it; `run` receives options already validated against it.

Rules of `run`:
- the student is a value; the result is a new program, and the student itself where nothing beat it;
- every random draw comes from `context.rng(name)`, made before any call is awaited, so that results
  do not depend on the order in which answers arrive;
- model calls go only through `context.evaluator`, never around it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from dspec.runtime.program import Program
from dspec.runtime.types import JsonValue

if TYPE_CHECKING:
    from ..data import Rows
    from ..evaluation import Evaluator

OptionType = Literal["int", "float", "bool", "str", "int_list"]
Tuned = Literal["instructions", "demos", "weights"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option: `default` None means unset; bounds are inclusive."""

    name: str
    type: OptionType
    default: JsonValue
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    optional: bool = False
    """True when `none` may be written."""


class Calls(NamedTuple):
    """Model calls of the task and teacher models, when every answer parses at once."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a cost formula may depend on, all known before the first call."""

    train: int
    val: int
    predictors: int
    calls_per_run: int


@dataclass(frozen=True, slots=True)
class Spec:
    """The facts of one optimizer.

    `sets`/`keeps` say what of the student is replaced and what survives; `candidates` whether the
    step offers `.candidates`; `calls` is the cost formula.
    """

    name: str
    doc: str
    source: str
    """Where the algorithm comes from."""
    options: tuple[Option, ...]
    sets: frozenset[Tuned]
    calls: Callable[[Options, Facts], Calls]
    needs_metric: bool = True
    needs_val: bool = False
    """Without `val` the step would pick its winner on training rows (a warning, not an error)."""
    takes_teacher: bool = False
    bootstraps: bool = False
    """True when the metric's `accept` decides which traces become demos."""
    candidates: bool = False
    min_train: Callable[[Options], int] = field(default=lambda options: 1)

    def option(self, name: str) -> Option | None:
        return next((option for option in self.options if option.name == name), None)


class Options:
    """Option values by name, defaults filled in from the spec."""

    def __init__(self, spec: Spec, given: Mapping[str, JsonValue]) -> None:
        self._values: dict[str, JsonValue] = {option.name: option.default for option in spec.options}
        self._values.update(given)

    def __getitem__(self, name: str) -> JsonValue:
        return self._values[name]

    def integer(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int), name
        return value

    def number(self, name: str) -> float | None:
        value = self._values[name]
        assert value is None or isinstance(value, int | float), name
        return value

    def flag(self, name: str) -> bool:
        return bool(self._values[name])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fully evaluated program: `scores` holds one number in 0..1 per validation row."""

    label: str
    program: Program
    scores: tuple[float, ...]

    @property
    def score(self) -> float:
        return sum(self.scores) / len(self.scores)


@dataclass(frozen=True, slots=True)
class StepResult:
    """`candidates` are best first; ties keep the order in which they were proposed."""

    program: Program
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a step may use. `rng(name)` gives an independent stream named within the step."""

    evaluator: Evaluator
    train: Rows
    val: Rows
    teacher: Program | None
    rng: Callable[[str], random.Random]
    progress: Callable[[str], None]


Run = Callable[[Program, Options, Context], Awaitable[StepResult]]

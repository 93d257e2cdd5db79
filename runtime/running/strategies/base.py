"""What a strategy is: a record of all that check, plan, running, prompts, editor and docs know of it.

A module is a strategy applied to a signature. Its predictor carries the strategy's name; whoever needs to
know more looks the name up in the table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from ...schema.program import FieldSpec, ModuleSpec, Predictor, Program
from ...schema.types import JsonValue, Row

if TYPE_CHECKING:
    from ..asking import Asked, ProgramRun

Run = Callable[["ProgramRun", Predictor, Row], Awaitable["Asked"]]
"""One run of a predictor on checked inputs; raises as `asking.ask` does.

What it gives ends with the exchange that a failed check between steps can go on with (`asking.ask_again`).
"""


async def ask_once(session: ProgramRun, predictor: Predictor, inputs: Row) -> Asked:
    """The signature is put to the model as it stands."""
    from ..asking import ask  # it brings the adapters, which reading a record does not need

    return await ask(session, predictor, inputs)


class Scored(Struct, frozen=True):
    """What a module's reward says of some outputs."""

    score: float
    feedback: str = ""


class Conductor(Protocol):
    """What a strategy of several calls is given to work with.

    Calls may run at the same time; begin them in the order in which the trace shall show them. `take` tells calls
    apart that may ask the same and want answers of their own. What a model, a tool or a check fails with is raised.
    """

    program: Program
    module: ModuleSpec

    async def ask(
        self,
        role: str,
        inputs: Row,
        *,
        predictor: Predictor | None = None,
        take: int = 0,
        temperature: float | None = None,
    ) -> Row:
        """The outputs of one of the module's predictors, or of `predictor` in its place."""
        ...

    async def attempt(self, inputs: Row, *, take: int = 0, temperature: float | None = None) -> Row:
        """The outputs of one run of what the module tries (`ModuleSpec.runs`)."""
        ...

    async def call(self, key: str, arguments: Row) -> JsonValue:
        """What one of the module's tools gives. Raises AnswerError when it fails."""
        ...

    async def score(self, inputs: Row, outputs: Row) -> Scored:
        """What the module's reward says."""
        ...

    def note(self, text: str) -> None:
        """Something to be said of the run."""
        ...


Conduct = Callable[[Conductor, Row], Awaitable[Row]]
"""One run of a module of several calls on checked inputs: its outputs."""


class Times(Struct, frozen=True):
    """How often something is done in one run, at least and at most."""

    least: int
    most: int

    def __add__(self, other: Times) -> Times:
        return Times(self.least + other.least, self.most + other.most)

    def __mul__(self, other: Times) -> Times:
        return Times(self.least * other.least, self.most * other.most)


RUNS, TOOLS, REWARD = "(runs)", "(tools)", "(reward)"
"""What a module does besides asking its predictors: an attempt, a call of any of its tools, a question to its reward."""


class StrategyOption(Struct, frozen=True):
    """One option: `tools` is a list of names, `metric` a name, the others are numbers. None is no default."""

    name: str
    value: Literal["tools", "metric", "integer", "number"]
    doc: str
    default: JsonValue = None


class ModuleStrategy(Struct, frozen=True):
    """The facts of one strategy."""

    name: str
    doc: str
    adds: tuple[FieldSpec, ...] = ()
    """Outputs that the model writes before those of the signature, where that has no field of their name."""
    options: tuple[StrategyOption, ...] = ()
    """Besides `lm`, which every module has."""
    calls: int = 1
    """Model calls of one run when every answer parses and every check holds."""
    run: Run = ask_once
    """How a predictor of this strategy answers."""
    conduct: Conduct | None = None
    """Of a strategy of several calls: how a module of it answers."""
    times: Callable[[ModuleSpec], Mapping[str, Times]] | None = None
    """Of a strategy of several calls: how often a run asks each role, `RUNS`, `TOOLS` and `REWARD`."""
    manner: str = ""
    """What a model that writes instructions is told of such a module, as the end of "which …"."""
    dspy: str = ""
    """The attribute of DSPy's module of this name that is its predictor; "" where the module is one itself."""
    missing: str = ""
    """Why it does not run yet, a clause that completes "not supported yet: …"; "" of one that runs."""

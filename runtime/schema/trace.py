"""The record of a run: every predictor's answer and every tool's result, in the program's order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, to_builtins

from .types import JsonValue
from .usage import Flaws

if TYPE_CHECKING:
    from .types import Row
else:
    # For msgspec, which reads traces from JSON and knows no type that is made of itself: what JSON gives is a `JsonValue`.
    Row = dict[str, Any]

CODE = "(code)"
"""Stands for a tool's key where code that a model wrote was run."""


class ModelCall(Struct, frozen=True):
    """One answer of a model that a predictor used, or a call that it has none of."""

    lm: str
    model: str
    source: Literal["model", "shared", "ledger"]
    """Asked for now; shared with the same request in flight; or kept from before."""
    answer: str
    """Its text as it came."""
    input_tokens: int
    output_tokens: int
    cost: float | None
    """USD, as billed when it was asked for; None where no price is known."""
    began: float
    """Seconds after the run began."""
    seconds: float
    """From asking to having it, waiting for a place included."""
    finish_reason: str
    error: str = ""
    """Why there is no answer; then the cost is 0 where nothing may be billed, and otherwise not known."""


class TraceStep(Struct, frozen=True):
    """One predictor's part in a run, or one call of a tool. `attempts` counts its model calls, in a recorded run those
    without an answer, too.

    A recorded run also has entries with neither: what is to be said of a step besides, as `notes`, and the `reward` of an
    attempt.
    """

    step: str
    """Where in the program: a step's name, those around it before it, as in `drafts[1].critic`."""
    predictor: str
    """Its address; "" of a tool's call."""
    inputs: Row
    outputs: Row
    attempts: int
    notes: tuple[str, ...] = ()
    tool: str = ""
    """Key of the tool that was called; its one value is the output `result`, a failure the output `error`. `CODE` where code
    was run, which is its input; then there is also the `output` that it printed."""
    dropped: bool = False
    """True of what the run's outputs do not come from: an attempt that lost to another one, and its reward."""
    exchange: tuple[tuple[str, str], ...] = ()
    """Role and text of each message, the last answer included. Like `calls`, `began` and `seconds` it is there only
    where a run is recorded, as an application's is: a compile keeps neither prompts nor times."""
    calls: tuple[ModelCall, ...] = ()
    began: float = 0.0
    """Seconds after the run began."""
    seconds: float = 0.0
    guessed: tuple[str, ...] = ()
    """Outputs whose values might have meant something else as well."""
    cut: int = 0
    """Answers that the model was stopped in; this and the two that follow are a `Flaws`."""
    repaired: int = 0
    unreadable: int = 0
    hint: str = ""
    """Advice that the predictor had besides its inputs."""
    reward: float | None = None
    """What the attempt that `step` names is worth, in 0..1."""

    @property
    def flaws(self) -> Flaws:
        return Flaws(self.cut, self.repaired, self.unreadable)

    @property
    def asked(self) -> tuple[ModelCall, ...]:
        """Its calls that a model was asked just now: what is paid for. Others were shared, or kept from before."""
        return tuple(call for call in self.calls if call.source == "model")

    @property
    def cost(self) -> float | None:
        """USD of those calls; None where one has no price."""
        costs = [call.cost for call in self.asked]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


def counting(trace: Iterable[TraceStep]) -> list[TraceStep]:
    """The predictors' answers that the run's outputs come from: what may be blamed."""
    return [step for step in trace if step.predictor and step.outputs and not step.dropped]


def learnable(trace: Iterable[TraceStep]) -> list[TraceStep]:
    """The steps of `counting` that may become demos: an output that was guessed is nothing to learn from."""
    return [step for step in counting(trace) if not step.guessed]


def as_json(trace: Iterable[TraceStep]) -> list[JsonValue]:
    """The trace as plain JSON."""
    return [to_builtins(step) for step in trace]

"""What is told of model calls: how one ended, what happens to it, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .transports.base import Answer, Usage

Source = Literal["model", "shared", "ledger"]
EventKind = Literal["started", "answered", "retrying", "failed", "shared", "replayed"]

_PICO = 10**12


@dataclass(frozen=True, slots=True)
class Completion:
    """`source`: asked of the model now, shared with an identical request in flight, or replayed."""

    answer: Answer
    source: Source
    requests: int = 1
    """Requests that may be billed as this answer is: more than one where stragglers are hedged."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One thing that happened to one call, for progress displays. Never holds a prompt or a key."""

    kind: EventKind
    lm: str
    model: str
    attempt: int = 0
    seconds: float = 0.0
    """Duration of the attempt, or the wait before the next one where `kind` is "retrying"."""
    usage: Usage | None = None
    cost: float | None = None
    error: str = ""


@dataclass(slots=True)
class Tally:
    """Sums over an engine's life. Cost is summed in whole picodollars: the same in any order."""

    calls: int = 0
    """Answers received from models."""
    attempts: int = 0
    """Requests sent, failed ones included."""
    shared: int = 0
    replayed: int = 0
    hedged: int = 0
    """Stragglers that were asked for a second time."""
    failed: int = 0
    """Calls given up."""
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: int = 0
    """Answers whose usage the provider did not report."""
    unpriced: int = 0
    """Answers for which no price is known: `cost` lacks them."""
    cost_pico: int = 0

    @property
    def cost(self) -> float:
        """USD spent on answers from models."""
        return self.cost_pico / _PICO

    def add(self, answer: Answer) -> None:
        self.calls += 1
        self.input_tokens += answer.usage.input_tokens
        self.output_tokens += answer.usage.output_tokens
        self.estimated += answer.usage.estimated
        if answer.cost is None:
            self.unpriced += 1
        else:
            self.cost_pico += round(answer.cost * _PICO)

"""What is told of model calls: how one ended, what happens to it, and what they add up to."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from ..schema.usage import Usage
from .protocol import Answer, Request

Source = Literal["model", "shared", "ledger"]
EventKind = Literal["started", "answered", "retrying", "failed", "shared", "replayed"]

_PICO = 10**12


class Completion(Struct, frozen=True):
    """`source`: asked of the model now, shared with an identical request in flight, or replayed."""

    answer: Answer
    source: Source


class Reservation(Protocol):
    """Room for one attempt at a call in somebody's budget."""

    def in_time(self) -> None:
        """Raises when it is too late to send the request."""
        ...

    def settle(self, requests: int, usage: Usage | None) -> None:
        """The attempt is over: `requests` may be billed, with this usage each; None where nobody knows it.

        Called once. No requests gives the room back.
        """
        ...


class Purse(Protocol):
    """Who pays for a call: asked for room before every attempt that may be billed."""

    async def reserve(self, request: Request) -> Reservation:
        """Waits for room for the worst case of one attempt. Raises when there is none."""
        ...


class CallEvent(Struct, frozen=True):
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


class Tally(Struct):
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
    spoiled: int = 0
    """Requests that gave no answer and that the provider may bill; tokens and cost hold what it reported."""
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: int = 0
    """Answers whose usage the provider did not report."""
    unpriced: int = 0
    """Answers for which no price is known: `cost` lacks them."""
    cost_pico: int = 0
    seconds: float = 0.0
    """That answers took, added up; for estimates of time, never in a result."""

    @property
    def cost(self) -> float:
        """USD spent on answers from models."""
        return self.cost_pico / _PICO

    def add(self, answer: Answer, seconds: float) -> None:
        self.calls += 1
        self.seconds += seconds
        self.estimated += answer.usage.estimated
        self._bill(answer.usage, answer.cost)

    def spoil(self, requests: int, usage: Usage | None, cost: float | None) -> None:
        """Notes a failed attempt of so many requests; `cost` is that of `usage`."""
        self.spoiled += requests
        if usage is not None:
            self._bill(usage, cost)

    def _bill(self, usage: Usage, cost: float | None) -> None:
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        if cost is None:
            self.unpriced += 1
        else:
            self.cost_pico += round(cost * _PICO)

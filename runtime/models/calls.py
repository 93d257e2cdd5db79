"""What is told of calls of models and tools: how one ended, what happens to it, and what they add up to."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from ..schema.usage import Spent, Usage
from .protocol import Answer, Request

Source = Literal["model", "shared", "ledger"]
EventKind = Literal["started", "answered", "retrying", "failed", "shared", "replayed"]


class Completion(Struct, frozen=True):
    """`source`: asked of the model now, shared with an identical request in flight, or replayed."""

    answer: Answer
    source: Source


class Reservation(Protocol):
    """Room for one attempt at a call in somebody's budget."""

    def leaves(self) -> bool:
        """Asked as the request is about to be sent. Raises when it is too late for any; False where the room is needed
        otherwise by now, and is to be asked for anew."""
        ...

    def settle(self, requests: int, usage: Usage | None) -> Spent:
        """The attempt is over: `requests` may be billed, with this usage each; None where nobody knows it. Returns what
        each of them counts with.

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
    """Of an answer, and what a provider reported of requests that failed, for each of them."""
    cost: float | None = None
    """In USD, at today's price: of an answer that was shared or replayed, too, though nobody pays it again."""
    error: str = ""
    spoiled: int = 0
    """Requests of an attempt that failed and may be billed."""


class ToolEvent(Struct, frozen=True):
    """One call of a tool that is over, its tries and the wait for a place among them. Never holds arguments, a result or
    what an error says, all of which may be anybody's data."""

    tool: str
    seconds: float
    failed: bool


EngineEvent = CallEvent | ToolEvent


class Tally(Struct):
    """What happened in an engine's life, and what it took."""

    spent: Spent = Spent()
    """Answers received from models, and what providers reported of requests that gave none."""
    attempts: int = 0
    """Requests sent, failed ones included."""
    shared: int = 0
    replayed: int = 0
    hedged: int = 0
    """Stragglers that were asked for a second time."""
    failed: int = 0
    """Calls given up."""
    spoiled: int = 0
    """Requests that gave no answer and that the provider may bill."""
    wasted: Spent = Spent()
    """What providers reported of those; it is in `spent`."""
    reserved: Spent = Spent()
    """What budgets count beyond `spent`, at most: requests of which nobody reported what they took, at their worst."""
    refitted: int = 0
    """Requests that were refused for a parameter, and sent again without it."""
    estimated: int = 0
    """Answers of which the provider did not report all that they took."""
    seconds: float = 0.0
    """That answers took, added up; for estimates of time, never in a result."""

    @property
    def calls(self) -> int:
        """Answers received from models."""
        return self.spent.calls

    @property
    def free(self) -> int:
        """Answers that nobody paid for: kept from before, or of the same request in flight. Which of the two one was is a matter
        of time, how many they are is not."""
        return self.replayed + self.shared

    def add(self, answer: Answer, seconds: float) -> None:
        self.seconds += seconds
        self.spent += Spent.of(answer.usage, answer.cost)

    def spoil(self, requests: int, usage: Usage | None, cost: float | None) -> Spent:
        """Notes a failed attempt of so many requests; `cost` is that of `usage`, in USD. Returns what is spent on it."""
        self.spoiled += requests
        took = Spent() if usage is None else Spent.of(usage, cost, calls=0) * requests
        self.wasted += took
        self.spent += took
        return took

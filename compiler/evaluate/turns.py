"""Says whose turn it is: places for work at the same time, and the order in which work was begun.

That order decides who gets the last room at the wall, and when an endpoint counts as dead.

Where `on_error = "score_zero"`, a run that no model answers is a score of 0. `UNANSWERED_IN_A_ROW` of them with no answer
in between are an endpoint that is gone, and its failure is raised. Refusals mostly come faster than answers, so "in a row" is
not the order in which they come: it is that of the rows of an evaluation, and of evaluations and attempts as they were begun.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Container, Mapping
from typing import NamedTuple

from dspec.runtime.errors import ProviderError

from .meter import Purpose
from .store import RunResult

UNANSWERED_IN_A_ROW = 50


class RunUse(NamedTuple):
    """A run that a row or an attempt needed, whoever made it."""

    purpose: Purpose
    key: bytes
    result: RunResult
    mine: bool = False
    """Whether the run was claimed for it before: then it is the one that counts the run."""


class Slots:
    """Places for work at the same time, which long work gives up when others are waiting for one: a semaphore that
    knows whether anybody waits in `async with`. Used from one event loop."""

    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)
        self._waiting = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a slot in `async with`; those that only call `acquire` do not count."""
        return self._waiting > 0

    async def acquire(self) -> None:
        await self._free.acquire()

    def release(self) -> None:
        self._free.release()

    async def __aenter__(self) -> None:
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._free.release()


class Turns:
    """The turns of what was begun, settled in the order in which they began.

    A judge's endpoint may be gone while the program's answers on every row, so the two are told apart.
    """

    def __init__(self, made: Container[bytes], failures: Mapping[bytes, ProviderError]) -> None:
        """`made` are runs that were answered since the compile began, `failures` those that were not and that score 0,
        by key."""
        self._made = made
        self._failures = failures
        self._orders = itertools.count()
        self._begun: deque[Turn] = deque()
        self._in_a_row = {"judge": 0, "task": 0}
        self._counted: set[bytes] = set()

    def apart(self) -> Turns:
        """Turns of other work, numbered with these. Its unanswered runs in a row are not added to the ones here."""
        other = Turns(self._made, self._failures)
        other._orders = self._orders
        return other

    def next(self, uses: list[RunUse] | None = None) -> Turn:
        """The next turn, which must `end`; its `uses` are noted until then."""
        turn = Turn(self, next(self._orders), [] if uses is None else uses)
        self._begun.append(turn)
        return turn

    def settle(self) -> None:
        while self._begun and self._begun[0].over:
            turn = self._begun.popleft()
            if not self._failures:
                continue
            for who in self._in_a_row:
                uses = [use for use in turn.uses if (use.purpose == "judge") is (who == "judge")]
                turn.dead = turn.dead or self._dead(who, uses)
            if turn.settled is not None:
                turn.settled.set()

    def _dead(self, who: str, uses: list[RunUse]) -> ProviderError | None:
        new = [use.key for use in uses if use.key in self._failures and use.key not in self._counted]
        self._counted.update(new)
        self._in_a_row[who] += len(new)
        if any(use.key in self._made for use in uses):
            self._in_a_row[who] = 0
        return self._failures[new[-1]] if new and self._in_a_row[who] >= UNANSWERED_IN_A_ROW else None


class Turn:
    """The place of a row or an attempt in that order, and the runs that it needed."""

    __slots__ = ("_turns", "dead", "order", "over", "settled", "uses")

    def __init__(self, turns: Turns, order: int, uses: list[RunUse]) -> None:
        self.order = order
        self.uses = uses
        self.over = False
        self.dead: ProviderError | None = None
        self.settled: asyncio.Event | None = None
        self._turns = turns

    def end(self) -> None:
        """Nothing more is noted. May be called again."""
        if not self.over:
            self.over = True
            self._turns.settle()

    async def verdict(self) -> None:
        """Ends the turn. With a run that nobody answered, waits for what began before, and raises ProviderError where it
        was one too many in a row."""
        if any(use.result.unanswered for use in self.uses):
            self.settled = asyncio.Event()
            self.end()
            await self.settled.wait()
            if self.dead is not None:
                raise self.dead
        self.end()

"""How fast an endpoint may be asked: admission shared by all its callers, and rate windows.

A `Admission` stands before each endpoint. A 429 holds the request that it refused; what tells of a limit (`pacing`)
closes the endpoint for all until `Retry-After` has passed, and makes them follow each other more slowly. Failures of other
kinds close it only when they come in a row, so that a single reset connection delays nobody else. Jitter is random on
purpose and never enters a result.
"""

from __future__ import annotations

import asyncio
import copy
import math
import random
from collections import deque

from msgspec import Struct

from ..errors import NoAnswer, ProviderError, RateLimited
from .pacing import Pacing

PATIENCE = 300.0
"""Seconds: a longer `Retry-After` is not waited for, the caller is told instead."""

FURTHER = 12
"""Attempts beyond the usual ones of a request that nobody limited, while others are answered."""

_PROBING = 1.0
"""Seconds at least between two requests that try whether a limit still holds."""
_MINUTE = 60.0
_PACE_KNOWN_AFTER = 20
"""Answers."""
_FADING = 0.99
"""By which the slowest answer counts less with every further one."""


class Backoff(Struct, frozen=True):
    """`base · 2ⁿ` seconds up to `cap`, of which a random part between half and all is waited."""

    base: float = 0.5
    cap: float = 30.0
    in_a_row: int = 5
    """Failures with no success in between after which the whole endpoint pauses."""

    def delay(self, failures: int) -> float:
        """Seconds to wait after the n-th failure, from 1."""
        longest = min(self.cap, self.base * 2.0 ** min(failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311


class Admission:
    """Admission to one endpoint, at most `width` at once: who was in before, then who is urgent, each first come
    first served."""

    def __init__(self, width: int, backoff: Backoff) -> None:
        self.width = width
        self.inside = 0
        self.pacing = Pacing()
        self._backoff = backoff
        self._urgent: deque[asyncio.Future[int]] = deque()
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._resume_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: Exception | None = None
        """Why nobody is let in but one who sees whether that still holds."""
        self._refused_at = 0.0
        self._pauses = 0
        self._paused_at = 0
        """Failures of requests up to this number were known when everyone was paused."""
        self._failures_in_a_row = 0
        self.answered = 0
        """Requests so far."""
        self._most = width
        self._climbs_to = width
        self._credit = 0

    async def enter(self, *, since: float = math.inf, again: bool = False, urgent: bool = False) -> int:
        """Waits for a place, and gives the request's number. Raises what `close` was given, also later to those who
        were there at the time: `since` is the loop time when their call began. Every `enter` needs one `leave`.

        `again` goes to the head of the queue: at a dead endpoint, a few calls then use up their attempts
        and end the run, instead of everyone's first being tried before anyone's second.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._refusal is not None and since <= self._refused_at:
            raise copy.copy(self._refusal)
        if not self._queued() and self._free(now) and now >= self._due(now):
            self.inside += 1
            return self.pacing.begun(now)
        turn: asyncio.Future[int] = loop.create_future()
        if again:
            self._urgent.appendleft(turn)
        else:
            (self._urgent if urgent else self._waiting).append(turn)
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()
            raise

    def widen(self, width: int) -> None:
        """Lets in as many at once, if that is more than before. Where a limit was met, it climbs there as ever."""
        if width > self._most:
            if self.width == self._most:
                self.width = self._climbs_to = width
            self._most = width
            if self._queued():
                self._admit()

    def leave(self) -> None:
        self.inside -= 1
        if self._queued():
            self._admit()

    def close(self, error: Exception) -> None:
        """Turns away everyone whose call has begun: a bad key gets no better by asking with all of them. Whose call begins
        later is let in alone, to see whether it was put right."""
        self._refusal, self._refused_at = error, asyncio.get_running_loop().time()
        while queue := self._queued():
            turn = queue.popleft()
            if not turn.done():
                turn.set_exception(copy.copy(error))

    def told(self) -> None:
        """Notes that whose request closed it is about to hear of that: nobody has put anything right before."""
        self._refused_at = asyncio.get_running_loop().time()

    def succeeded(self, number: int) -> None:
        """Notes the answer to the attempt that entered as `number`."""
        self._failures_in_a_row = 0
        self.answered += 1
        self._pauses = 0
        self.pacing.answered(number, asyncio.get_running_loop().time())
        if self.width < self._most:
            self._credit += 1
            if self.width < self._climbs_to or self._credit >= self.width:
                self._credit = 0
                self.width += 1
        self._refusal = None
        self._admit()

    def failed(self, error: ProviderError, failures: int, number: int, began: float) -> float:
        """Notes a retryable failure of the attempt that entered as `number` and began at loop time `began`.

        `failures` counts this call's own, from 1. Returns the seconds to wait before its next attempt.
        """
        now = asyncio.get_running_loop().time()
        own = self._backoff.delay(failures)
        if isinstance(error, NoAnswer):
            return own  # the endpoint is well: whoever else asks is answered
        self._failures_in_a_row += 1
        asked = error.retry_after
        if asked is not None:
            # never earlier than asked, and not everyone at the same instant
            own = asked * random.uniform(1.0, 1.05)  # noqa: S311
        if isinstance(error, RateLimited):
            if self.pacing.refused(number, began, now):
                if self.pacing.met == 1:
                    self._climbs_to = max(1, self.width * 3 // 5)
                    self.width = max(1, self.width // 2)
                    self._credit = 0
                again = self._backoff.delay(self.pacing.met)
                pause = again if asked is None else max(asked, min(_PROBING, again))
                if pause <= PATIENCE:
                    self._pause_until(now + pause)
                    self.pacing.resumes(asked, self._resume_at)
            if asked is not None:
                return own
        if self._failures_in_a_row >= self._backoff.in_a_row and number > self._paused_at:
            self._pauses += 1
            self._paused_at = self.pacing.number
            self._pause_until(now + self._backoff.delay(self._pauses))
        return own

    def _pause_until(self, moment: float) -> None:
        self._resume_at = max(self._resume_at, moment)

    def _free(self, now: float) -> bool:
        if self._refusal is not None:
            return self.inside < 1
        return self.inside < self.width and not self.pacing.tried_until(now)

    def _due(self, now: float) -> float:
        """When the next may enter, if there is a place."""
        return max(self._resume_at, self.pacing.due(now))

    def _look_again(self, moment: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(moment, self._wake)

    def _admit(self) -> None:
        """Lets in whoever may enter; where they have to wait, one timer does it for all."""
        loop = asyncio.get_running_loop()
        while queue := self._queued():
            now = loop.time()
            if not self._free(now):
                if tried := self.pacing.tried_until(now):
                    self._look_again(tried)
                return
            if queue[0].done():
                queue.popleft()
                continue
            due = self._due(now)
            if now < due:
                self._look_again(due)
                return
            self.inside += 1
            queue.popleft().set_result(self.pacing.begun(now))

    def _queued(self) -> deque[asyncio.Future[int]]:
        """The queue whose head is next; an empty one where nobody waits."""
        return self._urgent or self._waiting

    def _wake(self) -> None:
        self._timer = None
        self._admit()


class Stragglers:
    """Tells when an answer of an LM takes longer than any of late."""

    def __init__(self) -> None:
        self._answers = 0
        self._slowest = 0.0

    def answered(self, seconds: float) -> None:
        self._answers += 1
        self._slowest = max(seconds, self._slowest * _FADING)

    def after(self) -> float | None:
        """Seconds after which an answer is a straggler; None until the pace is known."""
        return self._slowest if self._answers >= _PACE_KNOWN_AFTER else None


class RateWindow:
    """At most `limit` units begun within any sixty seconds (`rpm`, `tpm`)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begun: deque[tuple[float, int]] = deque()
        self._total = 0
        self._turn = asyncio.Lock()

    async def take(self, units: int) -> None:
        """Waits until `units` fit, and counts them. More than the whole limit counts as the limit."""
        units = min(units, self._limit)
        async with self._turn:
            loop = asyncio.get_running_loop()
            while True:
                now = loop.time()
                while self._begun and self._begun[0][0] <= now - _MINUTE:
                    self._total -= self._begun.popleft()[1]
                if self._total + units <= self._limit:
                    break
                await asyncio.sleep(self._begun[0][0] + _MINUTE - now)
            self._begun.append((now, units))
            self._total += units

    def settle(self, units: int) -> None:
        """Corrects an estimate by `units` (negative gives room back), as of now."""
        if units:
            self._begun.append((asyncio.get_running_loop().time(), units))
            self._total += units

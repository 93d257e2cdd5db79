"""How fast an endpoint may be asked: admission shared by all its callers, and rate windows.

A `Admission` stands before each endpoint. One caller's 429 closes it for all until `Retry-After` has
passed, and narrows it (half the calls in flight, then back up: fast to near the old width, then one
more per round). Failures of other kinds close it only when they come in a row, so that a single
reset connection delays nobody else. Jitter is random on purpose and never enters a result.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections import deque

from msgspec import Struct

from ..errors import ProviderError, RateLimited

PATIENCE = 300.0
"""Seconds: a longer `Retry-After` is not waited for, the caller is told instead."""

PERSISTENCE = 4

_MINUTE = 60.0
_PACE_KNOWN_AFTER = 20
"""Answers."""
_SLOWER = 4.0
"""Times the slowest answer of late."""
_FADING = 0.99
"""By which the slowest answer counts less with every further one."""
_TURNED_AWAY = 30.0
"""Seconds for which a closed gate stays closed; then one may try whether the key was put right."""


class Backoff(Struct, frozen=True):
    """`base · 2ⁿ` seconds up to `cap`, of which a random part between half and all is waited."""

    base: float = 0.5
    cap: float = 30.0
    in_a_row: int = 5
    """Failures with no success in between after which the whole endpoint pauses."""
    alive: float = 10.0
    """Seconds after an endpoint's last answer in which it counts as faulty, but not dead."""
    shortest: float = 5.0
    """Seconds that no attempt is denied, however fast the endpoint has answered so far."""

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
        self._most = width
        self._backoff = backoff
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._resume_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed_by: Exception | None = None
        self._closed_until = 0.0
        self._pauses = 0
        self._last_pause = float("-inf")
        self._last_cut = float("-inf")
        self._last_answer = float("-inf")
        self._failures_in_a_row = 0
        self._climb_fast_to = width
        self._credit = 0

    async def enter(self, *, again: bool = False, urgent: bool = False) -> None:
        """Waits for a place. Raises what `close` was given. Every `enter` needs one `leave`.

        `again` goes to the head of the queue: at a dead endpoint, a few calls then use up their attempts
        and end the run, instead of everyone's first being tried before anyone's second.
        """
        loop = asyncio.get_running_loop()
        if self._closed_by is not None and loop.time() < self._closed_until:
            raise copy.copy(self._closed_by)
        if not self._queued() and self.inside < self.width and loop.time() >= self._resume_at:
            self.inside += 1
            return
        turn: asyncio.Future[None] = loop.create_future()
        if again:
            self._urgent.appendleft(turn)
        else:
            (self._urgent if urgent else self._waiting).append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()
            raise

    def leave(self) -> None:
        self.inside -= 1
        if self._queued():
            self._admit()

    def close(self, error: Exception) -> None:
        """Turns away everyone who waits or comes within half a minute: a bad key gets no better by asking."""
        self._closed_by = error
        self._closed_until = asyncio.get_running_loop().time() + _TURNED_AWAY
        while queue := self._queued():
            turn = queue.popleft()
            if not turn.done():
                turn.set_exception(copy.copy(error))

    def succeeded(self) -> None:
        self._last_answer = asyncio.get_running_loop().time()
        self._failures_in_a_row = 0
        self._pauses = 0
        if self.width < self._most:
            self._credit += 1
            if self.width < self._climb_fast_to or self._credit >= self.width:
                self._credit = 0
                self.width += 1

    def failed(self, error: ProviderError, failures: int, began: float) -> float:
        """Notes a retryable failure of an attempt begun at loop time `began`.

        `failures` counts this call's own, from 1. Returns the seconds to wait before its next attempt.
        """
        now = asyncio.get_running_loop().time()
        own = self._backoff.delay(failures)
        self._failures_in_a_row += 1
        if isinstance(error, RateLimited):
            if began >= self._last_cut:
                self._last_cut = now
                self._climb_fast_to = max(1, self.width * 4 // 5)
                self.width = max(1, self.width // 2)
                self._credit = 0
            if error.retry_after is not None:
                # never earlier than asked, and not everyone at the same instant
                own = error.retry_after * random.uniform(1.0, 1.05)  # noqa: S311
                if error.retry_after <= PATIENCE:
                    self._pause_until(now + error.retry_after)
                return own
        elif self._failures_in_a_row < self._backoff.in_a_row:
            return own
        if began >= self._last_pause:
            self._pauses += 1
            self._last_pause = now
            self._pause_until(now + self._backoff.delay(self._pauses))
        return own

    def worth_another(self, failures: int, retry: int) -> bool:
        """Whether a call that failed `failures` times is tried again, `retry` being its LM's.

        While the endpoint answers others, a call that keeps meeting faults is tried `PERSISTENCE` times as
        often: faults that strike one attempt in three would else lose some row of every thousand.
        """
        if failures <= retry:
            return True
        alive = asyncio.get_running_loop().time() - self._last_answer < self._backoff.alive
        return alive and failures <= PERSISTENCE * retry

    def _pause_until(self, moment: float) -> None:
        self._resume_at = max(self._resume_at, moment)

    def _admit(self) -> None:
        """Lets in whoever may enter; during a pause, one timer does it at the end for all."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._resume_at:
            if self._timer is None:
                self._timer = loop.call_at(self._resume_at, self._wake)
            return
        while self.inside < self.width and (queue := self._queued()):
            turn = queue.popleft()
            if not turn.done():
                self.inside += 1
                turn.set_result(None)

    def _queued(self) -> deque[asyncio.Future[None]]:
        """The queue whose head is next; an empty one where nobody waits."""
        return self._urgent or self._waiting

    def _wake(self) -> None:
        self._timer = None
        self._admit()


class Deadline:
    """Seconds given to one attempt at an LM: its `timeout`, less once its pace is known.

    A hung connection is then given up after some multiple of the slowest answer of late instead of after
    minutes. Every timeout of the same call doubles what its next attempt gets, so that an answer that really
    takes longer is not missed for good.
    """

    def __init__(self, longest: float, shortest: float) -> None:
        self._longest = longest
        self._shortest = shortest
        self._answers = 0
        self._slowest = 0.0

    def answered(self, seconds: float) -> None:
        self._answers += 1
        self._slowest = max(seconds, self._slowest * _FADING)

    def straggling(self) -> float | None:
        """Seconds after which an answer takes longer than any of late; None until the pace is known."""
        return self._slowest if self._answers >= _PACE_KNOWN_AFTER else None

    def seconds(self, timeouts: int) -> float:
        """For an attempt at a call that has timed out `timeouts` times."""
        if self._answers < _PACE_KNOWN_AFTER:
            return self._longest
        patient = max(self._shortest, _SLOWER * self._slowest) * 2.0 ** min(timeouts, 30)
        return min(self._longest, patient)


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

"""The budget's wall: asked before every attempt, so that the next one can never pass it.

An attempt reserves its worst case and settles what it took; one that could pass the wall waits for those
in flight, which may take less than they reserved, and only then gives up. Of several that wait, the one goes first
that belongs to what was begun first: the last of the room completes rows instead of beginning others. What the ledger
answers is free and asks for no room, so running again after the wall goes on where it stopped.

An attempt that failed after it reached the model may be billed like any other: it counts with the usage that
the provider reported, and with its worst case where nobody knows. One that was refused (429, 500, no
connection) counts nothing.

Worst cases: a call is one call; its output tokens are `max_tokens`, and where an LM sets none the
largest answer so far (at least `FALLBACK_TOKENS`). Its input tokens are one for each byte until the model has
answered once; then they are estimated, and raised by the largest share by which an estimate has fallen short
of what that model counted (at least `MARGIN`).
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from bisect import insort
from collections.abc import Callable

from msgspec import Struct

from dspec.runtime.errors import BudgetExceeded, ConfigurationError
from dspec.runtime.models.calls import Purse
from dspec.runtime.models.prices import Price, price
from dspec.runtime.models.protocol import Request
from dspec.runtime.models.transports.answers import estimate_request
from dspec.runtime.schema.usage import Spent, Usage, pico

from .. import ir

FALLBACK_TOKENS = 1024
MARGIN = 1.25
SLACK = 1e-9
"""USD that sums of rounded costs may be off by."""
UNKNOWN = 4.0
"""The margin before a model's first answer: the estimate counts four bytes a token, and no token has less than one."""


class Room(Struct, frozen=True):
    """What one attempt has reserved: `worst` for each of its `requests`."""

    wall: Wall
    request: Request
    worst: Spent
    requests: int

    def in_time(self) -> None:
        """Raises BudgetExceeded once the minutes are over: a call may have waited for its place till now."""
        self.wall.in_time()

    def settle(self, requests: int, usage: Usage | None) -> None:
        self.wall.settle(self, requests, usage)


def wall_of(budget: ir.Budget, clock: Callable[[], float] = time.monotonic) -> Wall | None:
    """The budget's wall, or None where it has no limit."""
    return None if budget == ir.Budget() else Wall(budget, clock)


class _Ordered(Struct, frozen=True):
    wall: Wall
    order: int

    async def reserve(self, request: Request) -> Room:
        return await self.wall.reserve(request, self.order)


class Wall:
    """The budget of one compile or eval. `clock` gives seconds; only the minutes' wall reads it."""

    def __init__(self, budget: ir.Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.spent = Spent()
        self._reserved = Spent()
        self._budget = budget
        self._clock = clock
        self._began = clock()
        self._largest = FALLBACK_TOKENS
        self._margins: dict[str, float] = {}
        self._arrivals = itertools.count()
        self._waiting: list[tuple[int, int]] = []
        """The places of those that wait for room, in order."""
        self._woken: dict[tuple[int, int], asyncio.Future[None]] = {}

    def purse(self, order: int) -> Purse:
        """The wall as it pays for what was begun as the `order`-th."""
        return _Ordered(self, order)

    async def reserve(self, request: Request, order: int = 0) -> Room:
        """Waits until one attempt is sure to fit, those of an earlier `order` first; `settle` what it returns,
        whatever happens.

        Raises BudgetExceeded when it does not fit with nothing else in flight, ConfigurationError when
        the budget is in USD and nobody knows the model's price.
        """
        requests = 2 if request.lm.hedge else 1
        place = (order, next(self._arrivals))
        insort(self._waiting, place)
        try:
            while True:
                if self._waiting[0] == place:
                    worst = self._worst(request)
                    passed = self._passed(worst * requests)
                    if passed is None:
                        self._reserved += worst * requests
                        return Room(self, request, worst, requests)
                    if self._reserved.calls == 0 or passed == "minutes":
                        raise self._exceeded(passed)
                self._woken[place] = asyncio.get_running_loop().create_future()
                await self._woken[place]
        finally:
            self._woken.pop(place, None)
            self._waiting.remove(place)
            self._wake()

    def _wake(self) -> None:
        """Has the first of those that wait look again."""
        if self._waiting and (woken := self._woken.get(self._waiting[0])) is not None and not woken.done():
            woken.set_result(None)

    def in_time(self) -> None:
        minutes = self._budget.minutes
        if minutes is not None and self._clock() - self._began > 60 * minutes:
            raise self._exceeded("minutes")

    def settle(self, room: Room, requests: int, usage: Usage | None) -> None:
        """The attempt is over: so many requests may be billed, at `usage` each, or at their worst."""
        self._reserved += room.worst * -room.requests
        if requests:
            self.spent += (room.worst if usage is None else self._taken(room.request, usage)) * requests
        self._wake()

    def _taken(self, request: Request, usage: Usage) -> Spent:
        self._largest = max(self._largest, usage.output_tokens)
        share = usage.input_tokens / estimate_request(request)
        self._margins[request.lm.model] = max(MARGIN, share, self._margins.get(request.lm.model, 0.0))
        return self._priced(request, usage)

    def _worst(self, request: Request) -> Spent:
        margin = self._margins.get(request.lm.model, UNKNOWN)
        inputs = math.ceil(margin * estimate_request(request))
        outputs = 0 if request.kind == "embedding" else request.lm.max_tokens or self._largest
        return self._priced(request, Usage(inputs, outputs))

    def _priced(self, request: Request, usage: Usage) -> Spent:
        """One call of that usage; money counts only where the budget is in USD."""
        return Spent.of(usage, 0.0 if self._budget.usd is None else self._price(request).of(usage))

    def _price(self, request: Request) -> Price:
        each = price(request.lm)
        if each is None:
            raise ConfigurationError(
                f"the budget is in usd, and no price is known for {request.lm.model}",
                help=f"write `price {{ input = …; output = … }}` (USD per million tokens) in lm "
                f"{request.lm.name}, or give the budget in calls or tokens",
            )
        return each

    def _passed(self, more: Spent) -> str | None:
        """The unit whose wall `more` could pass, or None."""
        budget, total = self._budget, self.spent + self._reserved + more
        if budget.calls is not None and total.calls > budget.calls:
            return "calls"
        if budget.tokens is not None and total.tokens > budget.tokens:
            return "tokens"
        # A billionth of a dollar of slack: each cost was rounded.
        if budget.usd is not None and total.cost > pico(budget.usd + SLACK):
            return "usd"
        if budget.minutes is not None and self._clock() - self._began > 60 * budget.minutes:
            return "minutes"
        return None

    def _exceeded(self, unit: str) -> BudgetExceeded:
        return BudgetExceeded(
            f"the next call could pass the budget of {self._shown(unit)}",
            help="raise the budget and run the same command again: "
            "answers that are already paid are not asked again",
        )

    def _shown(self, unit: str) -> str:
        amount = {
            "calls": f"{self._budget.calls} calls",
            "tokens": f"{self._budget.tokens} tokens",
            "usd": f"{self._budget.usd} USD",
            "minutes": f"{self._budget.minutes} minutes",
        }
        return amount[unit]

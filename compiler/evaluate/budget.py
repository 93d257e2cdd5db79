"""The budget's wall: asked before every attempt, and again as it leaves, so that the next one can never pass it.

An attempt reserves its worst case and settles what it took; one that could pass the wall waits for those
in flight, which may take less than they reserved, and only then gives up. Of several that wait, the one goes first
that belongs to what was begun first: the last of the room completes rows instead of beginning others. What the ledger
answers is free and asks for no room, so running again after the wall goes on where it stopped.

An attempt that failed after it reached the model may be billed like any other: it counts with the usage that
the provider reported, and with its worst case where nobody knows. One that was refused (429, 500, no
connection) counts nothing, unless its error says what it took.

Worst cases: a call is one call; its output tokens are `max_tokens` (where an LM sets none, `FALLBACK_TOKENS`), or the most
that the model has taken for an answer so far, where that is more. Its input tokens are one for each byte until the model has
reported once; then they are estimated, and raised by the largest share by which an estimate has fallen short
of what that model counted (at least `MARGIN`). An answer whose usage nobody reports counts a token for each byte.

A worst case is a guess about a provider who need not keep to it. What one answer took raises what is reserved for all that
are not through, and room that is no longer there is taken back from what has not left yet, last begun first. So the wall is
passed at most by what those already on their way take beyond their worst case; then it is said.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from bisect import insort
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from dspec.runtime.errors import BudgetExceeded, ConfigurationError
from dspec.runtime.models.calls import Purse
from dspec.runtime.models.prices import Price, price
from dspec.runtime.models.protocol import Request
from dspec.runtime.models.transports.answers import estimate_request
from dspec.runtime.schema.usage import Spent, Usage, pico

from .. import ir
from ..diagnostics.wording import metered

_LOG = logging.getLogger("dspec")
FALLBACK_TOKENS = 1024
MARGIN = 1.25
SLACK = 1e-9
"""USD that sums of rounded costs may be off by."""
UNKNOWN = 4.0
"""The margin before a model's first answer: the estimate counts four bytes a token, and no token has less than one."""


class Room(Struct, eq=False):
    """What one attempt has reserved: `worst` for each of its `requests`."""

    wall: Wall
    request: Request
    place: tuple[int, int]
    """When it was begun, among all."""
    worst: Spent
    requests: int
    left: bool = False
    taken_back: bool = False

    def leaves(self) -> bool:
        """Whether the request may be sent now: a call may have waited for its place till the room was needed. Raises
        BudgetExceeded once the minutes are over."""
        self.wall.in_time()
        self.left = not self.taken_back
        return self.left

    def settle(self, requests: int, usage: Usage | None) -> Spent:
        return self.wall.settle(self, requests, usage)


class _Known(Struct):
    """What a model's answers so far tell of its next one."""

    margin: float = UNKNOWN
    outputs: int = 0


class _Excess(NamedTuple):
    """The most by which one answer took more than its worst case."""

    tokens: int
    took: int
    expected: int
    model: str


def _model(request: Request) -> tuple[str, str | None, str | None]:
    """Whose answers are alike: a model where it is served."""
    lm = request.lm
    return (lm.model, lm.api_base, lm.api_base_env)


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
        self._known: dict[tuple[str, str | None, str | None], _Known] = {}
        self._rooms: list[Room] = []
        self._excess = _Excess(0, 0, 0, "")
        self._said = False
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
                        room = Room(self, request, place, worst, requests)
                        self._rooms.append(room)
                        return room
                    if self._reserved.calls == 0 or passed == "minutes":
                        raise self._exceeded(passed)
                self._woken[place] = asyncio.get_running_loop().create_future()
                await self._woken[place]
        finally:
            self._woken.pop(place, None)
            self._waiting.remove(place)
            self._wake()

    def take(self, usd: float | None, model: str) -> None:
        """Takes money for a training at its most, before it begins. Raises BudgetExceeded where that is not there,
        ConfigurationError when the budget is in USD and nobody knows the price."""
        self.in_time()
        if self._budget.usd is None:
            return
        if usd is None:
            raise ConfigurationError(
                f"the budget is in usd, and nobody knows what training {model} costs",
                help="write `train { price = … }` (USD per million tokens trained on) in its lm, or give the budget in calls "
                "or tokens",
            )
        more = Spent(cost=pico(usd))
        if self._over(self._reserved + more) is not None:
            raise BudgetExceeded(
                f"training {model} may cost {usd:.2f} USD, which could pass the budget of {self._shown('usd')}",
                help="raise the budget and run the same command again: answers that are already paid are not asked again",
            )
        self.spent += more

    def give_back(self, usd: float) -> None:
        """Gives back what a training did not need; one that took more than its most takes that, too."""
        if self._budget.usd is not None:
            self.spent += Spent(cost=pico(abs(usd))) * (1 if usd < 0 else -1)
            self._wake()

    def _wake(self) -> None:
        """Has the first of those that wait look again."""
        if self._waiting and (woken := self._woken.get(self._waiting[0])) is not None and not woken.done():
            woken.set_result(None)

    def in_time(self) -> None:
        minutes = self._budget.minutes
        if minutes is not None and self._clock() - self._began > 60 * minutes:
            raise self._exceeded("minutes")

    def settle(self, room: Room, requests: int, usage: Usage | None) -> Spent:
        """The attempt is over: so many requests may be billed, at `usage` each, or at their worst. Returns what each
        counts with."""
        if not room.taken_back:
            self._give_back(room)
        each = Spent()
        if requests:
            each = room.worst if usage is None else self._taken(room, usage)
            self.spent += each * requests
            self._hold()
        self._wake()
        return each

    def _give_back(self, room: Room) -> None:
        self._rooms.remove(room)
        self._reserved += room.worst * -room.requests

    def _hold(self) -> None:
        """Takes back room that is no longer there, and says so where even that is not enough."""
        waiting = sorted((room for room in self._rooms if not room.left), key=lambda room: room.place)
        while waiting and self._over(self._reserved) is not None:
            room = waiting.pop()
            room.taken_back = True
            self._give_back(room)
        if not self._said and (unit := self._over(Spent())) is not None:
            self._said = True
            _LOG.warning("%s", self._told_over(unit))

    def _taken(self, room: Room, usage: Usage) -> Spent:
        """What an attempt took, from which the next ones' worst cases are learned."""
        request = room.request
        if usage.estimated:
            usage = Usage(math.ceil(UNKNOWN * usage.input_tokens), math.ceil(UNKNOWN * usage.output_tokens))
            margin = UNKNOWN
        else:
            margin = max(MARGIN, usage.input_tokens / estimate_request(request))
        worst = room.worst
        more = usage.input_tokens + usage.output_tokens - worst.tokens
        if more > self._excess.tokens:
            self._excess = _Excess(more, worst.tokens + more, worst.tokens, request.lm.model)
        known = self._known.setdefault(_model(request), _Known())
        before = (known.margin, known.outputs)
        first = known.outputs == 0 and known.margin == UNKNOWN
        known.margin = margin if first else max(margin, known.margin)
        known.outputs = max(known.outputs, usage.output_tokens)
        if (known.margin, known.outputs) != before:
            self._reckon(_model(request))
        return self._priced(request, usage)

    def _reckon(self, model: tuple[str, str | None, str | None]) -> None:
        """Reserves anew for what is not through, by what is known by now."""
        for room in self._rooms:
            if _model(room.request) == model:
                worst = self._worst(room.request)
                self._reserved += (worst + room.worst * -1) * room.requests
                room.worst = worst

    def _worst(self, request: Request) -> Spent:
        known = self._known.get(_model(request)) or _Known()
        inputs = math.ceil(known.margin * estimate_request(request))
        outputs = max(request.lm.max_tokens or FALLBACK_TOKENS, known.outputs)
        return self._priced(request, Usage(inputs, 0 if request.kind == "embedding" else outputs))

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
        unit = self._over(self._reserved + more)
        minutes = self._budget.minutes
        if unit is None and minutes is not None and self._clock() - self._began > 60 * minutes:
            return "minutes"
        return unit

    def _over(self, more: Spent) -> str | None:
        """The unit of which there is too little for what is spent and `more`."""
        budget, total = self._budget, self.spent + more
        if budget.calls is not None and total.calls > budget.calls:
            return "calls"
        if budget.tokens is not None and total.tokens > budget.tokens:
            return "tokens"
        # A billionth of a dollar of slack: each cost was rounded.
        if budget.usd is not None and total.cost > pico(budget.usd + SLACK):
            return "usd"
        return None

    def _exceeded(self, unit: str) -> BudgetExceeded:
        over = self._over(Spent())
        return BudgetExceeded(
            self._told_over(over) if over else f"the next call could pass the budget of {self._shown(unit)}",
            help="raise the budget and run the same command again: "
            "answers that are already paid are not asked again",
        )

    def _told_over(self, unit: str) -> str:
        spent = f"{self.spent.usd:.6f} USD" if unit == "usd" else metered(unit, getattr(self.spent, unit))
        _, took, expected, model = self._excess
        why = (
            f": an answer of {model} took {metered('tokens', took)}, where {expected} were the most expected"
        )
        return f"the budget of {self._shown(unit)} is passed, with {spent} spent{why if took else ''}"

    def _shown(self, unit: str) -> str:
        amount = getattr(self._budget, unit)
        return f"{amount} USD" if unit == "usd" else metered(unit, amount)

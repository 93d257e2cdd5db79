"""The budget's wall: asked before every call, so that the next one can never pass it.

A call reserves its worst case and settles what it really took; a call that could pass the wall waits
for those in flight, which may take less than they reserved, and only then gives up. What the ledger
answers is free and counts nothing, so running again after the wall goes on where it stopped.

Worst cases: a call is one call; its output tokens are `max_tokens`, and where an LM sets none the
largest answer so far (at least `FALLBACK_TOKENS`). Its input tokens are estimated from the text and
raised by the largest share by which an estimate has fallen short so far (at least `MARGIN`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from dspec.runtime.engine import Completion
from dspec.runtime.errors import BudgetExceeded, ConfigurationError
from dspec.runtime.prices import price
from dspec.runtime.transports.answers import estimate_tokens
from dspec.runtime.transports.base import Request

from . import ir

FALLBACK_TOKENS = 1024
MARGIN = 1.25


@dataclass(slots=True)
class Amounts:
    """Calls, tokens (in and out), and USD."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def add(self, other: Amounts, sign: int = 1) -> None:
        self.calls += sign * other.calls
        self.tokens += sign * other.tokens
        self.usd += sign * other.usd


class Wall:
    """One compile's budget. `clock` gives seconds; only the minutes' wall reads it."""

    def __init__(self, budget: ir.Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.spent = Amounts()
        self._reserved = Amounts()
        self._budget = budget
        self._clock = clock
        self._began = clock()
        self._largest = FALLBACK_TOKENS
        self._margin = MARGIN
        self._settled = asyncio.Event()

    async def reserve(self, request: Request) -> Amounts:
        """Waits until the call is sure to fit; give what it returns to `settle`, whatever happens.

        Raises BudgetExceeded when it does not fit with nothing else in flight, ConfigurationError when
        the budget is in USD and nobody knows the model's price.
        """
        amounts = self._worst(request)
        while (passed := self._passed(amounts)) is not None:
            if self._reserved.calls == 0 or passed == "minutes":
                raise self._exceeded(passed)
            self._settled.clear()
            await self._settled.wait()
        self._reserved.add(amounts)
        return amounts

    def in_time(self) -> None:
        """Raises BudgetExceeded once the minutes are over: a call may have waited for its place till now."""
        minutes = self._budget.minutes
        if minutes is not None and self._clock() - self._began > 60 * minutes:
            raise self._exceeded("minutes")

    def settle(self, request: Request, reserved: Amounts, completion: Completion | None) -> None:
        """The call is over: with a completion, or without one when it failed."""
        self._reserved.add(reserved, -1)
        if completion is not None and completion.source == "model":
            usage = completion.answer.usage
            self._largest = max(self._largest, usage.output_tokens)
            estimate = estimate_tokens(request.messages)
            self._margin = max(self._margin, usage.input_tokens / estimate)
            tokens = usage.input_tokens + usage.output_tokens
            sent = completion.requests
            self.spent.add(Amounts(sent, sent * tokens, sent * (completion.answer.cost or 0.0)))
        self._settled.set()

    def _worst(self, request: Request) -> Amounts:
        inputs = math.ceil(self._margin * estimate_tokens(request.messages))
        outputs = request.lm.max_tokens or self._largest
        usd = 0.0
        if self._budget.usd is not None:
            each = price(request.lm)
            if each is None:
                raise ConfigurationError(
                    f"the budget is in usd, and no price is known for {request.lm.model}",
                    help=f"write `price {{ input = …; output = … }}` (USD per million tokens) in lm "
                    f"{request.lm.name}, or give the budget in calls or tokens",
                )
            usd = inputs * each.input + outputs * each.output
        requests = 2 if request.lm.hedge else 1
        return Amounts(requests, requests * (inputs + outputs), requests * usd)

    def _passed(self, more: Amounts) -> str | None:
        """The unit whose wall `more` could pass, or None."""
        budget, spent, reserved = self._budget, self.spent, self._reserved
        if budget.calls is not None and spent.calls + reserved.calls + more.calls > budget.calls:
            return "calls"
        if budget.tokens is not None and spent.tokens + reserved.tokens + more.tokens > budget.tokens:
            return "tokens"
        # A billionth of a dollar of slack: sums of floats are not exact.
        if budget.usd is not None and spent.usd + reserved.usd + more.usd > budget.usd + 1e-9:
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

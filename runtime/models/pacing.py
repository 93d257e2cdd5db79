"""Tells a lone refusal from a limit that was reached, and learns how fast an endpoint lets itself be asked.

A 429 by itself says little: some servers throw one in twenty at random, and who slows down for those waits for nothing. A
limit shows in requests that began one after the other: once it is reached, nearly all of them are refused. So requests are
numbered as they begin, and `_CROWD` refusals among `_AMONG` numbers are a limit. (The order in which answers come would
mislead: a refusal takes no time, an answer seconds.) What a limit refused is asked again after a pause, one request alone first.

From then on requests leave at a pace: what the endpoint answered since the limit was last met, over the time that this took,
the pause included. Each further refusal slows the pace a little, every answer that had to wait for it raises it less. Slowing
helps only against a limit, so a pace that has come down to half and is refused all the same was none, and is given up.

Where the provider says in its headers what is left and when it is whole again, nothing is learned the hard way: a request waits
until what is left, and what comes back meanwhile, includes it.
"""

from __future__ import annotations

import math
from bisect import insort

from msgspec import Struct

from ..schema.usage import Usage

_CROWD = 10
_AMONG = 24
_SUSPICIOUS = 6
"""Refusals among as many numbers after which new requests wait for what becomes of those on their way."""
_WARNED = 2
"""The same where a limit was met within `_LONGEST`."""
_SUSPENSE = 1.0
"""Seconds for which they wait at most."""
_AT_LEAST = 0.5
"""Seconds that a request which tries a limit is alone, if no answer comes: else twice what a refusal took."""
_KEPT = 100
_TOLD = 5.0
"""Seconds: who asks for a longer wait counts by the minute, and all of it is there again at once."""
_ENOUGH = 30
"""Answers from which a pace can be told."""
_SLOWER = 0.95
_FASTER = 0.0005
"""Share by which an answer raises the pace; more, the longer nothing was refused."""
_EAGER = 8.0
_EAGER_AFTER = 5.0
"""Seconds without a refusal that make every raise as large again, up to `_EAGER` times."""
_DOUBTFUL = 5
"""Refusals at half of the pace after which it is given up."""
_BUNCH = 0.05
"""Seconds of delay that are made up for at once."""
_LONGEST = 60.0
"""Seconds at most that a request waits for what the headers say: limits by the minute need no more."""


class Quota(Struct, frozen=True):
    """What a provider says is left of a limit, of requests or of tokens."""

    left: float
    seconds: float
    """Until it is whole again."""
    whole: float | None = None


class Quotas(Struct, frozen=True):
    """What came with one answer, where something did."""

    requests: Quota | None = None
    tokens: Quota | None = None


class _Allowance(Struct, frozen=True):
    """`number` requests may have begun by `moment`, and `rate` more with every second; `whole` ends it."""

    number: float
    moment: float
    rate: float
    whole: float

    def due(self, number: int) -> float:
        missing = number - self.number
        if missing <= 0:
            return 0.0
        longest = min(self.whole, self.moment + _LONGEST)
        return min(self.moment + missing / self.rate, longest) if self.rate > 0 else longest


class Pacing:
    """How requests to one endpoint follow each other. `now` is always the loop's time."""

    def __init__(self) -> None:
        self.number = 0
        """Of the request that began last."""
        self.pace: float | None = None
        """Requests a second; None as long as no limit is known."""
        self._refused: list[int] = []
        """The numbers of late that were, in order."""
        self._next_at = 0.0
        self._waited = False
        """Whether the pace held anyone up since it was last raised."""
        self._least = 0.0
        self._doubts = 0
        self._known_to = 0
        """Refusals of requests up to this number belong to a limit that is known to have been met."""
        self._slowed_at = 0
        """Those of requests up to this one have slowed the pace."""
        self._refused_at = 0.0
        self._answered = 0
        self._since: float | None = None
        """When the time that a pace is told from began."""
        self.met = 0
        """How often in a row the limit was met with no answer in between."""
        self._met_at = -math.inf
        self._took = 0.0
        """Seconds in which the refusal came that showed it."""
        self._alone_until = 0.0
        self._holds_until = 0.0
        self._allowances: tuple[_Allowance, ...] = ()
        self._tokens = 0.0

    def due(self, now: float) -> float:
        """When the next request may begin."""
        moment = self._holds_until
        if self.pace is not None:
            moment = max(moment, self._next_at)
            self._waited = self._waited or moment > now
        for allowance in self._allowances:
            moment = max(moment, allowance.due(self.number + 1))
        return moment

    def tried_until(self, now: float) -> float:
        """Until when a request that tries whether a limit still holds is to be alone; 0 where there is none."""
        if not self.met or self._alone_until == math.inf:
            return 0.0
        if now >= self._alone_until:
            self.met = 0  # a refusal would have come by now
            return 0.0
        return self._alone_until

    def begun(self, now: float) -> int:
        """The number of a request that begins now."""
        self.number += 1
        if self.met and self._alone_until == math.inf:
            self._alone_until = now + max(_AT_LEAST, 2 * self._took)
        if self._since is None:
            self._since = now
        if self.pace is not None:
            self._next_at = max(self._next_at, now - _BUNCH) + 1.0 / self.pace
        return self.number

    def answered(self, number: int, now: float) -> None:
        self._answered += 1
        if number > self._known_to:
            self.met = 0
        if self.pace is not None and self._waited:
            self._waited = False
            eager = min(_EAGER, 1.0 + (now - self._refused_at) / _EAGER_AFTER)
            self.pace *= 1.0 + _FASTER * eager

    def refused(self, number: int, began: float, now: float) -> bool:
        """Notes a 429. Whether it shows that a limit was met."""
        if number <= self._known_to:
            return False
        self._refused_at = now
        insort(self._refused, number)
        del self._refused[:-_KEPT]
        # once it was met, the one request that is let through next tells whether it still is
        if self.met or self._crowd(_CROWD, number):
            self._refused.clear()
            self._known_to = self._slowed_at = self.number
            self._met_at = now
            self._took, self._alone_until = now - began, math.inf
            self.met += 1
            return True
        if self._crowd(_SUSPICIOUS if now > self._met_at + _LONGEST else _WARNED, number):
            self._holds_until = now + min(_SUSPENSE, now - began)
        if self.pace is not None and number > self._slowed_at:
            self._slow()
        return False

    def resumes(self, asked: float | None, moment: float) -> None:
        """A limit was met, and requests begin again at `moment`: the pace from then on."""
        if asked is not None and asked > _TOLD:
            self.pace = None
        elif self._since is not None and self._answered >= _ENOUGH:
            self.pace = self._answered / max(moment - self._since, 1e-3)
            self._least = self.pace / 2
            self._doubts = 0
        else:
            return
        self._answered = 0
        self._since = moment

    def told(self, quotas: Quotas, number: int, began: float, usage: Usage) -> None:
        """What the provider says with the answer to a request, which took so many tokens."""
        tokens = usage.input_tokens + usage.output_tokens
        self._tokens = self._tokens + (tokens - self._tokens) / 8 if self._tokens else float(tokens)
        allowances: list[_Allowance] = []
        for quota, each in ((quotas.requests, 1.0), (quotas.tokens, max(1.0, self._tokens))):
            if quota is None or quota.seconds <= 0:
                continue
            gone = 0.0 if quota.whole is None else quota.whole - quota.left
            rate = gone / quota.seconds / each
            allowances.append(
                _Allowance(number + quota.left / each, began, max(0.0, rate), began + quota.seconds)
            )
        self._allowances = tuple(allowances)

    def _crowd(self, size: int, number: int) -> bool:
        """Whether `number` is one of so many refused that began one after the other."""
        ends = zip(self._refused, self._refused[size - 1 :], strict=False)
        return any(first <= number <= last and last - first < _AMONG for first, last in ends)

    def _slow(self) -> None:
        assert self.pace is not None
        self._slowed_at = self.number
        self.pace = max(self._least, self.pace * _SLOWER)
        if self.pace > self._least:
            return
        self._doubts += 1
        if self._doubts >= _DOUBTFUL:
            self.pace = None
            self._doubts = 0

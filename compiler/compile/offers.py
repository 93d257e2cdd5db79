"""What a compile has to offer besides its result: every program that was scored on all rows, with what an answer of it takes.

Of these only some are worth a look: those than which no other is both better and cheaper, the front (Pareto). Where a
block says what to `minimize`, the result is the cheapest one whose score is certain to reach the block's gate. Certain: a program
that misses the gate is taken for one that reaches it in 5 of 100 compiles at most, whichever of all that were tried that might
be (Angelopoulos, Bates, Candès, Jordan and Lei, 2021). Each test is exact for scores of 0 and 1 (Clopper and Pearson, 1934), else
by Hoeffding's bound (1963) in its sharper form; with n programs tried each is made at 5 % / n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from dspec.runtime.artifact.artifact import KeptCandidate, Score, keepable
from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.usage import Spent

from .. import ir
from ..diagnostics.wording import plural
from ..evaluate.digests import asked_digest

LEVEL = 0.05
"""How often a result may miss its gate, at most."""
COUNTED_ON = 1_000
"""Rows at most by which it is told what an answer takes."""
MOST_KEPT = 4_000_000
"""Characters of all candidates in an artifact."""


class PerAnswer(Struct, frozen=True):
    """What one answer takes on the average: `usd` is None where a price is not known."""

    usd: float | None
    tokens: float
    calls: float

    @classmethod
    def of(cls, spent: Spent, runs: int) -> PerAnswer | None:
        """None where no run is known."""
        if not runs:
            return None
        usd = None if spent.unpriced else round(spent.usd / runs, 12)
        return cls(usd, round(spent.tokens / runs, 3), round(spent.calls / runs, 3))

    def amount(self, unit: ir.Minimized) -> float | None:
        return self.usd if unit == "usd" else self.tokens


class ScoredProgram(Struct, frozen=True):
    """A program that was scored on all rows. `step` is "" of the program that the compile started from."""

    step: str
    label: str
    program: Runnable
    scores: tuple[float, ...]
    score: float
    takes: PerAnswer

    @property
    def name(self) -> str:
        """The label, with its step, for people."""
        return f"{self.step}: {self.label}" if self.step and self.step != self.label else self.label


class Chosen(Struct, frozen=True):
    """The cheapest offer that is certain to reach `gate`, of as many as were `tried`; None where none is."""

    unit: ir.Minimized
    gate: float
    tried: int
    offer: ScoredProgram | None
    nearest: ScoredProgram | None
    """The one of which it is surest; None where nothing was scored."""

    def said(self) -> str:
        """What was chosen, as a note, or what there was instead, as an error's message."""
        if self.offer is not None:
            amount = _amount(self.offer.takes, self.unit)
            return (
                f"`{self.offer.label}` is the cheapest of {plural(self.tried, 'program')} that is certain to score "
                f"{100 * self.gate:g} or more: {100 * self.offer.score:.1f} on these rows, {amount} an answer"
            )
        reached = f"no program is certain to score {100 * self.gate:g} or more"
        if self.nearest is None:
            return f"{reached}: none was scored on all rows"
        rows = len(self.nearest.scores)
        return (
            f"{reached}: `{self.nearest.label}`, the best of {plural(self.tried, 'program')}, scored "
            f"{100 * self.nearest.score:.1f} on {plural(rows, 'row')} of val, of which "
            f"{100 * least_certain(self.nearest.scores, LEVEL / self.tried):.1f} are certain"
        )

    @property
    def help(self) -> str:
        """What to do where there is none."""
        if self.nearest is None or self.nearest.score < self.gate:
            return "take a step that searches further, a stronger model, or a lower gate"
        return "more rows of val make it more certain; so does a lower gate"


def _amount(takes: PerAnswer, unit: ir.Minimized) -> str:
    if unit == "usd":
        return "of unknown price" if takes.usd is None else f"${takes.usd:.6f}"
    return f"{takes.tokens:,.0f} tokens"


def front(offers: Sequence[ScoredProgram], unit: ir.Minimized) -> list[ScoredProgram]:
    """Those that no other beats: cheapest first, each better than all that are cheaper."""
    priced = [(amount, one) for one in offers if (amount := one.takes.amount(unit)) is not None]
    found: list[ScoredProgram] = []
    for _, one in sorted(priced, key=lambda pair: (pair[0], -pair[1].score)):
        if not found or one.score > found[-1].score:
            found.append(one)
    return found


def unit_of(offers: Iterable[ScoredProgram]) -> ir.Minimized:
    """Money, where all prices are known; else tokens."""
    return "tokens" if any(one.takes.usd is None for one in offers) else "usd"


def choose(offers: Sequence[ScoredProgram], unit: ir.Minimized, gate: float, tried: int) -> Chosen:
    """The cheapest offer that is certain to reach `gate`; of equally cheap ones the better, then the first."""
    tried = max(1, tried, len(offers))
    sure = [
        (amount, -one.score, place)
        for place, one in enumerate(offers)
        if (amount := one.takes.amount(unit)) is not None and reaches(one.scores, gate, LEVEL / tried)
    ]
    nearest = max(offers, key=lambda one: one.score, default=None)
    return Chosen(unit, gate, tried, offers[min(sure)[2]] if sure else None, nearest)


def reaches(scores: Sequence[float], gate: float, level: float) -> bool:
    """Whether it is certain that the mean of all rows there could be is `gate` or more, by these: where it is less, this says
    so with a chance of `level` at most."""
    return _chance(math.fsum(scores), len(scores), gate, binary=set(scores) <= {0.0, 1.0}) <= level


def least_certain(scores: Sequence[float], level: float) -> float:
    """The largest gate that the scores are certain to reach."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if reaches(scores, middle, level) else (low, middle)
    return low


def _chance(total: float, rows: int, gate: float, *, binary: bool) -> float:
    """How likely it is, at most, that rows with a mean of `gate` sum up to `total` or more."""
    if gate <= 0.0:
        return 0.0
    mean = total / rows if rows else 0.0
    if mean <= gate or gate >= 1.0:
        # A mean of 1 is never certain from some rows.
        return 1.0
    if not binary:
        apart = mean * math.log(mean / gate)
        if mean < 1.0:
            apart += (1 - mean) * math.log((1 - mean) / (1 - gate))
        return math.exp(-rows * apart)
    odds = math.log(gate), math.log1p(-gate)
    right = round(total)
    return math.fsum(
        math.exp(
            math.lgamma(rows + 1)
            - math.lgamma(k + 1)
            - math.lgamma(rows - k + 1)
            + k * odds[0]
            + (rows - k) * odds[1]
        )
        for k in range(right, rows + 1)
    )


def worth_keeping(
    offers: Sequence[ScoredProgram], unit: ir.Minimized, most: int, score: Callable[[Sequence[float]], Score]
) -> tuple[KeptCandidate, ...]:
    """The front as an artifact keeps it, `most` of it and `MOST_KEPT` characters: the best first, since what is dearer is there
    for being better. Programs with files beside them, indexes, media or weights, are left out."""
    found: list[KeptCandidate] = []
    room = MOST_KEPT
    for one in reversed(front([one for one in offers if keepable(one.program)], unit)):
        candidate = KeptCandidate(
            label=one.label,
            step=one.step,
            score=score(one.scores),
            usd=one.takes.usd,
            tokens=one.takes.tokens,
            calls=one.takes.calls,
            program=one.program,
        )
        room -= len(candidate.model_dump_json(exclude_defaults=True))
        if room < 0 or len(found) == most:
            break
        found.append(candidate)
    return tuple(found)


def distinct(offers: Iterable[ScoredProgram]) -> list[ScoredProgram]:
    """Each program once, where it was first offered."""
    found: dict[tuple[str, ...], ScoredProgram] = {}
    for one in offers:
        found.setdefault(tuple(asked_digest(each) for each in programs(one.program)), one)
    return list(found.values())

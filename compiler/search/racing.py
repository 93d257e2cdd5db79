"""Racing: all arms on a few rows, the better ones on more, the last one on all.

Four rules end an arm. The quota of each round keeps the cost within a bound that is known beforehand
(sequential halving: Karnin, Koren and Somekh, 2013). An arm that is worse than another, on the same
rows and with stated confidence, goes at once (racing: Maron and Moore, 1994), which saves what the quota
would still have spent. Where a search asks for it, so does one that is further behind the best than rows vary: it is
seldom the best in the end. And so does one that could do no better than the best that is known with a 1 on every row
that it lacks. The incumbent, known on all rows, is raced against but costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, zip_longest

from msgspec import Struct
from msgspec.structs import replace

from ..evaluate.resampling import Swaps
from ..evaluate.shares import shares_of
from ..evaluate.tasks import Halt
from .board import Arm, Board
from .source import ArmSource

HALFWAY = 15
"""Rows from which an arm's own score counts for more than what is predicted of it."""
ROUNDING = 1e-9
"""By so much two ways to add up the same numbers may differ."""
LEAST_VARIANCE = 0.02
"""Of an arm's differences from the incumbent, row by row: on few rows they may be alike by luck."""
MAX_EXACT = 1000
"""Up to so many rows on which two arms differ, the test of their difference is exact."""
KEEPS = (0.5, 1 / 3)
"""Shares of the arms that a round may keep, the gentlest first."""
LEAST_LOOK = 3
"""Rows that a first round should have. A race that would have fewer gives way to one that drops more arms a round,
which can afford more rows in its first."""


class Round(Struct, frozen=True):
    """Up to `arms` arms, scored until each has seen `rows` rows."""

    arms: int
    rows: int


class Racing(Struct, frozen=True):
    """`first` rows to begin with, twice as many each round, for a `keep` share of the arms.

    Rounds before the last look at no more than `limit` rows. `wave` arms are proposed at a time, the
    next ones knowing how those did on the first rows; 0: all at once.
    """

    first: int
    keep: float = 0.5
    confidence: float = 0.95
    """How sure it is that no arm as good as the best is dropped for being worse. Quotas may drop it all the same."""
    limit: int | None = None
    wave: int = 0
    finalists: int = 1
    """Arms that end complete, whether or not they are worse than the best."""
    keeps: tuple[float, ...] = KEEPS
    """What `keep` was chosen from."""
    behind: float = math.inf
    """Standard errors of what rows tell by which an arm may be behind the best one and go on."""

    @classmethod
    def within(
        cls,
        budget: float,
        trials: int,
        rows: int,
        *,
        limit: int | None = None,
        wave: int = 0,
        finalists: int = 1,
        keeps: tuple[float, ...] = KEEPS,
    ) -> Racing:
        """The race that looks at most in its first round, of those that score at most `budget` rows.

        Where that is enough for every arm on every row, there is one round and nothing to race. A
        budget too small for any race gives the smallest. Finalists beyond the first come on top of it.
        """
        budget += (min(finalists, max(1, trials)) - 1) * rows

        def affordable(keep: float) -> Racing:
            race = cls(1, keep, limit=limit, wave=wave, finalists=finalists, keeps=keeps)
            enough, beyond = 1, min(rows, limit or rows) + 1
            while beyond - enough > 1:
                middle = (enough + beyond) // 2
                if replace(race, first=middle).most(trials, rows) <= budget:
                    enough = middle
                else:
                    beyond = middle
            return replace(race, first=enough)

        races = [affordable(keep) for keep in keeps]
        # `max` takes the gentlest of those that look at as many rows.
        return next((race for race in races if race.first >= LEAST_LOOK), max(races, key=lambda r: r.first))

    def fewer(self, planned: int, trials: int, rows: int) -> Racing:
        """The race for `trials` arms, where `planned` were reckoned with: what those would have cost is spent on
        a closer look at these."""
        if trials >= planned:
            return self
        spare = self.most(planned, rows) - (min(self.finalists, max(1, planned)) - 1) * rows
        closer = Racing.within(
            spare,
            trials,
            rows,
            limit=self.limit,
            wave=self.wave,
            finalists=self.finalists,
            keeps=self.keeps,
        )
        return replace(closer, behind=self.behind) if closer.first > self.first else self

    def rounds(self, trials: int, rows: int) -> tuple[Round, ...]:
        """The rounds of a race of `trials` arms over `rows` rows; the last has the finalists and all rows."""
        limit = min(rows, self.limit or rows)
        rounds: list[Round] = []
        seen, arms = min(self.first, limit), trials
        while arms > self.finalists:
            rounds.append(Round(arms, seen))
            if seen == limit:
                break
            seen = min(limit, 2 * seen)
            arms = max(self.finalists, math.ceil(arms * self.keep))
        last = Round(min(self.finalists, trials), rows)
        return (*rounds, last) if not rounds or rounds[-1].rows < rows else tuple(rounds)

    def most(self, trials: int, rows: int) -> int:
        rounds = (Round(0, 0), *self.rounds(trials, rows))
        return sum(now.arms * (now.rows - before.rows) for before, now in pairwise(rounds))

    async def run(self, board: Board, source: ArmSource, trials: int) -> Halt | None:
        first = self.rounds(trials, board.rows)[0]
        left = trials
        arms: list[Arm] = []

        def later() -> list[Round]:
            # A source that ran out leaves a smaller race.
            return [one for one in self.rounds(len(arms), board.rows) if one.rows > first.rows]

        while left > 0 and (asked := await source.ask(min(left, self.wave or left))):
            left -= len(asked)
            arms += asked
            told = None
            if not self.wave and (rest := later()):
                told = self._looking_ahead(board, source, arms, first.rows, rest[0], len(arms) * len(rest))
            halt = await board.extend(asked, first.rows, told=told)
            if halt is not None:
                return halt
            for arm in asked:
                source.tell(arm, board.estimate(arm), first.rows)
            if board.settled:
                return None
        seen, rest = first.rows, later()
        comparisons = max(1, len(arms) * len(rest))
        for following, after in zip_longest(rest, rest[1:]):
            arms = self._going_on(board, source, arms, seen, following.arms, comparisons)
            seen, told = following.rows, None
            if after is not None:
                told = self._looking_ahead(board, source, arms, seen, after, comparisons)
            halt = await board.extend(arms, seen, told=told)
            if halt is not None:
                return halt
            for arm in arms:
                source.tell(arm, board.estimate(arm), seen)
        return None

    def _looking_ahead(
        self, board: Board, source: ArmSource, arms: list[Arm], rows: int, following: Round, comparisons: int
    ) -> Callable[[], None] | None:
        """Starts the next round for the arms that are certain to be in it, while the last scores of this one are missing."""
        if self.finalists > 1 or source.learns:
            return None

        def told() -> None:
            for arm in self.certain(board, arms, rows, following.arms, comparisons):
                board.begin(arm, following.rows)

        return told

    def certain(
        self, board: Board, arms: Sequence[Arm], rows: int, quota: int, comparisons: int
    ) -> list[Arm]:
        """The arms that will be in the next round whatever the missing scores turn out to be.

        An arm is among them if it has been scored on all `rows` rows and passes all of the round's rules in the
        worst case, in which every other arm scores 1 on the rows it still lacks: it is within the quota, not too far
        behind, and not worse than any arm that could lead.

        A score of 1 is the worst case only while all known scores are 0 or 1: next to a fraction, a 1 makes the
        differences unequal, and `worse` then needs more of them. So with graded scores no arm is certain.
        """
        through = [place for place, arm in enumerate(arms) if board.seen(arm) >= rows]
        if not through or len(through) == len(arms):
            return []
        incumbent = list(board.scores(board.incumbent)[:rows])
        if shares_of(incumbent):
            return []  # what a missing row does to an aggregate depends on all others
        spans = [board.span(arm, rows) for arm in arms]
        if any(score not in (0.0, 1.0) for low, _ in [*spans, (incumbent, incumbent)] for score in low):
            return []
        best = [
            board.estimate(arm) if board.seen(arm) >= rows else board.projected(_mean(high), rows)
            for arm, (_, high) in zip(arms, spans, strict=True)
        ]
        lead = max(_mean(incumbent), *(_mean(low) for low, _ in spans))
        rivals = [one for one in (incumbent, *(high for _, high in spans)) if _mean(one) >= lead]
        level = self._level(comparisons)
        least = self._least(max(best), spans, incumbent) + ROUNDING
        found: list[Arm] = []
        for place in through:
            before = sum(
                other > best[place] or (other == best[place] and at < place) for at, other in enumerate(best)
            )
            own = spans[place][0]
            beaten = any(worse(own, rival, level) for rival in rivals)
            if before < quota and best[place] >= least and not beaten and board.may_win(arms[place]):
                found.append(arms[place])
        return found

    def _least(
        self,
        best: float,
        spans: Iterable[tuple[Sequence[float], Sequence[float]]],
        incumbent: Sequence[float],
    ) -> float:
        """What an arm must promise to go on, beside one that promises the most."""
        return -math.inf if self.behind == math.inf else best - self.behind * standard_error(spans, incumbent)

    def _level(self, comparisons: int) -> float:
        return 1 - (1 - self.confidence) / comparisons

    def _going_on(
        self, board: Board, source: ArmSource, arms: Sequence[Arm], rows: int, quota: int, comparisons: int
    ) -> list[Arm]:
        """The arms of the next round, best first; ties keep the order in which they were proposed.

        On few rows an arm's estimate rests as much on what the source makes of the others as on its own score.
        """

        def promise(arm: Arm) -> float:
            own, predicted = board.estimate(arm), source.predict(arm)
            return own if predicted is None else (rows * own + HALFWAY * predicted) / (rows + HALFWAY)

        ranked = sorted(arms, key=lambda arm: -promise(arm))
        leader = max([board.incumbent, *ranked], key=lambda arm: board.mean(arm, rows))
        level = self._level(comparisons)
        best, start = board.scores(leader)[:rows], board.scores(board.incumbent)
        sure = [
            arm
            for arm in ranked[:quota]
            if board.may_win(arm) and not worse(board.scores(arm)[:rows], best, level, board.weights(rows))
        ]
        if sure:
            seen = [board.scores(arm)[:rows] for arm in ranked]
            least = self._least(promise(sure[0]), zip(seen, seen, strict=True), start[:rows])
            sure = [arm for place, arm in enumerate(sure) if place < self.finalists or promise(arm) >= least]
        # One finalist is no more than a promise: where even it is worse than the incumbent, nobody wins.
        return sure if self.finalists == 1 or len(sure) >= self.finalists else ranked[: self.finalists]


def _mean(scores: Sequence[float]) -> float:
    return math.fsum(scores) / len(scores)


def standard_error(
    spans: Iterable[tuple[Sequence[float], Sequence[float]]], incumbent: Sequence[float]
) -> float:
    """Of how arms differ from the incumbent, by how much more they do on one row than on another. `spans` holds the least and the
    most that each arm may score on the incumbent's rows; rows on which these differ are out, and can but make it more. Infinite
    where rows are too few to tell, and of aggregates, which are no means."""
    squares, arms, rows = 0.0, 0, len(incumbent)
    if rows < LEAST_LOOK or shares_of(incumbent):
        return math.inf
    for low, high in spans:
        arms += 1
        known = [own - start for own, most, start in zip(low, high, incumbent, strict=True) if own == most]
        mean = _mean(known) if known else 0.0
        squares += math.fsum((one - mean) ** 2 for one in known)
    variance = squares / (max(1, arms) * (rows - 1))
    return math.sqrt(max(variance, LEAST_VARIANCE) / rows)


def worse(
    scores: Sequence[float], best: Sequence[float], level: float, weights: Sequence[float] | None = None
) -> bool:
    """Whether `scores` are below `best`, row by row on the same rows, at one-sided confidence `level`.

    Fisher's randomization test of matched pairs: were both equally good, each difference might as well
    have the other sign. Exact where all differences are equally large (the sign test), else by
    Hoeffding's bound on the sum, which is on the safe side. Of aggregates, whose rows count as much as their `weights`, rows are
    swapped by draws.
    """
    if (own := shares_of(scores)) and (others := shares_of(best)):
        swaps = Swaps(own, others, weights)
        return swaps.seen > 0 and swaps.chance(sides=1, level=1 - level) < 1 - level
    differences = [b - a for a, b in zip(scores, best, strict=True) if a != b]
    lead = math.fsum(differences)
    if lead <= 0:
        return False
    sizes = {abs(difference) for difference in differences}
    n = len(differences)
    if len(sizes) == 1 and n <= MAX_EXACT:
        behind = sum(difference > 0 for difference in differences)
        chance = sum(math.comb(n, k) for k in range(behind, n + 1)) / 2**n
    else:
        chance = math.exp(-lead * lead / (2 * math.fsum(d * d for d in differences)))
    return chance < 1 - level

"""The last word of a compile: is the result better than what it started from, or was it lucky?

The best of many programs looks better than it is: of equal ones, the luckiest wins (the winner's curse). So
the result is compared with the start on all rows of val, row by row, and its gain with the gain that the best of
as many equal programs would show by luck (`statistics.luck`). Where it is no larger, the difference may be noise, and is called
that. What is left of a gain without its luck is what making the choice again on rows drawn anew tells (`winners`, `reselection`).

Then the start is kept, which is simpler, and shorter to ask; but not where the rows are so few that luck may bring more than most
searches gain, since noise says little against a result. Where one program was made and nothing chosen, there is no luck to
discount, and any gain will do.

A step with `compat = "dspy"` promises DSPy's choice: there the verdict is told and nothing is kept back.
Deciding never costs a call.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ..diagnostics.wording import plural
from ..evaluate.outcomes import Seen, rows_seen
from ..evaluate.sequential import interval
from ..evaluate.shares import overall
from ..evaluate.statistics import Paired, Z, luck, paired
from ..evaluate.winners import Worth, worth_of_winner

EXPECTED, VARIANCE = 0.1, 0.01
"""What a search gains before any row is seen: a tenth, give or take a tenth."""
SIMPLER = 0.02
"""By how much a result must be expected to be better than the start, which is simpler, and shorter to ask."""


class LastWord(Struct, frozen=True):
    """The result against the start on the rows of val: how they compare, what luck alone would bring, and what is left.

    `tried` counts the programs that the result was chosen from; `chance` is what the best of as many equal ones shows, 0 where
    nothing was gained. `worth` is what the result's number and its gain are without their luck, by how these programs differ.
    All are in the scores' unit, 0..1.
    """

    comparison: Paired
    tried: int
    chance: float
    worth: Worth
    interval: tuple[float, float]
    """What the result gains without luck, with 95 % certainty, however often one has looked: of rows that score by themselves."""
    fresh: int = 0
    """Rows among those compared on which no step has chosen."""

    @property
    def decided(self) -> bool:
        """Whether it is certain which one is better."""
        return self.interval[0] > 0.0 or self.interval[1] < 0.0

    @property
    def real(self) -> bool:
        """Whether the gain is more than luck."""
        return self.comparison.difference > self.most_luck

    @property
    def expected(self) -> float:
        """What is to be expected of the result: the mean of a normal gain, given what the rows show beyond luck."""
        pair = self.comparison
        noise = ((pair.high - pair.low) / (2 * Z)) ** 2
        return ((pair.difference - self.most_luck) * VARIANCE + EXPECTED * noise) / (VARIANCE + noise)

    @property
    def likely(self) -> bool:
        """Whether the result is to be taken: its gain is more than luck, or it may be none but so few rows say little against
        what a search usually gains. One that shows none is not."""
        return self.real or (self.comparison.difference > 0.0 and self.expected > SIMPLER)

    @property
    def most_luck(self) -> float:
        """What luck may bring: as much as the best of equal programs shows, or as is luck in this one."""
        return max(self.chance, self.worth.luck)

    def within_luck(self, gain: str) -> str:
        """What is told of a gain that is not real, in words that say how large it is; of none there is no more to say."""
        if self.comparison.difference <= 0:
            return gain
        by_luck = (
            f"{100 * self.worth.luck:.1f}, what luck brought the best of {plural(self.tried, 'program')}"
        )
        if self.comparison.difference <= self.chance:
            by_luck = f"{100 * self.chance:.1f}, what the best of {self.tried} equal programs shows by luck"
        return f"{gain} is no more than {by_luck}"

    @property
    def sure(self) -> bool:
        """Whether the gain is real, and what is left of it has a 95 % interval above 0."""
        return self.real and self.comparison.low - self.comparison.difference + self.worth.gained > 0.0

    def notes(self, *, kept: bool) -> tuple[str, ...]:
        """What a reader of the score must know; nothing where the result is sure and was not chosen.

        `kept` says that the start was kept because of it.
        """
        pair = self.comparison
        flips = f"{plural(pair.better, 'row')} better, {pair.worse} worse"
        if not self.real:
            gain = self.within_luck(
                f"{100 * pair.difference:+.1f} ({flips})" if pair.difference > 0 else flips
            )
            if kept:
                return (f"no real improvement: {gain}; the program it started from is kept",)
            if self.likely:
                why = f"{100 * self.expected:+.1f} is still to be expected, as so few rows say little against what searches gain"
                return (f"no sure improvement: {gain}; the result is kept, since {why}",)
            return (f"no real improvement: {gain}; the result may as well be lucky",)
        notes: tuple[str, ...] = ()
        if not self.sure:
            notes = (f"no sure improvement on the rows it was chosen on: {flips}",)
        if self.lucky:
            notes += (
                f"winner's curse: the best of {self.tried} looks better than it is, here by about {100 * self.worth.luck:.1f}; "
                f"{100 * self.worth.gained:+.1f} of the gain of {100 * pair.difference:+.1f} is left, and an eval on other rows "
                "tells for sure",
            )
        return notes

    def looked(self, val: int) -> str:
        """On how many of the rows of val the two were compared, and what that tells."""
        pair, (low, high) = self.comparison, self.interval
        rows = f"compared on {pair.better + pair.worse + pair.same:,} of {plural(val, 'row')} of val"
        if self.fresh:
            rows += f", {self.fresh:,} of which no step had seen"
        span = f"between {100 * low:+.1f} and {100 * high:+.1f}"
        if self.decided:
            return f"{rows}: enough to be certain that what the steps made is {'better' if low > 0 else 'worse'}, {span}"
        return f'{rows}: the gain is {span}, and which one is better is not certain; `scoring = "all"` looks at all rows'

    @property
    def said(self) -> str:
        """Gain and luck in a clause."""
        gain = f"{100 * self.comparison.difference:+.1f} over what it was given"
        if not self.real:
            return self.within_luck(gain)
        return f"{gain}, {100 * self.worth.gained:+.1f} without luck" if self.lucky else gain

    @property
    def lucky(self) -> bool:
        """Whether a number with one digit tells of luck."""
        return self.worth.luck >= 0.0005


def last_word(
    before: Sequence[float],
    after: Sequence[float],
    chosen: Sequence[Sequence[Seen]],
    further: tuple[Sequence[float], Sequence[float]] = ((), ()),
    measured: Sequence[float | None] = (),
) -> LastWord:
    """Compare the result's scores with the start's on the same rows; `chosen` are those that each step chose from, in the
    steps' order (`ranking.chosen_from`).

    `further` are both programs' scores on rows that no choice was made on. There is no luck in them, so all of it counts the
    less the more of them there are. `measured` is, for each of `chosen`, its winner's luck where the step knows it.
    """
    looks = [rows_seen(scores) for rivals in chosen for scores in rivals]
    comparison = paired([*before, *further[0]], [*after, *further[1]])
    place = next((place for place in reversed(range(len(chosen))) if tuple(after) in chosen[place]), None)
    chance = luck(before, after, looks) if overall(after) > overall(before) else 0.0
    worth = worth_of_winner(
        before,
        after,
        () if place is None else chosen[place],
        chosen[:place] if place else (),
        least=chance if comparison.difference > chance else 0.0,
        measured=measured[place] if measured and place is not None else None,
    )
    share = len(before) / (len(before) + len(further[0]))
    return LastWord(
        comparison,
        tried=max(1, len(looks)),
        chance=share * chance,
        worth=worth if share == 1 else Worth(share * worth.luck, comparison.difference - share * worth.luck),
        interval=gain(before, after, chance, further),
        fresh=len(further[0]),
    )


def gain(
    before: Sequence[float],
    after: Sequence[float],
    chance: float,
    further: tuple[Sequence[float], Sequence[float]],
) -> tuple[float, float]:
    """The interval of what the result gains, which holds however often it is asked for (`sequential`). On the rows that it was
    chosen on it shows too much, by `chance`."""
    chosen = (max(-1.0, b - a - chance) for a, b in zip(before, after, strict=True))
    return interval([*chosen, *(b - a for a, b in zip(*further, strict=True))])

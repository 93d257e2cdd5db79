"""The last word of a compile: is the result better than what it started from, or was it lucky?

The best of many programs looks better than it is: of equal ones, the luckiest wins (the winner's curse). So
the result is compared with the start on all rows of val, row by row, and its gain with the gain that the best of
as many equal programs would show by luck (`statistics.luck`). Where it is no larger, the difference is noise:
the program that the compile started from is kept, which is simpler, and shorter to ask. Where one program was
made and nothing chosen, there is no luck to discount, and any gain will do.

A step with `compat = "dspy"` promises DSPy's choice: there the verdict is told and nothing is kept back.
Deciding never costs a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from ..evaluate.statistics import Paired, luck, paired
from ..optimizers.base import StepResult


class LastWord(Struct, frozen=True):
    """The result against the start on the rows of val: how they compare, and what luck alone would bring.

    `tried` counts the programs that the result was chosen from; `luck` is in the scores' unit, 0..1, and 0 where nothing
    was gained that might be luck.
    """

    comparison: Paired
    tried: int
    luck: float

    @property
    def real(self) -> bool:
        """Whether the gain is more than luck."""
        return self.comparison.difference > self.luck

    @property
    def sure(self) -> bool:
        """Whether the gain is real, and its 95 % interval is above 0."""
        return self.real and self.comparison.low > 0.0

    def notes(self, *, kept: bool) -> tuple[str, ...]:
        """What a reader of the score must know; nothing where the result is sure and was not chosen.

        `kept` says that the start was kept because of it.
        """
        pair = self.comparison
        flips = f"{pair.better} rows better, {pair.worse} worse"
        if not self.real:
            end = "the program it started from is kept" if kept else "the result may as well be lucky"
            if pair.difference <= 0:
                return (f"no real improvement: {flips}; {end}",)
            return (
                f"no real improvement: {100 * pair.difference:+.1f} ({flips}) is no more than "
                f"{100 * self.luck:.1f}, {self._chance()}; {end}",
            )
        notes: tuple[str, ...] = ()
        if not self.sure:
            notes = (f"no sure improvement on the rows it was chosen on: {flips}",)
        if self.luck > 0:
            notes += (
                f"winner's curse: of the gain of {100 * pair.difference:+.1f}, about {100 * self.luck:.1f} is {self._chance()}; "
                "an eval on other rows tells what is left",
            )
        return notes

    def _chance(self) -> str:
        return f"what the best of {self.tried} equal programs shows by luck"


def last_word(before: Sequence[float], after: Sequence[float], results: Iterable[StepResult]) -> LastWord:
    """Compare the result's scores with the start's on the same rows; `results` are those of all steps."""
    looks = [rows for result in results for rows in _looks(result, len(before))]
    comparison = paired(before, after)
    lucky = luck(before, after, looks) if comparison.difference > 0 else 0.0
    return LastWord(comparison, max(1, len(looks)), lucky)


def _looks(result: StepResult, rows: int) -> Sequence[int]:
    """On how many rows each program was scored that a step chose from, what it started from not among them."""
    return result.looks or [rows] * (len(result.candidates) - 1)

"""How good programs are that were made from each other, by everything that was seen of any of them.

A program is seen on few rows, some of them harder than others, and most programs differ little from what they were made of. So a
score is taken as a sum: a mean, how easy the row is, and how good the program is, which is close to how good its parent is and
its children are (a random-effects model, as of Henderson, 1975; solved by Gauss and Seidel's method). Few rows then move a
program little from its parent, rows that were hard for all count against none, and what is known of children tells of the
parent.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping

KIN = 20.0
"""Rows on which a program must have been seen before it counts for more than its parent does. Answers vary by 0.2 or so (a
variance), what a program is made of and it differ by a tenth or so: 0.2 / 0.1²."""
KIN_OF_PIECES = 120.0
"""The same where the pieces say what a program and its parent differ by."""
PIECE = 20.0
"""Rows on which a piece must have been seen before its effect is believed by half: 0.2 / 0.1² again."""
ROOT = 0.2
"""How much the mean counts for the first program, beside a parent for the others."""
EASE = 3.0
"""Scores on a row before its ease is believed by half and more."""
SWEEPS = 8


class Kinship:
    """Programs by their number: 0 is the one that all others come from, which holds `pieces`. What it says depends on what it
    was told, and on the order of that by rounding alone."""

    def __init__(self, pieces: Iterable[str] | None = None) -> None:
        self._kin = KIN if pieces is None else KIN_OF_PIECES
        self._pieces = [tuple(pieces or ())]
        self._effects: dict[str, float] = {}
        self._parents = [0]
        self._rows: dict[Hashable, int] = {}
        self._seen: list[tuple[int, int, float]] = []
        self._means: list[float] | None = None

    def born(self, parent: int, pieces: Iterable[str] = ()) -> int:
        """The number of a program that was made from another one, and holds these pieces."""
        self._parents.append(parent)
        self._pieces.append(tuple(pieces))
        self._means = None
        return len(self._parents) - 1

    def told(self, program: int, row: Hashable, score: float) -> None:
        """A score in 0..1; a program may be seen on a row any number of times."""
        self._seen.append((program, self._rows.setdefault(row, len(self._rows)), float(score)))
        self._means = None

    def means(self) -> list[float]:
        """What every program would score on average rows, by its number; not held within 0..1. Before anything was told: 0."""
        if self._means is None:
            self._means = self._fitted()
        return self._means

    def effects(self) -> Mapping[str, float]:
        """What each piece adds to a score, by its name."""
        self.means()
        return self._effects

    def _fitted(self) -> list[float]:
        count = len(self._parents)
        mean = math.fsum(score for _, _, score in self._seen) / max(1, len(self._seen))
        children: list[list[int]] = [[] for _ in range(count)]
        for program, parent in enumerate(self._parents[1:], 1):
            children[parent].append(program)
        holders: dict[str, list[int]] = {}
        for program, pieces in enumerate(self._pieces):
            for piece in pieces:
                holders.setdefault(piece, []).append(program)
        often, shown = [0] * count, [0] * len(self._rows)
        for program, row, _ in self._seen:
            often[program] += 1
            shown[row] += 1
        effects = dict.fromkeys(holders, 0.0)
        # How good a program is: what its pieces add, and what is its own.
        own, added, ease = [0.0] * count, [0.0] * count, [0.0] * len(self._rows)
        for _ in range(SWEEPS):
            sums = [0.0] * count
            for program, row, score in self._seen:
                sums[program] += score - mean - ease[row]
            for program, parent in enumerate(self._parents):
                kin = math.fsum(own[child] for child in children[program]) + (own[parent] if program else 0.0)
                weight = len(children[program]) + (1.0 if program else ROOT)
                left = sums[program] - often[program] * added[program]
                own[program] = (left + self._kin * kin) / (often[program] + self._kin * weight)
            for piece, programs in holders.items():
                before = effects[piece]
                left = math.fsum(
                    sums[program] - often[program] * (own[program] + added[program] - before)
                    for program in programs
                )
                effects[piece] = left / (sum(often[program] for program in programs) + PIECE)
                for program in programs:
                    added[program] += effects[piece] - before
            sums = [0.0] * len(self._rows)
            for program, row, score in self._seen:
                sums[row] += score - mean - own[program] - added[program]
            ease = [total / (seen + EASE) for total, seen in zip(sums, shown, strict=True)]
        self._effects = effects
        return [mean + alone + together for alone, together in zip(own, added, strict=True)]

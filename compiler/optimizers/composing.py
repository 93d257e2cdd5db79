"""Composes demo sets from what a race has shown: a demo is worth as much as the sets that hold it.

A race scores every set on some rows. Sets share demos, so the scores also tell something of each demo, and more
than any one set makes use of. A set's score is modelled as a sum of its demos' effects. The more seldom a demo
was seen, the more its effect is shrunk towards zero (ridge regression, weighted by rows). The demos that look best
make sets of their own. These are candidates like any other: only scores on val say whether they are better.

Sources: Ilyas et al., 2022 (arXiv:2202.00622), and for demos Chang and Jia, 2023 (arXiv:2212.10378).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.schema.program import Demo, Program, canonical

from ..search import Arm, Board
from .frozen import tunable

PRIOR_ROWS = 320
"""Rows that a demo must have been seen on before its effect is believed by half: it is one of many in a set."""
SWEEPS = 12

Place = tuple[str, str]
"""A predictor's address and a demo's inputs, so that a row's label and a teacher's answer to it count as one."""


class _Set(Struct, frozen=True):
    """A program's demos by address, how it scored, and on how many rows."""

    program: Program
    demos: Mapping[str, tuple[Demo, ...]]
    score: float
    rows: int

    def places(self) -> dict[Place, None]:
        """The demos' places, each once, in the prompt's order."""
        return {_place(address, demo): None for address, demos in self.demos.items() for demo in demos}


def compose(student: Program, board: Board, arms: Sequence[Arm]) -> list[Arm]:
    """Up to two arms: the demos that look best, as many of each sort as the best arm shows, and their better half.

    Fewer and better demos may do more than many, and cost less to show, so both are worth a look. Only those of `arms`
    count that show demos and were scored. Where they ask several models, the best one's are asked, and what is due to a model
    is no merit of the demos. A program that the board knows already is left out.
    """
    sets: list[_Set] = []
    for arm in arms:
        demos = {address: predictor.demos for address, predictor in tunable(arm.program).items()}
        if any(demos.values()) and (rows := board.seen(arm)):
            sets.append(_Set(arm.program, demos, board.estimate(arm), rows))
    if not sets:
        return []
    best = max(sets, key=lambda one: (one.rows, one.score))
    groups: dict[tuple[str, ...], list[_Set]] = {}
    for one in sets:
        groups.setdefault(_models(one.program), []).append(one)
    if len(groups) > 1:
        sets = [each for group in groups.values() for each in _levelled(group)]
    worth = _worth(sets)
    whole = half = student if _models(student) == _models(best.program) else best.program
    for address, shown in best.demos.items():
        pool = [demo for one in sets for demo in one.demos[address]]
        # Of demos with equal effects, the one that was seen on more rows comes first.
        pool.sort(key=lambda demo: worth[_place(address, demo)], reverse=True)
        chosen = _chosen(pool, made=sum(demo.augmented for demo in shown), most=len(shown))
        better = sorted(chosen, key=lambda demo: worth[_place(address, demo)], reverse=True)
        kept = better[: (len(better) + 1) // 2]
        whole = whole.with_predictor(address, demos=tuple(chosen))
        half = half.with_predictor(address, demos=tuple(demo for demo in chosen if demo in kept))
    found = [Arm("composed", whole), Arm("composed, better half", half)]
    return [arm for arm in found if not board.knows(arm.program)]


def _chosen(pool: Sequence[Demo], *, made: int, most: int) -> list[Demo]:
    """The first `made` demos that a teacher made, then labelled ones up to `most`; no row twice."""
    chosen: list[Demo] = []
    for augmented, room in ((True, made), (False, most)):
        for demo in pool:
            if len(chosen) == room:
                break
            if demo.augmented == augmented and not any(_same_row(demo, other) for other in chosen):
                chosen.append(demo)
    return chosen


def _same_row(demo: Demo, other: Demo) -> bool:
    """Whether they share inputs and all of those agree: an inner step's labels may lack some."""
    shared = demo.inputs.keys() & other.inputs.keys()
    return bool(shared) and all(demo.inputs[name] == other.inputs[name] for name in shared)


def _place(address: str, demo: Demo) -> Place:
    return address, canonical(demo.inputs)


def _models(program: Program) -> tuple[str, ...]:
    return tuple(predictor.lm for predictor in program.predictors.values())


def _levelled(sets: Sequence[_Set]) -> list[_Set]:
    """The sets with what each scored above their mean."""
    mean = math.fsum(one.score * one.rows for one in sets) / sum(one.rows for one in sets)
    return [replace(one, score=one.score - mean) for one in sets]


def _worth(sets: Sequence[_Set]) -> dict[Place, tuple[float, int]]:
    """Each demo's effect, and the rows that it rests on.

    Coordinate descent: one demo after the other, with the others' effects held, `SWEEPS` times over.
    """
    rows = [one.rows for one in sets]
    mean = math.fsum(one.score * one.rows for one in sets) / sum(rows)
    left = [one.score - mean for one in sets]
    holders: dict[Place, list[int]] = {}
    for index, one in enumerate(sets):
        for place in one.places():
            holders.setdefault(place, []).append(index)
    seen = {place: sum(rows[index] for index in inside) for place, inside in holders.items()}
    effects = dict.fromkeys(holders, 0.0)
    for _ in range(SWEEPS):
        for place, inside in holders.items():
            before = effects[place]
            total = math.fsum(rows[index] * (left[index] + before) for index in inside)
            effects[place] = total / (seen[place] + PRIOR_ROWS)
            for index in inside:
                left[index] -= effects[place] - before
    return {place: (effects[place], seen[place]) for place in holders}

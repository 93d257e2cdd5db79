"""What Auto chooses from: the families of optimizers that it runs in rounds, how often, and what a round takes at most.

Plan and run read the same table, so that a compile never asks for more than was planned. What a family is expected to gain stands
here as well, as far as nobody has tried it yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.schema.types import JsonValue

from ..evaluate.counts import Calls, Range
from .base import Facts, Options, Spec
from .infer_rules import halves

if TYPE_CHECKING:
    from ..search import Racing

COMPARED_ON = 150
"""Rows of val on which programs are compared, where it has more."""
PART = 75
"""Rows of these on which a round chooses, drawn anew for each; its winner is then compared on the others."""
NEARLY = 1.3
"""How many times as many rows there may be to choose on all of them."""
FEW = 16
"""Rows to compare on from which a search can tell anything: with fewer, only what is cheap is tried."""
ENOUGH_TO_SHOW = 16
BATCHES = 6
"""Of train, in a round of contrasts."""
NEIGHBOURS = 8
"""Rows that are shown: the same to every input, and those nearest to it."""
SEARCHED = 0.4
"""What is left of the hope in others after a whole round of a search that gained: most of what one finds, the others need not
find."""
CHEAP_SHARE = 0.5
"""What the race of what is cheap may cost, as a share of scoring each on every row."""


class FamilyPart(Struct, frozen=True):
    """One of a family's optimizers, with its options where so many rows of train may be shown."""

    name: str
    optimizer: str
    options: Callable[[int], Mapping[str, JsonValue]]

    @property
    def spec(self) -> Spec:
        from .table import SPECS  # the table lists this file's importer

        return SPECS[self.optimizer]

    def given(self, train: int) -> Options:
        return Options(self.spec, self.options(train))


class Family(Struct, frozen=True):
    """Optimizers that do the same kind of thing. A single part searches by itself; several parts are raced."""

    name: str
    parts: tuple[FamilyPart, ...]
    hoped: float
    """What its first round is hoped to gain, in 0..1."""
    needs_labels: bool
    searches: bool = True
    """Whether it takes more calls than those of a race, so that it is left out where rows are few."""
    smaller: tuple[tuple[FamilyPart, ...], ...] = ()
    """What a round is where calls pay for no more, the largest first."""
    size: float = 1.0
    """How large a round is, as a share of a whole one."""

    def fitting(self, calls: float, facts: Facts) -> Family | None:
        """The family as large as so many calls pay for at its most."""
        sizes = (self.parts, *self.smaller)
        for place, parts in enumerate(sizes):
            sized = replace(self, parts=parts, smaller=(), size=1 - place / len(sizes))
            if round_calls(sized, facts).most <= calls:
                return sized
        return None


def _fixed(**options: JsonValue) -> Callable[[int], Mapping[str, JsonValue]]:
    return lambda train: options


_BOOTSTRAP = FamilyPart("bootstrap", "BootstrapFewShot", _fixed())
_LABELS = FamilyPart("labels", "LabeledFewShot", lambda train: {"k": min(ENOUGH_TO_SHOW, train)})
_NEIGHBOURS = FamilyPart(
    "neighbours",
    "KNNFewShot",
    lambda train: {"k": max(1, min(NEIGHBOURS, train)), "max_bootstrapped_demos": 0},
)


def _contrasts(batches: int) -> tuple[FamilyPart, ...]:
    return (FamilyPart("contrasts", "SIMBA", _fixed(max_steps=batches)),)


SHOWN = Family(
    "rows as they are",
    (_BOOTSTRAP, _LABELS, _NEIGHBOURS),
    hoped=0.06,
    needs_labels=False,
    searches=False,
)
CONTRASTS = Family(
    "contrasts",
    _contrasts(BATCHES),
    hoped=0.2,
    needs_labels=True,
    smaller=tuple(map(_contrasts, range(BATCHES - 1, 0, -1))),
)
RULES = Family(
    "rules",
    (FamilyPart("rules", "InferRules", _fixed(num_candidates=6, demos="kept")),),
    hoped=0.07,
    needs_labels=True,
)
SETS = Family(
    "demo sets",
    (
        FamilyPart(
            "sets", "BootstrapFewShotWithRandomSearch", _fixed(num_candidate_programs=8, max_labeled_demos=4)
        ),
    ),
    hoped=0.05,
    needs_labels=True,
)
WORDINGS = Family(
    "wordings", (FamilyPart("wordings", "COPRO", _fixed(breadth=6, depth=2)),), hoped=0.03, needs_labels=False
)
LABELLED = replace(SHOWN, parts=(_LABELS, _NEIGHBOURS), hoped=0.04)
"""The same without asking anybody to make demos."""
FAMILIES = (SHOWN, CONTRASTS, RULES, SETS, WORDINGS)
FIRST: tuple[Family, ...] = (SHOWN, CONTRASTS)
"""The rounds that come first, whatever they are hoped to gain: what is cheap, and what most tasks gain by. Contrasts go on and on
from all that they saw: several short rounds of them, or other families before them, reach less for as many calls."""
ORDER: tuple[Family, ...] = (*FIRST, RULES, RULES, SETS, WORDINGS)
"""All rounds there may be. How often a family stands here is how often it may have its turn."""
WAYS: tuple[tuple[Family, ...], ...] = (ORDER, (LABELLED, *ORDER[1:]))
"""What `max_calls` may be spent on, each from the front: with less at the front, more is left for what comes later."""


def compared(facts: Facts) -> Facts:
    """Of what Auto is given: the rows that it learns from and those that it compares on, which are train's other half where
    there is no val."""
    if facts.val_given:
        return facts
    train, val = halves(facts.train)
    return replace(facts, train=train, val=val)


def part_of(rows: int) -> int:
    """On how many of the rows a round chooses."""
    return rows if rows <= NEARLY * PART else PART


def round_calls(family: Family, facts: Facts) -> Calls:
    """What a round of the family takes at most, the comparison of its winner on all rows included. `facts` are `compared`."""
    rows = part_of(facts.val)
    inner = replace(facts, val=rows, val_whole=None, student_scored=True, student_bare=False, finalists=1)
    inner = replace(inner, val_given=True, nested={})
    found = [part.spec.calls(part.given(facts.train), inner) for part in family.parts]
    task = sum(one.task.most for one in found)
    if len(found) > 1:
        # Demos may have to be left out, too, of a program that has some.
        arms = range(1, len(found) + 2)
        task += max(cheap_race(many, rows).most(many, rows) for many in arms) * facts.calls_per_run
    task += (facts.val - rows) * facts.calls_per_run
    return Calls(
        Range(0, task),
        Range(0, sum(one.teacher.most for one in found)),
        Range(0, sum(one.prompt.most for one in found)),
    )


def cheap_race(programs: int, rows: int) -> Racing:
    """The race among what is cheap, on so many rows."""
    from ..search import Racing  # here, since a check reads this file

    return Racing.within(CHEAP_SHARE * programs * rows, programs, rows)


def all_rounds(options: Options, facts: Facts) -> list[Family]:
    """All rounds there may be: of the ways to spend `max_calls` the one that is hoped to gain most."""
    most = math.inf if options["max_calls"] is None else options.integer("max_calls")
    if not facts.student_scored:
        most -= facts.val * facts.calls_per_run
    return rounds_within(most, facts)


def rounds_within(calls: float, facts: Facts) -> list[Family]:
    """The rounds that so many calls pay for."""
    able = [[one for one in way if facts.val >= FEW or not one.searches] for way in WAYS]
    paid = [_paid(way, calls, facts) for way in able]
    # Last, so that rows without labels never make for more calls: a plan may know of more rows than the run learns from.
    return [one for one in max(paid, key=_hoped) if facts.labelled or not one.needs_labels]


def _hoped(rounds: Sequence[Family]) -> float:
    """What rounds are hoped to gain together."""
    total, others = 0.0, 1.0
    for family in rounds:
        total += others * family.hoped * family.size
        if family.searches:
            others *= SEARCHED**family.size
    return total


def _paid(families: Sequence[Family], calls: float, facts: Facts) -> list[Family]:
    """The rounds that so many calls pay for, each at its most, and as large as what those before it leave allows."""
    rounds: list[Family] = []
    for family in families:
        sized = family.fitting(calls, facts)
        if sized is not None:
            rounds.append(sized)
            calls -= round_calls(sized, facts).most
    return rounds

"""Kinds of simulated tasks, in two halves: those that settings may be tried on, and those that they never are.

The second half tells whether what was found on the first holds. Nobody looks at it but to report it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What a task of the kind is like. Amounts are in log-odds of a right answer where nothing else is said."""

    predictors: int = 1
    effect: float = 1.0
    """Scales all that tells programs apart; 0: all are equally good."""
    spread: float = 1.6
    """Standard deviation of the rows' difficulty."""
    hardness: float = 0.6
    """Mean of the rows' difficulty."""
    labels: int = 1
    """With more than one, a row is easier where a demo shows its label."""
    graded: bool = False
    """An answer scores 0, 0.2, … 1 instead of 0 or 1."""
    steep: bool = False
    """A few hints matter a lot, and the others hardly."""
    long: float = 0.0
    """What every hint and demo beyond four costs: long prompts hurt."""
    near: float = 0.0
    """What a demo adds on rows about the same topic; negative where it misleads."""
    topics: int = 10
    """The more there are, the fewer of them a fixed set of demos shows."""
    unreadable: float = 0.0
    """Share of the start's answers that nobody can read. Demos, and two of the hints, make them fewer."""
    train: int = 100
    val: int = 200


TUNED = {
    "plain": Kind(),
    "easy": Kind(effect=2.0, spread=1.0),
    "noisy": Kind(effect=0.4),
    "flat": Kind(effect=0.0),
    "two predictors": Kind(predictors=2),
    "many labels": Kind(labels=20),
    "graded": Kind(graded=True),
    "unreadable": Kind(unreadable=0.35),
    "small": Kind(train=30, val=40),
    "neighbours decide": Kind(near=3.0, topics=30),
}
"""Kinds that settings were tried on."""

HELD_OUT = {
    "three predictors, unreadable": Kind(predictors=3, unreadable=0.25),
    "four predictors": Kind(predictors=4),
    "long prompts hurt": Kind(long=0.15),
    "neighbours help": Kind(labels=6, near=1.0),
    "neighbours mislead": Kind(near=-0.8),
    "graded, steep": Kind(graded=True, steep=True),
    "few rows": Kind(train=20, val=30),
    "many hard rows": Kind(labels=40, hardness=1.5, train=200, val=600),
    "noisy, two predictors": Kind(predictors=2, effect=0.5, spread=1.0),
    "neighbours decide, many hard rows": Kind(near=2.5, topics=60, hardness=1.5, train=200),
}
"""Kinds that no setting was tried on."""

KINDS = TUNED | HELD_OUT

SIZES = {f"{val} rows of val": Kind(train=min(100, val), val=val) for val in (30, 50, 78, 100, 150, 200)}
"""Plain tasks by how many rows there are to compare on."""

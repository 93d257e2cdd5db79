"""How long a compile may take: how many calls, how long one takes, how many are in flight at once.

A call's duration is remembered from the last complete compile; before that it is a guess, and said to be one. Of
the plan this is the only part that depends on more than the source and the rows, so it is no part of what
`dspc compile --plan` holds to.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from dspec.runtime.schema.program import LM

GUESS = (0.3, 4.0)
"""Seconds that a call of a hosted model takes, where nobody has measured it."""
EMBEDDED = (0.001, 0.02)
"""Seconds of the embedded model, which answers one call after the other."""
SPREAD = (0.7, 1.5)
"""What a compile may take of the time that the last one's calls took on average."""
MEASURED_FROM = 20
"""Calls whose mean duration is worth remembering."""


class Duration(Struct, frozen=True):
    """Seconds; `per_call` are those that one call is taken to take, at least and at most."""

    least: float
    most: float
    per_call: tuple[float, float]
    measured: bool
    batched: tuple[str, ...] = ()
    """Models that are asked by their providers' batch APIs: each of their batches takes up to a day, which is not in here."""


def duration(
    least: int, most: int, lms: Iterable[LM], *, threads: int, measured: float | None = None
) -> Duration:
    """Of `least` to `most` calls with so many in flight; `measured` is the mean duration of a call, if known."""
    models = tuple(lms)
    embedded = bool(models) and all(lm.model.startswith("embedded/") for lm in models)
    per_call = EMBEDDED if embedded else GUESS
    if measured is not None:
        per_call = (SPREAD[0] * measured, SPREAD[1] * measured)
    width = 1 if embedded else min([threads, *(lm.max_parallel for lm in models if lm.max_parallel)])
    rate = min((lm.rpm for lm in models if lm.rpm), default=None)
    shortest = _seconds(least, per_call[0], width, rate)
    return Duration(
        shortest,
        max(shortest, _seconds(most, per_call[1], width, rate)),
        per_call,
        measured is not None,
        tuple(dict.fromkeys(lm.name for lm in models if lm.batched)),
    )


def mean_seconds(calls: int, seconds: float) -> float | None:
    """What is worth remembering of so many calls that took so long together."""
    return seconds / calls if calls >= MEASURED_FROM else None


def spell(seconds: float) -> str:
    """`40 s`, `3 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _seconds(calls: int, each: float, width: int, rate: int | None) -> float:
    if not calls:
        return 0.0
    rounds = -(-calls // width)
    allowed = 0.0 if rate is None else 60.0 * ((calls - 1) // rate)
    return max(rounds * each, allowed)

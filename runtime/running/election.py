"""Which members of an ensemble answer an input, and how their answers become one.

Members answer at the same time. One without a usable answer has no vote; a provider's failure is no
answer at all and ends the run. Nothing here is random: which members answer an input depends on the
ensemble's seed and on the input alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from msgspec import Struct

from ..schema.ensemble import ByProgram, Ensemble, First, Majority, Mean, collected, needed
from ..schema.program import FieldSpec, canonical, digest
from ..schema.types import OneOf, Row
from ..values.scoring import most_agreed


def drawn(ensemble: Ensemble, inputs: Row) -> tuple[int, ...]:
    """Which members answer these (checked) inputs, in order: `size` of them, drawn by hash."""
    every = range(len(ensemble.members))
    if ensemble.size is None or ensemble.size >= len(every):
        return tuple(every)
    recipe = f"{ensemble.seed}|{digest(inputs)}"
    lots = {place: hashlib.sha256(f"{recipe}|{place}".encode()).digest() for place in every}
    return tuple(sorted(sorted(every, key=lots.__getitem__)[: ensemble.size]))


class Election(Struct, frozen=True):
    """What became of the answers: the outputs, the place of the one they come from, and how many agreed.

    Where a program made the outputs, the place is that of the first answer that says the same, if one does.
    """

    outputs: Row
    elected: int | None
    agreed: int


def elect(ensemble: Ensemble, answers: Sequence[Row | None]) -> Election | None:
    """One answer of several; an answer is None for a member without a vote. Gives None when no member has a vote.

    Not for an ensemble whose answers a program reduces: that takes a run (`ballot`, `reduced`).
    """
    names = [field.name for field in ensemble.outputs]
    votes = [
        (place, {name: answer[name] for name in names})
        for place, answer in enumerate(answers)
        if answer is not None
    ]
    if not votes:
        return None
    match ensemble.reduce:
        case First():
            place, answer = votes[0]
            return Election(answer, place, 1)
        case Majority(field=field):
            return _most_frequent(ensemble, field, votes)
        case Mean(field=field):
            return _mean(field, votes)
        case ByProgram():
            raise TypeError("a program reduces by being run")


def ballot(ensemble: Ensemble, inputs: Row, answers: Sequence[Row | None]) -> Row | None:
    """What the reducing program is given; None when no member has a usable answer."""
    votes = [answer for answer in answers if answer is not None]
    if not votes or ensemble.reducer is None:
        return None
    given: Row = {}
    outputs = {field.name: field.type for field in ensemble.members[0].outputs}
    for field in ensemble.reducer.inputs:
        name = collected(field.name, field.type, outputs)
        if name is not None:
            given[field.name] = [vote[name] for vote in votes]
        elif field.name in inputs:
            given[field.name] = inputs[field.name]
    return given


def reduced(ensemble: Ensemble, outputs: Row, answers: Sequence[Row | None]) -> Election:
    """The election in which the reducing program's outputs won, and the answers that say the same agreed."""
    own: Row = {field.name: outputs[field.name] for field in ensemble.outputs}
    agreeing = [
        place
        for place, answer in enumerate(answers)
        if answer is not None and any(name in answer for name in own) and _agree(own, answer)
    ]
    return Election(own, agreeing[0] if agreeing else None, len(agreeing))


def _agree(outputs: Row, answer: Row) -> bool:
    return all(canonical(answer[name]) == canonical(outputs[name]) for name in outputs if name in answer)


def _most_frequent(ensemble: Ensemble, field: str, votes: Sequence[tuple[int, Row]]) -> Election:
    closed = any(spec.name == field and _is_closed(spec) for spec in ensemble.outputs)
    first, agreed = most_agreed([answer.get(field) for _, answer in votes], closed=closed)
    place, answer = votes[first]
    return Election(answer, place, agreed)


def _is_closed(spec: FieldSpec) -> bool:
    return isinstance(needed(spec.type), OneOf)


def _mean(field: str, votes: Sequence[tuple[int, Row]]) -> Election:
    numbers = [
        (place, answer, float(value))
        for place, answer in votes
        if isinstance(value := answer.get(field), int | float) and not isinstance(value, bool)
    ]
    if not numbers:
        place, answer = votes[0]
        return Election(answer, place, 1)
    mean = math.fsum(number for _, _, number in numbers) / len(numbers)
    place, answer, _ = min(numbers, key=lambda one: (abs(one[2] - mean), one[0]))
    return Election({**answer, field: mean}, place, len(numbers))

"""What SIMBA's programs are made of: the student without its demos, demos of runs, and advice.

Each child adds one piece to what its parent has. A piece can be taken out again and put into another program, so that what is
good about two programs comes together in a third.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.schema.program import Demo, Program

from .frozen import tunable
from .proposing.answers import extended

TELLS = 0.01
"""A piece that is believed to gain or lose less than this, in 0..1, is neither sought nor taken out."""
MOVED = 2
"""Pieces that a program is given at once from others."""


class Piece(Struct, frozen=True):
    """What a child adds: demos, or advice, by predictor. It is named after the first child that has it."""

    name: str
    demos: Mapping[str, Demo] = {}
    advice: Mapping[str, str] = {}

    def like(self, other: Piece) -> bool:
        return self.demos == other.demos and self.advice == other.advice


class Pieces(Struct, frozen=True):
    """The pieces of a program, in the order in which a prompt shows them."""

    demos: tuple[Piece, ...]
    advice: tuple[Piece, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(piece.name for piece in (*self.demos, *self.advice))

    def given(self, piece: Piece) -> Pieces:
        if piece.demos:
            return replace(self, demos=(*self.demos, piece))
        return replace(self, advice=(*self.advice, piece))

    def without_demos(self, places: frozenset[int]) -> Pieces:
        return replace(self, demos=tuple(piece for at, piece in enumerate(self.demos) if at not in places))

    def program(self, student: Program) -> Program:
        """The student with these pieces; its own demos are among them. Advice that would be too long is left out."""
        for address, predictor in tunable(student).items():
            instruction = predictor.signature.instruction
            for piece in self.advice:
                if address in piece.advice:
                    instruction = extended(instruction, piece.advice[address]) or instruction
            demos = tuple(piece.demos[address] for piece in self.demos if address in piece.demos)
            # Demos that are given take the place of those that are chosen per input.
            student = student.with_predictor(
                address, instruction=instruction, demos=None if demos == predictor.demos else demos
            )
        return student


def of_student(student: Program) -> Pieces:
    """The student as it comes: its demos, place by place, are pieces."""
    predictors = tunable(student)
    most = max((len(predictor.demos) for predictor in predictors.values()), default=0)
    return Pieces(
        tuple(
            Piece(
                f"demo {place + 1}",
                {to: one.demos[place] for to, one in predictors.items() if place < len(one.demos)},
            )
            for place in range(most)
        )
    )


def put_together(best: Pieces, known: Iterable[Piece], effects: Mapping[str, float], most: int) -> Pieces:
    """`best` without the pieces that seem to harm it, and with those of other programs that seem to gain most; of more than
    `most` demos the worst are left out. `effects` are what pieces add to a score, by their names."""

    def seems(piece: Piece) -> float:
        return effects.get(piece.name, 0.0)

    kept = Pieces(*(tuple(one for one in own if seems(one) > -TELLS) for own in (best.demos, best.advice)))
    others = [piece for piece in known if piece.name not in kept.names and seems(piece) > TELLS]
    for piece in sorted(others, key=seems, reverse=True)[:MOVED]:
        kept = kept.given(piece)
    return kept.without_demos(worst([seems(piece) for piece in kept.demos], len(kept.demos) - most))


def worst(effects: Sequence[float], count: int) -> frozenset[int]:
    """Places of the `count` least effects; of equals the first."""
    return frozenset(sorted(range(len(effects)), key=effects.__getitem__)[: max(0, count)])

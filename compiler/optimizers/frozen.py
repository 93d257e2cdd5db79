"""Predictors and tools that a step leaves as they are: `freeze = [ask]`, or `tune = [answerer]` for all the others.

The student of such a step is a program that nothing can change in those places. Optimizers go through
`tunable`, so that nothing is spent on the rest. Only a step knows of frozen predictors: its result is thawed,
and no hash and no artifact tells a program that had some from another.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace
from pydantic import Field

from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import Demo, Predictor, Program

from .base import StepResult


class PartlyFrozen(Program, defer_build=True):
    """A program of which some predictors keep their instruction and demos, and some tools their description."""

    frozen: frozenset[str] = Field(default=frozenset(), exclude=True)

    def with_predictor(
        self, address: str, *, instruction: str | None = None, demos: tuple[Demo, ...] | None = None
    ) -> Program:
        """As for any program; unchanged where the predictor is frozen."""
        if address in self.frozen:
            return self
        return super().with_predictor(address, instruction=instruction, demos=demos)

    def with_text(self, address: str, text: str) -> Program:
        """As for any program; unchanged where the predictor or tool is frozen."""
        return self if address in self.frozen else super().with_text(address, text)


def freeze(program: Program, addresses: Collection[str]) -> Program:
    """The program with these predictors and tools frozen."""
    if not addresses:
        return program
    members = {name: getattr(program, name) for name in Program.model_fields}
    return PartlyFrozen.model_construct(**members, frozen=frozenset(addresses))


def thawed(result: StepResult) -> StepResult:
    """The result with programs that are like any other."""
    candidates = tuple(replace(one, program=thaw(one.program)) for one in result.candidates)
    program: Runnable = result.program
    return replace(
        result, program=thaw(program) if isinstance(program, Program) else program, candidates=candidates
    )


def thaw(program: Program) -> Program:
    """The program with nothing frozen."""
    if not isinstance(program, PartlyFrozen):
        return program
    return Program.model_construct(**{name: getattr(program, name) for name in Program.model_fields})


def tunable(program: Program) -> dict[str, Predictor]:
    """The predictors that an optimizer may change, by address, in the program's order."""
    if not isinstance(program, PartlyFrozen):
        return program.predictors
    return {
        address: predictor
        for address, predictor in program.predictors.items()
        if address not in program.frozen
    }

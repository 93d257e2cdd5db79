"""What modules, programs and optimize blocks have in common: inputs, outputs and a program."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dspec.runtime.schema.program import Program

from ..session import Session
from ..symbols import Symbol
from ..types.kinds import Group, Member


class Runnable(Struct, frozen=True):
    """Something that can be run, scored and tuned.

    `program` is None when its model is unknown or something in it cannot run yet. `unbound` are the
    addresses of predictors that name no model. `known` is False after a mistake: then inputs and
    outputs may be incomplete and nothing is said about them.
    """

    symbol: Symbol
    inputs: Mapping[str, Member]
    outputs: Mapping[str, Member]
    program: Program | None
    unbound: tuple[str, ...] = ()
    known: bool = True

    def results(self) -> Group:
        """What a run gives: `pred`, or the value of a call."""
        return Group(f"the outputs of `{self.symbol.name}`", self.outputs, "output", open=not self.known)


def runnable(session: Session, symbol: Symbol) -> Runnable | None:
    """The checked module, program or optimize block; None when it needs itself."""
    from ..chain import optimize
    from . import modules, programs

    match symbol.kind:
        case "module":
            return modules.module(session, symbol)
        case "program":
            return programs.program(session, symbol)
        case "optimize":
            found = optimize.optimize(session, symbol)
            return found.runnable if found else None
        case _:
            return None

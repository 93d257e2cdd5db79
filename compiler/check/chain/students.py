"""What each step of a chain starts from, as far as a check can know: the program, not what tuning makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.grammar.tree import Expr
from dspec.runtime.schema.program import Program

from ... import ir
from ..names.names import path_of
from ..session import Place, Session
from ..types.declared import RunnableInfo, runnable
from .step import StepInfo

Students = Mapping[str, Program | None]
"""Every step's student by the step's name; None where it is an ensemble or is not known."""


def students(session: Session, chain: Sequence[StepInfo], tuned: RunnableInfo) -> Students:
    programs: dict[str, Program | None] = {"": tuned.program}
    for step, origin in zip(chain, ir.origins(chain), strict=True):
        if step.spec is None or step.spec.gathers:
            programs[step.name] = None
        elif origin in programs:
            programs[step.name] = programs[origin]
        else:
            programs[step.name] = declared(session, step.place, step.arguments["student"].value)
    return programs


def declared(session: Session, place: Place, node: Expr) -> Program | None:
    """The program of the declaration that a name stands for; its use was recorded when the step was read."""
    path = path_of(node)
    if path is None:
        return None
    scope = place.scope if path[0] is None else place.scope.imports.get(path[0].text)
    symbol = scope.symbols.get(path[1].text) if scope else None
    found = runnable(session, symbol) if symbol else None
    return found.program if found else None

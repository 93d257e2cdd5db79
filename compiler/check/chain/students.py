"""What each step of a chain starts from, as far as a check can know: the program, not what tuning makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from dspec.grammar.tree import Attribute, Expr, Reference
from dspec.runtime.schema.program import Program

from ... import ir
from ..names.names import path_of
from ..session import Place, Session
from ..symbols import Symbol
from ..types.declared import Runnable, runnable
from .step import StepInfo


def students(
    session: Session, place: Place, chain: Sequence[StepInfo], tuned: Runnable
) -> dict[str, Program | None]:
    """Every step's student by the step's name; None where it is an ensemble or is not known."""
    programs: dict[str, Program | None] = {"": tuned.program}
    for step, origin in zip(chain, ir.origins(chain), strict=True):
        if step.spec is None or step.spec.gathers:
            programs[step.name] = None
        elif origin in programs:
            programs[step.name] = programs[origin]
        else:
            programs[step.name] = declared(session, place, step.arguments["student"].value)
    return programs


def declared(session: Session, place: Place, node: Expr) -> Program | None:
    """The program of the declaration that a name stands for; its use was recorded when the step was read."""
    symbol = _symbol(place, node)
    found = runnable(session, symbol) if symbol is not None else None
    return found.program if found else None


def _symbol(place: Place, node: Expr) -> Symbol | None:
    path = path_of(node) if isinstance(node, Reference | Attribute) else None
    if path is None:
        return None
    scope = place.scope if path[0] is None else place.scope.imports.get(path[0].text)
    return scope.symbols.get(path[1].text) if scope else None

"""What each step of a chain starts from, as far as a check can know: the program, not what tuning makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.grammar.tree import Expr
from dspec.runtime.schema.program import Program

from ... import ir
from ..names.names import path_of
from ..session import Place, Session
from ..symbols import Symbol
from ..types.declared import RunnableInfo, lm_closure
from .saved import found_program
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


def start_of(session: Session, place: Place, node: Expr) -> RunnableInfo | None:
    """What a step's argument names, as it was found when the step was read."""
    return found_program(session, place, node, _symbol(place, node))


def declared(session: Session, place: Place, node: Expr) -> Program | None:
    """The program that a step's argument names."""
    found = start_of(session, place, node)
    return found.program if found else None


def _symbol(place: Place, node: Expr) -> Symbol | None:
    path = path_of(node)
    if path is None:
        return None
    scope = place.scope if path[0] is None else place.scope.imports.get(path[0].text)
    return scope.symbols.get(path[1].text) if scope else None


def moved(session: Session, info: RunnableInfo, model: Symbol | None) -> Program | None:
    """The program, with the block's `lm`, if it has one, as the model of every predictor that names none."""
    program = info.program
    settings = lm_closure(session, model) if model is not None else {}
    if program is None or model is None or model.key not in settings:
        return program
    predictors = {
        address: predictor.model_copy(update={"lm": model.key}) if address in info.unbound else predictor
        for address, predictor in program.predictors.items()
    }
    return program.model_copy(update={"predictors": predictors, "lms": {**program.lms, **settings}})

"""Modules whose models write code: whether it can run here, and whether the models can write any."""

from __future__ import annotations

from dspec.grammar.tree import Call
from dspec.runtime.models.endpoints import split_model
from dspec.runtime.running.strategies.base import ModuleStrategy
from dspec.runtime.schema.program import Program
from dspec.runtime.tools.sandbox import INSTALL, installed

from ...diagnostics import codes
from ...tables.models import EMBEDDED
from ..session import Place, Session
from ..symbols import Symbol


def check_code_runs(
    session: Session,
    place: Place,
    symbol: Symbol,
    strategy: ModuleStrategy,
    call: Call,
    program: Program | None,
) -> None:
    """Reports a strategy that runs code where there is no sandbox, and a model of it that writes none."""
    if not installed():
        session.report(codes.optimizers.NoSandbox(place.at(call.callee), strategy.name, INSTALL))
    if program is None:
        return
    asked = dict.fromkeys(
        program.predictors[one].lm for one in program.modules[symbol.key].predictors.values()
    )
    for key in asked:
        model, settings = session.lms.get(key), program.lms.get(key)  # none after a mistake in the lm
        if model is not None and settings is not None and split_model(settings.model)[0] == EMBEDDED:
            at = place.at(call.callee)
            session.report(codes.optimizers.WritesNoCode(at, strategy.name, settings.model, model.location))

"""Optimizers inside an optimizer, and the strategy that says in which order they run.

BetterTogether(p = MIPROv2(), d = LabeledFewShot(k = 4), strategy = "p -> d")
"""

from __future__ import annotations

from dspec.grammar.tree import Name

from ...diagnostics import codes
from ..session import Session
from .frozen import CHOICES
from .step import StepInfo


def check_inside(session: Session, inner: StepInfo, name: Name, outer: str) -> bool:
    """Whether the optimizer can run inside another one; reports why not."""
    at = inner.place.at
    if inner.spec is None:
        return False
    for option in ("compat", *CHOICES):
        if option in inner.arguments:
            session.report(codes.optimizers.SaidOfWhole(at(inner.arguments[option]), option))
    if inner.spec.gathers or inner.spec.nests:
        session.report(codes.ensembles.RunsNotInside(at(name), inner.spec.name, outer))
        return False
    if "student" in inner.arguments:
        session.report(codes.ensembles.StudentInside(at(inner.arguments["student"]), outer))
        return False
    return inner.clean


def defaults_of(step: StepInfo) -> list[str]:
    """The optimizers that the step's strategy names and the step does not give: DSPy's defaults."""
    from ...optimizers.better_together import DEFAULTS, strategy_of  # few chains have such a step

    options = step.options()
    names = strategy_of(options) if options is not None else ()
    return [DEFAULTS[name] for name in dict.fromkeys(names) if name in DEFAULTS and name not in step.nested]


def check_strategy(session: Session, step: StepInfo) -> bool:
    """Whether every name of the strategy stands for an optimizer that runs; reports the others."""
    options, at = step.options(), step.place.at
    if options is None or step.call is None:
        return False
    from ...optimizers.better_together import DEFAULTS, strategy_of  # few chains have such a step

    names = strategy_of(options)
    given = step.arguments.get("strategy")
    node = given.value if given else step.call.callee
    if not names:
        session.report(codes.ensembles.NotAStrategy(at(node)))
        return False
    known = (*step.nested, *(name for name in DEFAULTS if name not in step.nested))
    for name in dict.fromkeys(names):
        if name not in known:
            session.report(codes.ensembles.StrategyRunsNone(at(node), name, known))
            return False
    for name in step.nested:
        if name not in names:
            argument = step.arguments[name]
            session.report(codes.chains.NotInStrategy(at(argument.name or argument)))
    return True

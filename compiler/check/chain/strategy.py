"""Optimizers inside an optimizer, and the strategy that says in which order they run.

BetterTogether(p = MIPROv2(), d = LabeledFewShot(k = 4), strategy = "p -> d")
"""

from __future__ import annotations

from dspec.grammar.tree import Name

from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed
from ...optimizers.better_together import DEFAULTS, strategy_of
from ...optimizers.table import NOT_YET, find
from ..session import Place, Session
from ..shape.shape import later
from .step import StepInfo


def check_inside(session: Session, place: Place, inner: StepInfo, name: Name, outer: str) -> bool:
    """Whether the optimizer can run inside another one; reports why not."""
    if inner.spec is None:
        return False
    if inner.spec.gathers or inner.spec.nests:
        session.report(
            "DS0626",
            f"`{inner.spec.name}` cannot run inside `{outer}`",
            place.at(name),
            "not inside another optimizer",
            help="make it a step of its own",
        )
        return False
    if "student" in inner.arguments:
        session.report(
            "DS0626",
            f"an optimizer inside `{outer}` starts from the one before it, so it takes no `student`",
            place.at(inner.arguments["student"]),
            "said by the strategy",
            help=f"give `student` to `{outer}`",
        )
        return False
    return inner.clean


def check_strategy(session: Session, place: Place, step: StepInfo) -> bool:
    """Whether every name of the strategy stands for an optimizer that runs; reports the others."""
    options = step.options()
    if options is None or step.call is None:
        return False
    names = strategy_of(options)
    given = step.arguments.get("strategy")
    at = place.at(given.value if given else step.call.callee)
    if not names:
        session.report(
            "DS0626",
            "a strategy is names of optimizers with `->` between them",
            at,
            "not a strategy",
            help='for example `strategy = "p -> d"`',
        )
        return False
    known = [*step.nested, *(name for name in DEFAULTS if name not in step.nested)]
    for name in dict.fromkeys(names):
        if name not in known:
            near = closest(name, known)
            session.report(
                "DS0626",
                f"the strategy runs `{name}`, and no optimizer is given by that name{did_you_mean(near)}",
                at,
                f"which optimizer is `{name}`?",
                help="" if near else f"the names are {listed(known)}; add `{name} = …`",
            )
            return False
        if name not in step.nested and find(DEFAULTS[name]) is None:
            optimizer = DEFAULTS[name]
            later(
                session,
                place,
                f"`{name}` of the strategy `{' -> '.join(names)}`: it tunes weights with `{optimizer}`, and "
                f"{NOT_YET.get(optimizer, 'that cannot run')}",
                given.value if given else step.call.callee,
            )
            return False
    for name in step.nested:
        if name not in names:
            argument = step.arguments[name]
            session.report(
                "DS0621",
                f"the strategy never runs `{name}`",
                place.at(argument.name or argument),
                "not in the strategy",
                help="add it to `strategy`, or remove it",
            )
    return True

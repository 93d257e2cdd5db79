"""The `step`s of an optimize block: optimizers, their options, and the chain they form.

A step's student is the previous step's program unless `student =` says otherwise. The chain is
typed by what each step tunes, so that work which a later step throws away is reported before it is
paid for.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from dspec.grammar.tree import (
    Argument,
    Call,
    Expr,
    Node,
    Reference,
    Step,
)
from dspec.runtime.schema.types import JsonValue

from ...diagnostics.fixes import replace, suggestions
from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed, quoted
from ...optimizers.base import Spec
from ...optimizers.compat.table import COMPAT, Compat
from ...optimizers.table import ALIASES, FIRST_STEP, NOT_YET, SPECS
from ...optimizers.table import find as find_optimizer
from ..session import Place, Session
from ..shape.attributes import described
from ..shape.shape import later
from ..symbols import Symbol
from .frozen import CHOICES
from .members import Members, members, no_members
from .options import option_value, unknown_option
from .step import StepInfo
from .stepnames import names_in, program_or_step
from .strategy import check_inside, check_strategy


def steps(session: Session, place: Place, itself: Symbol) -> list[StepInfo]:
    """The steps in order, each checked by itself."""
    found: list[StepInfo] = []
    nodes = [item for item in place.declaration.items or () if isinstance(item, Step)]
    for node in nodes:
        found.append(_step(session, place, node, found, nodes, itself))
    return found


def _step(
    session: Session, place: Place, node: Step, before: Sequence[StepInfo], nodes: list[Step], itself: Symbol
) -> StepInfo:
    name = node.name.text if node.name else f"step{len(before) + 1}"
    symbol = session.declare(place, "step", name, node.name or node, detail="step") if node.name else None
    first = next((step for step in before if step.name == name and step.symbol), None)
    if first and first.symbol and node.name:
        session.report(
            "DS0203",
            f"two steps are called `{name}`",
            place.at(node.name),
            "again here",
            secondary=(Label(first.symbol.location, "first here"),),
        )
    value = node.value
    if not isinstance(value, Call):
        known = isinstance(value, Reference) and (value.name.text in SPECS or value.name.text in NOT_YET)
        session.report(
            "DS0601",
            "a step is an optimizer with its options in parentheses",
            place.at(value),
            described(place, value),
            help=f"write `{place.text(value)}()`" if known else f"for example `{FIRST_STEP}`",
            fixes=(replace(place.at(value), f"{place.text(value)}()"),) if known else (),
        )
        return StepInfo(name, symbol, node, None, None, clean=False)
    spec = _optimizer(session, place, value, before, nodes, itself)
    if spec is None:
        return StepInfo(name, symbol, node, value, None, clean=False)
    bare = StepInfo(name, symbol, node, value, spec, clean=first is None)
    info = _options(session, place, bare, spec, value, before, nodes, itself)
    if spec.nests and info.clean and not check_strategy(session, place, info):
        return structs.replace(info, clean=False)
    return info


def _optimizer(
    session: Session,
    place: Place,
    value: Call,
    before: Sequence[StepInfo],
    nodes: list[Step],
    itself: Symbol,
) -> Spec | None:
    """The optimizer that is called; reports one that is unknown or cannot run yet."""
    optimizer = value.callee.name.text if isinstance(value.callee, Reference) else place.text(value.callee)
    spec = find_optimizer(optimizer)
    if spec is None:
        if optimizer in NOT_YET:
            names_in(session, place, value, before, nodes, itself)
            later(session, place, f"the optimizer `{optimizer}` ({NOT_YET[optimizer]})", value.callee)
        else:
            near = closest(optimizer, [*SPECS, *ALIASES, *NOT_YET])
            session.report(
                "DS0601",
                f"there is no optimizer named `{optimizer}`{did_you_mean(near)}",
                place.at(value.callee),
                "unknown optimizer",
                help="" if near else f"those that run are {listed(SPECS)}",
                fixes=suggestions(place.at(value.callee), near),
            )
    return spec


def _options(
    session: Session,
    place: Place,
    info: StepInfo,
    spec: Spec,
    call: Call,
    before: Sequence[StepInfo],
    nodes: list[Step],
    itself: Symbol,
) -> StepInfo:
    given: dict[str, JsonValue] = {}
    arguments: dict[str, Argument] = {}
    student: str | None = None
    teacher: str | None = None
    gathered: Members | None = None
    nested: dict[str, StepInfo] = {}
    compat: Compat | None = None
    clean = info.clean

    def refer(node: Expr, what: str) -> str | None:
        return program_or_step(session, place, node, before, nodes, itself, what)

    for argument in call.arguments:
        if argument.name is None and spec.gathers and gathered is None:
            gathered = members(session, place, argument.value, before, refer)
            clean = clean and gathered.clean
            continue
        if argument.name is None:
            clean = False
            session.report(
                "DS0602",
                f"options of `{spec.name}` are given by name",
                place.at(argument),
                "which option?",
                help=f"its options are {listed([option.name for option in spec.options])}",
            )
            continue
        name = argument.name.text
        if name in arguments:
            session.report(
                "DS0106",
                f"`{name}` is given twice to `{spec.name}`",
                place.at(argument),
                "again here",
                secondary=(Label(place.at(arguments[name]), "first here"),),
            )
            continue
        arguments[name] = argument
        if name == "compat":
            known, value = option_value(session, place, spec, COMPAT, argument.value)
            clean = clean and known
            compat = "dspy" if value == "dspy" else None
        elif name in CHOICES:
            pass  # read when all students are known
        elif name == "student" and spec.gathers:
            clean = False
            session.report(
                "DS0602",
                f"`{spec.name}` tunes nothing, so it takes no `student`",
                place.at(argument),
                "has no use for one",
                help="name its members first: `Ensemble([demos, router])`",
            )
        elif name == "student":
            student = program_or_step(session, place, argument.value, before, nodes, itself, "`student`")
            clean = clean and student is not None
        elif name == "teacher" and spec.takes_teacher:
            teacher = program_or_step(session, place, argument.value, before, nodes, itself, "`teacher`")
            clean = clean and teacher is not None
        elif name == "teacher":
            clean = False
            session.report(
                "DS0620",
                f"`{spec.name}` takes no teacher",
                place.at(argument),
                "has no use for one",
                help=f"those that take one are {quoted([n for n, s in SPECS.items() if s.takes_teacher])}",
            )
        else:
            option = spec.option(name)
            if option is None and spec.nests and isinstance(argument.value, Call):
                inner = _inside(session, place, info, name, argument.value, before, nodes, itself)
                clean = check_inside(session, place, inner, argument.name, spec.name) and clean
                nested[name] = inner
                continue
            if option is None:
                clean = False
                unknown_option(session, place, spec, argument.name)
                continue
            known, value = option_value(session, place, spec, option, argument.value)
            clean = clean and known
            if known:
                given[name] = value
    if spec.gathers and gathered is None:
        clean = False
        no_members(session, place, call)
    result = StepInfo(
        info.name,
        info.symbol,
        info.node,
        call,
        spec,
        given,
        arguments,
        student,
        teacher,
        clean,
        gathered.refs if gathered else (),
        nested,
        compat,
    )
    _conflict(session, place, result)
    return result


def _inside(
    session: Session,
    place: Place,
    outer: StepInfo,
    name: str,
    call: Call,
    before: Sequence[StepInfo],
    nodes: list[Step],
    itself: Symbol,
) -> StepInfo:
    """An optimizer that is given to another one as an option."""
    spec = _optimizer(session, place, call, before, nodes, itself)
    bare = StepInfo(name, None, outer.node, call, spec, clean=spec is not None)
    return bare if spec is None else _options(session, place, bare, spec, call, before, nodes, itself)


def _conflict(session: Session, place: Place, info: StepInfo) -> None:
    options = info.options()
    if options is None or info.spec is None or info.call is None:
        return
    for conflict in info.spec.conflicts:
        wrong = conflict.found(options)
        if wrong is None:
            continue
        mentioned = [info.arguments[name] for name in conflict.names if name in info.arguments]
        primary: Node = mentioned[0] if mentioned else info.call.callee
        session.report(
            "DS0603",
            f"these options of `{info.spec.name}` do not go together: {wrong}",
            place.at(primary),
            secondary=tuple(Label(place.at(other)) for other in mentioned[1:]),
            help=conflict.help,
        )
        return

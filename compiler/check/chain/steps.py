"""The `step`s of an optimize block: optimizers, their options, and the chain they form.

A step's student is the previous step's program unless `student =` says otherwise. The chain is
typed by what each step tunes, so that work which a later step throws away is reported before it is
paid for.
"""

from __future__ import annotations

from msgspec import structs

from dspec.grammar.tree import Argument, Call, ListLiteral, Node, Reference, Step
from dspec.runtime.schema.types import JsonValue

from ...diagnostics import codes
from ...optimizers.base import Spec
from ...optimizers.compat.table import COMPAT, Compat
from ...optimizers.table import ALIASES, FIRST_STEP, INSTEAD, SPECS
from ...optimizers.table import find as find_optimizer
from ..session import Place, Session
from ..shape.attributes import form_of
from ..symbols import Symbol
from .frozen import CHOICES
from .members import Members, members
from .options import option_value, unknown_option
from .step import StepInfo
from .stepnames import Names
from .strategy import check_inside, check_strategy


def steps(session: Session, place: Place, itself: Symbol) -> list[StepInfo]:
    """The steps in order, each checked by itself."""
    nodes = [item for item in place.declaration.items or () if isinstance(item, Step)]
    names = Names(session, place, itself, frozenset(node.name.text for node in nodes if node.name))
    for node in nodes:
        names.before.append(_step(names, node))
    return names.before


def _step(names: Names, node: Step) -> StepInfo:
    session, place, value = names.session, names.place, node.value
    name = node.name.text if node.name else f"step{len(names.before) + 1}"
    detail = f"step: {place.text(value.callee)}" if isinstance(value, Call) else "step"
    symbol = session.declare(place, "step", name, node.name, detail=detail) if node.name else None
    first = next((step.symbol for step in names.before if step.name == name and step.symbol), None)
    if first and node.name:
        session.report(codes.repeats.StepTwice(place.at(node.name), first.location))
    bare = StepInfo(place, name, symbol, node, None, None, clean=False)
    if not isinstance(value, Call):
        known = isinstance(value, Reference) and value.name.text in SPECS
        session.report(codes.optimizers.NotCalled(place.at(value), form_of(value), known, FIRST_STEP))
        return bare
    info = _called(names, bare, value, clean=first is None)
    if info.spec is not None and info.spec.nests and info.clean and not check_strategy(session, info):
        return structs.replace(info, clean=False)
    return info


def _called(names: Names, bare: StepInfo, call: Call, *, clean: bool = True) -> StepInfo:
    """The step with its optimizer and the options; reports an optimizer that is unknown."""
    session, place = names.session, names.place
    optimizer = call.callee.name.text if isinstance(call.callee, Reference) else place.text(call.callee)
    spec = find_optimizer(optimizer)
    if spec is not None:
        return _options(names, structs.replace(bare, call=call, spec=spec, clean=clean), spec, call)
    session.report(
        codes.optimizers.UnknownOptimizer(
            place.at(call.callee), tuple(SPECS), tuple(ALIASES), INSTEAD.get(optimizer, "")
        )
    )
    return structs.replace(bare, call=call)


def _options(names: Names, info: StepInfo, spec: Spec, call: Call) -> StepInfo:
    session, place = names.session, names.place
    given: dict[str, JsonValue] = {}
    arguments: dict[str, Argument] = {}
    student: str | None = None
    teacher: str | None = None
    teachers: list[str] = []
    gathered: Members | None = None
    nested: dict[str, StepInfo] = {}
    compat: Compat | None = None
    clean = info.clean
    for argument in call.arguments:
        at, node = place.at(argument), argument.value
        if argument.name is None and spec.gathers and gathered is None:
            gathered = members(names, node)
            clean = clean and gathered.clean
            continue
        if argument.name is None:
            clean = False
            session.report(
                codes.optimizers.OptionByPlace(at, spec.name, tuple(option.name for option in spec.options))
            )
            continue
        name = argument.name.text
        if name in arguments:
            session.report(codes.attributes.GivenTwice(at, name, place.at(arguments[name]), f"`{spec.name}`"))
            continue
        arguments[name] = argument
        option = spec.option(name)
        if name == "compat":
            known, value = option_value(session, place, spec, COMPAT, node)
            clean = clean and known
            compat = "dspy" if value == "dspy" else None
        elif name in CHOICES:
            pass  # read when all students are known
        elif name == "student" and not spec.gathers:
            student = names.refer(node, "`student`")
            clean = clean and student is not None
        elif name == "student":
            clean = False
            session.report(codes.optimizers.TakesNoStudent(at, spec.name))
        elif name == "teacher" and spec.takes_teachers and isinstance(node, ListLiteral):
            named = [names.refer(item, "`teacher`") for item in node.items]
            known = [one for one in named if one is not None]
            clean = clean and len(known) == len(named) > 0
            teacher, teachers = (known[0], known[1:]) if known else (None, [])
        elif name == "teacher" and spec.takes_teacher:
            teacher = names.refer(node, "`teacher`")
            clean = clean and teacher is not None
        elif name == "teacher":
            clean = False
            takers = tuple(taker for taker, other in SPECS.items() if other.takes_teacher)
            session.report(codes.optimizers.TakesNoTeacher(at, spec.name, takers))
        elif option is not None:
            known, value = option_value(session, place, spec, option, node)
            clean = clean and known
            if known:
                given[name] = value
        elif spec.nests and isinstance(node, Call):
            bare = StepInfo(place, name, None, info.node, None, None, clean=False)
            nested[name] = inner = _called(names, bare, node)
            clean = check_inside(session, inner, argument.name, spec.name) and clean
        else:
            clean = False
            unknown_option(session, place, spec, argument.name)
    if spec.gathers and gathered is None:
        clean = False
        session.report(codes.ensembles.NoMembers(place.at(call)))
    result = structs.replace(
        info,
        given=given,
        arguments=arguments,
        student=student,
        teacher=teacher,
        teachers=tuple(teachers),
        clean=clean,
        members=gathered.refs if gathered else (),
        nested=nested,
        compat=compat,
    )
    options = result.options()
    found = ((one, one.found(options)) for one in spec.conflicts) if options is not None else ()
    conflict, why = next(((one, why) for one, why in found if why is not None), (None, ""))
    if conflict is not None:
        mentioned: list[Node] = [arguments[name] for name in conflict.names if name in arguments]
        first, *others = [place.at(one) for one in mentioned or [call.callee]]
        session.report(codes.optimizers.Contradiction(first, spec.name, why, tuple(others), conflict.help))
    return result

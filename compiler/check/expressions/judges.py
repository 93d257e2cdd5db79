"""Calls of judges in metrics: each becomes a program of its own, and its score a variable."""

from __future__ import annotations

from msgspec.structs import replace

from dspec.grammar.tree import Argument, Attribute, Call, Literal, Reference
from dspec.runtime.schema.expressions import Expression, Variable
from dspec.runtime.schema.program import Gives, Program
from dspec.runtime.schema.types import STR, ListOf, Type

from ... import ir
from ...diagnostics import codes
from ...tables.judges import CRITERIA, JUDGE, JudgeFunction, JudgeInputs
from ..names.names import resolve
from ..shape.arguments import match_arguments
from ..shape.attributes import form_of
from ..symbols import Symbol
from ..types.declared import lm_closure, reachable
from ..types.kinds import ANY, FLOAT, Group, Kind, is_text
from .functions import checked_argument
from .infer import infer, value
from .scope import NOTHING, Scope, Typed


def call_judge(scope: Scope, node: Call, judge: JudgeFunction) -> Typed:
    """The score of a judge, as the variable that stands for it; reports what is wrong with the call."""
    given = _matched(scope, node, judge)
    inputs: dict[str, Expression] = {}
    kinds: dict[str, Type] = {}
    for name, argument in given.items():
        if name not in (CRITERIA, JUDGE):
            inputs[name], kinds[name] = _value(scope, judge, name, argument)
    criteria = _criteria(scope, given[CRITERIA]) if CRITERIA in given else ""
    model = (
        resolve(scope.session, scope.place, given[JUDGE].value, ("lm",), f"`{JUDGE}`")
        if JUDGE in given
        else None
    )
    if not _may_be_asked(scope, node, judge):
        return Typed(ANY)
    if model is not None and scope.measure is not None and {*judge.required} <= {*given}:
        return Typed(FLOAT, _asked(scope, node, judge, model, criteria, kinds, inputs))
    return Typed(FLOAT)


def _matched(scope: Scope, node: Call, judge: JudgeFunction) -> dict[str, Argument]:
    """The arguments by name; reports what does not belong to the call, and what it lacks."""
    named = [argument.name.text for argument in node.arguments if argument.name is not None]
    values = [name for name in dict.fromkeys(named) if name not in judge.arguments] if judge.takes_any else []
    if judge.takes_any:
        places = sum(name not in named for name in judge.arguments)
        spare = [argument for argument in node.arguments if argument.name is None][places:]
        for argument in spare:
            _nameless(scope, judge, argument)
        node = replace(node, arguments=tuple(each for each in node.arguments if each not in spare))
        if not values and not spare:
            scope.session.report(codes.calls.JudgesNothing(scope.place.at(node.callee), judge.name))
    found = match_arguments(
        scope.session,
        scope.place,
        node,
        f"`{judge.name}`",
        [*judge.arguments, *values],
        judge.required,
        f"`{judge.shape}`",
    )
    return {name: arguments[0] for name, arguments in found.items()}


def _nameless(scope: Scope, judge: JudgeFunction, argument: Argument) -> None:
    """Report a value without a name: a judge sees each value under its name."""
    node = argument.value
    last = node.name if isinstance(node, Attribute | Reference) else None
    name = last.text if last is not None else "text"
    scope.session.report(
        codes.calls.Nameless(scope.place.at(argument), judge.name, name, its_own=last is not None)
    )
    infer(scope, node)


def _value(scope: Scope, judge: JudgeFunction, name: str, argument: Argument) -> tuple[Expression, Type]:
    """A value that the judge looks at, and its type as the judge sees it: a union of literals is plain text there."""
    parameter = next((one for one in judge.values if one.name == name), None)
    if parameter is None:
        kind, code = value(scope, argument.value, f"`{name}` of `{judge.name}`")
        return code, kind
    found = checked_argument(scope, judge.name, parameter, argument)
    return found.code, _shown(found.kind)


def _shown(kind: Kind) -> Type:
    if isinstance(kind, Group):
        return ANY
    if isinstance(kind, ListOf):
        return ListOf(item=STR) if is_text(kind.item) else kind
    return STR if is_text(kind) else kind


def _criteria(scope: Scope, argument: Argument) -> str:
    """The criteria. They are part of the judge itself, so they must be known when the file is read."""
    node = argument.value
    if isinstance(node, Literal) and isinstance(node.value, str) and node.value.strip():
        return node.value
    mistakes = len(scope.session.findings)
    infer(scope, node)
    if len(scope.session.findings) == mistakes:
        scope.session.report(codes.attributes.NoCriteria(scope.place.at(node), CRITERIA, form_of(node)))
    return ""


def _may_be_asked(scope: Scope, node: Call, judge: JudgeFunction) -> bool:
    if scope.measure is None:
        program = scope.calls is not None
        scope.session.report(
            codes.metrics.JudgeOutsideMetric(scope.place.at(node.callee), judge.name, scope.purpose, program)
        )
        return False
    return True


def _asked(
    scope: Scope,
    node: Call,
    judge: JudgeFunction,
    model: Symbol,
    criteria: str,
    kinds: dict[str, Type],
    inputs: dict[str, Expression],
) -> Expression:
    """The judge's variable."""
    program = judge.program(
        JudgeInputs(
            lm=model.key,
            lms=lm_closure(scope.session, model),
            records=reachable(scope.session, list(kinds.values())),
            values=kinds,
            criteria=criteria,
        )
    )
    return ask(scope, node, judge.name, program, inputs)


def ask(
    scope: Scope,
    node: Call,
    name: str,
    program: Program,
    inputs: dict[str, Expression],
    gives: Gives = "score",
) -> Expression:
    """The variable that stands for what a program says of these inputs. Two calls that ask the same about the same values share
    one. Within a list comprehension it is asked for each item, so the list must say how many these are at most."""
    assert scope.measure is not None
    judges = scope.measure.judges
    times = scope.times
    if scope.endless is not None:
        scope.session.report(
            codes.programs.CallsNotCounted(scope.endless.where, (name,), keys=scope.endless.keys)
        )
        return NOTHING
    for place, one in enumerate(judges):
        if (one.program, one.inputs, one.times is None) == (program, inputs, times is None):
            if times is not None:
                judges[place] = one.model_copy(update={"times": one.most + times})
            return Variable(name=one.name)
    made = ir.Judge(
        name=f"{name}({len(judges) + 1})", program=program, inputs=inputs, times=times, gives=gives
    )
    judges.append(made)
    return Variable(name=made.name)

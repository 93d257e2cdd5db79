"""Calls of aggregates in a metric's score: each becomes a variable that stands for a number over all rows.

What an aggregate is given is computed for each row, and what the score makes of aggregates once for all. So the score reads
rows nowhere else, and it rises with each aggregate: a row that does better never lowers it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import cast

from msgspec.structs import replace

from dspec.grammar.tree import Call, Expr, Node, Percent, Reference
from dspec.grammar.walk import children
from dspec.runtime.schema.expressions import Apply, BinaryOp, Constant, Expression, Variable
from dspec.runtime.schema.types import Frozen, Scalar
from dspec.runtime.values.functions import FUNCTIONS

from ... import ir
from ...diagnostics import codes
from ...tables.aggregates import AGGREGATES, PERCENT, AggregateFunction
from ..shape.arguments import match_arguments
from ..types.kinds import (
    ANY,
    BOOL,
    FLOAT,
    Group,
    Kind,
    ListOf,
    OneOf,
    OptionalOf,
    comparable,
    is_number,
    is_unknown,
    spell,
)
from .functions import checked_value
from .in_range import check_in_range
from .infer import infer, needed, one_value
from .ranges import SHARE, Bounds
from .scope import Scope, Typed

_LABELS = frozenset({"str", "bool", "int", "date", "datetime"})


def aggregate_called(scope: Scope, node: Call) -> AggregateFunction | None:
    """The aggregate that is called by a name that nothing else has. A function that has the name too, as `mean` has, is meant
    where no aggregate may stand."""
    if not isinstance(node.callee, Reference):
        return None
    name = node.callee.name.text
    found, function = AGGREGATES.get(name), FUNCTIONS.get(name)
    if found is None or function is None:
        return found
    own = {parameter.name for parameter in function.parameters}
    named = any(argument.name is not None and argument.name.text in own for argument in node.arguments)
    return found if scope.aggregates is not None and not named else None


def call_aggregate(scope: Scope, node: Call, aggregate: AggregateFunction) -> Typed:
    """The number over all rows, as the variable that stands for it; reports what is wrong with the call."""
    at = scope.place.at(node.callee)
    given = match_arguments(
        scope.session,
        scope.place,
        node,
        f"`{aggregate.name}`",
        list(aggregate.arguments),
        set(aggregate.arguments),
        f"`{aggregate.shape}`",
    )
    mistakes = len(scope.session.findings)
    row = replace(scope, aggregates=None, one_row=f"the argument of `{aggregate.name}`")
    nodes = {name: arguments[0].value for name, arguments in given.items()}
    typed: dict[str, Typed] = {}
    for name in aggregate.values:
        if name not in nodes:
            continue
        one = infer(row, nodes[name])
        if aggregate.name in FUNCTIONS and isinstance(one.kind, ListOf):
            # Of a list it is the function of that name, which looks at one row.
            function = FUNCTIONS[aggregate.name]
            made = checked_value(scope, function.name, function.parameters[0], nodes[name], one)
            return Typed(FLOAT, Apply(function=function.name, arguments=(made.code,)))
        what = f"`{name}` of `{aggregate.name}`"
        kind, code = one_value(row, nodes[name], needed(row, nodes[name], one, what), what)
        typed[name] = Typed(kind, code)
    percent = _percent(scope, aggregate, nodes[PERCENT]) if PERCENT in nodes else 0.0
    if scope.aggregates is None:
        scope.session.report(
            codes.aggregates.AggregateOfOneRow(at, aggregate.name, scope.one_row or scope.purpose)
        )
        return Typed(ANY)
    if scope.times is not None:
        scope.session.report(codes.aggregates.AggregateOfOneRow(at, aggregate.name, "an item of a list"))
        return Typed(ANY)
    if len(typed) < len(aggregate.values) or len(given) < len(aggregate.arguments):
        return Typed(FLOAT)
    if len(scope.session.findings) == mistakes:
        _fits(scope, aggregate, nodes, typed)
    inputs = tuple(typed[name].code for name in aggregate.values)
    known = next(
        (
            one
            for one in scope.aggregates
            if (one.function, one.inputs, one.percent) == (aggregate.name, inputs, percent)
        ),
        None,
    )
    if known is None:
        known = ir.Aggregate(
            name=f"{aggregate.name}({len(scope.aggregates) + 1})",
            function=aggregate.name,
            inputs=inputs,
            percent=percent,
        )
        scope.aggregates.append(known)
    return Typed(FLOAT, Variable(name=known.name))


def _percent(scope: Scope, aggregate: AggregateFunction, node: Expr) -> float:
    """The percentage. It says what is computed, so it is known when the file is read."""
    if isinstance(node, Percent):
        written = node.value if 0 <= node.value <= 100 else None
        scope.session.report(codes.aggregates.NoPercentage(scope.place.at(node), aggregate.name, written))
        return 0.0
    code = infer(scope, node).code
    number = code.value if isinstance(code, Constant) else None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 100:
        scope.session.report(codes.aggregates.NoPercentage(scope.place.at(node), aggregate.name))
        return 0.0
    return float(number)


def _fits(
    scope: Scope, aggregate: AggregateFunction, nodes: dict[str, Expr], typed: dict[str, Typed]
) -> None:
    for name, one in typed.items():
        good = _is_label(one.kind) if aggregate.of_labels else one.kind == BOOL or is_number(one.kind)
        if not (good or is_unknown(one.kind)):
            scope.session.report(
                codes.aggregates.NotOfARow(
                    scope.place.at(nodes[name]),
                    aggregate.name,
                    name,
                    spell(one.kind),
                    aggregate.of_labels,
                    isinstance(one.kind, ListOf),
                )
            )
            return
        if not aggregate.of_labels:
            check_in_range(replace(scope, aggregates=None), nodes[name], one.code)
    if not aggregate.of_labels:
        return
    gold, pred = (typed[name].kind for name in aggregate.values)
    answers = _answer_read(scope, typed["gold"].code)
    if answers is not None:
        swapped = _answer_read(scope, typed["pred"].code) is None
        at = scope.place.at(nodes["gold"])
        scope.session.report(codes.aggregates.LabelOfAnswer(at, aggregate.name, answers, swapped))
    elif not comparable(gold, pred):
        sides = scope.operand(nodes["gold"], gold), scope.operand(nodes["pred"], pred)
        scope.session.report(
            codes.aggregates.LabelsApart(scope.place.at(nodes["pred"]), aggregate.name, *sides)
        )


def _is_label(kind: Kind) -> bool:
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    return (
        (isinstance(inner, Scalar) and inner.name in _LABELS) or isinstance(inner, OneOf) or is_unknown(inner)
    )


def _answer_read(scope: Scope, code: Expression) -> str | None:
    """The name of the program's outputs where an expression reads them, by itself or by what a `let` or a judge reads."""
    runs = {
        name
        for name, one in scope.names.items()
        if isinstance(one.kind, Group) and one.kind.role == "pred" and isinstance(one.code, Variable)
    }
    measure = scope.measure
    made: dict[str, object] = {}
    if measure is not None:
        made.update((let.name, let.value) for let in measure.lets)
        made.update((judge.name, judge.inputs) for judge in measure.judges)
    waiting, seen = [*_variables(code)], set[str]()
    while waiting:
        name = waiting.pop()
        if name in runs:
            return name
        if name in made and name not in seen:
            seen.add(name)
            waiting += _variables(made[name])
    return None


def _variables(code: object) -> Iterator[str]:
    """The variables that an expression reads, or something that holds expressions; a loop's own are among them."""
    match code:
        case Variable(name=name):
            yield name
        case Frozen():
            yield from _variables(tuple(vars(code).values()))
        case tuple():
            for part in cast("tuple[object, ...]", code):
                yield from _variables(part)
        case dict():
            yield from _variables(tuple(cast("dict[str, object]", code).values()))
        case _:
            return


def _references(node: Node, skipping: Collection[str]) -> Iterator[Reference]:
    """Names that an expression reads, outside of calls of functions to be skipped."""
    if isinstance(node, Reference):
        yield node
        return
    if isinstance(node, Call) and isinstance(node.callee, Reference):
        if node.callee.name.text in skipping:
            return
        for argument in node.arguments:
            yield from _references(argument, skipping)
        return
    for child in children(node):
        yield from _references(child, skipping)


def check_made_of_aggregates(scope: Scope, node: Expr, code: Expression) -> Bounds | None:
    """Check a score that has aggregates: it reads rows, and what is made of one, in their arguments alone, and rises with each.

    Gives the bounds of what it makes of them, and None after a mistake.
    """
    assert scope.aggregates is not None
    beside = next((one for one in _references(node, AGGREGATES) if one.name.text in scope.names), None)
    first = AGGREGATES[scope.aggregates[0].function].name
    if beside is not None:
        scope.session.report(codes.aggregates.RowBesideAggregate(scope.place.at(beside), first))
        return None
    bounds = _rising(code, {one.name for one in scope.aggregates})
    if bounds is None:
        scope.session.report(codes.aggregates.NotRising(scope.place.at(node), first))
    return bounds


def _rising(code: Expression, aggregates: Collection[str]) -> Bounds | None:
    """The lowest and the highest value of an expression that rises with each aggregate; None of any other expression."""
    match code:
        case Variable(name=name):
            return SHARE if name in aggregates else None
        case Constant(value=bool()):
            return None
        case Constant(value=int() | float() as value):
            return Bounds(float(value), float(value), 0) if abs(value) < 1e300 else None
        case BinaryOp(operator="+" | "-" | "*" | "/" as operator, left=left, right=right):
            one, other = _rising(left, aggregates), _rising(right, aggregates)
            return None if one is None or other is None else _of_two(operator, one, other)
        case Apply(function="min" | "max" as name, arguments=arguments, named={}) if len(arguments) > 1:
            given = [_rising(one, aggregates) for one in arguments]
            known = [one for one in given if one is not None]
            if len(known) < len(given):
                return None
            choose = min if name == "min" else max
            return Bounds(
                choose(one.low for one in known),
                choose(one.high for one in known),
                sum(one.free for one in known),
            )
        case _:
            return None


def _of_two(operator: str, one: Bounds, other: Bounds) -> Bounds | None:
    free = one.free + other.free
    match operator:
        case "+":
            return Bounds(one.low + other.low, one.high + other.high, free)
        case "-" if other.free == 0:
            return Bounds(one.low - other.low, one.high - other.high, free)
        case "*" if one.low >= 0 and other.low >= 0:
            return Bounds(one.low * other.low, one.high * other.high, free)
        case "/" if other.free == 0 and other.low > 0:
            return Bounds(one.low / other.low, one.high / other.high, free)
        case _:
            return None

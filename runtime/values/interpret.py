"""Evaluation of expressions over JSON values.

Artifacts are untrusted, so an evaluation is bounded: in steps, in depth, and in the size of every text,
list and number it makes. Values of unlike types are unequal; ordering or computing with them is an
EvaluationError that says what met what. Nothing but JSON values and the table in `functions` is in reach.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

from ..errors import EvaluationError
from ..schema.expressions import (
    Apply,
    BinaryOp,
    Constant,
    Expression,
    ForEach,
    If,
    Item,
    ListOfItems,
    Member,
    UnaryOp,
    Variable,
)
from ..schema.types import JsonValue
from .functions import FUNCTIONS, Function, Marker, accepts, equal, wording
from .values import short

MAX_STEPS = 1_000_000
MAX_DEPTH = 150
MAX_TEXT = 4_000_000
MAX_ITEMS = 200_000
_MAX_NUMBER = 10**300

Scope = Mapping[str, JsonValue]

_ORDERINGS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SYMBOLS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


def evaluate(expression: Expression, scope: Scope) -> JsonValue:
    """The expression's value. Raises EvaluationError."""
    return _Evaluation().value(expression, scope, 0)


def names(expression: Expression) -> frozenset[str]:
    """The variables that the expression reads from its scope."""
    match expression:
        case Constant():
            return frozenset()
        case Variable(name=name):
            return frozenset({name})
        case Member(target=target):
            return names(target)
        case Item(target=target, index=index):
            return names(target) | names(index)
        case Apply(arguments=arguments, named=named):
            return frozenset[str]().union(*map(names, arguments), *map(names, named.values()))
        case UnaryOp(operand=operand):
            return names(operand)
        case BinaryOp(left=left, right=right):
            return names(left) | names(right)
        case If(condition=condition, consequence=consequence, alternative=alternative):
            return names(condition) | names(consequence) | names(alternative)
        case ListOfItems(items=items):
            return frozenset[str]().union(*map(names, items))
        case ForEach(element=element, variable=variable, iterable=iterable):
            return names(iterable) | (names(element) - {variable})


class _Evaluation:
    """One evaluation; it counts the steps taken."""

    def __init__(self) -> None:
        self.steps = 0

    def value(self, node: Expression, scope: Scope, depth: int) -> JsonValue:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise EvaluationError(f"the expression takes more than {MAX_STEPS} steps")
        if depth > MAX_DEPTH:
            raise EvaluationError(f"the expression nests deeper than {MAX_DEPTH} levels")
        depth += 1
        match node:
            case Constant(value=value):
                return value
            case Variable(name=name):
                if name not in scope:
                    raise EvaluationError(f"there is no value named `{name}` here")
                return scope[name]
            case Member(target=target, name=name):
                return _member(self.value(target, scope, depth), name)
            case Item(target=target, index=index):
                return _item(self.value(target, scope, depth), self.value(index, scope, depth))
            case UnaryOp(operator="not", operand=operand):
                return not self.truth(operand, scope, depth, "not")
            case UnaryOp(operand=operand):
                value = self.value(operand, scope, depth)
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise EvaluationError(f"`-` needs a number, got {short(value)}")
                return -value
            case BinaryOp(operator="and", left=left, right=right):
                return self.truth(left, scope, depth, "and") and self.truth(right, scope, depth, "and")
            case BinaryOp(operator="or", left=left, right=right):
                return self.truth(left, scope, depth, "or") or self.truth(right, scope, depth, "or")
            case BinaryOp(operator=symbol, left=left, right=right):
                return _binary(symbol, self.value(left, scope, depth), self.value(right, scope, depth))
            case If(condition=condition, consequence=consequence, alternative=alternative):
                chosen = consequence if self.truth(condition, scope, depth, "if") else alternative
                return self.value(chosen, scope, depth)
            case ListOfItems(items=items):
                return [self.value(item, scope, depth) for item in items]
            case ForEach():
                return self.for_each(node, scope, depth)
            case Apply():
                return self.apply(node, scope, depth)

    def truth(self, node: Expression, scope: Scope, depth: int, who: str) -> bool:
        value = self.value(node, scope, depth)
        if not isinstance(value, bool):
            raise EvaluationError(f"`{who}` needs true or false, got {short(value)}")
        return value

    def for_each(self, node: ForEach, scope: Scope, depth: int) -> JsonValue:
        items = self.value(node.iterable, scope, depth)
        if not isinstance(items, list):
            raise EvaluationError(f"`for {node.variable} in` needs a list, got {short(items)}")
        return [self.value(node.element, {**scope, node.variable: item}, depth) for item in items]

    def apply(self, node: Apply, scope: Scope, depth: int) -> JsonValue:
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise EvaluationError(f"there is no function `{node.function}`")
        given = [self.value(argument, scope, depth) for argument in node.arguments]
        named = {name: self.value(argument, scope, depth) for name, argument in node.named.items()}
        arguments = _bound(function, given, named)
        try:
            return _bounded(function.call(*arguments))
        except (ValueError, OverflowError) as error:
            raise EvaluationError(f"{function.name}: {error}") from None


def _bound(function: Function, given: list[JsonValue], named: dict[str, JsonValue]) -> list[JsonValue]:
    """Arguments by position, each of its kind, defaults filled in."""
    name = function.name
    out: list[JsonValue] = []
    left = dict(named)
    for parameter in function.parameters:
        if parameter.variadic:
            several = given[len(out) :]
            if not several:
                raise EvaluationError(f"{name}: `{parameter.name}` is missing")
            kinds = (parameter.kind, Marker.NUMBER) if parameter.kind is Marker.NUMBERS else (parameter.kind,)
            for value in several:
                if not any(accepts(kind, value) for kind in kinds):
                    raise EvaluationError(f"{name}: expected {wording(parameter.kind)}, got {short(value)}")
            out.extend(several)
            continue
        if len(out) < len(given):
            if parameter.name in left:
                raise EvaluationError(f"{name}: `{parameter.name}` is given twice")
            value = given[len(out)]
        elif parameter.name in left:
            value = left.pop(parameter.name)
        elif parameter.required:
            raise EvaluationError(f"{name}: `{parameter.name}` is missing")
        else:
            value = parameter.default
        if not accepts(parameter.kind, value):
            raise EvaluationError(
                f"{name}: `{parameter.name}` takes {wording(parameter.kind)}, got {short(value)}"
            )
        out.append(value)
    if left:
        raise EvaluationError(f"{name}: there is no parameter `{next(iter(left))}`")
    if len(given) > len(out):
        raise EvaluationError(f"{name}: takes {len(out)} arguments, got {len(given)}")
    return out


def _member(target: JsonValue, name: str) -> JsonValue:
    if not isinstance(target, dict):
        raise EvaluationError(f"`.{name}` needs a value with fields, got {short(target)}")
    if name not in target:
        raise EvaluationError(
            f"there is no `{name}` among {', '.join(map(str, list(target)[:20])) or 'no fields'}"
        )
    return target[name]


def _item(target: JsonValue, index: JsonValue) -> JsonValue:
    if isinstance(target, dict):
        return target.get(index) if isinstance(index, str) else None
    if not isinstance(target, list | str):
        raise EvaluationError(f"`[…]` needs a list, a dict or text, got {short(target)}")
    if isinstance(index, bool) or not isinstance(index, int):
        raise EvaluationError(f"`[…]` needs a whole number, got {short(index)}")
    return target[index] if -len(target) <= index < len(target) else None


def _binary(symbol: str, left: JsonValue, right: JsonValue) -> JsonValue:
    if symbol == "==":
        return equal(left, right)
    if symbol == "!=":
        return not equal(left, right)
    if symbol == "in" or symbol == "not in":
        return _within(left, right) == (symbol == "in")
    if symbol in _ORDERINGS:
        return _ordered(symbol, left, right)
    return _arithmetic(symbol, left, right)


def _within(part: JsonValue, whole: JsonValue) -> bool:
    if isinstance(whole, list):
        return any(equal(item, part) for item in whole)
    if isinstance(whole, str) and isinstance(part, str):
        return part in whole
    if isinstance(whole, dict):
        return isinstance(part, str) and part in whole
    raise EvaluationError(f"`in` cannot look for {short(part)} in {short(whole)}")


def _ordered(symbol: str, left: JsonValue, right: JsonValue) -> bool:
    if _numbers(left, right) or (isinstance(left, str) and isinstance(right, str)):
        return _ORDERINGS[symbol](left, right)  # pyright: ignore[reportArgumentType]
    raise EvaluationError(f"`{symbol}` cannot order {short(left)} and {short(right)}")


def _numbers(left: JsonValue, right: JsonValue) -> bool:
    return (
        isinstance(left, int | float)
        and isinstance(right, int | float)
        and not isinstance(left, bool)
        and not isinstance(right, bool)
    )


def _arithmetic(symbol: str, left: JsonValue, right: JsonValue) -> JsonValue:
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        return _bounded(left + right)
    if symbol == "+" and isinstance(left, list) and isinstance(right, list):
        return _bounded([*left, *right])
    if not _numbers(left, right):
        raise EvaluationError(
            f"cannot {_SYMBOLS[symbol]} {short(left)} and {short(right)}{_hint(left, right)}"
        )
    a, b = left, right
    assert isinstance(a, int | float)
    assert isinstance(b, int | float)
    try:
        match symbol:
            case "+":
                return _bounded(a + b)
            case "-":
                return _bounded(a - b)
            case "*":
                return _bounded(a * b)
            case _:
                return _bounded(a / b)
    except ZeroDivisionError:
        raise EvaluationError(f"cannot divide {short(left)} by zero") from None
    except OverflowError:
        raise EvaluationError(f"the result of `{symbol}` is too large") from None


def _hint(left: JsonValue, right: JsonValue) -> str:
    if isinstance(left, str) != isinstance(right, str) and None not in (left, right):
        return "; `str(…)` turns a value into text"
    if isinstance(left, bool) or isinstance(right, bool):
        return "; write `if … then 1 else 0` for a number"
    return ""


def _bounded(value: JsonValue) -> JsonValue:
    match value:
        case str():
            too_large = len(value) > MAX_TEXT
        case list():
            too_large = len(value) > MAX_ITEMS
        case float():
            too_large = not math.isfinite(value)
        case int():
            too_large = abs(value) > _MAX_NUMBER
        case _:
            too_large = False
    if too_large:
        raise EvaluationError("the result is too large")
    return value

"""Evaluation of expressions over JSON values.

Artifacts are untrusted, so an evaluation is bounded: in work, in depth, and in the size of every value it makes.
Work counts what is looked at and what is made, not only the expression's nodes, and all evaluations of one run
share what the run may do (`SharedWork`). Values of unlike types are unequal; ordering or computing with them is an
EvaluationError that says what met what. Nothing but JSON values and the table in `functions` is in reach.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import cast

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
from .lazily import LazyScope
from .values import short

MAX_STEPS = 1_000_000
"""Steps of one evaluation."""
MAX_RUN_STEPS = 5_000_000
"""Steps of all evaluations in one run of a program."""
MAX_DEPTH = 150
MAX_TEXT = 4_000_000
MAX_ITEMS = 200_000
MAX_SIZE = 8_000_000
"""Size of a list with all that is in it, as `Weights` counts it."""
MAX_NESTING = 150
"""How deep lists and dicts may stand inside one another."""
_MAX_NUMBER = 10**300

# So much of a value counts as one step: to look at it, or to make it, takes as long as a step in Python.
_ITEMS_SEEN = 8
_SIZE_SEEN = 64
_SIZE_MADE = 16

# Not unions: each time that one is written, it is made, and this is done millions of times.
_SIZED = (str, list, dict)
_NESTING = (list, dict)
_NUMBERS = (int, float)

Scope = Mapping[str, JsonValue]

_ORDERINGS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SYMBOLS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


class Work:
    """Steps that may still be taken."""

    __slots__ = ("left", "of")

    def __init__(self, of: int = MAX_RUN_STEPS) -> None:
        self.of = self.left = of

    def take(self, steps: int) -> None:
        """Raises EvaluationError where there is not so much left."""
        self.left -= steps
        if self.left < 0:
            raise EvaluationError(f"the program computes more than {self.of:,} steps in one run")


_RUN: ContextVar[Work | None] = ContextVar("dspec_work", default=None)
"""The work that the current run may still do, which all its tasks share. None outside of a run."""


class SharedWork:
    """All evaluations in here share the work that one run may do: what is left of `work`, for a run that goes on. A run within
    a run shares that of the outer one."""

    __slots__ = ("_token", "_work")

    def __init__(self, work: Work | None = None) -> None:
        self._work = work

    def __enter__(self) -> None:
        self._token = _RUN.set(_RUN.get() or self._work or Work())

    def __exit__(self, *_: object) -> None:
        _RUN.reset(self._token)


def spend(steps: int) -> None:
    """Counts work that a run does outside of expressions. Raises EvaluationError where it may not do that much more."""
    run = _RUN.get()
    if run is not None:
        run.take(steps)


def evaluate(expression: Expression, scope: Scope) -> JsonValue:
    """The expression's value. Raises EvaluationError."""
    return _Evaluation(_RUN.get()).value(expression, scope, 0)


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
        case ForEach(element=element, variable=variable, iterable=iterable, of=of):
            return names(iterable) | (names(element) - {variable, of or variable})


class _Evaluation:
    """One evaluation; it counts the steps taken."""

    def __init__(self, run: Work | None) -> None:
        self.left = MAX_STEPS
        self.run = run
        self.sizes = Weights()

    def takes(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise EvaluationError(f"the expression takes more than {MAX_STEPS} steps")
        if self.run is not None:
            self.run.take(steps)

    def size(self, value: JsonValue) -> int:
        """The value's size. The first look at what is in it counts as work."""
        if not isinstance(value, _NESTING):
            return self.sizes.of(value)
        before = self.sizes.seen
        try:
            return self.sizes.of(value)
        finally:
            self.takes((self.sizes.seen - before) // _ITEMS_SEEN)

    def made(self, value: JsonValue) -> JsonValue:
        """The new value. Making it counts as work. Raises EvaluationError where it is too large."""
        if isinstance(value, list):
            if len(value) > MAX_ITEMS:
                raise EvaluationError("the result is too large")
            self.takes(len(value) * 8 // _SIZE_MADE)
            self.size(value)
            return value
        if isinstance(value, str):
            self.takes(len(value) // _SIZE_MADE)
        return _bounded(value)

    def value(self, node: Expression, scope: Scope, depth: int) -> JsonValue:
        self.takes(1)
        if depth > MAX_DEPTH:
            raise EvaluationError(f"the expression nests deeper than {MAX_DEPTH} levels")
        depth += 1
        # What most expressions are made of comes first, and without a pattern: those look at class after class.
        kind = type(node)
        if kind is Variable:
            name = cast("Variable", node).name
            if name not in scope:
                raise EvaluationError(f"there is no value named `{name}` here")
            return scope[name]
        if kind is Member:
            member = cast("Member", node)
            return _member(self.value(member.target, scope, depth), member.name)
        if kind is BinaryOp:
            return self.operation(cast("BinaryOp", node), scope, depth)
        match node:
            case Constant(value=value):
                return value
            case Item(target=target, index=index):
                return _item(self.value(target, scope, depth), self.value(index, scope, depth))
            case UnaryOp(operator="not", operand=operand):
                return not self.truth(operand, scope, depth, "not")
            case UnaryOp(operand=operand):
                value = self.value(operand, scope, depth)
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise EvaluationError(f"`-` needs a number, got {short(value)}")
                return -value
            case If(condition=condition, consequence=consequence, alternative=alternative):
                chosen = consequence if self.truth(condition, scope, depth, "if") else alternative
                return self.value(chosen, scope, depth)
            case ListOfItems(items=items):
                return self.made([self.value(item, scope, depth) for item in items])
            case ForEach():
                return self.for_each(node, scope, depth)
            case Apply():
                return self.apply(node, scope, depth)
            case Variable() | Member() | BinaryOp():
                raise AssertionError("there are no subclasses of these")

    def operation(self, node: BinaryOp, scope: Scope, depth: int) -> JsonValue:
        symbol = node.operator
        if symbol == "and":
            return self.truth(node.left, scope, depth, "and") and self.truth(node.right, scope, depth, "and")
        if symbol == "or":
            return self.truth(node.left, scope, depth, "or") or self.truth(node.right, scope, depth, "or")
        return self.binary(symbol, self.value(node.left, scope, depth), self.value(node.right, scope, depth))

    def truth(self, node: Expression, scope: Scope, depth: int, who: str) -> bool:
        value = self.value(node, scope, depth)
        if not isinstance(value, bool):
            raise EvaluationError(f"`{who}` needs true or false, got {short(value)}")
        return value

    def for_each(self, node: ForEach, scope: Scope, depth: int) -> JsonValue:
        given = self.value(node.iterable, scope, depth)
        entries: Iterable[tuple[JsonValue, JsonValue]]
        if node.of is None and isinstance(given, list):
            entries = ((item, None) for item in given)
        elif node.of is not None and isinstance(given, dict):
            entries = given.items()
        else:
            names, wanted = (
                (node.variable, "list") if node.of is None else (f"{node.variable}, {node.of}", "dict")
            )
            raise EvaluationError(f"`for {names} in` needs a {wanted}, got {short(given)}")
        if not given:
            return []
        self.takes(len(scope) // _ITEMS_SEEN)
        inner = scope.within() if isinstance(scope, LazyScope) else dict(scope)
        found: list[JsonValue] = []
        for item, of in entries:
            inner[node.variable] = item
            if node.of is not None:
                inner[node.of] = of
            found.append(self.value(node.element, inner, depth))
        return self.made(found)

    def binary(self, symbol: str, left: JsonValue, right: JsonValue) -> JsonValue:
        if type(left) is str and type(right) is str and (symbol == "==" or symbol == "!="):
            # What most metrics are; the steps are those that any two values take.
            self.takes((min(len(left), len(right)) + 8) // _SIZE_SEEN)
            return (left == right) is (symbol == "==")
        if symbol in ("in", "not in"):
            self.takes(
                self.size(right) // _SIZE_SEEN + (len(right) if isinstance(right, list) else 0) // _ITEMS_SEEN
            )
        elif isinstance(left, _SIZED) and isinstance(right, _SIZED):
            if symbol == "+":
                self.must_fit(left, right)
            else:
                self.takes(min(self.size(left), self.size(right)) // _SIZE_SEEN)
        found = _binary(symbol, left, right)
        return self.made(found) if symbol == "+" else found

    def must_fit(self, left: JsonValue, right: JsonValue) -> None:
        """Raises EvaluationError where two values would become one that is too large. It asks before they do."""
        for kind, most in ((str, MAX_TEXT), (list, MAX_ITEMS)):
            if isinstance(left, kind) and isinstance(right, kind) and len(left) + len(right) > most:
                raise EvaluationError("the result is too large")

    def apply(self, node: Apply, scope: Scope, depth: int) -> JsonValue:
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise EvaluationError(f"there is no function `{node.function}`")
        given = [self.value(argument, scope, depth) for argument in node.arguments]
        named = {name: self.value(argument, scope, depth) for name, argument in node.named.items()}
        arguments = _bound(function, given, named)
        self.takes(function.work(*map(self.size, arguments)) // _SIZE_SEEN)
        try:
            if function.more is not None:
                self.takes(function.more(*arguments) // _SIZE_SEEN)
            return self.made(function.call(*arguments))
        except (ValueError, OverflowError) as error:
            raise EvaluationError(f"{function.name}: {error}") from None


class Weights:
    """The sizes of values: what it takes to walk, copy or write one.

    A part that stands in a value twice counts twice, but each list or dict is looked at once. `seen` counts the items
    that were looked at.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._known: dict[int, tuple[JsonValue, int, int]] = {}
        """By the `id` of a value: the value, its size and its nesting. The value is kept, so that no other gets its `id`."""

    def of(self, value: JsonValue) -> int:
        """The value's size. Raises EvaluationError where it is larger than any value may be."""
        return self._measured(value)[0]

    def _measured(self, value: JsonValue) -> tuple[int, int]:
        if isinstance(value, str):
            return len(value) + 8, 0
        if not isinstance(value, _NESTING):
            return 8, 0
        known = self._known.get(id(value))
        if known is not None:
            return known[1], known[2]
        self.seen += len(value)
        size, nesting = 8, 0
        for part in value:
            if isinstance(value, dict):
                size += len(str(part))
                part = value[str(part)]
            inner, deep = self._measured(part)
            size += inner
            nesting = max(nesting, deep)
            if size > MAX_SIZE or nesting >= MAX_NESTING:
                raise EvaluationError("the result is too large")
        self._known[id(value)] = value, size, nesting + 1
        return size, nesting + 1


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
        isinstance(left, _NUMBERS)
        and isinstance(right, _NUMBERS)
        and not isinstance(left, bool)
        and not isinstance(right, bool)
    )


def _arithmetic(symbol: str, left: JsonValue, right: JsonValue) -> JsonValue:
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    if symbol == "+" and isinstance(left, list) and isinstance(right, list):
        return [*left, *right]
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

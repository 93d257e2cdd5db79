"""Sizes of values that nobody has seen yet, in bytes at most: those of rows, and what expressions make of them.

All are sizes of the value written as JSON, so that a text may be put into a list. They only grow with those of the row, and
ever faster.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Collection, Iterable, Mapping
from heapq import nlargest

from msgspec import Struct

from dspec.runtime.schema.expressions import (
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
from dspec.runtime.schema.types import JsonValue, ListOf, Scalar
from dspec.runtime.values.functions import FUNCTIONS
from dspec.runtime.values.markers import escape_json
from dspec.runtime.values.media import media_in

from ..data.rows import Rows, columns_of

_NUMBER = 32
_NOT_AS_IT_IS = re.compile(r'[\x00-\x1f"\\<]|\[\[|sha256 |: http').search
"""What is more in JSON or in a layout than its characters, or may be a medium."""
_HUGE = 10**15
Sized = int | dict[str, "Sized"]
"""Bytes of a value; of an object, or of a list of such, by member, as far as those are told apart."""
Sizes = Mapping[str, "Sized"]


def bytes_of(value: JsonValue) -> int:
    """Of a value in a prompt, at most: with the escapes of its layout, which for a tag is one byte at its `<`. Media count a
    byte for each token that they are billed as."""
    if type(value) is str and value.isascii() and not _NOT_AS_IT_IS(value):
        return len(value) + 2
    text = escape_json(json.dumps(value, ensure_ascii=False))
    media = sum(one.tokens() for one in media_in(text))
    return len(text.encode(errors="replace")) + text.count("<") + media


_TURN = 240
"""Bytes around what a turn of a history says: its two messages' frames and the end of an answer."""


def bytes_of_turns(value: JsonValue) -> int:
    """Of a history: each turn is two messages, each value a section with a header or a tag."""
    turns = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return bytes_of(value) + sum(_TURN + sum(40 + 2 * len(name) for name in turn) for turn in turns)


def whole(size: Sized) -> int:
    if isinstance(size, int):
        return min(size, _HUGE)
    return sum(len(name) + 6 + whole(one) for name, one in size.items())


def longer(one: Sized, other: Sized) -> Sized:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return {name: longer(one[name], other[name]) for name in one}
    return max(whole(one), whole(other))


def scaled(size: Sized, times: float) -> Sized:
    if isinstance(size, int):
        return min(_HUGE, math.ceil(times * (size + 2)))
    return {name: scaled(one, times) for name, one in size.items()}


def plus(one: Sized, other: Sized) -> Sized:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return {name: plus(one[name], other[name]) for name in one}
    return whole(one) + whole(other)


def size_of(expression: Expression, scope: Sizes) -> Sized:
    """Bytes of an expression's value at most, from those of what it reads. A name that nobody knows may be all there is."""
    match expression:
        case Constant(value=value):
            return bytes_of(value)
        case Variable(name=name):
            return scope[name] if name in scope else whole(dict(scope))
        case Member(target=target, name=name):
            found = size_of(target, scope)
            return found[name] if isinstance(found, dict) and name in found else whole(found)
        case Item(target=target):
            return size_of(target, scope)
        case Apply():
            return _applied(expression, scope)
        case BinaryOp(operator="+", left=left, right=right):
            return plus(size_of(left, scope), size_of(right, scope))
        case UnaryOp() | BinaryOp():
            return _NUMBER
        case If(consequence=consequence, alternative=alternative):
            return longer(size_of(consequence, scope), size_of(alternative, scope))
        case ListOfItems(items=items):
            return sum(whole(size_of(item, scope)) + 2 for item in items) + 2
        case ForEach():
            items = size_of(expression.iterable, scope)
            names = (expression.variable,) if expression.of is None else (expression.variable, expression.of)
            longest = size_of(expression.element, {**scope, **dict.fromkeys(names, items)})
            count = _length(expression.iterable, whole(items))
            empty = size_of(expression.element, {**scope, **dict.fromkeys(names, scaled(items, 0))})
            return plus(scaled(longest, 1), scaled(empty, max(0, count - 1)))


def _length(expression: Expression, size: int) -> int:
    """Items of a list at most: each is a character and a comma."""
    match expression:
        case ListOfItems(items=items):
            return len(items)
        case Apply(function="range", arguments=(Constant(value=int(count)),)):
            return count
        case _:
            return size // 3 + 1


def _applied(call: Apply, scope: Sizes) -> Sized:
    function = FUNCTIONS.get(call.function)
    given = [size_of(one, scope) for one in (*call.arguments, *call.named.values())]
    if function is None:
        return sum(map(whole, given))
    if isinstance(function.result, Scalar) and function.result.name in ("int", "float", "bool"):
        return _NUMBER
    if isinstance(function.result, ListOf | Scalar):
        return function.grows(*map(whole, given))
    # A list, or an item of one, as it was given.
    return (
        given[0] if given and isinstance(given[0], dict) else min(_HUGE, function.grows(*map(whole, given)))
    )


class RowSizes(Struct, frozen=True):
    """Sizes of some rows: of all together, of the longest value of each field, and of the longest rows."""

    count: int
    total: Sizes
    longest: Sizes
    ordered: tuple[dict[str, int], ...]
    """Longest first, as many as anybody asks for."""

    def top(self, count: int) -> Sizes:
        """Of the longest `count` rows together."""
        return _summed(self.ordered[:count])

    def mean(self) -> Sizes:
        return {name: math.ceil(whole(size) / max(1, self.count)) for name, size in self.total.items()}


def _summed(rows: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for row in rows:
        for name, size in row.items():
            total[name] = total.get(name, 0) + size
    return total


def sized(rows: Rows, keep: int = 1_000, *, histories: Collection[str] = ()) -> RowSizes:
    """The sizes of these rows, labels included; `histories` are the columns that hold turns."""
    if not rows:
        return RowSizes(0, {}, {}, ())
    columns = {
        name: array("q", map(bytes_of_turns, cells) if name in histories else map(bytes_of, cells))
        for name, cells in columns_of(rows).items()
    }
    longest = {name: max(sizes) for name, sizes in columns.items()}
    together = list(map(sum, zip(*columns.values(), strict=True)))
    ordered = nlargest(keep, range(len(together)), key=together.__getitem__)
    return RowSizes(
        len(rows),
        {name: sum(sizes) for name, sizes in columns.items()},
        longest,
        tuple({name: sizes[place] for name, sizes in columns.items()} for place in ordered),
    )

"""Expressions of metrics, checks and programs, as data that artifacts carry.

The compiler lowers checked syntax to these nodes; `evaluate` computes them. There are no loops, no
user-defined functions and no attribute access on Python objects: an expression reads JSON values
and calls functions of the table in `functions`, so evaluating an untrusted artifact is safe.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .types import Frozen, JsonValue

BinaryOperator = Literal["or", "and", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/"]


class Constant(Frozen):
    op: Literal["constant"] = "constant"
    value: JsonValue


class Variable(Frozen):
    """A name in scope: a program input, a `let`, a field, `gold`, `pred`, a comprehension's variable."""

    op: Literal["variable"] = "variable"
    name: str


class Member(Frozen):
    op: Literal["member"] = "member"
    target: Expression
    name: str


class Item(Frozen, defer_build=True):
    """`target[index]`; out of range or missing gives None."""

    op: Literal["item"] = "item"
    target: Expression
    index: Expression


class Apply(Frozen, defer_build=True):
    """A call of a function in the table of `functions`."""

    op: Literal["apply"] = "apply"
    function: str
    arguments: tuple[Expression, ...]
    named: dict[str, Expression] = Field(default_factory=dict)


class UnaryOp(Frozen, defer_build=True):
    op: Literal["unary"] = "unary"
    operator: Literal["not", "-"]
    operand: Expression


class BinaryOp(Frozen, defer_build=True):
    op: Literal["binary"] = "binary"
    operator: BinaryOperator
    left: Expression
    right: Expression


class If(Frozen, defer_build=True):
    op: Literal["if"] = "if"
    condition: Expression
    consequence: Expression
    alternative: Expression


class ListOfItems(Frozen, defer_build=True):
    op: Literal["list"] = "list"
    items: tuple[Expression, ...]


class ForEach(Frozen, defer_build=True):
    """`[element for variable in iterable]`. With `of` the iterable is a dict: `variable` is a key, `of` what it has there."""

    op: Literal["for"] = "for"
    element: Expression
    variable: str
    iterable: Expression
    of: str | None = Field(None, exclude_if=lambda of: of is None)


Expression = Annotated[
    Constant | Variable | Member | Item | Apply | UnaryOp | BinaryOp | If | ListOfItems | ForEach,
    Field(discriminator="op"),
]

Member.model_rebuild()

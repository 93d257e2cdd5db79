"""Values that must be known when the file is read: defaults and options."""

from __future__ import annotations

from dspec.grammar.tree import Expr
from dspec.runtime.schema.expressions import Constant, Expression, ListOfItems
from dspec.runtime.schema.types import JsonValue

from ...diagnostics import codes
from ..session import Place, Session


def constant(code: Expression) -> tuple[bool, JsonValue]:
    """Whether an expression is a literal, and its value."""
    match code:
        case Constant(value=value):
            return True, value
        case ListOfItems(items=items):
            values: list[JsonValue] = []
            for item in items:
                known, value = constant(item)
                if not known:
                    return False, None
                values.append(value)
            return True, values
        case _:
            return False, None


def literal_value(session: Session, place: Place, node: Expr, code: Expression, name: str) -> JsonValue:
    """The value of a default; reports an expression that is not a literal."""
    known, value = constant(code)
    if not known:
        session.report(codes.calls.ComputedDefault(place.at(node), name))
    return value

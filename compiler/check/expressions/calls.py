"""Calls in expressions: of a module where calls are allowed, of a judge, of an aggregate, of a built-in function, of a record,
which gives a value of it, or a mistake.

Module calls are not expressions at run time. A scope with `calls` turns them into steps; any other
scope refuses them.
"""

from __future__ import annotations

from dspec.grammar.tree import Attribute, Call, Name, Reference

from ...diagnostics import codes
from ...tables.judges import JUDGES
from ..names.names import find, is_open, unknown
from ..symbols import Symbol
from ..types.kinds import ANY, CALLABLE
from .aggregates import aggregate_called, call_aggregate
from .functions import call_function
from .infer import infer, rule
from .judges import call_judge
from .scope import Scope, Typed
from .written import record_value


@rule(Call)
def _call(scope: Scope, node: Call) -> Typed:
    callee = node.callee
    if isinstance(callee, Reference) and callee.name.text in scope.names:
        scope.session.report(codes.functions.NotAFunction(scope.place.at(callee), value=True))
    elif symbol := find(scope.session, scope.place, callee):
        if scope.calls is not None and symbol.kind in scope.callable:
            return scope.calls(scope, node, symbol)
        if symbol.kind == "record":
            return record_value(scope, node, symbol)
        _refuse(scope, node, symbol)
    elif not is_open(scope.place, callee):
        if isinstance(callee, Reference):
            if (aggregate := aggregate_called(scope, node)) is not None:
                return call_aggregate(scope, node, aggregate)
            judge = JUDGES.get(callee.name.text)
            return call_judge(scope, node, judge) if judge else call_function(scope, node, callee.name)
        _no_function(scope, node)
    for argument in node.arguments:  # checked after a mistake, too
        infer(scope, argument.value)
    return Typed(ANY)


def _refuse(scope: Scope, node: Call, symbol: Symbol) -> None:
    """Report a call of a declaration that cannot be called, or not here."""
    at = scope.place.at(node.callee)
    if symbol.kind not in CALLABLE:
        scope.session.report(codes.names.NotCallable(at, symbol.kind, symbol.location))
    else:
        judges = scope.measure is not None
        scope.session.report(
            codes.programs.CallOutsideProgram(at, symbol.kind, symbol.name, scope.purpose, judges)
        )


def _no_function(scope: Scope, node: Call) -> None:
    """Report a call of something else than a name."""
    match node.callee:
        case Attribute(target=Reference(name=alias), name=Name() as name) as callee if (
            alias.text in scope.place.scope.imports
        ):
            unknown(scope.session, scope.place, callee, (alias, name), scope.callable or CALLABLE)
        case Attribute(target=target, name=Name() as name):
            scope.session.report(codes.functions.NoMethods(scope.place.at(name), scope.place.at(target)))
            infer(scope, target)
        case callee:
            scope.session.report(codes.functions.NotAFunction(scope.place.at(callee), value=False))

"""Calls in expressions: of a module where calls are allowed, of a judge, of a built-in function, or a mistake.

Module calls are not expressions at run time. A scope with `calls` turns them into steps; any other
scope refuses them.
"""

from __future__ import annotations

from dspec.grammar.tree import Attribute, Call, Reference

from ...diagnostics.record import Label
from ...diagnostics.wording import article
from ...tables.judges import JUDGES
from ..names.names import find, is_open, unknown
from ..types.kinds import ANY
from .functions import call_function
from .infer import infer, rule
from .judges import call_judge
from .scope import Scope, Typed


@rule(Call)
def _call(scope: Scope, node: Call) -> Typed:
    callee = node.callee
    if isinstance(callee, Reference) and callee.name.text in scope.names:
        scope.session.report(
            "DS0318",
            f"`{callee.name.text}` is a value and cannot be called",
            scope.place.at(callee),
            "not a module or function",
        )
        return _arguments_only(scope, node)
    symbol = find(scope.session, scope.place, callee)
    if symbol is None:
        if is_open(scope.place, callee):
            return _arguments_only(scope, node)
        if isinstance(callee, Reference):
            judge = JUDGES.get(callee.name.text)
            return call_judge(scope, node, judge) if judge else call_function(scope, node, callee.name)
        return _cannot_call(scope, node)
    if symbol.kind not in ("module", "program", "extern"):
        scope.session.report(
            "DS0202",
            f"`{symbol.name}` is {article(symbol.kind)} and cannot be called",
            scope.place.at(callee),
            "not a module, program or extern",
            secondary=(Label(symbol.location, "declared here"),),
        )
        return _arguments_only(scope, node)
    if scope.calls is None:
        scope.session.report(
            "DS0319",
            f"{scope.purpose} cannot call the {symbol.kind} `{symbol.name}`: "
            f"{'such' if symbol.kind == 'extern' else 'model'} calls stand in programs",
            scope.place.at(callee),
            "a model call" if symbol.kind != "extern" else "an outside call",
            help="a metric asks a model with a judge, as in `llm_judge(…)`"
            if scope.judges is not None and symbol.kind != "extern"
            else "",
        )
        return _arguments_only(scope, node)
    if scope.sheltered:
        scope.session.report(
            "DS0120",
            f"not supported yet: a call of `{symbol.name}` inside {scope.sheltered}",
            scope.place.at(callee),
            "would run only sometimes, or several times",
            help=f"call it before: `let found = {symbol.name}(…)`",
        )
        return _arguments_only(scope, node)
    return scope.calls(scope, node, symbol)


def _cannot_call(scope: Scope, node: Call) -> Typed:
    callee = node.callee
    if isinstance(callee, Attribute) and callee.name is not None:
        path = scope.place.scope.imports
        if isinstance(callee.target, Reference) and callee.target.name.text in path:
            unknown(
                scope.session,
                scope.place,
                callee,
                (callee.target.name, callee.name),
                ("module", "program", "extern"),
            )
            return _arguments_only(scope, node)
        text = scope.place.text(callee.target)
        scope.session.report(
            "DS0318",
            f"values have no methods: `.{callee.name.text}(…)` cannot be called",
            scope.place.at(callee.name),
            "not a method",
            help=f"functions are called by name, as in `{callee.name.text}({text})`",
        )
        infer(scope, callee.target)
    else:
        scope.session.report(
            "DS0318",
            f"`{scope.place.text(callee)}` cannot be called",
            scope.place.at(callee),
            "not a function",
        )
    return _arguments_only(scope, node)


def _arguments_only(scope: Scope, node: Call) -> Typed:
    """After a mistake in the callee: check what stands in the arguments, and give no more messages."""
    for argument in node.arguments:
        infer(scope, argument.value)
    return Typed(ANY)

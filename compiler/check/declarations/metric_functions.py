"""Functions of the project in metrics: an extern that is called, or the function that a metric is.

Each becomes a judge whose program is one call of a tool. So it is asked when an expression reads what it gives, within its
limits, and remembered as a model's opinion is.
"""

from __future__ import annotations

from collections.abc import Mapping

from dspec.grammar.tree import Call, Expr, Reference
from dspec.runtime.schema.expressions import Expression, Variable
from dspec.runtime.schema.program import FieldSpec, Graph, Program, Tool, ToolStep
from dspec.runtime.schema.types import ANY, STR, DictOf

from ..expressions.judges import ask
from ..expressions.scope import Binding, Scope, Typed
from ..names.names import find
from ..session import Session
from ..sources.extern_sources import check_source
from ..symbols import Symbol
from ..types.kinds import FLOAT, NamedValue
from .called import CalledTables
from .callees import arguments_of
from .externs import ExternInfo, extern

_CALL = "()"
"""The step of a judge's program that calls the tool: a name that no input has."""
VALUE = "value"


def call_extern(scope: Scope, node: Call, callee: Symbol) -> Typed:
    """What an extern gives, as the variable that stands for it; reports what is wrong with the call."""
    found = extern(scope.session, callee)
    if found is None:
        return Typed(ANY)
    arguments = arguments_of(scope, node, callee, found.inputs)
    if found.tool is None:
        return Typed(found.result)
    for spec in found.tool.inputs:
        if not spec.has_default and spec.name not in arguments:
            return Typed(found.result)
    program = _program(scope.session, callee.key, found, found.tool)
    return Typed(found.result, ask(scope, node, callee.name, program, arguments, "value"))


def is_function(scope: Scope, node: Expr) -> bool:
    """Whether a metric's score is `python("module:function")`, or another source that can be a metric."""
    if not isinstance(node, Call) or not isinstance(node.callee, Reference):
        return False
    from ..sources.externs.table import (
        EXTERN_SOURCES,  # few metrics call what is neither a function nor a declaration
    )

    source = EXTERN_SOURCES.get(node.callee.name.text)
    return source is not None and source.measures and find(scope.session, scope.place, node.callee) is None


def call_function(scope: Scope, node: Call, symbol: Symbol, parameters: Mapping[str, Binding]) -> Typed:
    """The score of a metric that is a function, which gets the metric's parameters by their names."""
    session, place = scope.session, scope.place
    assert isinstance(node.callee, Reference)
    row = DictOf(key=STR, value=ANY)
    inputs = {name: NamedValue(name, row, one.symbol) for name, one in parameters.items()}
    scope.reads.update(parameters)
    made = check_source(session, place, symbol, node, node.callee.name, inputs, ANY)
    if made.options is None:
        return Typed(FLOAT)
    fields = tuple(FieldSpec(name=name, type=row) for name in inputs)
    tool = Tool(
        name=symbol.key,
        description=made.description,
        inputs=fields,
        output=ANY,
        source=node.callee.name.text,
        options=dict(made.options),
    )
    program = _program(session, symbol.key, ExternInfo(inputs, ANY), tool)
    given: dict[str, Expression] = {name: Variable(name=name) for name in inputs}
    return Typed(FLOAT, ask(scope, node, symbol.name, program, given, "verdict"))


def _program(session: Session, key: str, found: ExternInfo, tool: Tool) -> Program:
    """The program of one call of a tool."""
    tables = CalledTables()
    tables.add_tool(session, key, found, tool)
    arguments: dict[str, Expression] = {one.name: Variable(name=one.name) for one in tool.inputs}
    return tables.program(
        Graph(
            name=key,
            inputs=tool.inputs,
            outputs=(FieldSpec(name=VALUE, type=ANY if tool.output is None else tool.output),),
            steps=(ToolStep(name=_CALL, tool=key, arguments=arguments),),
            returns={VALUE: Variable(name=_CALL)},
        )
    )

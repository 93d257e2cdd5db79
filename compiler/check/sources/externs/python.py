"""python: a Python function of the project, whose text is compared with the declaration."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from dspec.runtime.schema.types import DictOf, OneOf, Type

from ....data.sources.base import SourceParameter
from ....data.sources.python_function import find_function
from ....data.sources.python_module import Function, Module
from ....diagnostics.codes.types import NotTaken, PythonDiffers, TakesMore
from ...session import Place, Session
from ...symbols import Symbol
from ...types.annotations import type_of
from ...types.kinds import ANY, Group, Member, assignable, is_text, spell
from .base import ExternCall, ExternSource


def _check(session: Session, place: Place, written: ExternCall) -> bool:
    text, node = written.texts["function"]
    found = find_function(session, place.source.path.parent, text, place.at(node))
    if found is None:
        return True
    module, function = found
    if function is None:
        return True
    _compare(session, place, written.symbol, module, function, written.inputs, written.result)
    return bool(ast.get_docstring(function, clean=False))


def _compare(
    session: Session,
    place: Place,
    symbol: Symbol,
    module: Module,
    function: Function,
    inputs: Mapping[str, Member],
    result: Type | Group,
) -> None:
    """Does the declaration fit the function's own parameters and result? Inputs are given by name."""
    arguments = function.args
    by_name = {each.arg: each for each in (*arguments.args, *arguments.kwonlyargs)}
    taken = [*arguments.posonlyargs, *arguments.args]
    with_default = {each.arg for each in taken[len(taken) - len(arguments.defaults) :]}
    with_default |= {
        each.arg
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    heading = module.heading(function)
    positional = tuple(each.arg for each in arguments.posonlyargs if each.arg not in with_default)
    misspelt: set[str] = set()
    for name, member in inputs.items():
        parameter = by_name.get(name)
        at = member.location or symbol.location
        if parameter is None:
            if arguments.kwarg is not None or name in positional:
                continue
            unknown = NotTaken(at, symbol.name, name, tuple(inputs), heading, tuple(by_name))
            session.report(unknown)
            misspelt.update(unknown.near)
            continue
        kind = type_of(parameter.annotation)
        if not assignable(member.type, kind):
            node = next(
                (one.type for one in place.declaration.parameters or () if one.name.text == name), None
            )
            session.report(
                PythonDiffers(
                    place.at(node) if node is not None else at,
                    symbol.name,
                    name,
                    spell(member.type),
                    spell(kind),
                    module.place(parameter),
                    heading,
                    written=node is not None,
                )
            )
    needed = [name for name in by_name if name not in inputs and name not in with_default]
    absent = tuple(name for name in needed if name not in misspelt and name != "self")
    if absent or positional:
        session.report(TakesMore(symbol.location, heading, absent, positional))
    _returned(session, place, symbol, module, function, result)


def _returned(
    session: Session,
    place: Place,
    symbol: Symbol,
    module: Module,
    function: Function,
    result: Type | Group,
) -> None:
    kind = type_of(function.returns)
    node = place.declaration.returns
    if kind == ANY or node is None or function.returns is None:
        return
    if isinstance(result, Group):
        fits = isinstance(kind, DictOf)  # several named outputs come as one dict
    else:
        # A function that says `str` may well keep to a union of texts; what it gives is checked when it runs.
        fits = assignable(kind, result) or (is_text(kind) and (isinstance(result, OneOf) or is_text(result)))
    if fits:
        return
    written = not isinstance(node, tuple)
    session.report(
        PythonDiffers(
            symbol.location if isinstance(node, tuple) else place.at(node),
            symbol.name,
            "",
            spell(result),
            spell(kind),
            module.place(function.returns),
            module.heading(function),
            written,
        )
    )


SOURCE = ExternSource(
    name="python",
    doc="A Python function of the project.",
    parameters=(SourceParameter("function", "text", required=True),),
    check=_check,
)

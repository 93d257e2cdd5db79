"""python: a Python function of the project, whose text is compared with the declaration."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from dspec.runtime.schema.types import DictOf, OneOf, Type

from ....data.sources.base import SourceParameter
from ....data.sources.python_function import find_function
from ....data.sources.python_module import Function, Module
from ....diagnostics.fixes import suggestions
from ....diagnostics.record import Edit, Fix, Label
from ....diagnostics.spelling import closest
from ....diagnostics.wording import article, did_you_mean, quoted
from ....project.source import Location
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
    where = f"{module.source.name}:{module.source.position(heading.start).line}"
    positional = [each.arg for each in arguments.posonlyargs if each.arg not in with_default]
    misspelt: set[str] = set()
    for name, member in inputs.items():
        parameter = by_name.get(name)
        at = member.location or symbol.location
        if parameter is None:
            if arguments.kwarg is not None or name in positional:
                continue
            near = closest(name, [each for each in by_name if each not in inputs])
            misspelt.update(near)
            session.report(
                "DS0308",
                f"extern `{symbol.name}` has the input `{name}`, and its Python function takes no such "
                f"argument{did_you_mean(near)}",
                at,
                "not taken by the function",
                secondary=(
                    Label(heading, f"takes {quoted(by_name)}" if by_name else "takes nothing by name"),
                ),
                fixes=suggestions(at, near),
            )
            continue
        kind = type_of(parameter.annotation)
        if not assignable(member.type, kind):
            _differ(session, place, symbol, module, name, parameter, member, kind, where)
    needed = [name for name in by_name if name not in inputs and name not in with_default]
    absent = [name for name in needed if name not in misspelt and name != "self"]
    if absent or positional:
        what = quoted(absent or positional)
        session.report(
            "DS0308",
            f"the Python function of `{symbol.name}` needs {what}"
            + ("" if absent else " by position, and inputs are given by name"),
            symbol.location,
            f"does not declare {what}" if absent else "cannot be called",
            secondary=(Label(heading, f"needs {what}"),),
            help=f"declare it as an input of `{symbol.name}`, or give it a default in {where}"
            if absent
            else f"take the `/` out of the parameters in {where}",
        )
    _returned(session, place, symbol, module, function, result, where)


def _differ(
    session: Session,
    place: Place,
    symbol: Symbol,
    module: Module,
    name: str,
    parameter: ast.arg,
    member: Member,
    kind: Type,
    where: str,
) -> None:
    node = next((each.type for each in place.declaration.parameters or () if each.name.text == name), None)
    at = place.at(node) if node is not None else member.location or symbol.location
    session.report(
        "DS0308",
        f"`{name}` of extern `{symbol.name}` is declared as {spell(member.type)}, and its Python function "
        f"takes {article(spell(kind))}",
        at,
        f"declared as {spell(member.type)}",
        secondary=(Label(module.place(parameter), f"takes {spell(kind)}"),),
        help=f"change one of them; the function is in {where}",
        fixes=_declare_as(at, kind) if node is not None else (),
    )


def _returned(
    session: Session,
    place: Place,
    symbol: Symbol,
    module: Module,
    function: Function,
    result: Type | Group,
    where: str,
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
    at = place.at(node) if not isinstance(node, tuple) else symbol.location
    wanted = spell(result)
    session.report(
        "DS0308",
        f"extern `{symbol.name}` is declared to return {wanted}, and its Python function returns "
        f"{article(spell(kind))}",
        at,
        f"declared as {wanted}",
        secondary=(Label(module.place(function.returns), f"returns {spell(kind)}"),),
        help=f"change one of them; the function is in {where}",
        fixes=_declare_as(at, kind) if not isinstance(node, tuple) else (),
    )


def _declare_as(at: Location, kind: Type) -> tuple[Fix, ...]:
    """Either side may be the wrong one, so the fix is offered, never applied unseen."""
    return (Fix(f"Declare it as `{spell(kind)}`", (Edit(at, spell(kind)),), "maybe"),)


SOURCE = ExternSource(
    name="python",
    doc="A Python function of the project.",
    parameters=(SourceParameter("function", "text", required=True),),
    check=_check,
)

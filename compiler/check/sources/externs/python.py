"""python: a Python function of the project, whose text is compared with the declaration."""

from __future__ import annotations

import ast
import hashlib
import os
from pathlib import Path

from dspec.runtime.schema.types import BOOL, STR, DictOf, ListOf, OneOf, OptionalOf, Scalar, Type

from ....data.sources.base import SourceParameter
from ....data.sources.python_function import find_function
from ....data.sources.python_module import Function, Module, needed, takes_none
from ....diagnostics import codes
from ...session import Place, Session
from ...types.annotations import type_of
from ...types.kinds import ANY, Group, assignable, is_number, is_text, spell
from .base import ExternCall, ExternSource, SourceFound

CALL = "call"
"""Parameter by which a function calls what its module uses."""


def _check(session: Session, place: Place, written: ExternCall) -> SourceFound:
    text, node = written.texts["function"]
    found = find_function(session, place.source.path.parent, text, place.at(node))
    if found is None:
        return SourceFound(None, mistaken=True)
    module, function = found
    options = {
        "function": text,
        "file": Path(os.path.relpath(module.source.path, session.root)).as_posix(),
        "sha256": hashlib.sha256(module.source.text.encode()).hexdigest(),
    }
    name = text.partition(":")[2]
    if function is None and name in module.classes:
        session.report(codes.functions.NamesAClass(place.at(node), module.source.name, name))
    if function is None:
        return SourceFound(options, mistaken=True)
    _compare(session, place, written, module, function)
    _compare_result(session, place, written, module, function)
    return SourceFound(options, (ast.get_docstring(function) or "").strip())


def _compare(session: Session, place: Place, written: ExternCall, module: Module, function: Function) -> None:
    """Do the inputs fit the function's own parameters? They are given by name."""
    symbol, inputs, arguments = written.symbol, written.inputs, function.args
    by_name = {each.arg: each for each in (*arguments.args, *arguments.kwonlyargs)}
    required = needed(function)
    heading = module.heading(function)
    positional = tuple(each.arg for each in arguments.posonlyargs if each.arg in required)
    misspelt: set[str] = set()
    owner = f"{symbol.kind} `{symbol.name}`"
    if written.calls and CALL in inputs:
        at = inputs[CALL].location or symbol.location
        session.report(codes.externs.TakesNoCall(at, heading, input=True))
    elif written.calls and CALL not in by_name and CALL not in positional and arguments.kwarg is None:
        session.report(codes.externs.TakesNoCall(symbol.location, heading, input=False))
    for name, member in inputs.items():
        parameter = by_name.get(name)
        at = member.location or symbol.location
        if parameter is None:
            if arguments.kwarg is not None or name in positional:
                continue
            unknown = codes.externs.NotTaken(at, owner, name, tuple(inputs), heading, tuple(by_name))
            session.report(unknown)
            misspelt.update(unknown.near)
            continue
        kind = type_of(parameter.annotation)
        if takes_none(function, name) and kind != ANY:
            kind = kind if isinstance(kind, OptionalOf) else OptionalOf(item=kind)
        if not (assignable(member.type, kind) or assignable(_sent(member.type), kind)):
            # What a metric's parameter says is whose rows or runs it gets, and no type.
            types = () if symbol.kind == "metric" else place.declaration.parameters or ()
            node = next((one.type for one in types if one.name.text == name), None)
            session.report(
                codes.externs.PythonDiffers(
                    place.at(node) if node is not None else at,
                    owner,
                    name,
                    spell(member.type),
                    spell(kind),
                    module.place(parameter),
                    heading,
                    written=node is not None,
                )
            )
    given = (*inputs, *misspelt, "self", *([CALL] if written.calls else ()))
    absent = tuple(name for name in by_name if name in required and name not in given)
    if absent or positional:
        session.report(codes.externs.TakesMore(symbol.location, heading, absent, positional))


def _compare_result(
    session: Session, place: Place, written: ExternCall, module: Module, function: Function
) -> None:
    result = written.result
    kind = type_of(function.returns)
    node = place.declaration.returns
    if written.symbol.kind == "metric":
        if not (kind in (ANY, BOOL) or is_number(kind) or isinstance(kind, DictOf)):
            at, gives = place.at(written.call), module.place(function.returns or function)
            session.report(codes.externs.GivesNoScore(at, spell(kind), gives, module.heading(function)))
        return
    if kind == ANY or function.returns is None or (node is None and not isinstance(result, Group)):
        return
    if isinstance(result, Group):
        fits = isinstance(kind, DictOf)  # several named outputs come as one dict
    else:
        # A function that says `str` may well keep to a union of texts; what it gives is checked when it runs.
        fits = assignable(kind, result) or (is_text(kind) and (isinstance(result, OneOf) or is_text(result)))
    if fits:
        return
    session.report(
        codes.externs.PythonDiffers(
            place.at(node) if node is not None and not isinstance(node, tuple) else written.symbol.location,
            f"{written.symbol.kind} `{written.symbol.name}`",
            "",
            spell(result),
            spell(kind),
            module.place(function.returns),
            module.heading(function),
            written=node is not None and not isinstance(node, tuple),
        )
    )


def _sent(kind: Type) -> Type:
    """The type as the function gets it, in JSON: a date is its text. A function may be annotated with either."""
    match kind:
        case Scalar(name="date" | "datetime"):
            return STR
        case ListOf(item=item):
            return ListOf(item=_sent(item))
        case DictOf(key=key, value=value):
            return DictOf(key=_sent(key), value=_sent(value))
        case OptionalOf(item=item):
            return OptionalOf(item=_sent(item))
        case _:
            return kind


SOURCE = ExternSource(
    name="python",
    doc="A Python function of the project.",
    parameters=(
        SourceParameter(
            "function",
            "text",
            required=True,
            doc="`module:function`, of a file beside the source, in the root or in its `src`.",
        ),
    ),
    check=_check,
    measures=True,
)

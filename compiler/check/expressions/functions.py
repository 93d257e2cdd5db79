"""Calls of the built-in functions, checked against the runtime's table."""

from __future__ import annotations

from collections.abc import Mapping

from dspec.grammar.tree import Argument, Call, Expr, Literal, Name
from dspec.runtime.schema.expressions import Apply, Constant, Expression
from dspec.runtime.schema.types import DictOf, ListOf, OptionalOf
from dspec.runtime.values.functions import (
    FUNCTIONS,
    Function,
    FunctionParameter,
    Marker,
    valid_pattern,
    wording,
)

from ...diagnostics import codes
from ...diagnostics.wording import article
from ...tables.aggregates import AGGREGATES
from ...tables.judges import JUDGES
from ..names.names import named
from ..shape.arguments import match_arguments
from ..types.kinds import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    Group,
    GroupList,
    Kind,
    beyond_text,
    is_number,
    is_text,
    is_unknown,
    plain_number,
    spell,
)
from .compared import contained_told
from .infer import expect, infer, needed
from .mistakes import literal_number, not_one_value
from .scope import Length, Scope, Typed


def call_function(scope: Scope, node: Call, name: Name) -> Typed:
    """A call of `name`, which is neither a declaration nor a judge: a built-in function, or a mistake."""
    function = FUNCTIONS.get(name.text)
    if function is None:
        near = _unknown(scope, node, name)
        for argument in node.arguments if JUDGES.keys().isdisjoint(near) else ():
            infer(scope, argument.value)
        return Typed(ANY)
    shape = ", ".join(
        parameter.name + ("" if parameter.required else " = …") + (", …" if parameter.variadic else "")
        for parameter in function.parameters
    )
    given = match_arguments(
        scope.session,
        scope.place,
        node,
        f"`{function.name}`",
        [parameter.name for parameter in function.parameters],
        {parameter.name for parameter in function.parameters if parameter.required},
        f"`{function.name}({shape})`",
        variadic=any(parameter.variadic for parameter in function.parameters),
    )
    typed: dict[str, Typed] = {}
    positional: list[Expression] = []
    keywords: dict[str, Expression] = {}
    for parameter in function.parameters:
        for argument in given.get(parameter.name, ()):
            found = checked_argument(scope, function.name, parameter, argument)
            typed.setdefault(parameter.name, found)
            _within(scope, function.name, parameter, argument)
            if argument.name is None:
                positional.append(found.code)
            else:
                keywords[parameter.name] = found.code
    _pattern(scope, function, given)
    _held(scope, function, given, typed)
    return Typed(
        _result(function, {name: one.kind for name, one in typed.items()}),
        Apply(function=function.name, arguments=tuple(positional), named=keywords),
        _length(function.name, typed),
    )


def _length(function: str, given: Mapping[str, Typed]) -> Length | None:
    """How long a list is that a function gives, where that is known."""
    items = given["items"].length if "items" in given else None
    count = _literal_count(given.get("count"))
    match function:
        case "range":
            return None if count is None else Length(count, count)
        case "first" if count is not None:
            return items.cut(count) if items is not None else Length(0, count)
        case "first":
            return None if items is None else Length(0, items.most)
        case "unique":
            return None if items is None else Length(min(1, items.least), items.most)
        case _:
            return None


def _literal_count(given: Typed | None) -> int | None:
    code = None if given is None else given.code
    if isinstance(code, Constant) and isinstance(code.value, int) and not isinstance(code.value, bool):
        return max(0, code.value)
    return None


def checked_argument(scope: Scope, function: str, parameter: FunctionParameter, argument: Argument) -> Typed:
    """An argument, checked; reports one that the parameter does not take."""
    what = f"`{parameter.name}` of `{function}`"
    wanted = parameter.kind
    if not isinstance(wanted, Marker):
        return Typed(wanted, expect(scope, argument.value, wanted, what))
    return checked_value(scope, function, parameter, argument.value, infer(scope, argument.value))


def checked_value(
    scope: Scope, function: str, parameter: FunctionParameter, node: Expr, typed: Typed
) -> Typed:
    """The same of a value that was inferred already, for a parameter whose kind is a marker."""
    what, wanted = f"`{parameter.name}` of `{function}`", parameter.kind
    assert isinstance(wanted, Marker)
    if wanted is not Marker.ANYTHING:
        needed(scope, node, typed, what)
    if isinstance(typed.kind, GroupList) and wanted in (Marker.SIZED, Marker.ANY_LIST, Marker.SAME):
        return typed
    if isinstance(typed.kind, Group):
        not_one_value(scope, node, typed.kind, what)
    elif (word := beyond_text(typed.kind)) and not (
        isinstance(typed.kind, ListOf) and wanted in (Marker.SIZED, Marker.ANY_LIST, Marker.SAME)
    ):
        scope.session.report(codes.media.NotReckoned(scope.place.at(node), word, f"`{function}`"))
        return Typed(ANY, typed.code)
    elif not _fits(typed.kind, wanted, parameter.variadic):
        optional = isinstance(typed.kind, OptionalOf) and _fits(typed.kind.item, wanted, parameter.variadic)
        want, remedy = article(wording(wanted)), "decide" if optional else "none"
        at = scope.place.at(node)
        scope.session.report(codes.types.DoesNotFit(at, what, want, spell(typed.kind), remedy))
    return typed


def _fits(kind: Kind, wanted: Marker, variadic: bool) -> bool:
    if is_unknown(kind):
        return True
    match wanted:
        case Marker.ANYTHING:
            return True
        case Marker.NUMBER:
            return is_number(kind)
        case Marker.NUMBERS:
            return (isinstance(kind, ListOf) and (is_number(kind.item) or kind.item in (BOOL, ANY))) or (
                variadic and is_number(kind)
            )
        case Marker.SIZED:
            return is_text(kind) or isinstance(kind, ListOf | DictOf)
        case Marker.GAINS:
            return isinstance(kind, ListOf) or (
                isinstance(kind, DictOf) and (is_number(kind.value) or kind.value == ANY)
            )
        case Marker.TEXTS:
            return is_text(kind) or (isinstance(kind, ListOf) and (is_text(kind.item) or kind.item == ANY))
        case Marker.ANY_LIST | Marker.SAME | Marker.ITEM:
            return isinstance(kind, ListOf)


def _result(function: Function, kinds: dict[str, Kind]) -> Kind:
    match function.result:
        case Marker.SAME:
            return kinds.get(function.parameters[0].name, ANY)
        case Marker.ITEM:
            whole = kinds.get(function.parameters[0].name, ANY)
            return whole.item if isinstance(whole, ListOf) else ANY
        case Marker.NUMBER | Marker.NUMBERS:
            every = [plain_number(kind.item if isinstance(kind, ListOf) else kind) for kind in kinds.values()]
            return INT if every and all(kind in (INT, BOOL) for kind in every) else FLOAT
        case Marker.TEXTS:
            return STR
        case Marker():
            return ANY
        case kind:
            return kind


def _held(
    scope: Scope, function: Function, given: Mapping[str, tuple[Argument, ...]], typed: Mapping[str, Typed]
) -> None:
    """Reports a literal that `contains` cannot find, as of `in`."""
    if function.name != "contains" or not {"whole", "part"} <= typed.keys():
        return
    whole, part = typed["whole"].kind, typed["part"].kind
    if isinstance(whole, ListOf | DictOf) and not isinstance(part, Group | GroupList):
        item = whole.item if isinstance(whole, ListOf) else whole.key
        contained_told(scope, given["part"][0].value, part, given["whole"][0].value, item)


def _within(scope: Scope, function: str, parameter: FunctionParameter, argument: Argument) -> None:
    """Report a number that is written out and fails on every row."""
    number = literal_number(argument.value)
    if number is None:
        return
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        at = scope.place.at(argument.value)
        scope.session.report(codes.functions.BeyondFunction(at, function, parameter.name, low, high))


def _pattern(scope: Scope, function: Function, given: dict[str, tuple[Argument, ...]]) -> None:
    """A literal pattern is tried now, since a wrong one would fail on every row."""
    for argument in given.get("pattern", ()):
        node = argument.value
        if isinstance(node, Literal) and isinstance(node.value, str):
            try:
                valid_pattern(node.value)
            except ValueError as error:
                scope.session.report(
                    codes.functions.NotAPattern(scope.place.at(node), function.name, str(error))
                )


def _unknown(scope: Scope, node: Call, name: Name) -> tuple[str, ...]:
    """Report a function that does not exist; gives those that may be meant."""
    if name.text == "env":
        scope.session.report(codes.operators.NoValue(scope.place.at(node), "setting", scope.purpose))
        return ()
    if scope.measure is not None and _is_source(name.text):
        scope.session.report(codes.functions.SourceInMetric(scope.place.at(name)))
        return ()
    known = [
        *FUNCTIONS,
        *(JUDGES if scope.measure is not None else ()),
        *(AGGREGATES if scope.aggregates is not None else ()),
    ]
    known += named(scope.callable, scope.place.scope)
    found = codes.functions.UnknownFunction(
        scope.place.at(name), tuple(known), len(FUNCTIONS), "module" in scope.callable
    )
    scope.session.report(found)
    return found.near


def _is_source(name: str) -> bool:
    from ..sources.externs.table import EXTERN_SOURCES  # after a mistake alone

    return name in EXTERN_SOURCES

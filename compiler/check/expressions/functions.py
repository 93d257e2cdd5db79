"""Calls of the built-in functions, checked against the runtime's table."""

from __future__ import annotations

from dspec.grammar.tree import Argument, Call, Literal, Name
from dspec.runtime.schema.expressions import Apply, Expression
from dspec.runtime.schema.types import DictOf, ListOf, OptionalOf
from dspec.runtime.values.functions import FUNCTIONS, Function, Marker, Parameter, valid_pattern, wording
from dspec.runtime.values.functions import Kind as Wanted

from ...diagnostics.fixes import suggestions
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, plural
from ...tables.judges import JUDGES
from ..names.names import named
from ..shape.arguments import match_arguments
from ..types.kinds import ANY, BOOL, FLOAT, INT, STR, Group, Kind, is_number, is_text, is_unknown, spell
from .infer import expect, infer
from .mistakes import not_a_value
from .scope import Scope, Typed


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
    kinds: dict[str, Kind] = {}
    positional: list[Expression] = []
    keywords: dict[str, Expression] = {}
    for parameter in function.parameters:
        for argument in given.get(parameter.name, ()):
            code, kind = checked_argument(scope, function.name, parameter, argument)
            kinds.setdefault(parameter.name, kind)
            if argument.name is None:
                positional.append(code)
            else:
                keywords[parameter.name] = code
    _pattern(scope, function, given)
    return Typed(
        _result(function, kinds),
        Apply(function=function.name, arguments=tuple(positional), named=keywords),
    )


def checked_argument(
    scope: Scope, function: str, parameter: Parameter, argument: Argument
) -> tuple[Expression, Kind]:
    """The runtime form of an argument and its kind; reports one that the parameter does not take."""
    what = f"`{parameter.name}` of `{function}`"
    wanted = parameter.kind
    if not isinstance(wanted, Marker):
        return expect(scope, argument.value, wanted, what), wanted
    typed = infer(scope, argument.value)
    if isinstance(typed.kind, Group):
        not_a_value(scope, argument.value, typed.kind, what)
    elif not _fits(typed.kind, wanted, parameter.variadic):
        text = scope.place.text(argument.value)
        optional = isinstance(typed.kind, OptionalOf) and _fits(typed.kind.item, wanted, parameter.variadic)
        scope.session.report(
            "DS0301",
            f"{what} must be {_worded(wanted)}, and this is {spell(typed.kind)}",
            scope.place.at(argument.value),
            spell(typed.kind),
            help=f"it may be none; decide what then: `if {text} == none then … else {text}`"
            if optional
            else "",
        )
    return typed.code, typed.kind


def _worded(wanted: Wanted) -> str:
    text = wording(wanted)
    return f"a {text}" if text[0] not in "aeiou" else f"an {text}"


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
        case Marker.TEXTS:
            return is_text(kind) or (isinstance(kind, ListOf) and (is_text(kind.item) or kind.item == ANY))
        case Marker.ANY_LIST | Marker.SAME:
            return isinstance(kind, ListOf)


def _result(function: Function, kinds: dict[str, Kind]) -> Kind:
    match function.result:
        case Marker.SAME:
            return kinds.get(function.parameters[0].name, ANY)
        case Marker.NUMBER | Marker.NUMBERS:
            every = [kind.item if isinstance(kind, ListOf) else kind for kind in kinds.values()]
            return INT if every and all(kind in (INT, BOOL) for kind in every) else FLOAT
        case Marker.TEXTS:
            return STR
        case Marker():
            return ANY
        case kind:
            return kind


def _pattern(scope: Scope, function: Function, given: dict[str, tuple[Argument, ...]]) -> None:
    """A literal pattern is tried now, since a wrong one would fail on every row."""
    for argument in given.get("pattern", ()):
        node = argument.value
        if isinstance(node, Literal) and isinstance(node.value, str):
            try:
                valid_pattern(node.value)
            except ValueError as error:
                scope.session.report(
                    "DS0320",
                    f"`{function.name}` cannot use this pattern: "
                    f"{str(error).removeprefix('not a pattern that can be matched: ')}",
                    scope.place.at(node),
                    "cannot be matched",
                )


def _unknown(scope: Scope, node: Call, name: Name) -> tuple[str, ...]:
    """Report a function that does not exist; gives those that may be meant."""
    if name.text == "env":
        scope.session.report(
            "DS0313",
            f'`env("…")` has no value in {scope.purpose}: it names a setting of an lm',
            scope.place.at(node),
            "only in `api_key` and `api_base`",
        )
        return ()
    known = [*FUNCTIONS, *(JUDGES if scope.judges is not None else ())]
    if scope.calls is not None:
        known += named(("module", "program", "extern"), scope.place.scope)
    near = closest(name.text, known)
    what = "function or module" if scope.calls is not None else "function"
    scope.session.report(
        "DS0212",
        f"there is no {what} named `{name.text}`{did_you_mean(near)}",
        scope.place.at(name),
        "not declared",
        help=""
        if near
        else f"there are {plural(len(FUNCTIONS), 'function')}, among them `len`, `contains` and `f1`",
        fixes=suggestions(scope.place.at(name), near),
    )
    return near

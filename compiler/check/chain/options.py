"""An option of an optimizer: is there one of that name, and is what is written a value for it?"""

from __future__ import annotations

from dspec.grammar.tree import Attribute, Call, Expr, ListLiteral, Literal, Name, Reference
from dspec.runtime.models.endpoints import split_model
from dspec.runtime.schema.types import JsonValue

from ...diagnostics import codes
from ...diagnostics.spelling import closest
from ...optimizers.base import Option, Spec
from ...optimizers.ensemble import REDUCERS
from ...optimizers.table import SPECS
from ..declarations.lms import lm
from ..names.names import resolve
from ..session import Place, Session
from ..shape.attributes import form_of, number_of
from .frozen import CHOICES
from .members import reducer


def unknown_option(session: Session, place: Place, spec: Spec, name: Name) -> None:
    if (instead := spec.refusal(name.text)) is not None:
        session.report(codes.optimizers.RefusedOption(place.at(name), spec.name, instead))
        return
    known = tuple(option.name for option in spec.options)
    more = ("student", "compat", *CHOICES, *(("teacher",) if spec.takes_teacher else ()))
    elsewhere = tuple(other.name for other in SPECS.values() if other.option(name.text))
    session.report(codes.optimizers.NoSuchOption(place.at(name), spec.name, known, more, elsewhere))


RULES = tuple(f"{name}(output)" if takes_output else name for name, takes_output in REDUCERS.items())
"""The rules of a reducer, as a file writes them."""


def option_value(
    session: Session, place: Place, spec: Spec, option: Option, node: Expr
) -> tuple[bool, JsonValue]:
    """Whether `node` is a value for the option, and that value; reports what does not fit."""
    session.seek(node, option.refers)
    if isinstance(node, Literal) and node.value is None and option.optional:
        return True, None
    if option.refers and isinstance(node, Reference | Attribute) and not _is_rule(place, option, node):
        return _named(session, place, spec, option, node)
    if _is_python_rule(option, node):
        session.report(codes.optimizers.RuleInPython(place.at(node), RULES))
        return False, None
    value = _literal(option, node)
    if value is None:
        session.report(_wrong(place, spec, option, node))
        return False, None
    if option.choices and value not in option.choices:
        session.report(
            codes.optimizers.OptionNotAChoice(
                place.at(node), f"{option.name}` of `{spec.name}", str(value), option.choices
            )
        )
        return False, None
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        low, high = option.minimum, option.maximum
        if option.most is not None and number > option.most:
            high = option.most
        if (low is not None and number < low) or (high is not None and number > high):
            session.report(
                codes.syntax.OutOfRange(
                    place.at(node),
                    f"{option.name}` of `{spec.name}",
                    low,
                    high,
                    option.doc if option.optional else "",
                )
            )
            return False, None
    return True, value


def _is_python_rule(option: Option, node: Expr) -> bool:
    """Whether a Python function is written where a rule or a program is wanted."""
    callee = node.callee if isinstance(node, Call) else None
    return option.type == "reducer" and isinstance(callee, Reference) and callee.name.text == "python"


def _named(
    session: Session, place: Place, spec: Spec, option: Option, node: Reference | Attribute
) -> tuple[bool, JsonValue]:
    """A declaration as the option's value; reports a name of none, and a text that lacks its quotes."""
    text = place.text(node)
    if text in option.choices and text not in place.scope.symbols:
        session.report(_wrong(place, spec, option, node, unquoted=True))
        return False, None
    symbol = resolve(session, place, node, option.refers, f"`{option.name}` of `{spec.name}`")
    if symbol is None:
        return False, None
    settings = lm(session, symbol) if symbol.kind == "lm" else None
    if settings is not None and split_model(settings.model)[0] == "embedded":
        choice = option.choices[0] if option.choices else ""
        session.report(
            codes.optimizers.MakesNoEmbeddings(
                place.at(node), symbol.location, settings.model, option.name, choice
            )
        )
        return False, None
    return True, {symbol.kind: symbol.key}


def _is_rule(place: Place, option: Option, node: Reference | Attribute) -> bool:
    """Whether a name is meant as a reducer's rule, perhaps misspelt. A declaration of that name goes first."""
    text = place.text(node)
    known = text in place.scope.symbols or isinstance(node, Attribute)
    return option.type == "reducer" and not known and bool(closest(text, REDUCERS))


def _wrong(
    place: Place, spec: Spec, option: Option, node: Expr, *, unquoted: bool = False
) -> codes.optimizers.WrongOption:
    at, form = place.at(node), form_of(node)
    kind, refers, optional = option.type, option.refers, option.optional
    return codes.optimizers.WrongOption(
        at, option.name, spec.name, kind, RULES, refers, optional, form, option.doc, unquoted
    )


def _literal(option: Option, node: Expr) -> JsonValue:
    number = number_of(node)
    match option.type:
        case "int":
            return number if isinstance(number, int) else None
        case "float":
            return None if number is None else float(number)
        case "bool":
            return node.value if isinstance(node, Literal) and isinstance(node.value, bool) else None
        case "str":
            return node.value if isinstance(node, Literal) and isinstance(node.value, str) else None
        case "reducer":
            return reducer(node)
        case "int_list":
            if not isinstance(node, ListLiteral):
                return None
            numbers = [number_of(item) for item in node.items]
            whole: list[JsonValue] = [number for number in numbers if isinstance(number, int)]
            return whole if len(whole) == len(numbers) else None

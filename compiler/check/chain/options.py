"""An option of an optimizer: is there one of that name, and is what is written a value for it?"""

from __future__ import annotations

from dspec.grammar.tree import Attribute, Call, Expr, ListLiteral, Literal, Name, Reference
from dspec.runtime.models.endpoints import split_model
from dspec.runtime.schema.types import JsonValue

from ...diagnostics.fixes import replace, suggestions
from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import article, did_you_mean, did_you_mean_text, listed, nouns, quoted
from ...optimizers.base import Option, Spec
from ...optimizers.ensemble import REDUCERS
from ...optimizers.table import SPECS
from ..declarations.lms import lm
from ..names.names import resolve
from ..session import Place, Session
from ..shape.attributes import described, number_of, out_of_range
from ..shape.shape import later
from .frozen import CHOICES
from .members import REDUCER_WORDS, reducer


def unknown_option(session: Session, place: Place, spec: Spec, name: Name) -> None:
    if name.text in spec.refused:
        session.report(
            "DS0602",
            f"`{spec.name}` has no option `{name.text}` here: {spec.refused[name.text]}",
            place.at(name),
            "not an option here",
        )
        return
    known = [option.name for option in spec.options]
    near = closest(
        name.text, [*known, "student", "compat", *CHOICES, *(["teacher"] if spec.takes_teacher else [])]
    )
    elsewhere = [other.name for other in SPECS.values() if other.option(name.text)]
    hint = f"its options are {listed(known)}"
    if elsewhere:
        hint += f"; `{name.text}` is an option of {quoted(elsewhere, 'and')}"
    session.report(
        "DS0602",
        f"`{spec.name}` has no option `{name.text}`{did_you_mean(near)}",
        place.at(name),
        "unknown option",
        help="" if near else hint,
        fixes=suggestions(place.at(name), near),
    )


WORDED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "`true` or `false`",
    "str": "text in quotes",
    "int_list": "a list of whole numbers",
    "reducer": REDUCER_WORDS,
}


def option_value(
    session: Session, place: Place, spec: Spec, option: Option, node: Expr
) -> tuple[bool, JsonValue]:
    """Whether `node` is a value for the option, and that value; reports what does not fit."""
    if isinstance(node, Literal) and node.value is None and option.optional:
        return True, None
    if option.refers and isinstance(node, Reference | Attribute) and not _is_rule(place, option, node):
        return _named(session, place, spec, option, node)
    if (beyond := _not_yet(option, node)) is not None:
        later(session, place, beyond, node)
        return False, None
    value = _literal(option, node)
    if value is None:
        session.report(
            "DS0617",
            f"`{option.name}` of `{spec.name}` takes {_worded(option)}, and this is {described(place, node)}",
            place.at(node),
            described(place, node),
            help=option.doc,
        )
        return False, None
    if option.choices and value not in option.choices:
        near = closest(str(value), option.choices)
        session.report(
            "DS0617",
            f'`{option.name}` of `{spec.name}` cannot be "{value}"{did_you_mean_text(near)}',
            place.at(node),
            "not a choice",
            help="it is " + " or ".join(f'"{choice}"' for choice in option.choices),
            fixes=suggestions(place.at(node), tuple(f'"{choice}"' for choice in near)),
        )
        return False, None
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        low, high = option.minimum, option.maximum
        if (low is not None and number < low) or (high is not None and number > high):
            out_of_range(session, place, node, f"`{option.name}` of `{spec.name}`", low, high)
            return False, None
    return True, value


def _not_yet(option: Option, node: Expr) -> str | None:
    """What an option's value asks for that cannot run yet."""
    callee = node.callee if isinstance(node, Call) else None
    if option.type == "reducer" and isinstance(callee, Reference) and callee.name.text == "python":
        return "a rule in Python, whose code nothing runs; a module or program can reduce"
    return None


def _named(
    session: Session, place: Place, spec: Spec, option: Option, node: Reference | Attribute
) -> tuple[bool, JsonValue]:
    """A declaration as the option's value; reports what is none, and a text that lacks its quotes."""
    text = place.text(node)
    if text in option.choices and text not in place.scope.symbols:
        session.report(
            "DS0617",
            f"`{option.name}` of `{spec.name}` takes {_worded(option)}, and this is {described(place, node)}",
            place.at(node),
            "without quotes, a name",
            help=option.doc,
            fixes=(replace(place.at(node), f'"{text}"'),),
        )
        return False, None
    symbol = resolve(session, place, node, option.refers, f"`{option.name}` of `{spec.name}`")
    if symbol is None:
        return False, None
    settings = lm(session, symbol) if symbol.kind == "lm" else None
    if settings is not None and split_model(settings.model)[0] == "embedded":
        session.report(
            "DS0617",
            f"`{symbol.name}` is an embedded model, which makes no embeddings",
            place.at(node),
            settings.model,
            secondary=(Label(symbol.location, "declared here"),),
            help="name a provider's embedding model"
            + (f', or write `{option.name} = "{option.choices[0]}"`' if option.choices else ""),
        )
        return False, None
    return True, {symbol.kind: symbol.key}


def _is_rule(place: Place, option: Option, node: Reference | Attribute) -> bool:
    """Whether a name is one of a reducer's rules: those that are declared go before, as everywhere."""
    text = place.text(node)
    known = text in place.scope.symbols or isinstance(node, Attribute)
    return option.type == "reducer" and not known and bool(closest(text, REDUCERS))


def _worded(option: Option) -> str:
    """What the option takes, as a message says it."""
    wanted = WORDED[option.type] + (
        f" or the name of {article(nouns(option.refers))}" if option.refers else ""
    )
    return wanted + (" or `none`" if option.optional else "")


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

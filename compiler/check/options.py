"""An option of an optimizer: is there one of that name, and is what is written a value for it?"""

from __future__ import annotations

from dspec.grammar.tree import Attribute, Call, Expr, ListLiteral, Literal, Name, Reference
from dspec.runtime.types import JsonValue

from ..optimizers.base import Option, Spec
from ..optimizers.table import SPECS
from ..spelling import closest, quoted
from .attributes import described, number_of, out_of_range
from .members import REDUCER_WORDS, reducer
from .names import did_you_mean, did_you_mean_text, listed
from .session import Place, Session, suggestions
from .shape import later


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
    near = closest(name.text, [*known, "student", "compat", *(["teacher"] if spec.takes_teacher else [])])
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
    if (beyond := _not_yet(option, node)) is not None:
        later(session, place, beyond, node)
        return False, None
    value = _literal(option, node)
    if value is None:
        wanted = WORDED[option.type] + (" or `none`" if option.optional else "")
        session.report(
            "DS0617",
            f"`{option.name}` of `{spec.name}` takes {wanted}, and this is {described(place, node)}",
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
        return "a rule in Python"
    if option.name == "vectorizer" and isinstance(node, Reference | Attribute):
        return "an embedding model as `vectorizer`"
    return None


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

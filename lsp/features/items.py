"""Completion in a block's body: what may start an item, and what each item may go on with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dspec.compiler.tables.block_specs import AttributeSpec
from dspec.grammar.lexemes import ITEM_WORDS

from . import offers
from .cursor import Spot, find, named, terminal, word
from .expressions import expression
from .offers import Suggestion
from .places import Place, literals_at, literals_for, names_at, rows_at, type_at
from .shapes import Fields, fields, parameters
from .steps import addresses, step, steps
from .variables import target

ROLES = ("input", "output", "field")


def item(place: Place, spot: Spot) -> Iterable[Suggestion]:
    first = word(spot.element, 0)
    if spot.index == 0:
        return () if place.cursor.in_string else _item_start(place, spot)
    if first in ITEM_WORDS and terminal(spot.element, 1) not in ("ASSIGN", "{"):
        handler = ITEMS.get(first)
        return handler(place, spot) if handler else ()
    if terminal(spot.element, 1) != "ASSIGN" or spot.index < 2:
        return ()
    attribute = place.spec.attribute(first)
    return _attribute_value(place, spot, attribute) if attribute else ()


def _item_start(place: Place, spot: Spot) -> Iterator[Suggestion]:
    yield from offers.items(place.spec)
    bare = place.cursor.rest.lstrip().startswith(("=", "{"))
    yield from offers.attributes(place.spec, named(spot.others), bare=bare)


def section(place: Place, spot: Spot) -> Iterable[Suggestion]:
    outer = place.cursor.braces[0]
    section = place.spec.section(word(outer.element, outer.index - 1))
    if section is None:
        return ()
    if spot.index == 0:
        present = named(spot.others)
        bare = place.cursor.rest.lstrip().startswith("=")
        found = list(offers.attributes(section, present, bare=bare))
        if section.name == "split":
            free = [name for name in ("train", "val", "test") if name not in present]
            found += [Suggestion(name, "attribute", "rows or percent", "", f"{name} = ", 2) for name in free]
        return found
    attribute = section.attribute(word(spot.element, 0))
    if attribute is None or terminal(spot.element, 1) != "ASSIGN" or spot.index < 2:
        return ()
    if attribute.name == "stratify" and spot.index == 2:
        return offers.fields(_own_fields(place, "input", "field"))
    return _attribute_value(place, spot, attribute)


def _attribute_value(place: Place, spot: Spot, attribute: AttributeSpec) -> Iterable[Suggestion]:
    inner = place.cursor.inner
    match attribute.value:
        case "choice":
            return literals_at(place, attribute.choices) if inner is spot and spot.index == 2 else ()
        case "expression":
            return _block_expression(place, spot, attribute.name)
        case _ if place.cursor.in_string:
            return ()
        case "reference":
            return names_at(place, spot, attribute.refers, after=1) if inner is spot else ()
        case "references":
            return names_at(place, inner, attribute.refers, after=-1) if inner.group.opener == "[" else ()
        case "rows":
            return rows_at(place, spot) if inner is spot else ()
        case "flag":
            return offers.constants("true", "false") if spot.index == 2 else ()
        case "secret" | "address":
            env = "Reads an environment variable when the program runs."
            return (Suggestion("env", "function", 'env("NAME")', env, 'env("', 1),) if spot.index == 2 else ()
        case _:
            return ()


def _block_expression(place: Place, spot: Spot, attribute: str) -> Iterable[Suggestion]:
    """Attributes whose value the block's own rules check."""
    match place.spec.keyword, attribute:
        case "dataset", "source":
            return offers.sources() if spot.index == 2 and not place.cursor.in_string else ()
        case "extern", "source":
            return offers.extern_sources() if spot.index == 2 and not place.cursor.in_string else ()
        case "optimize", "tune" | "freeze" if place.cursor.inner.group.opener == "[":
            return addresses(place, place.cursor.inner)
        case "optimize", "tune" | "freeze":
            return ()
        case "optimize", "emit":
            return steps(spot, before=False) if spot.index == 2 and not place.cursor.in_string else ()
        case _:
            return expression(place)


def _field(place: Place, spot: Spot) -> Iterable[Suggestion]:
    """`input name: type = default "description"`."""
    colon = find(spot.before, "COLON")
    assign = find(spot.before, "ASSIGN")
    if colon >= 0 and assign < 0:
        return type_at(place, spot)
    if assign >= 0 and place.cursor.inner is spot and spot.index == assign + 1:
        name = word(spot.element, 1)
        return literals_for(
            place, next((f.value for f in _own_fields(place, *ROLES) if f.name == name), None)
        )
    return ()


def _own_fields(place: Place, *roles: str) -> Fields:
    declaration = place.cursor.declaration
    return fields(declaration.items, place.scope, roles) if declaration else ()


def _check(place: Place, spot: Spot) -> Iterable[Suggestion]:
    return expression(place)


def _let(place: Place, spot: Spot) -> Iterable[Suggestion]:
    return expression(place) if spot.index > 2 and terminal(spot.element, 2) == "ASSIGN" else ()


def _return(place: Place, spot: Spot) -> Iterable[Suggestion]:
    """`return name = expr, …`: the outputs that are not returned yet, or a value for one."""
    start = max((i for i in range(spot.index) if terminal(spot.element, i) == "COMMA"), default=0) + 1
    if spot.index == start and not place.cursor.in_string:
        declaration = place.cursor.declaration
        returns = declaration.returns if declaration else None
        outputs = parameters(returns, place.scope) if isinstance(returns, tuple) else ()
        given = {
            word(spot.element, i - 1)
            for i in range(len(spot.element))
            if terminal(spot.element, i) == "ASSIGN"
        }
        return offers.arguments(outputs, given, "output")
    return expression(place)


def _given(place: Place, spot: Spot) -> Iterable[Suggestion]:
    declaration = place.cursor.declaration
    tested = target(place.cursor, declaration, place.scope) if declaration else None
    if tested is None:
        return ()
    if spot.index == 1 and not place.cursor.in_string:
        given = {word(element, 1) for element in spot.others if word(element, 0) == "given"}
        return offers.arguments(tested.inputs, given, "input")
    if spot.index == 3 and terminal(spot.element, 2) == "ASSIGN":
        name = word(spot.element, 1)
        return literals_for(place, next((f.value for f in tested.inputs if f.name == name), None))
    return ()


ITEMS: dict[str, Callable[[Place, Spot], Iterable[Suggestion]]] = {
    "input": _field,
    "output": _field,
    "field": _field,
    "assert": _check,
    "suggest": _check,
    "expect": _check,
    "gate": _check,
    "let": _let,
    "return": _return,
    "given": _given,
    "step": step,
}

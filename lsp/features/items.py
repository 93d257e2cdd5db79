"""Completion in a block's body: what may start an item, and what each item may go on with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dspec.compiler.check import query
from dspec.compiler.check.declarations.datasets import TEST_PARTS
from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.tables.block_specs import AttributeSpec
from dspec.compiler.tables.blocks import ROUND
from dspec.grammar.lexemes import ITEM_WORDS

from . import offers
from .cursor import Spot, find, named, terminal, unfinished, word
from .expressions import expression
from .here import Here, literals_here, names, rows, source_argument, type_here, wanted_here
from .offers import Offer
from .steps import addresses, step
from .texts import columns_of

GOES_ON = {"IF": "then", "THEN": "else"}
"""What a line may begin with that goes on with a choice of the line above."""


def item(here: Here, spot: Spot) -> Iterable[Offer]:
    first = word(spot.element, 0)
    if spot.index == 0:
        return () if here.cursor.in_string else _item_start(here, spot)
    if first in ITEM_WORDS and terminal(spot.element, 1) not in ("ASSIGN", "{"):
        handler = ITEMS.get(first)
        return handler(here, spot) if handler else ()
    attribute = here.spec.attribute(first)
    if attribute is not None and attribute.addressed and terminal(spot.element, 1) != "ASSIGN":
        return _for_one(here, spot)
    if terminal(spot.element, 1) != "ASSIGN" or spot.index < 2:
        return ()
    return _attribute_value(here, spot, attribute) if attribute else ()


def _for_one(here: Here, spot: Spot) -> Iterable[Offer]:
    """`feedback for address = …`: the word, the addresses, and the value."""
    if spot.index == 1:
        return () if here.cursor.in_string else offers.keywords(("for",))
    if find(spot.before, "ASSIGN") >= 0:
        return expression(here)
    inner = here.cursor.inner is spot and terminal(spot.element, 1) == "FOR"
    return names(here) if inner and spot.index == 2 else ()


def _item_start(here: Here, spot: Spot) -> Iterator[Offer]:
    """What stands behind the cursor decides: `=` and `{` follow attributes, a name follows the word of an item."""
    yield from _going_on(spot)
    if not here.following:
        yield from offers.items(here.spec)
    if not here.names_follow:
        yield from offers.attributes(here.spec, named(spot.others), before=here.following)


def _going_on(spot: Spot) -> Iterator[Offer]:
    """The word that goes on with a choice that the item above leaves open."""
    above = unfinished(spot.group.elements[spot.number - 1]) if spot.number else []
    return offers.keywords(GOES_ON[word] for word in above[-1:] if word in GOES_ON)


def round_item(here: Here, spot: Spot) -> Iterable[Offer]:
    """An item in the block of a repetition."""
    if spot.index == 0:
        return () if here.cursor.in_string else [*_going_on(spot), *offers.items(ROUND)]
    handler = ITEMS.get(word(spot.element, 0))
    return handler(here, spot) if handler and terminal(spot.element, 1) not in ("ASSIGN", "{") else ()


def section(here: Here, spot: Spot) -> Iterable[Offer]:
    outer = here.cursor.braces[0]
    section = here.spec.section(word(outer.element, outer.index - 1))
    if section is None:
        return ()
    if spot.index == 0:
        present = named(spot.others)
        if section.free == "shown":
            if here.view is None:
                return ()
            return offers.arguments(query.fields(here.view), present, "field", bare=here.is_label)
        found = list(offers.attributes(section, present, before=here.following))
        if section.name == "split":
            free = [name for name in ("train", "val", "test") if name not in present]
            found += [Offer(name, "attribute", "rows or percent", "", f"{name} = ", 2) for name in free]
        return found
    attribute = section.attribute(word(spot.element, 0))
    if terminal(spot.element, 1) != "ASSIGN" or spot.index < 2:
        return ()
    if section.free == "shown":
        return _written(here, spot, 2)
    if attribute is None:
        return _environment(spot) if section.free == "header" and not here.cursor.in_string else ()
    if attribute.name == "stratify" and spot.index == 2:
        return names(here)
    return _attribute_value(here, spot, attribute)


def _attribute_value(here: Here, spot: Spot, attribute: AttributeSpec) -> Iterable[Offer]:
    inner = here.cursor.inner
    match attribute.value:
        case "choice":
            return literals_here(here, attribute.choices) if inner is spot and spot.index == 2 else ()
        case "expression":
            return _block_expression(here, spot, attribute.name)
        case _ if here.cursor.in_string:
            return ()
        case "reference":
            return names(here) if inner is spot else ()
        case "references":
            return names(here) if inner.group.opener == "[" else ()
        case "rows":
            found = rows(here) if inner is spot else ()
            tuned = attribute.name in ("train", "val")
            return (one for one in found if not (tuned and one.label.rpartition(".")[2] in TEST_PARTS))
        case "flag":
            return offers.constants("true", "false") if spot.index == 2 else ()
        case "secret" | "address":
            return _environment(spot)
        case _:
            return ()


def _environment(spot: Spot) -> tuple[Offer, ...]:
    env = "Reads an environment variable when the program runs."
    return (Offer("env", "function", 'env("NAME")', env, 'env("', 1),) if spot.index == 2 else ()


def _block_expression(here: Here, spot: Spot, attribute: str) -> Iterable[Offer]:
    """Attributes whose value the block's own rules check."""
    match here.spec.keyword, attribute:
        case "dataset", "source":
            if here.cursor.inner is not spot:
                return source_argument(here, spot, 2, SOURCES)
            return offers.sources() if spot.index == 2 and not here.cursor.in_string else ()
        case "extern", "source":
            if here.cursor.inner is not spot:
                return source_argument(here, spot, 2, EXTERN_SOURCES)
            return offers.extern_sources() if spot.index == 2 and not here.cursor.in_string else ()
        case "optimize", "tune" | "freeze" if here.cursor.inner.group.opener == "[":
            return addresses(here, here.cursor.inner)
        case "optimize", "tune" | "freeze":
            return ()
        case "optimize", "emit":
            return names(here) if spot.index == 2 else ()
        case _:
            return expression(here)


def _field(here: Here, spot: Spot) -> Iterable[Offer]:
    """`input name: type = default "description"`."""
    colon = find(spot.before, "COLON")
    assign = find(spot.before, "ASSIGN")
    if here.spec.keyword == "dataset" and not here.cursor.in_string:
        if spot.index == 1:
            return _columns(here, spot)
        if colon >= 0 and spot.index == colon + 1:
            seen = dict(columns_of(here)).get(word(spot.element, 1))
            typed = [Offer(seen, "type", "in the file", rank=0)] if seen else []
            return [*typed, *type_here(here)]
    if colon >= 0 and assign < 0:
        return type_here(here)
    at_default = assign >= 0 and here.cursor.inner is spot and spot.index == assign + 1
    return wanted_here(here) if at_default else ()


def _columns(here: Here, spot: Spot) -> Iterator[Offer]:
    """The columns of the file that are not declared yet, with the types that they seem to have."""
    declared = {word(element, 1) for element in spot.others if word(element, 0) in ("input", "field")}
    typed = find(spot.element, "COLON") > 0
    for name, kind in columns_of(here):
        if name not in declared and name.isidentifier():
            yield Offer(name, "field", kind, insert=name if typed else f"{name}: {kind}", rank=1)


def _check(here: Here, spot: Spot) -> Iterable[Offer]:
    return expression(here)


def _let(here: Here, spot: Spot) -> Iterable[Offer]:
    if spot.index <= 2 or terminal(spot.element, 2) != "ASSIGN":
        return ()
    if terminal(spot.element, 3) != "REPEAT" or spot.index == 3:
        repeat = offers.keywords(("repeat",)) if spot.index == 3 and here.spec.keyword == "program" else ()
        return [*expression(here), *repeat]
    if find(spot.before, "FROM") >= 0:
        return names(here)
    return offers.keywords(("from",)) if spot.index == 5 else ()


def _return(here: Here, spot: Spot) -> Iterable[Offer]:
    """`return name = expr, …`: the outputs that are not returned yet, or a value for one."""
    if here.cursor.inner is not spot or here.view is None or not query.begins_argument(here.view):
        return expression(here)
    outputs = offers.arguments(query.left_to_return(here.view), (), "output", bare=here.is_label)
    return [*outputs, *(() if here.is_label else expression(here))]


def _given(here: Here, spot: Spot) -> Iterable[Offer]:
    if spot.index == 1 and not here.cursor.in_string:
        tested = query.subject(here.view) if here.view else None
        given = {word(element, 1) for element in spot.others if word(element, 0) == "given"}
        return offers.arguments(tested.inputs, given, "input", bare=here.is_label) if tested else ()
    return _written(here, spot, 3) if terminal(spot.element, 2) == "ASSIGN" else ()


def _written(here: Here, spot: Spot, start: int) -> Iterable[Offer]:
    """Literals of the type that is wanted in a value that is written out, which begins at index `start` of the item, and the
    fields that a record in it has not been given yet."""
    inner, view = here.cursor.inner, here.view
    named = inner is not spot and terminal(inner.element, 1) == "ASSIGN"
    first = start if inner is spot else 2 if named else 0
    if view is None:
        return ()
    if inner.index == first + 2 and here.qualifier:
        return offers.calls(query.declared(view, ("record",), here.qualifier))
    if inner.index != first:
        return ()
    calling = query.calling(view) if inner.group.opener == "(" and not named else None
    if calling is not None and not here.cursor.in_string:
        return offers.arguments(calling.inputs, calling.given, "field", bare=here.is_label)
    called = not here.cursor.in_string and (here.following == "(" or query.written_like_a_call(view))
    return [*wanted_here(here), *offers.calls(query.declared(view, ("record",)) if called else ())]


ITEMS: dict[str, Callable[[Here, Spot], Iterable[Offer]]] = {
    "input": _field,
    "output": _field,
    "field": _field,
    "assert": _check,
    "suggest": _check,
    "expect": _check,
    "gate": _check,
    "let": _let,
    "until": _check,
    "return": _return,
    "given": _given,
    "step": step,
}

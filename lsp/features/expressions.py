"""Completion within expressions: variables, members, functions, arguments, literals that would fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dspec.compiler.tables.judges import JUDGE, JUDGES, JudgeFunction

from . import offers
from .cursor import Part, Spot, find, named, terminal, word
from .offers import Suggestion
from .places import Place, literals_for
from .shapes import Fields, Value, interface, look_up, members
from .variables import CALLABLE, Variables, chain, chain_start, variables

COMPARISONS = ("EQ", "NE")
OPERAND_ENDS = ("NAME", "STRING", "NUMBER", "PERCENT", "TRUE", "FALSE", "NONE", "(", "[")


def expression(place: Place) -> Iterable[Suggestion]:
    cursor, scope = place.cursor, place.scope
    spot = cursor.inner
    known = variables(cursor, scope)
    before = spot.before
    last = terminal(before, len(before) - 1)
    if cursor.in_string:
        return literals_for(place, _wanted(place, known))
    if last == "DOT":
        return _members(place, before, known)
    if last in OPERAND_ENDS and len(before) > _expression_start(place, spot):
        branches = ("then", "else") if find(before, "IF") >= 0 else ()
        message = ("else",) if word(spot.element, 0) in ("assert", "suggest") else ()
        loop = ("for",) if spot.group.opener == "[" else ()
        return offers.keywords((*branches, *message, *loop, *offers.OPERATORS))
    return _operand(place, known)


def _expression_start(place: Place, spot: Spot) -> int:
    """The index in the element where its expression begins: behind `let x =`, `assert`, `name =`."""
    element = spot.element
    if spot.group.opener in ("(", "["):
        return 2 if terminal(element, 1) == "ASSIGN" else 0
    at = find(element, "ASSIGN")
    if word(element, 0) == "return":
        at = max((i for i in range(spot.index) if terminal(element, i) == "ASSIGN"), default=0)
    return at + 1 if 0 < at < spot.index else 1


def _members(place: Place, before: Sequence[Part], known: Variables) -> Iterable[Suggestion]:
    end = len(before) - 1
    start = chain_start(before, end)
    if place.spec.keyword == "eval" and [word(before, i) for i in range(start, end)] == ["baseline"]:
        mean = "Mean score of the baseline, 0 to 1."
        return (Suggestion("score", "field", "score", mean, rank=1),)
    if end - start == 1 and word(before, start) not in known:
        alias = word(before, start)
        return _callables(place, alias) if place.scope.imports.get(alias) else ()
    return offers.fields(members(chain(before[start:end], place.scope, known)))


def _callables(place: Place, qualifier: str = "") -> Iterable[Suggestion]:
    """Modules and programs: only a program's own items may call one."""
    if place.spec.keyword != "program":
        return ()
    itself = place.cursor.declaration
    name = itself.name.text if itself and itself.name else ""
    found = offers.references(place.scope, ("module", "program"), qualifier)
    return (suggestion for suggestion in found if suggestion.label != name)


def _operand(place: Place, known: Variables) -> Iterator[Suggestion]:
    judge = _judge(place)
    spot = place.cursor.inner
    if judge is not None and word(spot.element, 0) == JUDGE and spot.index == 2:
        yield from offers.references(place.scope, ("lm",))
        return
    yield from literals_for(place, _wanted(place, known))
    yield from _arguments(place)
    if judge is not None and spot.index == 0:
        yield from offers.judge_arguments(judge, named(spot.others))
    yield from offers.variables(known)
    if word(place.cursor.braces[0].element if place.cursor.braces else [], 0) == "let":
        yield from _callables(place)
    if place.spec.keyword != "eval":
        yield from offers.functions()
    if place.spec.keyword == "metric":
        yield from offers.judges()
    yield from offers.keywords(("if", "not", "true", "false", "none"), rank=9)


def _arguments(place: Place) -> Iterable[Suggestion]:
    """`name = ` for the inputs of the module whose parentheses hold the cursor."""
    spot = place.cursor.inner
    inputs = _called_inputs(place)
    if not inputs or spot.index:
        return ()
    return offers.arguments(inputs, named(spot.others), "input")


def _judge(place: Place) -> JudgeFunction | None:
    """The judge whose parentheses hold the cursor."""
    spots = place.cursor.spots
    if place.spec.keyword != "metric" or len(spots) < 2 or spots[-1].group.opener != "(":
        return None
    before = spots[-2].before
    return JUDGES.get(word(before, len(before) - 1))


def _called_inputs(place: Place) -> Fields:
    spots = place.cursor.spots
    if len(spots) < 2 or spots[-1].group.opener != "(":
        return ()
    before = spots[-2].before
    start = chain_start(before, len(before))
    path = [word(before, index) for index in range(start, len(before), 2)]
    if not path or len(path) > 2:
        return ()
    found = look_up(place.scope, path[-1], path[0] if len(path) == 2 else None)
    called = interface(*found) if found and found[1].kind in CALLABLE else None
    return called.inputs if called else ()


def _wanted(place: Place, known: Variables) -> Value | None:
    """The value that the operand at the cursor is compared with, or the input that it is given to."""
    spot = place.cursor.inner
    before = spot.before
    last = terminal(before, len(before) - 1)
    if last in COMPARISONS:
        return _left(before, len(before) - 1, place, known)
    if spot.group.opener == "[" and spot.index == 0 and len(place.cursor.spots) > 1:
        outer = place.cursor.spots[-2].before
        if terminal(outer, len(outer) - 1) == "IN":
            negated = terminal(outer, len(outer) - 2) == "NOT"
            return _left(outer, len(outer) - (2 if negated else 1), place, known)
    if spot.group.opener == "(" and terminal(spot.element, 1) == "ASSIGN" and spot.index == 2:
        name = word(spot.element, 0)
        return next((field.value for field in _called_inputs(place) if field.name == name), None)
    return None


def _left(parts: Sequence[Part], end: int, place: Place, known: Variables) -> Value | None:
    return chain(parts[chain_start(parts, end) : end], place.scope, known)

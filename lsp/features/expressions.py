"""Completion within expressions: variables, members, functions, arguments, literals that would fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dspec.compiler.check import query
from dspec.compiler.check.types.kinds import is_number, is_text
from dspec.compiler.tables.aggregates import AggregateFunction
from dspec.compiler.tables.judges import JudgeFunction
from dspec.grammar.tree import Attribute, Reference
from dspec.runtime.schema.types import ANY, BOOL, OptionalOf, Type
from dspec.runtime.values.functions import Function, Marker

from . import offers
from .cursor import Spot, find, terminal, word
from .here import Here, names, wanted_here
from .offers import Offer

OPERAND_ENDS = ("NAME", "STRING", "NUMBER", "PERCENT", "TRUE", "FALSE", "NONE", "(", "[")


def expression(here: Here) -> Iterable[Offer]:
    spot = here.cursor.inner
    before = spot.before
    last = terminal(before, spot.index - 1)
    if here.cursor.in_string:
        return wanted_here(here)
    if last == "DOT":
        return _members(here)
    if last in OPERAND_ENDS and spot.index > _expression_start(spot):
        branches = ("then", "else") if find(before, "IF") >= 0 else ()
        message = ("else",) if word(spot.element, 0) in ("assert", "suggest") else ()
        loop = ("for",) if spot.group.opener == "[" else ()
        return offers.keywords((*branches, *message, *loop, *offers.OPERATORS))
    return _operand(here)


def _expression_start(spot: Spot) -> int:
    """The index in the element where its expression begins: behind `let x =`, `assert`, `name =`."""
    element = spot.element
    if spot.group.opener in ("(", "["):
        return 2 if terminal(element, 1) == "ASSIGN" else 0
    at = find(element, "ASSIGN")
    if word(element, 0) == "return":
        at = max((i for i in range(spot.index) if terminal(element, i) == "ASSIGN"), default=0)
    return at + 1 if 0 < at < spot.index else 1


def _members(here: Here) -> Iterable[Offer]:
    if here.view is None:
        return ()
    if here.sought is not None:
        return names(here)
    dotted = query.behind_dot(here.view)
    if dotted is None:
        return ()
    alias = _alias(here.view, dotted)
    if alias:
        return offers.calls(query.declared(here.view, query.callable_kinds(here.view), alias))
    if here.following == "(":
        return ()  # values have no methods
    return offers.members(query.members(here.view, query.type_of(here.view, dotted.target)))


def _alias(view: query.View, dotted: Attribute) -> str:
    """The import that a dot follows, where no value has its name."""
    name = dotted.target.name.text if isinstance(dotted.target, Reference) else ""
    return name if name in view.place.scope.imports and name not in query.values(view) else ""


def _operand(here: Here) -> Iterator[Offer]:
    view = here.view
    if view is None:
        return
    calling = query.calling(view)
    begins = query.begins_argument(view)
    if calling is not None and begins:
        yield from _arguments(here, calling)
    if here.is_label:
        return
    if here.sought is not None:
        yield from names(here)
        return
    known = query.values(view)
    called = here.following == "("
    if not called:
        if not begins:
            yield from wanted_here(here)
        yield from offers.variables(known, here.spec.keyword)
    yield from offers.calls(
        (name, symbol)
        for name, symbol in query.declared(view, query.callable_kinds(view))
        if name.partition(".")[0] not in known
    )
    if here.spec.keyword != "eval":
        wanted = query.wanted(view) if not begins else None
        yield from (offers.function(one.name) for one in query.functions(view) if _leads_to(one, wanted))
    yield from (offers.judge(one.name) for one in query.judges(view))
    yield from (offers.aggregate(one.name) for one in query.aggregates(view))
    if not called:
        yield from offers.keywords(_words(query.wanted(view) if not begins else None), rank=9)


def _leads_to(function: Function, wanted: Type | None) -> bool:
    """Whether an expression that begins with a call of the function can become what is wanted: a number or a truth
    becomes no text, and a truth no number."""
    inner = wanted.item if isinstance(wanted, OptionalOf) else wanted
    result = function.result
    if inner is None or isinstance(result, Marker):
        return True
    if result == BOOL:
        return inner in (BOOL, ANY)
    return not (is_text(inner) and is_number(result))


def _words(wanted: Type | None) -> Iterator[str]:
    """The words that begin an expression, those left out that are none of the wanted type."""
    yield "if"
    inner = wanted.item if isinstance(wanted, OptionalOf) else wanted
    if inner in (None, BOOL, ANY):
        yield from ("not", "true", "false")
    if wanted is None or wanted == ANY or isinstance(wanted, OptionalOf):
        yield "none"


def _arguments(here: Here, calling: query.Calling) -> Iterable[Offer]:
    """`name = ` for what the call takes and is not given yet."""
    bare = here.is_label
    callee = calling.callee
    if isinstance(callee, JudgeFunction | AggregateFunction):
        return offers.named_arguments(callee, calling.given, bare=bare)
    if isinstance(callee, Function):
        return offers.parameters(callee, calling.given) if bare else ()
    return offers.arguments(calling.inputs, calling.given, "input", bare=bare)

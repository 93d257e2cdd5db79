"""Names, types and literals where the cursor stands: what several kinds of places have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from dspec.compiler.check.symbols import FileScope
from dspec.compiler.tables.block_specs import BlockSpec

from . import offers
from .cursor import Cursor, Part, Spot, terminal, word
from .offers import Suggestion
from .shapes import Value, is_flag, literals
from .variables import split_parts

PROGRAMS = ("module", "program", "optimize")


class Place(Struct, frozen=True):
    """What every function here needs: the cursor, the file's names, the declaration's table."""

    cursor: Cursor
    scope: FileScope
    spec: BlockSpec


def path_before(spot: Spot, after: int) -> Sequence[str] | None:
    """The names before the cursor's dot, behind index `after`; empty without a dot, None for no path."""
    path: Sequence[Part] = spot.before[after + 1 :]
    for index in range(len(path)):
        if terminal(path, index) != ("NAME" if index % 2 == 0 else "DOT"):
            return None
    return [word(path, index) for index in range(0, len(path), 2)] if len(path) % 2 == 0 else None


def names_at(place: Place, spot: Spot, kinds: Sequence[str], *, after: int) -> Iterable[Suggestion]:
    """Declarations of some kinds where `name` or `alias.name` may stand."""
    path = None if place.cursor.in_string else path_before(spot, after)
    if path is None or len(path) > 1:
        return ()
    return offers.references(place.scope, kinds, path[0] if path else "")


def rows_at(place: Place, spot: Spot) -> Iterable[Suggestion]:
    path = path_before(spot, 1)
    if path is None:
        return ()
    if not path:
        return offers.rows(place.scope)
    found = offers.constants(*split_parts(place.scope, path))
    return [*found, *(offers.references(place.scope, ("dataset",), path[0]) if len(path) == 1 else ())]


def type_at(place: Place, spot: Spot) -> Iterable[Suggestion]:
    """A type at the cursor, wherever one may begin or an import's name has a dot behind it."""
    inner = place.cursor.inner
    before = inner.before
    if place.cursor.in_string:
        return ()
    match terminal(before, inner.index - 1):
        case "COLON" | "ARROW" | "ASSIGN" | "BAR":
            return offers.types(place.scope)
        case "" if inner.group.opener == "[":
            return offers.types(place.scope)
        case "DOT":
            return offers.references(place.scope, ("type", "record"), word(before, inner.index - 2))
        case _:
            return ()


def literals_at(place: Place, texts: Iterable[str]) -> Iterable[Suggestion]:
    cursor = place.cursor
    return offers.values(texts, quoted=not cursor.in_string, close='"' not in cursor.rest)


def literals_for(place: Place, value: Value | None) -> Iterable[Suggestion]:
    if is_flag(value):
        return () if place.cursor.in_string else offers.constants("true", "false")
    return literals_at(place, literals(value) or ())

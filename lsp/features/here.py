"""The place that completion is asked about: the cursor, and what the check says of its declaration."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Protocol

from dspec.compiler.check import query
from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.journal import Sought
from dspec.compiler.check.types.kinds import BEYOND_TEXT
from dspec.compiler.data.sources.base import SourceParameter
from dspec.compiler.tables.block_specs import BlockSpec
from dspec.runtime.schema.types import BOOL, Type
from dspec.runtime.values.media import KINDS

from . import offers
from .cursor import Cursor, Spot, find, named, read, terminal, word
from .offers import Offer


class Here:
    """What every function of completion needs; the declaration is checked when somebody asks about it."""

    def __init__(self, cursor: Cursor, analysis: Analysis, spec: BlockSpec, offset: int) -> None:
        self.cursor = cursor
        self.spec = spec
        self.analysis = analysis
        self.offset = offset

    @cached_property
    def view(self) -> query.View | None:
        block = read(self.cursor)
        return query.view(self.analysis, block, self.cursor.word[0]) if block else None

    @cached_property
    def sought(self) -> Sought | None:
        """What the check looks for by the name at the cursor."""
        return query.sought(self.view) if self.view else None

    @property
    def following(self) -> str:
        """The symbol that follows the word, as far as `=`, `{` or `(` go; else empty."""
        rest = self.cursor.text[self.cursor.word[1] :].lstrip(" \t")
        return rest[:1] if rest[:1] in ("=", "{", "(") and rest[:2] != "==" else ""

    @property
    def names_follow(self) -> bool:
        """Whether the line goes on with a name, as behind the word of an item."""
        rest = self.cursor.text[self.cursor.word[1] :].lstrip(" \t")
        return rest[:1].isidentifier()

    @property
    def is_label(self) -> bool:
        """Whether the word names an argument, an attribute or the like."""
        return self.following == "="

    @property
    def qualifier(self) -> str | None:
        """The name before the cursor's dot; empty where there is no dot, None behind anything else."""
        inner = self.cursor.inner
        if terminal(inner.before, inner.index - 1) != "DOT":
            return ""
        return word(inner.before, inner.index - 2) or None


def names(here: Here) -> Iterable[Offer]:
    """The names that the check looks for where the cursor stands, or in the import before its dot."""
    if here.view is None or here.sought is None or here.cursor.in_string:
        return
    yield from offers.own_names(here.sought.names)
    if here.qualifier is not None:
        yield from offers.references(query.declared(here.view, here.sought.kinds, here.qualifier))


def rows(here: Here) -> Iterable[Offer]:
    """Datasets and their parts."""
    if here.view is None or here.sought is None or here.qualifier:
        return names(here)
    view = here.view
    found = query.declared(view, here.sought.kinds)
    dotted = here.cursor.text[here.cursor.word[1] :].startswith(".")  # a part is named already
    return offers.rows((name, symbol, () if dotted else query.parts(view, symbol)) for name, symbol in found)


def type_here(here: Here) -> Iterable[Offer]:
    """A type at the cursor, or the declaration that stands in the place of one."""
    inner = here.cursor.inner
    before = terminal(inner.before, inner.index - 1)
    begins = before in ("COLON", "ARROW", "ASSIGN", "BAR", "DOT") or (
        not before and inner.group.opener == "["
    )
    if not begins or here.cursor.in_string or here.sought is None:
        return ()
    plain = before != "DOT" and "type" in here.sought.kinds
    return [*names(here), *(offers.types(_of_inputs(here.cursor)) if plain else ())]


def _of_inputs(cursor: Cursor) -> Collection[str]:
    """The types of inputs alone that may stand at the cursor: in an input's place, as they are or in a list."""
    holder = next(place for place in range(len(cursor.spots) - 1, -1, -1) if _holds(cursor.spots[place]))
    spot, inside = cursor.spots[holder], cursor.spots[holder + 1 :]
    around = cursor.spots[holder - 1] if holder else spot
    first = word(cursor.spots[0].before, 0)
    if spot.group.opener == "{":
        inputs = word(spot.before, 0) == "input"
    elif spot.group.opener == "(":
        named = word(around.before, around.index - 1) == "sig"
        parts = (*spot.group.elements[: spot.number], spot.before) if named else (around.before,)
        inputs = (named or first == "program") and all(find(each, "ARROW") < 0 for each in parts)
    else:
        inputs = first == "type"
    if not inputs or len(inside) > 1:
        return ()
    listed = inside and word(cursor.spots[holder].before, spot.index - 1) == "list"
    return KINDS if listed else () if inside else BEYOND_TEXT


def _holds(spot: Spot) -> bool:
    return spot.group.opener != "["


class _Source(Protocol):
    @property
    def parameters(self) -> tuple[SourceParameter, ...]: ...


def source_argument(here: Here, spot: Spot, callee: int, table: Mapping[str, _Source]) -> Iterator[Offer]:
    """In the parentheses of a source, whose name is a part of `spot`: arguments that are not given yet, and what
    stands behind `lm =`."""
    inner = here.cursor.inner
    source = table.get(word(spot.element, callee))
    if source is None or here.cursor.in_string:
        return
    if inner.index >= 2 and terminal(inner.element, 1) == "ASSIGN":
        yield from names(here) if word(inner.element, 0) == "lm" else ()
    elif inner.index == 0:
        present = named(inner.others)
        placed = sum(
            bool(each) and terminal(each, 1) != "ASSIGN" for each in inner.group.elements[: inner.number]
        )
        for one in source.parameters[placed:]:
            if one.name not in present:
                text = one.name if here.is_label else f"{one.name} = "
                yield Offer(one.name, "option", one.value, one.doc, text, rank=1)


def literals_here(here: Here, texts: Iterable[str]) -> Iterable[Offer]:
    cursor = here.cursor
    return offers.values(texts, quoted=not cursor.in_string, close='"' not in cursor.rest)


def wanted_here(here: Here) -> Iterable[Offer]:
    """Literals of the type that a value at the cursor should have."""
    wanted: Type | None = query.wanted(here.view) if here.view else None
    if wanted == BOOL:
        return () if here.cursor.in_string else offers.constants("true", "false")
    return literals_here(here, query.literals(wanted))

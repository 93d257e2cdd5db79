"""Completion: what may be written at the cursor, and nothing that the checker would refuse there.

The cursor's surroundings are read from terminals (`cursor`), names from the analysis; what is
offered comes from the tables (`offers`). One function per place in a declaration, chosen top down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.tables.blocks import BLOCKS

from . import offers
from .cursor import Cursor, Spot, find, locate, named, terminal, word
from .expressions import expression
from .items import item, section
from .offers import Suggestion
from .places import PROGRAMS, Place, names_at, type_at

__all__ = ["Found", "Suggestion", "complete"]


class Found(Struct, frozen=True):
    """Suggestions that replace the text from `start` to the cursor."""

    start: int
    suggestions: tuple[Suggestion, ...]


def complete(analysis: Analysis, offset: int) -> Found:
    """What may stand at an offset of the analysed text. Never raises on broken text."""
    cursor = locate(analysis.tree, offset)
    if cursor is None:
        return Found(offset, ())
    best: dict[str, Suggestion] = {}
    for suggestion in _at(cursor, analysis):
        best.setdefault(suggestion.label, suggestion)
    return Found(cursor.start, tuple(sorted(best.values(), key=lambda found: found.rank)))


def _at(cursor: Cursor, analysis: Analysis) -> Iterable[Suggestion]:
    top = cursor.spots[0]
    if len(cursor.spots) == 1 and (top.number or not top.index):
        if not cursor.at_line_start or cursor.in_string:
            return ()
        blocks = analysis.tree.blocks
        present = {
            block.declaration.keyword.text
            for block in blocks
            if block.declaration and block.start != cursor.start
        }
        return offers.declarations(present)
    spec = BLOCKS.get(word(top.group.elements[0], 0))
    if spec is None or top.number:
        return ()
    place = Place(cursor, analysis.symbols.scope, spec)
    match len(cursor.braces):
        case 0:
            return header(place)
        case 1:
            return item(place, cursor.braces[0])
        case 2:
            return section(place, cursor.braces[1])
        case _:
            return ()


# Headers ----------------------------------------------------------------------------------------


def header(place: Place) -> Iterable[Suggestion]:
    spot = place.cursor.spots[0]
    keyword = place.spec.keyword
    if keyword == "import":
        return offers.keywords(("as",)) if spot.index == 2 and not place.cursor.in_string else ()
    if keyword == "dspec":
        return offers.constants("1") if spot.index == 1 else ()
    at = find(spot.before, "ASSIGN")
    if at >= 0:
        return _declared_value(place, at)
    arrow = find(spot.before, "ARROW")
    if len(place.cursor.spots) > 1:
        return _parameter(place, place.cursor.inner, position=2 if arrow >= 0 else place.cursor.inner.number)
    if arrow >= 0 and spot.index == arrow + 1:
        return type_at(place, spot)
    return ()


def _declared_value(place: Place, at: int) -> Iterable[Suggestion]:
    spot = place.cursor.spots[0]
    match place.spec.keyword:
        case "type":
            return type_at(place, spot)
        case "module":
            if len(place.cursor.spots) > 1:
                return _strategy_argument(place)
            return offers.strategies() if spot.index == at + 1 and not place.cursor.in_string else ()
        case "extern":
            return offers.extern_sources() if spot.index == at + 1 and not place.cursor.in_string else ()
        case "metric":
            return expression(place)
        case _:
            return ()


def _parameter(place: Place, spot: Spot, *, position: int) -> Iterable[Suggestion]:
    """In a header's parentheses: `name: type = default`. Position 2 and up are not a metric's own."""
    colon = find(spot.before, "COLON")
    metric = place.spec.keyword == "metric" and position < 2
    if spot.index == 0:
        return offers.constants("gold" if position == 0 else "pred") if metric else ()
    if colon < 0 or find(spot.before, "ASSIGN") >= 0 or place.cursor.in_string:
        return ()
    if metric:
        kinds = ("dataset",) if position == 0 else PROGRAMS
        return names_at(place, spot, kinds, after=colon)
    return type_at(place, spot)


def _strategy_argument(place: Place) -> Iterable[Suggestion]:
    spot = place.cursor.inner
    if len(place.cursor.spots) > 2:  # inside `sig(…)`
        inline = word(place.cursor.spots[-2].before, place.cursor.spots[-2].index - 1) == "sig"
        return type_at(place, spot) if inline and find(spot.before, "COLON") >= 0 else ()
    if terminal(spot.before, 1) == "ASSIGN":
        return names_at(place, spot, ("lm",), after=1) if word(spot.before, 0) == "lm" else ()
    if spot.number == 0:
        return [*names_at(place, spot, ("signature",), after=-1), *_inline(spot)]
    if spot.index == 0 and "lm" not in named(spot.others):
        lm = "The model that answers; the default one unless said."
        return (Suggestion("lm", "option", "lm", lm, "lm = ", rank=1),)
    return ()


def _inline(spot: Spot) -> Iterator[Suggestion]:
    if spot.index == 0:
        yield Suggestion("sig", "keyword", "sig(question -> answer)", "A signature without a name.", "sig(")

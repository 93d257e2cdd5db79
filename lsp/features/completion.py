"""Completion: what may be written at the cursor, and nothing that the checker would refuse there.

The cursor's surroundings are read from terminals (`cursor`), names from the analysis; what is
offered comes from the tables (`offers`). One function per place in a declaration, chosen top down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.shape.shape import EXTENDING
from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.diagnostics.record import Diagnostic
from dspec.compiler.tables.block_specs import AttributeSpec
from dspec.compiler.tables.blocks import BLOCKS
from dspec.compiler.tables.lm_block import OF_MODULE
from dspec.runtime.running.strategies.base import ModuleStrategy
from dspec.runtime.running.strategies.table import STRATEGIES

from . import offers
from .allowing import allow_offers
from .cursor import Cursor, Part, Spot, find, locate, named, terminal, word
from .expressions import expression
from .here import Here, literals_here, names, source_argument, type_here
from .items import item, round_item, section
from .offers import Offer, attribute_detail
from .snippets import is_called, snippet
from .texts import text_offers

__all__ = ["Completions", "Offer", "complete"]


class Completions(Struct, frozen=True):
    """Suggestions that replace the text from `start` to the cursor."""

    start: int
    suggestions: tuple[Offer, ...]


def complete(analysis: Analysis, offset: int, found: Sequence[Diagnostic] = ()) -> Completions:
    """What may stand at an offset of the analysed text, of which this was `found`. Never raises on broken text."""
    in_comment = allow_offers(analysis, offset, found)
    if in_comment is not None:
        return Completions(in_comment[0], tuple(in_comment[1]))
    cursor = locate(analysis.tree, offset)
    if cursor is None:
        return Completions(offset, ())
    best: dict[str, Offer] = {}
    for suggestion in _at(cursor, analysis, offset):
        best.setdefault(suggestion.label, suggestion)
    rest = cursor.text[cursor.word[1] :].lstrip(" \t")
    opens = rest[:1] in ("(", "=", "{") and rest[:2] != "=="
    following = '"' if cursor.in_string else rest[:1] if opens else ""
    offered = (_as_written(one, following) for one in best.values())
    return Completions(cursor.start, tuple(sorted(offered, key=lambda one: one.rank)))


def _as_written(one: Offer, following: str) -> Offer:
    """The offer with its snippet; what is called is written with its parenthesis, if there is none behind the cursor."""
    insert = f"{one.label}(" if is_called(one) and not following else one.insert
    return replace(one, snippet=snippet(one, following), insert=insert)


def _at(cursor: Cursor, analysis: Analysis, offset: int) -> Iterable[Offer]:
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
    here = Here(cursor, analysis, spec, offset)
    if cursor.in_string and (texts := text_offers(here)) is not None:
        return (_closed(here, one) for one in texts)
    match len(cursor.braces):
        case 0:
            return header(here)
        case 1:
            return item(here, cursor.braces[0])
        case _ if spec.keyword == "program":
            return round_item(here, here.cursor.braces[-1])
        case 2:
            return section(here, cursor.braces[1])
        case _:
            return ()


def _closed(here: Here, one: Offer) -> Offer:
    """What is offered within a text closes it, where the line does not; a folder leads on."""
    opened = one.kind != "folder" and '"' not in here.cursor.rest
    return replace(one, insert=f'{one.label}"') if opened else one


# Headers ----------------------------------------------------------------------------------------


def header(here: Here) -> Iterable[Offer]:
    spot = here.cursor.spots[0]
    keyword = here.spec.keyword
    if keyword == "import":
        return offers.keywords(("as",)) if spot.index == 2 and not here.cursor.in_string else ()
    if keyword == "dspec":
        return offers.constants("1") if spot.index == 1 else ()
    if keyword in EXTENDING and len(here.cursor.spots) == 1:
        extending = terminal(spot.element, 2) == "EXTENDS"
        if spot.index == 2:
            return offers.keywords(("extends",))
        return names(here) if extending and not here.cursor.in_string else ()
    at = find(spot.before, "ASSIGN")
    if at >= 0:
        return _declared_value(here, at)
    arrow = find(spot.before, "ARROW")
    if arrow >= 0 and here.cursor.inner.group.opener == "[" and here.cursor.spots[1].group.opener == "[":
        return type_here(here)  # `-> list[…]`
    if len(here.cursor.spots) > 1:
        return _parameter(here, is_output=arrow >= 0)
    if arrow >= 0 and spot.index == arrow + 1:
        return type_here(here)
    return ()


def _declared_value(here: Here, at: int) -> Iterable[Offer]:
    spot = here.cursor.spots[0]
    match here.spec.keyword:
        case "type":
            return type_here(here)
        case "module":
            if len(here.cursor.spots) > 1:
                return _strategy_argument(here)
            return offers.strategies() if spot.index == at + 1 and not here.cursor.in_string else ()
        case "extern":
            if len(here.cursor.spots) > 1:
                return source_argument(here, spot, at + 1, EXTERN_SOURCES)
            return offers.extern_sources() if spot.index == at + 1 and not here.cursor.in_string else ()
        case "metric":
            return expression(here)
        case _:
            return ()


def _parameter(here: Here, *, is_output: bool) -> Iterable[Offer]:
    """In a header's parentheses: `name: type = default`."""
    spot = here.cursor.spots[1]
    if spot.index == 0:
        metric = here.spec.keyword == "metric" and spot.number < 2 and not is_output
        return offers.constants("pred" if spot.number else "gold") if metric else ()
    if find(spot.before, "COLON") < 0 or find(spot.before, "ASSIGN") >= 0:
        return ()
    return type_here(here)


def _strategy_argument(here: Here) -> Iterable[Offer]:
    spot = here.cursor.inner
    if len(here.cursor.spots) > 2:  # inside `sig(…)` or a list
        if find(spot.before, "COLON") >= 0:
            return type_here(here)
        present = {_path(element) for element in spot.others} if spot.group.opener == "[" else set[str]()
        return (one for one in names(here) if one.label not in present)
    strategy = _strategy(here)
    if terminal(spot.element, 1) == "ASSIGN" and spot.index >= 2:
        setting = _settings(strategy).get(word(spot.element, 0))
        if setting is not None and setting.choices:
            return literals_here(here, setting.choices) if spot.index == 2 else ()
        return names(here)
    applied = (
        1 if strategy is not None and strategy.function else 0
    )  # the function is written before the signature
    if spot.number == applied and not here.is_label:
        return [*names(here), *_inline(spot)]
    return _strategy_options(here, spot) if spot.index == 0 and not here.cursor.in_string else ()


def _path(element: Sequence[Part]) -> str:
    """A name as a list has it, with its import's."""
    return "".join(word(element, index) for index in range(len(element)))


def _strategy(here: Here) -> ModuleStrategy | None:
    header = here.cursor.spots[0]
    return STRATEGIES.get(word(header.element, find(header.before, "ASSIGN") + 1))


def _strategy_options(here: Here, spot: Spot) -> Iterator[Offer]:
    """The options that are not given yet."""
    present = named(spot.others)
    strategy = _strategy(here)
    lm = ("lm", "lm", "The model that answers; the default one unless said.")
    known = [
        one for one in (strategy.options if strategy else ()) if one.value != "function" or not spot.number
    ]
    options = [(one.name, one.value, one.doc) for one in known]
    more = [lm, *((one.name, attribute_detail(one), one.doc) for one in _settings(strategy).values())]
    for name, kind, doc in (*options, *(() if strategy is not None and strategy.function else more)):
        if name not in present:
            yield Offer(name, "option", kind, doc, name if here.is_label else f"{name} = ", rank=1)


def _settings(strategy: ModuleStrategy | None) -> dict[str, AttributeSpec]:
    """What a module may say of how its model is asked, besides the strategy's own options."""
    if strategy is not None and strategy.function:
        return {}
    own = {option.name for option in strategy.options} if strategy is not None else set[str]()
    return {name: one for name, one in OF_MODULE.items() if name not in own}


def _inline(spot: Spot) -> Iterator[Offer]:
    if spot.index == 0:
        yield Offer("sig", "keyword", "sig(question -> answer)", "A signature without a name.", "sig(")

"""Hover: what the word at the cursor is, as Markdown."""

from __future__ import annotations

from msgspec import Struct

from dspec.compiler.check import query
from dspec.compiler.check.allows import DIRECTIVE
from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.check.types.kinds import spell
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.optimizers.compat.table import COMPAT
from dspec.compiler.optimizers.table import find as find_optimizer
from dspec.compiler.tables.aggregates import AGGREGATES
from dspec.compiler.tables.blocks import BLOCKS
from dspec.compiler.tables.judges import JUDGES
from dspec.compiler.tables.lm_block import OF_MODULE
from dspec.compiler.tables.vocabulary import TYPES
from dspec.grammar.tree import (
    Argument,
    Attribute,
    Call,
    Declaration,
    DictType,
    ListType,
    Literal,
    Name,
    NamedType,
    Reference,
    Section,
    Setting,
    TupleType,
)
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.values.functions import FUNCTIONS

from . import docs, offers
from .facts import DataFacts
from .markdown import block, joined
from .strings import hover_of_string
from .symbol_docs import of_symbol
from .words import CursorWord, word_at


class Hover(Struct, frozen=True):
    """Markdown about the text from `start` to `end`."""

    start: int
    end: int
    text: str


def hover(analysis: Analysis, offset: int, facts: DataFacts) -> Hover | None:
    """What stands at an offset of the file; None where there is nothing to say."""
    word = word_at(analysis, offset)
    if word is None:
        return None
    match word.kind:
        case "comment":
            return _of_comment(word, offset)
        case "name":
            text = _of_name(word, facts)
        case "string":
            text = hover_of_string(word)
        case _:
            text = ""
    return Hover(word.start, word.end, text) if text else None


def _of_comment(word: CursorWord, offset: int) -> Hover | None:
    """A code that a comment allows."""
    from dspec.compiler.diagnostics.codes.table import CODES  # it imports all of them, and few files name one

    if not DIRECTIVE.match(word.text):
        return None
    at = offset - word.start
    for name, entry in CODES.items():
        start = word.text.find(name)
        if 0 <= start <= at <= start + len(name):
            return Hover(word.start + start, word.start + start + len(name), docs.of_code(entry))
    return None


def _of_name(word: CursorWord, facts: DataFacts) -> str:
    if word.symbol is not None:
        return of_symbol(word.analysis, word.symbol, facts)
    return _of_language(word) or _of_value(word) or _of_broken(word)


# Words of the language ----------------------------------------------------------------------------


def _of_language(word: CursorWord) -> str:
    name, parent = word.text, word.way[-2] if len(word.way) > 1 else None
    spec = BLOCKS.get(word.keyword)
    if name in offers.ITEMS and word.node is not None and not isinstance(word.node, Name):
        return docs.of_item(name, offers.ITEMS[name])
    if isinstance(word.node, ListType | DictType | TupleType):
        return docs.of_type(name, TYPES) if name in TYPES else ""
    if word.node is None:
        return ""
    match parent:
        case Declaration() if parent.keyword is word.node and spec is not None:
            return docs.of_block(spec)
        case Setting() if parent.name is word.node and spec is not None:
            outer = word.way[-3] if len(word.way) > 2 else None
            holder = spec.section(outer.name.text) if isinstance(outer, Section) else spec
            attribute = holder.attribute(name) if holder else None
            return docs.of_attribute(attribute) if attribute else ""
        case Section() if parent.name is word.node and spec is not None:
            section = spec.section(name)
            return docs.of_section(section) if section else ""
        case NamedType() if name in TYPES:
            return docs.of_type(name, TYPES)
        case Argument() if parent.name is word.node:
            return _of_argument(word, name)
        case Reference():
            return _of_callee(word, name)
        case _:
            return ""


def _of_callee(word: CursorWord, name: str) -> str:
    """What is called, where no declaration has its name: a strategy, an optimizer, a source, a function."""
    call = word.above(Call, 2)
    if not (isinstance(call, Call) and call.callee is word.way[-2]):
        return ""
    around = word.way[-4] if len(word.way) > 3 else None
    if word.keyword == "module" and name in STRATEGIES and isinstance(around, Declaration):
        return docs.of_strategy(STRATEGIES[name])
    optimizer = find_optimizer(name) if word.keyword == "optimize" else None
    if optimizer is not None:
        return docs.of_optimizer(optimizer)
    if word.keyword == "dataset" and name in SOURCES:
        return docs.of_source(SOURCES[name])
    if word.keyword in ("extern", "metric") and name in EXTERN_SOURCES:
        return docs.of_source(EXTERN_SOURCES[name])
    found = FUNCTIONS.get(name) or JUDGES.get(name) or AGGREGATES.get(name)
    return docs.of_function(found) if found else ""


def _of_argument(word: CursorWord, name: str) -> str:
    """The name of an argument: an option of what is called, or an input of it."""
    call = word.above(Call, 2)
    if not isinstance(call, Call) or not isinstance(call.callee, Reference):
        return ""
    callee = call.callee.name.text
    optimizer = find_optimizer(callee) if word.keyword == "optimize" else None
    if optimizer is not None:
        option = COMPAT if name == COMPAT.name else optimizer.option(name)
        return docs.of_option(option) if option else ""
    if word.keyword == "module" and callee in STRATEGIES:
        strategy = next((one for one in STRATEGIES[callee].options if one.name == name), None)
        if strategy is not None:
            return docs.of_strategy_option(strategy)
        return docs.of_attribute(OF_MODULE[name]) if name in OF_MODULE else ""
    source = SOURCES.get(callee) if word.keyword == "dataset" else EXTERN_SOURCES.get(callee)
    parameter = next((one for one in source.parameters if one.name == name), None) if source else None
    return docs.of_source_parameter(parameter) if parameter else ""


# Values -------------------------------------------------------------------------------------------


def _of_value(word: CursorWord) -> str:
    """The type of a value that no line of the file declares: `pred.reasoning`, `baseline`."""
    view = word.view
    if view is None:
        return ""
    dotted = query.behind_dot(view)
    if dotted is not None and isinstance(view.way[-1], Name):
        members = query.members(view, query.type_of(view, dotted.target))
        member = members.get(word.text)
        return joined(block(f"{word.text}: {spell(member.kind)}"), member.description) if member else ""
    node = view.way[-2] if len(view.way) > 1 else None
    kind = query.type_of(view, node) if isinstance(node, Reference | Attribute | Literal) else None
    if kind is None:
        return ""
    doc = offers.SCORES.get((word.keyword, word.text), "")
    return joined(block(f"{word.text}: {spell(kind)}"), doc)


def _of_broken(word: CursorWord) -> str:
    """A word in a stretch that does not parse, by its name alone."""
    if word.node is not None or word.block is None or not word.block.problems:
        return ""
    name, spec = word.text, BLOCKS.get(word.keyword)
    attribute = spec.attribute(name) if spec else None
    if attribute is not None:
        return docs.of_attribute(attribute)
    if word.keyword == "optimize" and (optimizer := find_optimizer(name)):
        return docs.of_optimizer(optimizer)
    if word.keyword == "module" and name in STRATEGIES:
        return docs.of_strategy(STRATEGIES[name])
    return docs.of_type(name, TYPES) if name in TYPES else ""

"""Refactorings: the same program in another form, or with what it lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.declarations.signatures import SignatureInfo
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.check.types.declared import RunnableInfo
from dspec.compiler.check.types.kinds import NamedValue
from dspec.compiler.diagnostics import codes
from dspec.compiler.diagnostics.fixes import insert_item
from dspec.compiler.diagnostics.record import Edit
from dspec.compiler.project.source import Location
from dspec.grammar.tree import Block, FieldItem, InlineSignature, Node, Parameter, Section
from dspec.grammar.walk import block_at, way_to
from dspec.runtime.schema.types import spell

from .names import mentions, same

SPLIT = "split { train = 40%; val = 40%; test = 20%; seed = 7 }"
"""What a dataset without parts is given."""
GUESSED = ("str", "int", "float", "bool", "list[str]")
"""Types that a field may have of which only a use is known."""


class Refactoring(Struct, frozen=True):
    title: str
    kind: Literal["refactor.extract", "refactor.inline", "refactor.rewrite", "quickfix"]
    edits: tuple[Edit, ...]
    way_of: str = ""
    """What it is one of several ways to do: the first that leaves the file no worse is taken."""


Everywhere = Callable[[], Iterable[Analysis]]
"""The analyses of all files that see this one, made when they are needed."""


def refactorings(analysis: Analysis, start: int, end: int, everywhere: Everywhere) -> Iterator[Refactoring]:
    """Those that fit where the text from `start` to `end` stands."""
    block = block_at(analysis.tree, start)
    if block is not None and block.declaration is not None and not block.problems:
        way = way_to(block.declaration, start - block.start)
        yield from _extract(analysis, block, way)
        yield from _inline(analysis, block, start, everywhere)
        yield from _split(analysis, block)
    yield from _missing(analysis, start, end)


# Signatures in place ------------------------------------------------------------------------------


def _extract(analysis: Analysis, block: Block, way: tuple[Node, ...]) -> Iterator[Refactoring]:
    """`sig(…)` as a signature of its own, above the module."""
    node = next((one for one in way if isinstance(one, InlineSignature)), None)
    declaration = block.declaration
    if node is None or declaration is None or declaration.name is None:
        return
    name = _free_name(analysis, _camel(declaration.name.text))
    lines = [f"  input {_field(block, one)}" for one in node.inputs]
    lines += [f"  output {_field(block, one)}" for one in node.outputs]
    source = analysis.source
    text = "\n".join([f"signature {name} {{", *lines, "}"]) + "\n\n"
    start = _above(source.text, block.start)
    above = Location(source, start, start)
    place = Location(source, block.start + node.span.start, block.start + node.span.end)
    yield Refactoring(
        f"Extract signature `{name}`", "refactor.extract", (Edit(above, text), Edit(place, name))
    )


def _above(text: str, start: int) -> int:
    """Where a declaration begins together with the comments right above it."""
    while start:
        before = text.rfind("\n", 0, start - 1) + 1
        if not text[before : start - 1].startswith("#"):
            break
        start = before
    return start


def _field(block: Block, one: Parameter) -> str:
    text = " ".join(block.text[one.span.start : one.span.end].split())
    return text if one.type is not None else re.sub(rf"^{one.name.text}", f"{one.name.text}: str", text)


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) or "Signature"


def _free_name(analysis: Analysis, wanted: str) -> str:
    taken = {*analysis.symbols.scope.symbols, *analysis.symbols.scope.unreadable}
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    return name


def _inline(analysis: Analysis, block: Block, offset: int, everywhere: Everywhere) -> Iterator[Refactoring]:
    """A signature that says nothing besides its fields, as `sig(…)` in the modules that name it."""
    symbol = analysis.symbols.at(analysis.source, offset)
    if symbol is None or symbol.kind != "signature" or symbol.location.source is not analysis.source:
        return
    shape = _in_place(symbol)
    if shape is None or not isinstance(analysis.session.checked(symbol), SignatureInfo):
        return
    used = [one.location for one in mentions(everywhere(), same(analysis, symbol)) if not one.declares]
    if not used or not all(_is_of_module(analysis, one) for one in used):
        return
    edits = tuple(Edit(place, shape) for place in used)
    if block.declaration is not symbol.declaration and len(used) > 1:
        here = next((one for one in used if one.start <= offset <= one.end), None)
        if here is not None:
            yield Refactoring(f"Inline `{symbol.name}` here", "refactor.inline", (Edit(here, shape),))
    gone = Edit(Location(analysis.source, symbol.block.start, _goes_to(symbol)), "")
    yield Refactoring(f"Inline signature `{symbol.name}`", "refactor.inline", (*edits, gone))


def _in_place(symbol: Symbol) -> str | None:
    """The signature as `sig(…)`; None where it says more than that can."""
    declaration, block = symbol.declaration, symbol.block
    items = declaration.items or ()
    if block.problems or _has_comments(symbol) or declaration.base is not None or not items:
        return None
    fields = [item for item in items if isinstance(item, FieldItem)]
    if len(fields) < len(items) or any(one.description or one.role == "field" for one in fields):
        return None
    sides = [[one for one in fields if one.role == role] for role in ("input", "output")]
    if not all(sides):
        return None
    written = [", ".join(_parameter(block, one) for one in side) for side in sides]
    return f"sig({written[0]} -> {written[1]})"


def _parameter(block: Block, item: FieldItem) -> str:
    text = " ".join(block.text[item.name.span.start : item.span.end].split())
    return re.sub(r"^(\w+): str$", r"\1", text)


def _is_of_module(analysis: Analysis, place: Location) -> bool:
    here = place.source.path == analysis.source.path
    block = block_at(analysis.tree, place.start) if here else None
    return block is not None and block.declaration is not None and block.declaration.keyword.text == "module"


def _goes_to(symbol: Symbol) -> int:
    """Where a declaration ends together with the blank lines behind it: the comments there are the next one's."""
    block, end = symbol.block, symbol.declaration.span.end
    behind = next((one.span.start for one in block.comments if one.span.start >= end), len(block.text))
    return block.start + (behind if behind == len(block.text) else block.text.rfind("\n", 0, behind) + 1)


def _has_comments(symbol: Symbol) -> bool:
    """Whether comments stand in a declaration, or behind it on its last line."""
    block, end = symbol.block, symbol.declaration.span.end
    line = block.text.find("\n", end)
    return any(one.span.start < (line if line >= 0 else len(block.text)) for one in block.comments)


# Data ---------------------------------------------------------------------------------------------


def _split(analysis: Analysis, block: Block) -> Iterator[Refactoring]:
    """Parts for a dataset that has none."""
    declaration = block.declaration
    if declaration is None or declaration.keyword.text != "dataset" or declaration.name is None:
        return
    if any(isinstance(item, Section) and item.name.text == "split" for item in declaration.items or ()):
        return
    symbol = analysis.symbols.scope.symbols.get(declaration.name.text)
    if symbol is None or symbol.block is not block:
        return
    for fix in insert_item(analysis.session.place(symbol).room, SPLIT):
        yield Refactoring("Split the dataset into train, val and test", "refactor.rewrite", fix.edits)


# What is missing ----------------------------------------------------------------------------------


def _missing(analysis: Analysis, start: int, end: int) -> Iterator[Refactoring]:
    """A field that is read, or needed, and that nobody declares."""
    for finding in analysis.session.reported:
        place = finding.where
        if place.source is not analysis.source or place.start > end or start > place.end:
            continue
        match finding:
            case codes.metrics.UnknownColumn():
                owner = _declared(analysis, finding.owner, ("dataset",))
                yield from _add(analysis, owner, "field", place.text, GUESSED)
            case codes.metrics.UnknownOutput() | codes.calls.UnknownField():
                owner = _declared(analysis, finding.owner, ("module", "record"))
                yield from _add(analysis, owner, "output", place.text, GUESSED)
            case codes.data.InputNotInData() if not finding.field:
                owner = _declared(analysis, f"`{finding.data.text}`", ("dataset",))
                program = _declared(analysis, f"`{finding.program.text}`", ("module", "program", "optimize"))
                kind = _input_type(analysis, program, finding.name)
                yield from _add(analysis, owner, "input", finding.name, (kind,))
            case _:
                pass


def _declared(analysis: Analysis, shown: str, kinds: tuple[str, ...]) -> Symbol | None:
    """The declaration that a message names in backticks."""
    name = shown.strip("`").partition(".")[0]
    symbol = analysis.symbols.scope.symbols.get(name)
    return symbol if symbol is not None and symbol.kind in kinds else None


def _input_type(analysis: Analysis, program: Symbol | None, name: str) -> str:
    found = analysis.session.checked(program) if program is not None else None
    member: NamedValue | None = found.inputs.get(name) if isinstance(found, RunnableInfo) else None
    written = _written_type(member.symbol) if member is not None and member.symbol is not None else None
    return written or (spell(member.type) if member is not None else "str")


def _written_type(symbol: Symbol) -> str | None:
    """The type of a field as its declaration writes it."""
    start = symbol.location.start - symbol.block.start
    for item in symbol.declaration.items or ():
        if isinstance(item, FieldItem) and item.name.span.start == start and item.type is not None:
            return symbol.block.text[item.type.span.start : item.type.span.end]
    return None


def _add(
    analysis: Analysis, owner: Symbol | None, role: str, name: str, kinds: Iterable[str]
) -> Iterator[Refactoring]:
    """The field in a dataset or record, or in the signature that a module asks."""
    if owner is None or owner.location.source is not analysis.source:
        return
    if owner.kind == "module":
        owner = _signature_of(analysis, owner)
    elif owner.kind == "record":
        role = "field"
    if owner is None or owner.location.source is not analysis.source:
        return
    for kind in kinds:
        for fix in insert_item(analysis.session.place(owner).room, f"{role} {name}: {kind}"):
            title = f"Add `{role} {name}: {kind}` to `{owner.name}`"
            yield Refactoring(title, "quickfix", fix.edits, way_of=f"{owner.key}.{name}")


def _signature_of(analysis: Analysis, module: Symbol) -> Symbol | None:
    """The signature that a module names."""
    end = module.block.start + len(module.block.text)
    for use in analysis.symbols.uses:
        here = use.location.source is module.location.source
        if here and use.symbol.kind == "signature" and module.block.start <= use.location.start < end:
            return use.symbol
    return None

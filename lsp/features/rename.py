"""Renaming: the edits that give a name another, in every file that uses it, or why that cannot be.

A new name is tried before it is given: where the check then finds what it did not find before, or the new name
stands for something else anywhere, nothing is renamed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.declarations.records import column_call
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.diagnostics.record import Diagnostic, Edit
from dspec.compiler.project.source import Location, Source
from dspec.grammar.lexemes import RESERVED
from dspec.grammar.tree import Argument, FieldItem, Return
from dspec.grammar.walk import way_to
from dspec.runtime.running.strategies.table import added

from ..work import Work, gathered
from .names import Mention, Spot, mentions, named_at, same, spot

_FIELDS = ("input", "output", "parameter")
_NAME = re.compile(r"[^\W\d]\w*")
Again = Callable[[Sequence[Path], Mapping[Path, str]], Iterable[Analysis]]
"""Analyses sources again where these texts stand in for files."""


class RenameRefused(Exception):
    """Why a name cannot be changed, as a sentence for a person."""


def by_file(edits: Iterable[Edit]) -> dict[Path, tuple[Source, list[Edit]]]:
    found: dict[Path, tuple[Source, list[Edit]]] = {}
    for edit in edits:
        source = edit.location.source
        found.setdefault(source.path, (source, []))[1].append(edit)
    return found


def texts_after(edits: Iterable[Edit]) -> dict[Path, str]:
    """What the files hold once they are edited."""
    return {path: edited(source.text, found) for path, (source, found) in by_file(edits).items()}


def edited(text: str, edits: Iterable[Edit]) -> str:
    pieces: list[str] = []
    end = 0
    for edit in sorted(edits, key=lambda one: (one.location.start, one.location.end)):
        pieces += [text[end : edit.location.start], edit.replacement]
        end = edit.location.end
    return "".join([*pieces, text[end:]])


def renamable(analysis: Analysis, offset: int) -> tuple[Location, Symbol]:
    """The name at an offset, and what it stands for. Raises RenameRefused."""
    found = named_at(analysis, offset)
    if found is None:
        raise RenameRefused("there is no name here that the project declares")
    location, symbol = found
    if symbol.location.text != symbol.name or location.text != symbol.name:
        raise RenameRefused(f"`{symbol.name}` is not written here")
    return location, symbol


def rename(
    analysis: Analysis, offset: int, new: str, seeing: Sequence[Analysis], again: Again
) -> Work[tuple[Edit, ...]]:
    """The edits that call it `new`. `seeing` are the analyses of all files that see this one. Raises RenameRefused."""
    _, symbol = renamable(analysis, offset)
    if not _NAME.fullmatch(new):
        raise RenameRefused(
            f"`{new[:80]}` is no name: a letter or `_` comes first, then letters, digits and `_`"
        )
    if new in RESERVED:
        raise RenameRefused(f"`{new}` is a word of the language")
    if symbol.kind in _FIELDS and (taken := {new, symbol.name} & added()):
        raise RenameRefused(f"`{taken.pop()}` is what strategies call an output that they add")
    if new == symbol.name:
        return ()
    declared = same(analysis, symbol)
    found = mentions(seeing, declared)
    edits = tuple(_edit(analysis, one, symbol, new) for one in found)
    yield from _try(edits, found, declared, seeing, new, again)
    return edits


def _edit(analysis: Analysis, one: Mention, symbol: Symbol, new: str) -> Edit:
    """A column keeps the source's name for it, an output that is named by what is returned keeps its own."""
    location = one.location
    if one.declares and symbol.kind == "column":
        item = next(
            (
                each
                for each in symbol.declaration.items or ()
                if isinstance(each, FieldItem) and symbol.block.start + each.name.span.start == location.start
            ),
            None,
        )
        if item is not None and item.default is None and column_call(item.default) is None:
            end = symbol.block.start + (item.type or item.name).span.end
            kept = symbol.block.text[location.end - symbol.block.start : end - symbol.block.start]
            return Edit(
                Location(location.source, location.start, end), f'{new}{kept} = column("{symbol.name}")'
            )
    if not one.declares and _names_output(symbol, location):
        return Edit(location, f"{symbol.name} = {new}")
    return Edit(location, new)


def _names_output(symbol: Symbol, location: Location) -> bool:
    """Whether an output of a program without promised ones has its name from what is returned here."""
    declaration = symbol.declaration
    if declaration.keyword.text != "program" or declaration.returns is not None:
        return False
    way = way_to(declaration, location.start - symbol.block.start)
    returned = next((index for index, node in enumerate(way) if isinstance(node, Return)), None)
    if returned is None or len(way) != returned + 4:
        return False
    argument = way[returned + 1]
    return isinstance(argument, Argument) and argument.name is None


def _try(
    edits: Iterable[Edit],
    before: Sequence[Mention],
    declared: frozenset[Spot],
    seeing: Sequence[Analysis],
    new: str,
    again: Again,
) -> Work[None]:
    """Raises RenameRefused where the new name changes more than the name."""
    texts = texts_after(edits)
    moved = {path: _moved(found) for path, (_, found) in by_file(edits).items()}

    def there(place: Spot) -> Spot:
        path, start = place
        return (path, moved[path](start)) if path in moved else place

    results = yield from gathered(again([one.source.path for one in seeing], texts))
    known = Counter(_told(one) for analysis in seeing for one in analysis.diagnostics)
    worse: list[Diagnostic] = []
    places = frozenset(map(there, declared))
    for analysis in results:
        for one in analysis.diagnostics:
            if not known[_told(one)]:
                worse.append(one)
            known[_told(one)] -= 1
    if worse:
        # What is said of the declaration itself tells more than what follows from it.
        worse.sort(key=lambda one: spot(one.primary.location) not in places)
        raise RenameRefused(f"`{new}` cannot be the name: {worse[0].message}")
    expected = {there(spot(one.location)) for one in before}
    after = {spot(one.location) for one in mentions(results, places)}
    if expected != after:
        raise RenameRefused(f"`{new}` would stand for something else in some places")


def _told(diagnostic: Diagnostic) -> tuple[str, str]:
    return diagnostic.code, diagnostic.primary.location.source.name


def _moved(edits: Iterable[Edit]) -> Callable[[int], int]:
    """Where an offset of the old text is in the new one; of a name that is replaced, where the new one begins."""
    ordered = sorted(edits, key=lambda one: one.location.start)

    def move(offset: int) -> int:
        shift = 0
        for edit in ordered:
            if edit.location.start >= offset:
                inner = edit.replacement.rfind(" = ") if edit.location.start == offset else -1
                behind = inner >= 0 and not edit.replacement.endswith(")")
                return offset + shift + (inner + 3 if behind else 0)
            shift += len(edit.replacement) - (edit.location.end - edit.location.start)
        return offset + shift

    return move

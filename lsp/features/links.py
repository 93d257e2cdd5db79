"""Links from the texts of a file to what they name: sources, data files, Python functions. All inside the project."""

from __future__ import annotations

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.project.source import Location, Source
from dspec.grammar import tokenize

from .strings import data_file, function_place, imported, role_of
from .words import CursorWord

MAX_LINKS = 500
"""Links of one file."""
_HOLDING = ("import", "dataset", "extern", "metric", "module", "optimize")
"""Declarations in which a text may name a file."""


class Link(Struct, frozen=True):
    """The text from `start` to `end`, without its quotes, and where it leads."""

    start: int
    end: int
    target: Location
    tooltip: str


def links(analysis: Analysis) -> list[Link]:
    found: list[Link] = []
    for block in analysis.tree.blocks:
        if block.declaration is None or block.declaration.keyword.text not in _HOLDING:
            continue
        for token in tokenize(block.text):
            if token.kind == "string" and len(found) < MAX_LINKS:
                link = _link(CursorWord(analysis, block, token, block.start))
                found += [link] if link else []
    return found


def _link(word: CursorWord) -> Link | None:
    match role_of(word):
        case "import":
            path, tooltip = imported(word), "Open the source"
        case "path":
            path, tooltip = data_file(word), "Open the data"
        case "python":
            found = function_place(word)
            if found is None:
                return None
            module, place = found
            target = place or Location(module.source, 0, 0)
            return Link(word.start + 1, word.end - 1, target, "Open the function")
        case _:
            return None
    if path is None:
        return None
    return Link(word.start + 1, word.end - 1, Location(Source(path, path.name, ""), 0, 0), tooltip)

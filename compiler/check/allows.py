"""`# dspc: allow DS0606 -- reason`: warnings and hints that the author has seen and accepts.

At the end of a line the comment covers its own line. On a line of its own it covers what starts on
the next line of code: an item with all its lines, or a whole declaration. The comment covers what is
reported *at* a place; an error cannot be allowed, since nothing with errors can be compiled. A comment
that allows nothing, gives no reason or cannot be read is reported, and that cannot be allowed away.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, get_args

from msgspec import Struct

from dspec.grammar import tokenize
from dspec.grammar.tokens import Token
from dspec.grammar.tree import SourceTree

from ..diagnostics import codes
from ..diagnostics.codes.base import Finding
from ..diagnostics.record import Diagnostic
from ..project.source import Location, Source

DIRECTIVE = re.compile(r"#+[ \t]*dspc[ \t]*:[ \t]*")
_WORD = re.compile(r"[^\s,]+")
_REASON = re.compile(r"[ \t]+(?:--|\u2014)(.*)$")


Kind = Literal["declaration", "item", "line", "own line"]
"""What a comment covers: what starts on the next line, or the line that it ends."""


class Allow(Struct):
    """One code of one comment, and the stretch of text that it covers."""

    code: str
    kind: Kind
    place: Location
    comment: Location
    start: int
    end: int
    alone: bool
    """The comment names no other code."""
    used: bool = False


def without_allowed(
    source: Source,
    tree: SourceTree,
    diagnostics: Sequence[Diagnostic],
    *,
    complete: bool,
    unlooked: Collection[str] = (),
) -> list[Diagnostic]:
    """The diagnostics that no comment of this file covers, and those about the comments themselves.

    With `complete` False some checks did not run. Then no comment is reported as unused: what it allows may
    not have been looked for. Nor is one for the codes that are `unlooked`.
    """
    if "dspc" not in source.text:
        return list(diagnostics)
    allows, problems = _read(source, tree)
    covers = _Covers(allows)
    left = [
        diagnostic
        for diagnostic in diagnostics
        if diagnostic.primary.location.source is not source
        or not covers.allow(diagnostic.code, diagnostic.primary.location.start)
    ]
    if complete:
        problems += [_unused(one) for one in allows if not one.used and one.code not in unlooked]
    return left + [problem.told() for problem in problems]


class _Covers:
    """Finds the comments that cover a place.

    Stretches of one kind never overlap, so a look-up is one binary search per kind, however many comments
    there are. Of several comments that cover the same stretch the first one counts.
    """

    def __init__(self, allows: Sequence[Allow]) -> None:
        self._found: dict[tuple[str, Kind], list[Allow]] = {}
        for allow in {(each.code, each.kind, each.start): each for each in reversed(allows)}.values():
            self._found.setdefault((allow.code, allow.kind), []).append(allow)
        for found in self._found.values():
            found.sort(key=lambda allow: allow.start)

    def allow(self, code: str, offset: int) -> bool:
        """Whether a comment covers the place. Marks each one that does as used."""
        covered = False
        for kind in get_args(Kind):
            found = self._found.get((code, kind), [])
            number = bisect_right(found, offset, key=lambda allow: allow.start) - 1
            if number >= 0 and offset < found[number].end:
                found[number].used = covered = True
        return covered


def _read(source: Source, tree: SourceTree) -> tuple[list[Allow], list[Finding]]:
    allows: list[Allow] = []
    problems: list[Finding] = []
    for token, target in _comments(source.text, tree):
        directive = DIRECTIVE.match(token.text)
        if directive is not None:
            found, wrong = _comment(source, token, directive.end(), *_covered(source, tree, token, target))
            allows += found
            problems += wrong
    return allows, problems


def _comments(text: str, tree: SourceTree) -> Iterator[tuple[Token, Token | None]]:
    """The comments that may be directives, each with the next token that is code. Only the blocks that hold the word are
    read: an editor asks with every key."""
    starts = [block.start for block in tree.blocks]
    stretches = [(0, text[: starts[0]] if starts else text)]
    stretches += [(block.start, block.text) for block in tree.blocks]
    for number, (start, stretch) in enumerate(stretches):
        if "dspc" not in stretch:
            continue
        target = Token("name", "", starts[number]) if number < len(starts) else None
        found: list[tuple[Token, Token | None]] = []
        for token in reversed(tokenize(stretch)):
            if token.kind == "comment":
                found.append((Token(token.kind, token.text, start + token.start), target))
            elif token.kind not in ("space", "newline"):
                target = Token(token.kind, token.text, start + token.start)
        yield from reversed(found)


def _covered(source: Source, tree: SourceTree, token: Token, target: Token | None) -> tuple[Kind, int, int]:
    """What a comment covers: the kind, the start and the end. `target` is the next token that is code."""
    line_start = source.text.rfind("\n", 0, token.start) + 1
    if source.text[line_start : token.start].strip(" \t\ufeff"):
        return "own line", line_start, token.end
    if target is None or not tree.blocks:
        return "line", token.end, token.end
    end = source.text.find("\n", target.start)
    end = len(source.text) if end < 0 else end
    block = tree.blocks[max(0, bisect_right(tree.blocks, target.start, key=lambda block: block.start) - 1)]
    if block.start == target.start:
        return "declaration", block.start, block.start + len(block.text)
    items = (block.declaration.items if block.declaration else None) or ()
    first = bisect_left(items, target.start - block.start, key=lambda item: item.span.start)
    if first < len(items) and block.start + items[first].span.start == target.start:
        return "item", target.start, max(end, block.start + items[first].span.end)
    return "line", target.start, end


def _comment(
    source: Source, token: Token, head: int, kind: Kind, start: int, end: int
) -> tuple[list[Allow], list[Finding]]:
    """The codes that a comment allows, and what is wrong with it."""

    def at(first: int, last: int) -> Location:
        return Location(source, token.start + first, token.start + last)

    whole = at(0, len(token.text.rstrip()))
    word = _WORD.match(token.text, head)
    if word is None:
        return [], [codes.project.SaysNothing(whole)]
    if word[0] != "allow":
        return [], [codes.project.NotUnderstood(at(*word.span()))]
    reason = _REASON.search(token.text, word.end())
    from ..diagnostics.codes.table import CODES  # most files allow nothing

    words = list(_WORD.finditer(token.text, word.end(), reason.start() if reason else len(token.text)))
    problems: list[Finding] = []
    if not words:
        problems.append(codes.project.AllowsNoCode(whole))
    elif reason is None or not reason[1].strip():
        problems.append(codes.project.GivesNoReason(whole))
    allows: list[Allow] = []
    for each in words:
        code, place = CODES.get(each[0]), at(*each.span())
        if code is None:
            problems.append(
                codes.project.NoSuchCode(place, tuple(CODES) if each[0][:2].upper() == "DS" else ())
            )
        elif code.severity == "error":
            problems.append(codes.project.AllowsError(place, code.title))
        else:
            allows.append(Allow(code.name, kind, place, whole, start, end, len(words) == 1))
    return allows, problems


def _unused(allow: Allow) -> codes.project.AllowsNothing:
    """The finding about a code that allowed nothing. If the comment names no other code, the finding also has what
    a fix may delete: the comment, with its line if nothing else stands on it."""
    text, comment = allow.place.source.text, allow.comment
    whole: Location | None = None
    if allow.alone:
        line = text.rfind("\n", 0, comment.start) + 1
        before = text[line : comment.start].rstrip()
        end = comment.end + (not before and text[comment.end : comment.end + 1] == "\n")
        whole = Location(allow.place.source, line + len(before), end)
    from ..diagnostics.codes.table import CODES

    return codes.project.AllowsNothing(allow.place, CODES[allow.code].title, whole)

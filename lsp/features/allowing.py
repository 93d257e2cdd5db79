"""Completion in a comment that allows findings: the codes of what is found where it stands, and its words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.diagnostics.record import Diagnostic
from dspec.grammar import tokenize
from dspec.grammar.tree import SourceTree
from dspec.grammar.walk import block_at

from .offers import Offer

_BEFORE = re.compile(r"#+[ \t]*dspc[ \t]*:[ \t]*allow[ \t]+(?:DS\d{4}[ \t]*,?[ \t]*)*(\w*)$")
_BEGUN = re.compile(r"#+[ \t]*(\w*)$|#+[ \t]*dspc[ \t]*:[ \t]*(\w*)$")


def allow_offers(
    analysis: Analysis, offset: int, found: Sequence[Diagnostic]
) -> tuple[int, list[Offer]] | None:
    """Where the word begins, and what may stand there; None outside of comments."""
    text = analysis.tree.text
    line = text.rfind("\n", 0, offset) + 1
    comment = _comment(text[line:offset])
    if comment is None:
        return None
    before = text[line + comment : offset]
    if (match := _BEFORE.search(before)) is not None:
        start = offset - len(match[1])
        given = set(re.findall(r"DS\d{4}", before[: len(before) - len(match[1])]))
        return start, [
            one for one in _codes(analysis.tree, line, line + comment, found) if one.label not in given
        ]
    if (match := _BEGUN.search(before)) is not None and (
        codes := list(_codes(analysis.tree, line, line + comment, found))
    ):
        word = match[1] if match[1] is not None else match[2]
        whole = "allow " if match[1] is None else "dspc: allow "
        del codes
        return offset - len(word), [Offer(whole.strip(), "keyword", "what is found here", insert=whole)]
    return offset, []


def _comment(line: str) -> int | None:
    """Where the comment of a line begins that the cursor is in."""
    return next((one.start for one in tokenize(line) if one.kind == "comment"), None)


def _codes(tree: SourceTree, line: int, comment: int, found: Sequence[Diagnostic]) -> Iterator[Offer]:
    """The codes of what is no error and stands where the comment counts."""
    start, end = _covered(tree, line, comment)
    named: dict[str, str] = {}
    for one in found:
        place = one.primary.location
        if one.severity != "error" and start <= place.start < end:
            named.setdefault(one.code, one.message)
    for code, message in sorted(named.items()):
        if code not in ("DS0813", "DS0814", "DS0815"):
            yield Offer(code, "value", message, insert=f"{code} -- ", rank=1)


def _covered(tree: SourceTree, line: int, comment: int) -> tuple[int, int]:
    """The stretch that a comment covers: its own line behind code, else what starts on the next line of code."""
    text = tree.text
    if text[line:comment].strip():
        return line, comment
    end = text.find("\n", comment)
    following = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*").match(text, end + 1 if end >= 0 else len(text))
    start = following.end() if following else len(text)
    block = block_at(tree, start)
    if block is None:
        return start, start
    if block.start == start:
        return start, start + len(block.text)
    for item in (block.declaration.items if block.declaration else None) or ():
        if block.start + item.span.start <= start < block.start + item.span.end:
            return block.start + item.span.start, block.start + item.span.end
    stop = text.find("\n", start)
    return start, stop if stop >= 0 else len(text)

"""Texts side by side: which words of an old one are gone, and which of a new one are new."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from .facts import TextChange, TextSpan

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST = 4_000
"""Words of a text that are compared one by one; longer ones are compared by lines."""


def compared(name: str, before: str, after: str) -> TextChange:
    """The two texts in spans: of kind "same", "gone" or "new"."""
    if before == after:
        return TextChange(name, (TextSpan("same", after),) if after else ())
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) > _MOST or len(new) > _MOST:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return TextChange(name, tuple(_spans(old, new)))


def _spans(old: list[str], new: list[str]) -> Iterator[TextSpan]:
    if len(old) > _MOST or len(new) > _MOST:
        yield TextSpan("gone", "".join(old))
        yield TextSpan("new", "".join(new))
        return
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield TextSpan("same", "".join(new[k:m]))
            continue
        if j > i:
            yield TextSpan("gone", "".join(old[i:j]))
        if m > k:
            yield TextSpan("new", "".join(new[k:m]))

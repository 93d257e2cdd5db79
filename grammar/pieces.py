"""Tokens of a declaration that parses → nested pieces with their comments, for the formatter.

A `Run` is a declaration, an item or an element of a list: words, groups and at most one body, in a
row. A comment belongs to what it stands behind on its line, or else to what it stands above; one in
the middle of a run stays with the word that follows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .lexemes import read_lexemes
from .tokens import tokenize


class Remark(NamedTuple):
    """A comment, whether code stands before it on its line, and whether a blank line above it."""

    text: str
    same_line: bool
    blank: bool


@dataclass(slots=True)
class Word:
    """One token; `terminal` is the grammar's name for it."""

    terminal: str
    text: str
    remarks: list[Remark]
    """Comments between this word and the one before it."""
    opens_item: bool
    """Whether a line end or `;` that counts stands before it."""
    breaks: bool
    """Whether any line end stands before it."""
    blank: bool
    """Whether a blank line stands right above it."""


@dataclass(slots=True)
class Run:
    parts: list[Word | Group | Body]
    above: list[Remark]
    """Comments on the lines above."""
    blank: bool
    """Whether a blank line stands right above."""
    behind: list[str] = field(default_factory=list[str])
    """Comments behind the last word, on its line."""


@dataclass(slots=True)
class Group:
    """`(…)` or `[…]`: elements between commas."""

    opener: Word
    closer: Word
    elements: list[Run]
    behind: list[str]
    """Comments behind the opener, on its line."""
    below: list[Remark]
    """Comments on the lines above the closer."""


@dataclass(slots=True)
class Body:
    """`{…}`: items between line ends."""

    opener: Word
    closer: Word
    items: list[Run]
    behind: list[str]
    below: list[Remark]
    one_line: bool
    """Whether it was written on one line, which leaves no room for a comment."""


Part = Word | Group | Body


def read_words(text: str) -> tuple[list[Word], list[Remark]]:
    """A declaration's words without separators, and the comments behind the last one."""
    terminals: dict[int, str] = {}
    opening: set[int] = set()
    last = ""
    for lexeme in read_lexemes(text).lexemes:
        terminals[lexeme.start] = lexeme.terminal
        if last == "SEP":
            opening.add(lexeme.start)
        last = lexeme.terminal
    words: list[Word] = []
    remarks: list[Remark] = []
    same_line, breaks, newlines = bool(terminals), False, 0
    for token in tokenize(text):
        if token.kind == "newline":
            same_line, breaks, newlines = False, True, newlines + 1
        elif token.kind == "comment":
            remarks.append(Remark(token.text.rstrip(), same_line, newlines > 1))
            newlines = 0
        elif token.kind != "space":
            if token.text != ";":
                terminal, opens = terminals[token.start], token.start in opening
                words.append(Word(terminal, token.text, remarks, opens, breaks, newlines > 1))
                remarks, breaks = [], "\n" in token.text
            same_line, newlines = True, 0
    return words, remarks


def read_declaration(text: str) -> tuple[Run, list[Remark]]:
    """The pieces of a declaration that parses, and the comments behind it."""
    words, remarks = read_words(text)
    return Run(_Reader(words).parts(in_group=False), [], blank=False), remarks


class _Reader:
    """Recursion is as deep as brackets nest, which the parser has bounded."""

    def __init__(self, words: list[Word]) -> None:
        self.words = words
        self.at = 0

    def parts(self, *, in_group: bool) -> list[Part]:
        """The parts of one run: up to a closing bracket, a comma in a group, or the item's end."""
        parts: list[Part] = []
        while self.at < len(self.words):
            word = self.words[self.at]
            if word.terminal in ("RBRACE", "RPAR", "RSQB") or (word.opens_item and parts):
                break
            if word.terminal == "COMMA" and in_group:
                break
            self.at += 1
            if word.terminal == "LBRACE":
                parts.append(self.body(word))
            elif word.terminal in ("LPAR", "LSQB"):
                parts.append(self.group(word))
            else:
                parts.append(word)
        return parts

    def group(self, opener: Word) -> Group:
        elements: list[Run] = []
        behind: list[str] = []
        pending: list[Remark] = []
        while True:
            word = self.words[self.at]
            above = pending + _keep_behind(word.remarks, elements[-1].behind if elements else behind)
            pending = []
            if word.terminal in ("RPAR", "RSQB"):
                self.at += 1
                return Group(opener, word, elements, behind, above)
            word.remarks = []
            element = Run(self.parts(in_group=True), above, blank=False)
            elements.append(element)
            comma = self.words[self.at]
            if comma.terminal == "COMMA":
                self.at += 1
                pending = _keep_behind(comma.remarks, element.behind)

    def body(self, opener: Word) -> Body:
        items: list[Run] = []
        behind = [remark.text for remark in opener.remarks]
        opener.remarks = []
        one_line = True
        while True:
            word = self.words[self.at]
            one_line = one_line and not word.breaks
            above = _keep_behind(word.remarks, items[-1].behind if items else behind)
            if word.terminal == "RBRACE":
                self.at += 1
                return Body(opener, word, items, behind, above, one_line and not behind)
            word.remarks = []
            first = self.at
            items.append(Run(self.parts(in_group=False), above, word.blank))
            one_line = one_line and not any(one.breaks for one in self.words[first + 1 : self.at])


def _keep_behind(remarks: list[Remark], behind: list[str]) -> list[Remark]:
    """Hands over the comments that stand on the line of what came before; returns the others."""
    behind += [remark.text for remark in remarks if remark.same_line]
    return [remark for remark in remarks if not remark.same_line]

"""Tokens of a declaration that parses → nested pieces with their comments, for the formatter.

A `Run` is a declaration, an item or an element of a list: words, groups and at most one body, in a
row. A comment belongs to what it stands behind on its line, or else to what it stands above; one in
the middle of a run stays with the word that follows it.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct, field

from .lexemes import NAMING_WORDS, read_lexemes
from .tokens import Token, tokenize

OPERAND_ENDS = frozenset(
    {"NAME", "NUMBER", "PERCENT", "STRING", "TRUE", "FALSE", "NONE", "RPAR", "RSQB"}
    | {word.upper() for word in NAMING_WORDS}
)
"""Terminals that can end an operand: a bracket behind one is a call or an index."""


class Remark(NamedTuple):
    """A comment, whether code stands before it on its line, and whether a blank line above it."""

    text: str
    same_line: bool
    blank: bool


class Word(Struct):
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


class Run(Struct):
    parts: list[Word | Brackets | Braces]
    above: list[Remark]
    """Comments on the lines above."""
    blank: bool
    """Whether a blank line stands right above."""
    behind: list[str] = field(default_factory=list[str])
    """Comments behind the last word, on its line."""


class Brackets(Struct):
    """`(…)` or `[…]`: elements between commas."""

    opener: Word
    closer: Word
    elements: list[Run]
    behind: list[str]
    """Comments behind the opener, on its line."""
    below: list[Remark]
    """Comments on the lines above the closer."""
    may_end_in_comma: bool
    """Arguments, parameters and lists may; an index, a comprehension, mere parentheses may not."""


class Braces(Struct):
    """`{…}`: items between line ends."""

    opener: Word
    closer: Word
    items: list[Run]
    behind: list[str]
    below: list[Remark]
    one_line: bool
    """Whether it was written on one line, which leaves no room for a comment."""


Part = Word | Brackets | Braces


def read_declaration(text: str) -> Run:
    """The pieces of a declaration that parses, without what follows its last word."""
    return Run(_Reader(_read_words(text)).parts(in_group=False), [], blank=False)


def read_remarks(trivia: str, *, same_line: bool) -> tuple[list[Remark], bool]:
    """The comments in a text that holds no words, and whether it ends in a blank line.

    `same_line` says whether a word stands right before it.
    """
    gap = _Gap(same_line)
    for token in tokenize(trivia):
        gap.add(token)
    return gap.remarks, gap.newlines > 1


class _Gap(Struct):
    """What stands between two words."""

    same_line: bool
    remarks: list[Remark] = field(default_factory=list[Remark])
    breaks: bool = False
    newlines: int = 0
    """Line ends since the last comment or word."""

    def add(self, token: Token) -> None:
        if token.kind == "newline":
            self.same_line, self.breaks, self.newlines = False, True, self.newlines + 1
        elif token.kind == "comment":
            self.remarks.append(Remark(token.text.rstrip(), self.same_line, self.newlines > 1))
            self.newlines = 0
        elif token.kind != "space":  # a `;`
            self.same_line, self.newlines = True, 0


def _read_words(text: str) -> list[Word]:
    terminals: dict[int, str] = {}
    opening: set[int] = set()
    last = ""
    for lexeme in read_lexemes(text).lexemes:
        terminals[lexeme.start] = lexeme.terminal
        if last == "SEP":
            opening.add(lexeme.start)
        last = lexeme.terminal
    words: list[Word] = []
    gap = _Gap(same_line=False)
    for token in tokenize(text):
        if token.kind in ("space", "newline", "comment") or token.text == ";":
            gap.add(token)
            continue
        terminal, opens = terminals[token.start], token.start in opening
        words.append(Word(terminal, token.text, gap.remarks, opens, gap.breaks, gap.newlines > 1))
        gap = _Gap(same_line=True, breaks="\n" in token.text)
    return words


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
            if word.terminal == "COMMA" and in_group and not _of_loop(parts):
                break
            self.at += 1
            if word.terminal == "LBRACE":
                parts.append(self.body(word))
            elif word.terminal in ("LPAR", "LSQB"):
                parts.append(self.group(word, parts[-1] if parts else None))
            else:
                parts.append(word)
        return parts

    def group(self, opener: Word, before: Part | None) -> Brackets:
        elements: list[Run] = []
        behind: list[str] = []
        pending: list[Remark] = []
        while True:
            word = self.words[self.at]
            above = pending + _keep_behind(word.remarks, elements[-1].behind if elements else behind)
            pending = []
            if word.terminal in ("RPAR", "RSQB"):
                self.at += 1
                return Brackets(
                    opener, word, elements, behind, above, _may_end_in_comma(opener, before, elements)
                )
            word.remarks = []
            element = Run(self.parts(in_group=True), above, blank=False)
            elements.append(element)
            comma = self.words[self.at]
            if comma.terminal == "COMMA":
                self.at += 1
                pending = _keep_behind(comma.remarks, element.behind)

    def body(self, opener: Word) -> Braces:
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
                return Braces(opener, word, items, behind, above, one_line and not behind)
            word.remarks = []
            first = self.at
            items.append(Run(self.parts(in_group=False), above, word.blank))
            one_line = one_line and not any(one.breaks for one in self.words[first + 1 : self.at])


def _of_loop(parts: list[Part]) -> bool:
    """Whether a comma behind these parts stands between the two names of a loop through a dict."""
    ends = [part.terminal for part in parts[-2:] if isinstance(part, Word)]
    return len(ends) == 2 and ends[0] == "FOR"


def _may_end_in_comma(opener: Word, before: Part | None, elements: list[Run]) -> bool:
    behind = before.terminal if isinstance(before, Word) else "RPAR" if before else ""
    if opener.terminal == "LPAR":
        return behind in OPERAND_ENDS or behind in ("SIG", "ARROW")
    comprehends = any(
        isinstance(part, Word) and part.terminal == "FOR" for element in elements for part in element.parts
    )
    return behind not in OPERAND_ENDS and not comprehends


def _keep_behind(remarks: list[Remark], behind: list[str]) -> list[Remark]:
    """Hands over the comments that stand on the line of what came before; returns the others."""
    behind += [remark.text for remark in remarks if remark.same_line]
    return [remark for remark in remarks if not remark.same_line]

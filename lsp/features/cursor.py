"""Where the cursor stands, read from the terminals of its declaration.

While a user types, the text around the cursor rarely parses, so this does not ask the tree. It nests
the declaration's terminals by their brackets, tolerant of brackets that are never closed, and says
which group, which element of it and which part of that element holds the word under the cursor.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct, field

from dspec.grammar import parse, tokenize
from dspec.grammar.lexemes import ITEM_WORDS, Lexeme, read_lexemes
from dspec.grammar.tree import Block, Declaration, SourceTree

Opener = Literal["", "{", "(", "["]


class Group(Struct, eq=False):
    """What stands between brackets, cut into items or arguments; opener "" is the declaration itself."""

    opener: Opener
    elements: list[list[Part]] = field(default_factory=lambda: [[]])


Part = Lexeme | Group


class Spot(Struct, frozen=True):
    """A step on the way to the cursor: the cursor lies in `group.elements[number][index]`."""

    group: Group
    number: int
    index: int

    @property
    def element(self) -> list[Part]:
        return self.group.elements[self.number]

    @property
    def before(self) -> list[Part]:
        """The parts of the element that stand before the cursor."""
        return self.element[: self.index]

    @property
    def others(self) -> Iterator[list[Part]]:
        """The group's other elements, those after the cursor included."""
        return (element for number, element in enumerate(self.group.elements) if number != self.number)


class Cursor(Struct, frozen=True):
    """`start` is where the word under the cursor begins, or the text of its string after the quotes.

    `spots` leads from the declaration to the innermost group. `at_line_start` says that nothing, not
    even a blank, precedes the word on its line.
    """

    start: int
    in_string: bool
    at_line_start: bool
    rest: str
    """The line behind the cursor."""
    declaration: Declaration | None
    """The declaration around the cursor, read with a word at the cursor where it is broken without."""
    spots: tuple[Spot, ...]

    @property
    def inner(self) -> Spot:
        return self.spots[-1]

    @property
    def braces(self) -> tuple[Spot, ...]:
        return tuple(spot for spot in self.spots if spot.group.opener == "{")


def locate(tree: SourceTree, offset: int) -> Cursor | None:
    """The cursor at an offset of the file; None in comments, numbers and places that make no sense."""
    position = bisect.bisect_right(tree.blocks, offset, key=lambda block: block.start) - 1
    block = tree.blocks[position] if position >= 0 else None
    base = block.start if block else 0
    end = tree.blocks[position + 1].start if position + 1 < len(tree.blocks) else len(tree.text)
    text = tree.text[base:end]
    local = min(offset - base, len(text))
    last = next(reversed(tokenize(text[:local])), None)
    word = local
    in_string = False
    start = local
    if last is not None:
        if last.kind in ("comment", "number", "percent", "unknown"):
            return None
        if last.kind == "name":
            word = start = last.start
        elif last.kind == "broken_string":
            in_string, word = True, last.start
            start = word + (3 if last.text.startswith('"""') else 1)
    # An empty word gets a letter, so that there is a terminal at the cursor.
    spliced = text if in_string or word < local else f"{text[:local]}x{text[local:]}"
    spots = _way_to(spliced, word)
    if spots is None:
        return None
    line = text[local:].partition("\n")[0]
    at_line_start = not in_string and (base + word == 0 or tree.text[base + word - 1] == "\n")
    declaration = _declaration(block, spliced) if block else None
    return Cursor(base + start, in_string, at_line_start, line, declaration, spots)


def _declaration(block: Block, spliced: str) -> Declaration | None:
    if not block.problems:
        return block.declaration
    read = parse(spliced).blocks
    return (read[0].declaration if read else None) or block.declaration


def _way_to(text: str, start: int) -> tuple[Spot, ...] | None:
    """Nests a declaration's terminals by their brackets; the way to the one that starts at `start`."""
    root = Group("")
    stack = [root]
    found: tuple[Spot, ...] | None = None
    lexemes = read_lexemes(text, inner_breaks=True).lexemes
    for number, lexeme in enumerate(lexemes):
        terminal = lexeme.terminal
        if terminal in ("LBRACE", "LPAR", "LSQB"):
            opener: Opener = "{" if terminal == "LBRACE" else "(" if terminal == "LPAR" else "["
            group = Group(opener)
            stack[-1].elements[-1].append(group)
            stack.append(group)
        elif terminal in ("RBRACE", "RPAR", "RSQB"):
            _close(stack, "{" if terminal == "RBRACE" else "(" if terminal == "RPAR" else "[")
        elif terminal == "SEP" or (terminal == "BREAK" and _opens_item(lexemes, number + 1)):
            # An item that starts here ends what an earlier line left open.
            while stack[-1].opener in ("(", "["):
                stack.pop()
            stack[-1].elements.append([])
        elif terminal == "COMMA" and stack[-1].opener in ("(", "["):
            stack[-1].elements.append([])
        elif terminal not in ("BREAK", "$END"):
            stack[-1].elements[-1].append(lexeme)
            if lexeme.start == start:
                found = tuple(
                    Spot(group, len(group.elements) - 1, len(group.elements[-1]) - 1) for group in stack
                )
    return found


def _opens_item(lexemes: Sequence[Lexeme], number: int) -> bool:
    """True for `let name` and the like: no argument looks so."""
    return lexemes[number].text in ITEM_WORDS and lexemes[number + 1].terminal == "NAME"


def _close(stack: list[Group], opener: str) -> None:
    for depth in range(len(stack) - 1, 0, -1):
        if stack[depth].opener == opener:
            del stack[depth:]
            return
        if stack[depth].opener == "{":
            return


def terminal(parts: Sequence[Part], index: int) -> str:
    """The terminal at an index; an opener for a group, "" outside the parts."""
    if not 0 <= index < len(parts):
        return ""
    part = parts[index]
    return part.opener if isinstance(part, Group) else part.terminal


def word(parts: Sequence[Part], index: int) -> str:
    """The text at an index; "" for a group and outside the parts."""
    if not 0 <= index < len(parts):
        return ""
    part = parts[index]
    return "" if isinstance(part, Group) else part.text


def find(parts: Sequence[Part], wanted: str) -> int:
    """The index of the first `wanted` terminal, or -1."""
    return next((index for index in range(len(parts)) if terminal(parts, index) == wanted), -1)


def named(elements: Iterator[list[Part]]) -> set[str]:
    """Names set by elements of the shapes `name = …` and `name { … }`."""
    return {word(element, 0) for element in elements if terminal(element, 1) in ("ASSIGN", "{")}

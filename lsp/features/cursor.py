"""Where the cursor stands, read from the terminals of its declaration.

While a user types, the text around the cursor rarely parses, so this does not ask the tree. It nests
the declaration's terminals by their brackets, tolerant of brackets that are never closed, and says
which group, which element of it and which part of that element holds the word under the cursor. For what
the declaration means, `read` gives it with a word put at the cursor, and completed so that it parses.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal as OneOf

from msgspec import Struct, field
from msgspec.structs import replace

from dspec.grammar import parse
from dspec.grammar.lexemes import ITEM_WORDS, Lexeme, read_lexemes
from dspec.grammar.tokens import last_token
from dspec.grammar.tree import Block, Literal, Name, SourceTree
from dspec.grammar.walk import way_to

Opener = OneOf["", "{", "(", "["]
HERE = "ʘ"
"""The name that is put at the cursor: a letter that nobody types, and so short that no name is near it."""


class Enclosing(Struct, eq=False):
    """What stands between brackets, cut into items or arguments; opener "" is the declaration itself."""

    opener: Opener
    elements: list[list[Part]] = field(default_factory=lambda: [[]])


Part = Lexeme | Enclosing


class Spot(Struct, frozen=True):
    """A step on the way to the cursor: the cursor lies in `group.elements[number][index]`."""

    group: Enclosing
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
    block: Block | None
    base: int
    """Where the declaration's text begins in the file."""
    text: str
    """The declaration's text, with a letter at the cursor where no word is."""
    word: tuple[int, int]
    """Where in it the word or string under the cursor begins and ends."""
    end: int
    """Where in it the cursor's item ends."""
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
    last = last_token(text[:local])
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
    lexemes = read_lexemes(spliced, inner_breaks=True).lexemes
    number = next((number for number, lexeme in enumerate(lexemes) if lexeme.start == word), None)
    spots = _way_to(lexemes, number) if number is not None else None
    if number is None or spots is None:
        return None
    line = text[local:].partition("\n")[0]
    at_line_start = not in_string and (base + word == 0 or tree.text[base + word - 1] == "\n")
    span = word, lexemes[number].end
    end = _item_end(lexemes, number)
    return Cursor(base + start, in_string, at_line_start, line, block, base, spliced, span, end, spots)


def _way_to(lexemes: Sequence[Lexeme], wanted: int) -> tuple[Spot, ...] | None:
    """Nests a declaration's terminals by their brackets; the way to the one with that number."""
    stack = [Enclosing("")]
    found: list[tuple[Enclosing, int, int]] = []
    for number, lexeme in enumerate(lexemes):
        terminal = lexeme.terminal
        if terminal in ("LBRACE", "LPAR", "LSQB"):
            opener: Opener = "{" if terminal == "LBRACE" else "(" if terminal == "LPAR" else "["
            group = Enclosing(opener)
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
            if lexemes[number - 2].terminal == "FOR":  # between the two names of a loop
                stack[-1].elements[-1].append(lexeme)
            else:
                stack[-1].elements.append([])
        elif terminal not in ("BREAK", "$END"):
            stack[-1].elements[-1].append(lexeme)
            if number == wanted:
                found = [(group, len(group.elements) - 1, len(group.elements[-1]) - 1) for group in stack]
    return tuple(Spot(*each) for each in found) or None


def _item_end(lexemes: Sequence[Lexeme], number: int) -> int:
    """Where the item ends that the lexeme with that number stands in."""
    depth = 0
    for index in range(number, len(lexemes)):
        terminal = lexemes[index].terminal
        depth += (terminal == "LBRACE") - (terminal == "RBRACE")
        ends = terminal in ("SEP", "$END") or (terminal == "BREAK" and _opens_item(lexemes, index + 1))
        if depth < 0 or (ends and not depth):
            return lexemes[index].start
    return lexemes[-1].start


def read(cursor: Cursor) -> Block | None:
    """The declaration with a word at the cursor: as it stands if it has one and parses, else with one put
    there, in the first way that keeps it when it is parsed."""
    block = cursor.block
    as_it_is = block is not None and not block.problems and block.text == cursor.text
    if block is not None and as_it_is and _has_word(block, cursor.word[0]):
        return block
    for text in _with_word(cursor):
        blocks = parse(text).blocks
        if blocks and _has_word(blocks[0], cursor.word[0]):
            return replace(blocks[0], start=cursor.base)
    return None


def _has_word(block: Block, start: int) -> bool:
    found = way_to(block.declaration, start)[-1] if block.declaration else None
    return isinstance(found, Name | Literal) and found.span.start == start


def _with_word(cursor: Cursor) -> Iterator[str]:
    """The text with a word at the cursor; then with what the cursor's item lacks behind it, and without what
    stands there, to the item's end or the line's."""
    start, end = cursor.word
    text = cursor.text
    head = text[:start] + ('""' if cursor.in_string else HERE)
    yield head + text[end:]
    lacking = [_lacking(spot, outer) for outer, spot in pairwise((None, *cursor.spots)) if spot]
    head += "".join(reversed(lacking))
    yield head + text[cursor.end :]
    line = text.find("\n", start)
    yield head + (text[line:] if line >= 0 else "")


def _lacking(spot: Spot, outer: Spot | None) -> str:
    """What completes the part of a group's element that stands before the cursor, and closes the group."""
    words = unfinished(spot.before)
    rest = {"IF": f" then {HERE} else {HERE}", "THEN": f" else {HERE}", "FOR": f" in {HERE}"}
    signature = outer is not None and terminal(outer.before, outer.index - 1) == "SIG"
    arrow = f" -> {HERE}" if signature and find(spot.before, "ARROW") < 0 else ""
    if outer is not None and terminal(outer.before, outer.index - 1) == "DICT" and not spot.number:
        arrow = f", {HERE}"
    closer = {"(": ")", "[": "]"}.get(spot.group.opener, "")
    if spot.index == 1 and terminal(spot.element, 0) == "GIVEN":
        closer = f" = {HERE}"
    return "".join(rest[word] for word in reversed(words)) + arrow + closer


def unfinished(parts: Sequence[Part]) -> list[str]:
    """What goes on behind the parts, the innermost last: an `IF` lacks `then`, a `THEN` lacks `else`, a `FOR` lacks `in`."""
    words: list[str] = []
    for index in range(len(parts)):
        match terminal(parts, index), words[-1:]:
            case "IF" | "FOR" as word, _:
                words.append(word)
            case "THEN", ["IF"]:
                words[-1] = "THEN"
            case ("ELSE", ["THEN"]) | ("IN", ["FOR"]):
                words.pop()
            case _:
                pass
    return words


def _opens_item(lexemes: Sequence[Lexeme], number: int) -> bool:
    """True for `let name` and the like: no argument looks so."""
    return lexemes[number].text in ITEM_WORDS and lexemes[number + 1].terminal == "NAME"


def _close(stack: list[Enclosing], opener: str) -> None:
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
    return part.opener if isinstance(part, Enclosing) else part.terminal


def word(parts: Sequence[Part], index: int) -> str:
    """The text at an index; "" for a group and outside the parts."""
    if not 0 <= index < len(parts):
        return ""
    part = parts[index]
    return "" if isinstance(part, Enclosing) else part.text


def find(parts: Sequence[Part], wanted: str) -> int:
    """The index of the first `wanted` terminal, or -1."""
    return next((index for index in range(len(parts)) if terminal(parts, index) == wanted), -1)


def named(elements: Iterator[list[Part]]) -> set[str]:
    """Names set by elements of the shapes `name = …` and `name { … }`."""
    return {word(element, 0) for element in elements if terminal(element, 1) in ("ASSIGN", "{")}

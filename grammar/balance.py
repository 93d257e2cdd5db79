"""Makes the braces of a broken declaration match, guided by indentation.

A missing `}` would hand a block's items to a section in it, and one too many would end the block
early. People indent by what they mean, so where the count is off, the indentation says which brace
is at fault; where it adds up, indentation is never looked at.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from .lexemes import Lexeme
from .tree import Problem, Span


class Placed(Struct, frozen=True):
    """A lexeme with its place on the page. `indent` is the column of the first lexeme on its line."""

    lexeme: Lexeme
    line: int
    column: int
    indent: int
    virtual: bool = False
    """Put in by the recovery, not typed."""
    stray: bool = False
    """A `}` too many, unless the recovery puts in the `{` it was meant for."""

    @property
    def opens_line(self) -> bool:
        return self.column == self.indent and not self.virtual


BREAKS = ("SEP", "BREAK", "$END")


def place(text: str, lexemes: list[Lexeme]) -> list[Placed]:
    """Lexemes with lines and columns from 0; separators and the end never open a line."""
    out: list[Placed] = []
    line, line_start = 0, 0
    next_break = text.find("\n")
    indent, indented_line = 0, -1
    for lexeme in lexemes:
        while 0 <= next_break < lexeme.start:
            line, line_start = line + 1, next_break + 1
            next_break = text.find("\n", line_start)
        column = lexeme.start - line_start
        if lexeme.terminal in BREAKS:
            out.append(Placed(lexeme, line, column, -1))
            continue
        if line != indented_line:
            indent, indented_line = column, line
        out.append(Placed(lexeme, line, column, indent))
    return out


def after(previous: Placed, terminal: str, text: str) -> Placed:
    """A lexeme that was not typed, right behind another one."""
    end = previous.lexeme.end
    return Placed(Lexeme(terminal, text, end, end), previous.line, previous.column, -1, virtual=True)


def balance(placed: list[Placed], known_faults: set[int]) -> tuple[list[Placed], list[Problem]]:
    """The lexemes with braces put in, a problem for each, and braces too many marked.

    `known_faults` are offsets of strings that have had a problem: one that runs to the end of the
    declaration has swallowed the closing braces, which is not a second fault.
    """
    kinds = [one.lexeme.terminal for one in placed]
    missing = kinds.count("LBRACE") - kinds.count("RBRACE")
    if not missing:
        return placed, []
    extra = -missing
    out: list[Placed] = []
    problems: list[Problem] = []
    openers: list[Placed] = []

    def close() -> None:
        opener = openers.pop().lexeme
        span = Span(opener.start, opener.end)
        problems.append(Problem(span, "unclosed", "{", ("}",), opener=span))
        at = len(out)
        while at and out[at - 1].lexeme.terminal in BREAKS:
            at -= 1
        out.insert(at, after(out[at - 1], "RBRACE", "}"))

    for one in placed:
        terminal = one.lexeme.terminal
        while missing > 0 and len(openers) > 1 and _lies_outside(one, openers[-1]):
            close()
            missing -= 1
        if terminal == "LBRACE":
            openers.append(one)
        elif terminal == "RBRACE" and openers:
            if extra > 0 and len(openers) == 1 and not _closes(one, openers[0]):
                out.append(replace(one, stray=True))
                extra -= 1
                continue
            openers.pop()
        elif terminal == "$END":
            reported = len(problems)
            swallowed = any(last.lexeme.start in known_faults for last in out[-2:])
            while openers:
                close()
            if swallowed:
                del problems[reported:]
        out.append(one)
    return out, problems


def _lies_outside(one: Placed, opener: Placed) -> bool:
    if not one.opens_line or one.line == opener.line:
        return False
    return one.column < opener.indent or (one.column == opener.indent and one.lexeme.terminal != "RBRACE")


def _closes(brace: Placed, opener: Placed) -> bool:
    return brace.line == opener.line or (brace.opens_line and brace.column == opener.indent)

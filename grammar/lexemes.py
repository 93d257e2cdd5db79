"""The terminals that the parser reads: tokens without trivia, words told apart, line ends weighed.

Two rules of the language live here because a context-free grammar cannot say them well:

- A line break ends an item unless it stands inside `()` or `[]`, after a comma, or before a leading
  operator. Breaks and `;` in a row make one `SEP`.
- The words that open an item (`input`, `let`, …) are keywords only as an item's first word, and the
  words that open a declaration only as a declaration's first word. Anywhere else they are names.
"""

from __future__ import annotations

import re
from math import isfinite
from operator import itemgetter
from typing import NamedTuple

from msgspec import Struct, field

from .tokens import PATTERN
from .tree import Comment, Problem, Span

MAX_TOKENS = 100_000
"""Tokens read from one declaration, trivia included; what follows is reported, not parsed."""


MAX_PROBLEMS = 50
"""Problems reported of one declaration; the recovery reads no further."""
MAX_NESTING = 100
"""How deep brackets may nest, and the nodes of an item: so code may walk a tree by recursion."""


class Lexeme(NamedTuple):
    """A terminal of the grammar with its source text and its place in the declaration."""

    terminal: str
    text: str
    start: int
    end: int

    # What Lark reads of a token. It counts no lines here: spans are offsets.
    type = property(itemgetter(0))
    start_pos = property(itemgetter(2))
    end_pos = property(itemgetter(3))
    line = column = end_line = end_column = None


SYMBOLS = {
    "{": "LBRACE", "}": "RBRACE", "(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB",
    "=": "ASSIGN", ":": "COLON", ",": "COMMA", ".": "DOT", "->": "ARROW", "|": "BAR", "?": "QUESTION",
    "+": "PLUS", "-": "MINUS", "*": "STAR", "/": "SLASH",
    "==": "EQ", "!=": "NE", "<": "LT", "<=": "LE", ">": "GT", ">=": "GE",
}  # fmt: skip
RESERVED = ("and", "or", "not", "in", "if", "then", "else", "for", "sig", "true", "false", "none")
"""Words that are never names."""
ITEM_WORDS = (
    "input", "output", "field", "assert", "suggest", "let", "until", "return", "step", "given", "expect", "gate",
)  # fmt: skip
NAMING_WORDS = ("as", "list", "dict", "tuple", "extends", "repeat", "from")
"""Words that the grammar knows and that are names wherever their own form is not meant."""
WORDS = {word: word.upper() for word in (*RESERVED, *NAMING_WORDS)}
FIRST_WORDS = WORDS | {word: word.upper() for word in ITEM_WORDS}
"""Words with a terminal of their own, anywhere and as an item's first word."""
_OPENING_WORDS = {"dspec": "DSPEC", "import": "IMPORT", "type": "TYPE"}

LEADING = frozenset(SYMBOLS.values()) - {"LPAR", "LSQB", "RBRACE"} | {
    "AND", "OR", "NOT", "IN", "THEN", "ELSE", "FOR",
}  # fmt: skip
"""Terminals that continue the item when they open a line: no item starts with one."""

_ESCAPE = re.compile(r'\\(?:(["\\ntr])|u([0-9a-fA-F]{4})|\r?\n|.?)', re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class Lexemes(Struct):
    """One declaration's terminals, ending in `$END`, and what was seen on the way."""

    lexemes: list[Lexeme]
    comments: list[Comment] = field(default_factory=list[Comment])
    problems: list[Problem] = field(default_factory=list[Problem])
    too_deep: bool = False
    """Whether brackets nest deeper than `MAX_NESTING`; then only the recovery reads them."""
    too_long: bool = False
    """Whether there are more than `MAX_TOKENS`; then the last are missing."""


def read_lexemes(text: str, *, inner_breaks: bool = False) -> Lexemes:
    """The terminals of one declaration.

    With `inner_breaks`, line breaks inside `()` and `[]` are kept as terminals called `BREAK`, for
    the recovery, which must be able to end an item whose bracket is never closed.
    """
    result = Lexemes([])
    out, comments, problems = result.lexemes, result.comments, result.problems
    openers: list[str] = []
    last = ""
    separator = ""
    separator_start = 0
    end = 0
    for count, match in enumerate(PATTERN.finditer(text)):
        kind = match.lastgroup
        if kind == "space":
            continue
        start, end = match.span()
        if kind == "newline":
            if not separator:
                separator, separator_start = "\n", start
            continue
        value = match[0]
        if kind == "comment":
            comments.append(Comment(Span(start, end), value))
            continue
        if value == ";":
            if not separator:
                separator_start = start
            separator = ";"
            continue
        if count > MAX_TOKENS:
            result.too_long = True
            problems.append(Problem(Span(start, end), "too_deep", excerpt(value)))
            break

        inside = bool(openers) and openers[-1] != "LBRACE"
        may_start = separator == ";" or (separator and not inside and last != "COMMA")
        if kind == "name":
            words = WORDS
            if not last:
                words = _OPENING_WORDS
            elif may_start or last == "LBRACE":
                words = FIRST_WORDS
            terminal = words.get(value, "NAME" if last else "KEYWORD")
        elif kind == "symbol":
            terminal = SYMBOLS[value]
        elif kind in ("string", "broken_string"):
            terminal = "STRING"
            if kind == "broken_string":
                problems.append(Problem(Span(start, end), "bad_string", excerpt(value)))
            elif "\\" in value:
                problems += _bad_escapes(value, start)
        elif kind == "unknown":
            terminal = "UNKNOWN"
        else:
            terminal = "NUMBER" if kind == "number" else "PERCENT"
            if (len(value) > 300 or "e" in value or "E" in value) and not _is_finite(value):
                problems.append(
                    Problem(Span(start, end), "unexpected", excerpt(value), ("a smaller number",))
                )
                value = "0%" if kind == "percent" else "0"

        if separator:
            if may_start and (separator == ";" or terminal not in LEADING):
                out.append(Lexeme("SEP", separator, separator_start, start))
            elif inside and inner_breaks:
                out.append(Lexeme("BREAK", separator, separator_start, start))
            separator = ""
        if kind == "symbol":
            if terminal in ("LBRACE", "LPAR", "LSQB"):
                openers.append(terminal)
                result.too_deep = result.too_deep or len(openers) > MAX_NESTING
            elif terminal == "RBRACE":
                while openers and openers.pop() != "LBRACE":
                    pass
            elif (terminal == "RPAR" and openers[-1:] == ["LPAR"]) or (
                terminal == "RSQB" and openers[-1:] == ["LSQB"]
            ):
                openers.pop()
        out.append(Lexeme(terminal, value, start, end))
        last = terminal
    end = out[-1].end if out else 0
    out.append(Lexeme("$END", "", end, end))
    return result


def excerpt(source: str) -> str:
    """Source text short enough for a message: at most 40 characters of its first line."""
    line = source.split("\n", 1)[0] if len(source) > 1 else source
    return line if len(line) <= 40 and len(line) == len(source) else line[:39] + "…"


def _is_finite(number: str) -> bool:
    digits = number.rstrip("%").replace("_", "")
    return len(digits) <= 300 and isfinite(float(digits))


def _bad_escapes(source: str, start: int) -> list[Problem]:
    """A problem for each of the first escapes in a string's source that mean nothing."""
    problems: list[Problem] = []
    for match in _ESCAPE.finditer(source):
        code = int(match[2], 16) if match[2] else 0
        if (match[1] is None and match[2] is None) or 0xD800 <= code <= 0xDFFF:
            place = Span(start + match.start(), start + match.end())
            problems.append(Problem(place, "bad_string", match[0], expected=ESCAPES))
            if len(problems) == MAX_PROBLEMS:
                break
    return problems


ESCAPES = ('\\"', "\\\\", "\\n", "\\t", "\\r", "\\u0000")
"""The escapes of a string, `\\u` with four hexadecimal digits, in the order messages list them."""


def string_value(source: str) -> str:
    """The value of a string token; of a broken one, as far as it goes.

    A triple string that starts with a line break loses that break, the indentation that all its
    lines share and a blank last line, so that it can be indented like the code around it.
    """
    if source.startswith('"""'):
        inner = source[3:-3] if len(source) >= 6 and source.endswith('"""') else source[3:]
        inner = _dedent(inner.replace("\r\n", "\n"))
    else:
        inner = source[1:-1] if len(source) >= 2 and source.endswith('"') else source[1:]
    return _ESCAPE.sub(_unescape, inner) if "\\" in inner else inner


def _unescape(match: re.Match[str]) -> str:
    if match[2]:
        code = int(match[2], 16)
        return match[0] if 0xD800 <= code <= 0xDFFF else chr(code)
    return _ESCAPED.get(match[1], match[1]) if match[1] else match[0]


def _dedent(text: str) -> str:
    if not text.startswith("\n"):
        return text
    lines = text[1:].split("\n")
    if not lines[-1].strip():
        del lines[-1]
    margin = min((len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] if line.strip() else "" for line in lines)

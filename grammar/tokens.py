"""Lossless tokens: every character of the text lies in exactly one token, blanks and comments too.

The formatter and the editor read these; `lexemes` makes the parser's terminals from the same
pattern, so that the two can never disagree. Scanning is one pass of one regular expression without
backtracking (possessive repeats, atomic groups), so hostile text costs no more than its length. Nothing here
raises: what the language does not know becomes a token of kind `unknown`.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast

from .tree import KEYWORDS

TokenKind = Literal[
    "space",  # blanks within a line, byte order marks among them
    "newline",  # one line ending
    "comment",  # from `#` to the end of the line
    "name",  # a word, reserved or not
    "number",
    "percent",  # a number with `%` directly behind it
    "string",  # with its quotes, one line or triple
    "broken_string",  # a string that is never closed, up to where it gives up
    "symbol",  # brackets, operators, `;`
    "unknown",  # characters that the language does not use
]


class Token(NamedTuple):
    kind: TokenKind
    text: str
    start: int
    """Offset of the first code point."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


# What starts a declaration whatever comes before it, even within a string that spans lines: without
# this, one forgotten `"""` would swallow the rest of the file.
_WORDS = "|".join(word for word in KEYWORDS if word not in ("dspec", "import"))
CONTINUING_WORDS = ("and", "or", "not", "in", "then", "else", "for")
"""Words that continue an expression when they open a line, and never name anything."""
HEADER = (
    rf"(?:(?:{_WORDS})[ \t]++(?!(?:{'|'.join(CONTINUING_WORDS)})\b)[^\W\d]\w*+[ \t]*+[({{=]"
    r'|import[ \t]*+"'
    r"|dspec[ \t]++[0-9])"
)


def _all(group: str) -> str:
    """A pattern that means `(?:group)*+`. Up to Python 3.11.2 that one keeps what its last, failed round took; an
    atomic group gives it back. It repeats in stretches, because an atomic group remembers every round until it ends.
    """
    return rf"(?>(?:(?>(?:{group}){{1,999}}))*)"


_LINE = r'"(?!"")' + _all(r'[^"\\\n\r]++|\\[^\n\r]|\r++(?!\n|\Z)')
_TRIPLE = r'"""' + _all(rf'[^"\\\n]++|\\[^\n]?|"(?!"")|\n(?!{HEADER})')
_COMMENT = r"\#" + _all(r"[^\n\r]++|\r(?!\n)")

PATTERN = re.compile(
    r"(?P<space>(?>(?:[^\S\n\r]++|\r(?!\n)|\uFEFF){1,999}))"
    r"|(?P<name>[^\W\d]\w*+)"
    r"|(?P<symbol>->|==|!=|<=|>=|[{}()\[\]=:;,.|?+\-*/<>])"
    r"|(?P<newline>\r?\n)"
    rf'|(?P<string>{_TRIPLE}"""|{_LINE}")'
    r"|(?P<percent>[0-9][0-9_]*+(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?%)"
    r"|(?P<number>[0-9][0-9_]*+(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)"
    rf"|(?P<comment>{_COMMENT})"
    rf"|(?P<broken_string>{_TRIPLE}|{_LINE}\\?)"
    r'|(?P<unknown>[^\s\w\uFEFF"#{}()\[\]=:;,.|?+\-*/<>]++|.)'
)


def last_token(text: str) -> Token | None:
    """The last token. No other one is made, since an editor asks with every key."""
    match = None
    for match in PATTERN.finditer(text):  # noqa: B007
        pass
    return Token(cast("TokenKind", match.lastgroup), match[0], match.start()) if match else None


def tokenize(text: str) -> list[Token]:
    """The text in tokens; joining their texts gives the text back. Never raises."""
    return [
        Token(cast("TokenKind", match.lastgroup), match[0], match.start()) for match in PATTERN.finditer(text)
    ]

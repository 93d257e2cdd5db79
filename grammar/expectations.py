"""What could stand somewhere, in the words of someone who writes `.dspec` files.

The automaton knows some dozen terminals that fit; a person wants "`,` or `)`". Groups become one
phrase ("an expression"), and what merely continues a finished expression or type is left out where
something else could end it.
"""

from __future__ import annotations

from collections.abc import Iterable

from .lexemes import ITEM_WORDS, NAMING_WORDS, RESERVED, SYMBOLS

_NAMES = {"NAME", *(word.upper() for word in NAMING_WORDS)}
_ITEM_STARTS = {word.upper() for word in ITEM_WORDS}
_EXPRESSION_STARTS = {
    *_NAMES, "NUMBER", "PERCENT", "STRING", "LPAR", "LSQB", "MINUS", "NOT", "IF", "SIG", "TRUE", "FALSE",
    "NONE",
}  # fmt: skip
_OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "EQ", "NE", "LT", "LE", "GT", "GE", "IN", "NOT", "AND", "OR"}
_CONTINUATIONS = {"DOT", "LPAR", "LSQB", "QUESTION", "BAR"}

_PHRASES = {"NAME": "a name", "STRING": "a string", "NUMBER": "a number", "SEP": "a new line"}
_TEXTS = {terminal: text for text, terminal in SYMBOLS.items()} | {
    word.upper(): word for word in (*RESERVED, *ITEM_WORDS, *NAMING_WORDS)
}
_FIRST = ("COLON", "ASSIGN", "LBRACE", "COMMA", "RPAR", "RSQB", "SEP", "RBRACE")
_ORDER = (*_FIRST, *(terminal for terminal in _TEXTS if terminal not in _FIRST))


def in_words(terminals: Iterable[str]) -> tuple[str, ...]:
    """Phrases ("a name", "an expression") first, then source text (`)`, `then`), in a fixed order."""
    left = set(terminals) - {"HOLE", "$END"}
    phrases: list[str] = []
    if "LET" in left:
        phrases.append("an item")
        left -= _ITEM_STARTS | _NAMES | {"STRING"}
    if {"NUMBER", "SIG"} <= left:
        phrases.append("an expression")
        left -= _EXPRESSION_STARTS
    elif {"STRING", "NAME", "LIST"} <= left:
        phrases.append("a type")
        left -= _NAMES | {"STRING", "NUMBER", "MINUS"}
    if "NAME" in left:
        left -= _NAMES - {"NAME"}
    if {"LBRACE", "ASSIGN", "FOR"} <= left:
        left -= {"FOR"}  # it fits if the word is an attribute's name, and few attributes have an address
    if {"LBRACE", "ASSIGN"} <= left and (phrases or "NAME" in left):
        left -= {"LBRACE", "ASSIGN"}  # after `input` they fit if it is a setting's name, which is no help
    if {"PLUS", "STAR"} <= left:
        left -= _OPERATORS | _CONTINUATIONS
        if not left:
            phrases.append("an operator")
    elif left - _CONTINUATIONS:
        left -= {"QUESTION", "BAR", "DOT", "LSQB", "EXTENDS"}
    phrases += [_PHRASES[name] for name in ("NAME", "STRING", "NUMBER") if name in left]
    return (*phrases, *(_PHRASES.get(name) or _TEXTS[name] for name in _ORDER if name in left))

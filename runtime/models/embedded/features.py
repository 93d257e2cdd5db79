"""Text as weighted features: word stems, word pairs and character n-grams.

Everything here is a pure function of its text. Nothing depends on the interpreter's string hashing, on
set order or on locale: features are inserted in reading order and summed in that order.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ...values.scripts import beyond_latin, pieces

MAX_CHARACTERS = 8_000
"""How much of one field's value is read; a longer one is read at both ends."""

_SENTENCE = re.compile(r"(?<=[.!?؟۔।])\s+|(?<=[。！？｡])\s*|\n+")
# Longer runs fall into pieces, so that no text makes a word's n-grams costly to keep.
_WORD = re.compile(r"[^\W_]{1,40}(?:['’][^\W_]{1,10})?")

FUNCTION_WORDS = frozenset(
    """a about after again all also am an and any are aren't as at be because been before being but by
    can can't cannot could couldn't did didn't do does doesn't doing don't down each else ever few for
    from further get gets getting give given go goes going gone got had has hasn't have haven't having
    he hello help her here hers hey hi him his i i'd i'll i'm i've if in into is isn't it it's its
    itself just know let like make many may me might mine more most much must my myself need no nor now
    of off ok okay on once one only or other our ours out over own please really same say says she
    should so some something still such sure than thank thanks that that's the their theirs them then
    there there's these they they're thing this those though through to too under until up us use used
    using very want wants was wasn't we we're well were what what's when where which while who whom why
    will with won't would wouldn't yes yet you you're your yours""".split()  # noqa: SIM905 - a word list reads better as words
)
"""English words that say little of what a text is about; they count for less, never for nothing."""

MAX_SENTENCES = 200

FUNCTION_WEIGHT = 0.25
PAIR_WEIGHT = 0.7
GRAM_WEIGHT = 0.35

_SUFFIXES = (
    *("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ied", "ions", "ion", "ers", "er", "ed"),
    *("es", "ly", "s", "y", "e"),
)
"""Longest first among those that end alike."""


def clip(text: str, limit: int = MAX_CHARACTERS) -> str:
    """At most `limit` characters of a text: its beginning and its end."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} {text[-half:]}"


def words(text: str, limit: int = MAX_CHARACTERS) -> list[str]:
    """Lower-case words in reading order; `account_access` gives two. Of a script without spaces, characters."""
    part = clip(text, limit)
    if beyond_latin(part):
        return [word for piece in pieces(part) for word in piece]
    return _WORD.findall(unicodedata.normalize("NFKC", part).lower().replace("’", "'"))


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """A word without its commonest English endings; at least four letters stay."""
    word = word.partition("'")[0] or word
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return word[: -len(suffix)]
    return word


@lru_cache(maxsize=16_384)
def grams(word: str) -> tuple[str, ...]:
    """Character 3- to 5-grams of one word, its ends marked."""
    marked = f"<{word}>"
    return tuple(
        f"#{marked[start : start + size]}" for size in (3, 4, 5) for start in range(len(marked) - size + 1)
    )


def weigh(word: str) -> float:
    """How much a word says of its text's topic."""
    return FUNCTION_WEIGHT if word in FUNCTION_WORDS else 1.0


def features(text: str, limit: int = MAX_CHARACTERS) -> dict[str, float]:
    """Feature → weight. Words are bare stems, pairs hold a space, n-grams start with `#`."""
    found: dict[str, float] = {}
    previous = ""
    for word in words(text, limit):
        weight = weigh(word)
        root = stem(word)
        found[root] = max(found.get(root, 0.0), weight)
        if previous:
            pair = f"{previous} {root}"
            found[pair] = PAIR_WEIGHT * max(weight, 0.5)
        previous = root
        if weight == 1.0:
            share = GRAM_WEIGHT
            for gram in grams(word):
                found[gram] = share
    return found


def split_sentences(text: str) -> list[str]:
    parts = (part.strip() for part in _SENTENCE.split(text[: 2 * MAX_CHARACTERS]))
    return [part for part in parts if part][:MAX_SENTENCES]

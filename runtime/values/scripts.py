"""Texts in other letters than Latin ones: how two of them are compared, and what their words are.

Some scripts are written without spaces: Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan. A word of theirs cannot be told
without a dictionary, so each character counts as one, with the marks that belong to it (Unicode calls both together a
grapheme cluster, UAX 29).

A text whose letters are Latin is none of this file's business: the rules of question answering and of the indexes hold
for it as they always did.
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import Literal

ARTICLES = frozenset({"a", "an", "the"})

# Expressions are compiled when a text first needs them: most texts are ASCII, and a check reads none.
_BEYOND_LATIN = (
    # a letter, unless it is a Latin one, or one that formulas, lists and phonetics use
    r"[^\W\d_\u0000-\u02ff\u1d00-\u1dbf\u1e00-\u1eff\u2070-\u209f\u2100-\u218f\u2460-\u24ff\u2776-\u2793\u2c60-\u2c7f"
    r"\ua720-\ua7ff\uab30-\uab6f\ufb00-\ufb06\U0001d400-\U0001d7ff\U0001f100-\U0001f1ff]"
    # CJK punctuation, and the full-width and half-width forms; digits that are neither ASCII's nor of formulas
    r"|[\u3000-\u303f\uff00-\uffef]|(?![0-9\U0001d7ce-\U0001d7ff])\d"
)
_UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u0f00\u0f40-\u0fbc\u1000-\u103f\u104c-\u108f\u109a-\u109f\u1780-\u17d3\u17d7\u17dc"
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f\uf900-\ufaff"
    "\U0001aff0-\U0001b16f\U00020000-\U000323af"
)
"""Letters of the scripts without spaces, and the marks among them, as the inside of a regular expression's set."""
_POINTS = (
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc"
    "\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff]"
)
"""Vowel points of Hebrew and Arabic, which writers put or leave out, and the tatweel, which only fills a line."""
_LONGEST = 40
"""Letters of a word; a longer run falls into pieces, as in a Latin text."""


def beyond_latin(text: str) -> bool:
    """Whether anything in the text belongs to another script than the Latin one, or is a form of East Asian print."""
    return not text.isascii() and re.search(_BEYOND_LATIN, text) is not None


def mostly_latin(text: str) -> bool:
    """False from one character in ten on that is of another script: more than a formula or a name."""
    return text.isascii() or 10 * len(re.findall(_BEYOND_LATIN, text)) < len(text)


def tokens(text: str) -> list[str]:
    """What a comparison of such texts counts: words, and in scripts without spaces characters.

    Full-width and half-width forms, presentation forms and digits of any script count as what they stand for; case,
    punctuation (category P and ASCII's), invisible characters, vowel points of Arabic and Hebrew and English
    articles do not count. Hamza, dakuten and accents do, as marks; so does the difference of hiragana and katakana, and of
    traditional and simplified characters.
    """
    kept = "".join(one for one in _folded(text, "NFKD") if not _silent(one))
    unit = _patterns()[0]
    return [
        part
        for word in kept.split()
        if word not in ARTICLES
        for part in unit.split(word)
        if part and part.strip()
    ]


def normal(text: str) -> str:
    """The tokens as one text: spaces between words, none beside a character of a script without spaces."""
    unit = _patterns()[0]
    found: list[str] = []
    spaced = False
    for token in tokens(text):
        alone = unit.fullmatch(token) is not None
        if found and spaced and not alone:
            found.append(" ")
        found.append(token)
        spaced = not alone
    return "".join(found)


def pieces(text: str) -> list[tuple[str, ...]]:
    """For an index: each word by itself, in lower case, and each run of characters that no space divides."""
    unit, word = _patterns()
    found: list[tuple[str, ...]] = []
    for alone, group in groupby(
        word.finditer(_visible(_folded(text, "NFKC")).replace("’", "'")),
        key=lambda match: match["unspaced"] is not None,
    ):
        if alone:
            found += (tuple(unit.findall(match[0])) for match in group)
        else:
            found += ((match[0],) for match in group)
    return found


def _folded(text: str, form: Literal["NFKC", "NFKD"]) -> str:
    plain = unicodedata.normalize(form, text).lower()
    return _digits(re.sub(_POINTS, "", plain))


def _digits(text: str) -> str:
    return re.sub(r"(?![0-9])\d", lambda match: str(unicodedata.digit(match[0])), text)


def _silent(character: str) -> bool:
    if character.isascii():
        return character in string.punctuation
    category = unicodedata.category(character)
    return category[0] == "P" or category == "Cf"


def _visible(text: str) -> str:
    """Without what shapes letters or turns their direction, and is no part of a word."""
    return re.sub("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]", "", text)


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A character of a script without spaces; a word of any script, or a run of such characters (`unspaced`).

    Made when a text first needs them: Python's expressions know no marks, which are looked up one by one.
    """
    marks = "".join(
        chr(place) for place in range(0x300, 0x10000) if unicodedata.category(chr(place))[0] == "M"
    )
    character = f"[{_UNSPACED}][{marks}]*"
    letter = f"(?![{_UNSPACED}])[^\\W_][{marks}]*"
    return (
        re.compile(f"({character})"),
        re.compile(f"(?P<unspaced>(?:{character})+)|(?:{letter}){{1,{_LONGEST}}}(?:'(?:{letter}){{1,10}})?"),
    )

"""Reads a number out of a text, such as the result in "The answer is $1,234.50.".

What has two meanings is not decided: where the number that is asked for may be read in another way, there is none. So it is
with one that is grouped otherwise than it should be (`1,5`), with a part of a date, a time, a fraction or a range, and with one
that something scales (`5k`, `5 million`, `85%`). Digits within a word (`v2`, `3rd`, `x86`) are no number.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

from .phrases import SCALING, UNITS

Which = Literal["last", "first", "only"]
Mark = Literal[".", ","]

_LONGEST = 300
"""Digits of a number."""
_SPACES = "\u00a0\u2009\u202f"
_JOINED = re.compile(rf"\d+(?:[.,:/'’_{_SPACES}–−-]\d+| \d{{3}}(?!\d))*")
"""Digits, and what may belong to them."""
_NUMBERS: dict[str, re.Pattern[str]] = {
    mark: re.compile(
        rf"(?:\d{{1,3}}(?P<by>[{part}'’_{_SPACES}])\d{{3}}(?:(?P=by)\d{{3}})*"  # 1,234,567
        rf"|\d{{1,2}}(?:[{part}]\d{{2}})+[{part}]\d{{3}}"  # 12,34,567
        rf"|\d+)(?:[{mark}]\d+)?"
    )
    for mark, part in ((".", ","), (",", "."))
}
"""By the decimal mark: digits, in groups of three parted by the same mark, or in groups as in India."""
_EXPONENT = re.compile(r"[eE][+-]?\d{1,3}(?![\w.,])")
_NEXT = re.compile(r"\\?[%‰]|([ \t]?)([^\W\d_]{1,12})")
_CURRENCY = "$€£¥₹"
_SIGNS = "+-−"


def number_in(text: str, which: Which, mark: Mark) -> float | None:
    """The last, the first or the only number of a text whose decimal mark is `mark`; None where there is none, or doubt."""
    found = _found(_plain_digits(text), mark)
    if which == "first":
        return next(found, None)
    values = list(found)
    if which == "only":
        return values[0] if values and all(one == values[0] for one in values) else None
    return values[-1] if values else None


def _plain_digits(text: str) -> str:
    """The text with ASCII's digits for those of other scripts, one for one."""
    if text.isascii():
        return text
    marks = str.maketrans("\u066b\u066c，．", ".,,.")
    return "".join(
        str(unicodedata.decimal(one)) if one.isdecimal() and not one.isascii() else one for one in text
    ).translate(marks)


def _found(text: str, mark: Mark) -> Iterator[float | None]:
    """The numbers of a text in their order; None for one that may be read in several ways."""
    position = 0
    while (match := _JOINED.search(text, position)) is not None:
        position = match.end()
        before = text[max(0, match.start() - 4) : match.start()]
        if before[-1:].isalpha() or before[-1:] == "_":
            continue
        digits = match[0]
        if before[-1:] == mark and not before[-2:-1].isalnum():
            digits, before = f"0{mark}{digits}", before[:-1]
        before = before.rstrip(_CURRENCY)
        negative = before[-1:] in _SIGNS and before[-1:] != "+" and bool(before)
        if before[-1:] and before[-1:] in _SIGNS and before[-2:-1].isalnum():
            continue  # `x-5` is a name
        if exponent := _EXPONENT.match(text, position):
            digits, position = digits + exponent[0].lower(), exponent.end()
        following = _NEXT.match(text, position)
        word = "" if following is None or following[2] is None else following[2].casefold()
        glued = following is not None and following[1] == ""
        if glued and word not in SCALING and word not in UNITS:
            continue
        doubtful = (following is not None and following[2] is None) or word in SCALING
        doubtful = doubtful or unicodedata.category(text[position : position + 1] or " ") == "No"
        yield None if doubtful else _value(digits, mark, negative=negative)


def _value(digits: str, mark: Mark, *, negative: bool) -> float | None:
    plain, _, exponent = digits.partition("e")
    if len(digits) > _LONGEST or _NUMBERS[mark].fullmatch(plain) is None:
        return None
    whole, _, fraction = plain.partition(mark)
    number = float(f"{re.sub('[^0-9]', '', whole)}.{fraction or 0}e{exponent or 0}")
    return (-number if negative else number) if math.isfinite(number) else None

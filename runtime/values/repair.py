"""Reads JSON that a model wrote, exactly or mended token by token, and refuses it where it could mean two things.

Models put in single quotes, Python's words, bare keys, comments, trailing commas and raw line breaks, and leave out the
end. Each of these has only one meaning, and its repair has a name, which `Mended` lists. What is missing between two
values, or inside a text, is never supplied: only the model knows whether `[1 2]` is 12, or 1 and 2. Answers are
untrusted, so every step is linear in the text, nothing recurses, and the length of the text is capped.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import NoReturn, cast

from msgspec import Struct, field
from pydantic_core import from_json

from ..schema.types import JsonValue
from .phrases import turns

MAX_TEXT = 1_000_000
"""Characters; longer text is not read as JSON."""
MAX_MENDED = 200_000
"""Characters; longer text is not mended."""
_MAX_DEPTH = 200
MISSING_END = "supplied the brackets that were missing at the end"
_DOUBTFUL_COMMENT = "left out a comment that may say something else"
_QUOTES_INSIDE = "took as one text what other quotes hold together"
_GUESSES = {MISSING_END, _DOUBTFUL_COMMENT, _QUOTES_INSIDE}


def _all(group: str) -> str:
    """A pattern that means `(?:group)*+`. Up to Python 3.11.2 that one keeps what its last, failed round took; an atomic
    group gives it back. It repeats in stretches, because an atomic group remembers every round until it ends.
    """
    return rf"(?>(?:(?>(?:{group}){{1,999}}))*)"


_DOUBLE = '"' + _all(r'[^"\\]++|\\.') + '"?'
_SINGLE = "'" + _all(r"[^'\\]++|\\.") + "'?"
_TOKEN = rf"""
      (?P<double>{_DOUBLE})
    | (?P<single>{_SINGLE})
    | (?P<curly>“[^”]*+”?)
    | (?P<bare>[\w.+−-]++)
    | (?P<comment>//[^\n]*+|\#[^\n]*+|/\*{_all(r"[^*]++|[*](?!/)")}(?:\*/)?)
    | (?P<mark>[{{}}\[\],:])
    | (?P<space>\s++)
    | (?P<other>.)
    """


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled when the first text is mended: a check of a file mends none."""
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


_CLOSING = {"double": '"', "single": "'", "curly": "”"}
_JSON_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_FRACTION = r"[0-9][.eE]"
_JSON_WORDS: dict[str, JsonValue] = {"true": True, "false": False, "null": None}
_PYTHON_WORDS: dict[str, JsonValue] = {"True": True, "False": False, "None": None}
_NO_VALUES = {"undefined", "nan", "inf", "infinity", "-inf", "-infinity", "+inf", "+infinity"}
_ODD = r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[\x00-\x1f\"]"
_ESCAPES = '"\\/bfnrt'
_SEPARATED = r"\"\s{0,99}[,:\]}]|[,:\[{]\s{0,99}\""
"""A quote of JSON where a text would begin or end."""


class Spelled(float):
    """A number that remembers how it was written: where a text is wanted, `1.10` is not `1.1`."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def of(cls, text: str) -> Spelled:
        number = cls(text)
        number.text = text
        if number - number != 0:
            raise ValueError(f"{text[:40]} is beyond any number")
        return number


class Mended(Struct, frozen=True):
    """A value, where its text ends, and the names of the repairs that were needed to read it."""

    value: JsonValue
    end: int
    repairs: tuple[str, ...] = ()

    @property
    def guessed(self) -> bool:
        """Whether something else may have been meant: the text may have gone on, a comment may take a value back, or one
        text may be several."""
        return not _GUESSES.isdisjoint(self.repairs)


class NotJson(ValueError):
    """The text is no JSON, and cannot be made JSON in one way only.

    `whole` are the members of its outermost object that a comma follows: these are complete, wherever the text stops.
    """

    def __init__(self, message: str, whole: dict[str, JsonValue] | None = None) -> None:
        super().__init__(message)
        self.whole = whole or {}


def strict_json(text: str) -> JsonValue:
    """The text as one JSON value. Raises ValueError."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"longer than {MAX_TEXT} characters")
    return from_json(text, allow_inf_nan=False)


def exact_json(text: str) -> JsonValue:
    """As `strict_json`, with numbers that remember their spelling, and no member that is there twice with two values.

    Raises ValueError.
    """
    value = strict_json(text)  # refuses depth, numbers and characters that JSON may not have
    if "{" not in text and _compiled(_FRACTION).search(text) is None:
        return value
    try:
        return cast("JsonValue", json.loads(text, parse_float=Spelled.of, object_pairs_hook=_members))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _members(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) < len(pairs):
        for name, value in pairs:
            if members[name] != value:
                raise NotJson(f"the member `{name[:40]}` is there twice")
    return members


def mend(text: str, start: int = 0) -> Mended:
    """The list or object that begins at `start`, mended if need be. Raises NotJson."""
    if len(text) - start > MAX_MENDED:
        raise NotJson(f"longer than {MAX_MENDED} characters")
    return _Mending(text, start).mended()


class _Open(Struct):
    """A list or an object whose end has not come yet."""

    items: list[JsonValue] = field(default_factory=list[JsonValue])
    members: dict[str, JsonValue] | None = None
    """None of a list."""
    key: str | None = None
    """The member whose value comes next."""
    after: str = ""
    """What came last: "" nothing, `,`, `:`, `key` or `value`."""
    whole: int = 0
    """Members that a comma followed."""


class _Mending:
    """One pass over the tokens, with the open brackets on a stack of our own."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self._open: list[_Open] = []
        self._root: _Open | None = None
        self._repairs: dict[str, None] = {}
        self._apart = False
        """Whether a line break stands before this token."""
        self._may_go_on = False
        """Whether the last token could have been longer, such as a number's digits."""
        self._value: JsonValue = None

    def mended(self) -> Mended:
        for match in _compiled(_TOKEN).finditer(self._text, self._start):
            kind, piece = match.lastgroup or "other", match[0]
            if kind == "comment":
                self._repairs[_DOUBTFUL_COMMENT if turns(piece) else "left out a comment"] = None
                self._apart = self._apart or "\n" in piece
            elif kind == "space":
                self._apart = self._apart or "\n" in piece
            else:
                if kind == "mark":
                    self._mark(piece)
                elif kind == "other":
                    self._fail(f"`{piece}` stands where no value can")
                else:
                    self._leaf(kind, piece)
                if not self._open:
                    return Mended(self._value, match.end(), tuple(self._repairs))
                self._apart = False
        return self._unfinished()

    def _mark(self, piece: str) -> None:
        top = self._open[-1] if self._open else None
        self._may_go_on = False
        if piece in "{[":
            if top is not None:
                self._expect_value(top)
            if len(self._open) >= _MAX_DEPTH:
                self._fail("nested too deeply")
            self._open.append(_Open(members={} if piece == "{" else None))
            self._root = self._root or self._open[0]
        elif top is None:
            self._fail("no list and no object")
        elif piece == ":":
            if top.after != "key":
                self._fail("a colon that follows no name")
            top.after = ":"
        elif piece == ",":
            if top.after != "value":
                self._fail("a comma that follows no value")
            top.after, top.whole = ",", len(top.members or ())
        else:
            if (piece == "}") is not (top.members is not None) or top.after not in ("", ",", "value"):
                self._fail(f"`{piece}` stands where something else must come")
            if top.after == ",":
                self._repairs["took out a trailing comma"] = None
            self._open.pop()
            self._give(top.items if top.members is None else top.members)

    def _leaf(self, kind: str, piece: str) -> None:
        if not self._open:
            self._fail("no list and no object")
        top = self._open[-1]
        if top.members is not None and top.after in ("", ",", "value"):
            if top.after == "value":
                if kind == "bare" or not self._apart:
                    self._fail("no comma between two members")
                self._repairs["put a comma between two lines"] = None
            top.key, top.after = self._name(kind, piece), "key"
            return
        self._expect_value(top)
        self._may_go_on = kind == "bare" and piece not in _JSON_WORDS and piece not in _PYTHON_WORDS
        self._give(self._bare(piece) if kind == "bare" else self._string(kind, piece))

    def _expect_value(self, top: _Open) -> None:
        if top.after not in (("", ",") if top.members is None else (":",)):
            self._fail("two values with nothing between them")

    def _give(self, value: JsonValue) -> None:
        """Puts the value into the list or object that waits for it."""
        if not self._open:
            self._value = value
            return
        top = self._open[-1]
        top.after = "value"
        if top.members is None:
            top.items.append(value)
            return
        assert top.key is not None
        if top.members.setdefault(top.key, value) != value:
            self._fail(f"the member `{top.key[:40]}` is there twice")

    def _name(self, kind: str, piece: str) -> str:
        if kind == "bare":
            self._repairs["put quotes around bare words"] = None
            return piece
        return self._string(kind, piece)

    def _bare(self, piece: str) -> JsonValue:
        """A number, a word of JSON or Python, or else the text that stands there."""
        if _compiled(_JSON_NUMBER).fullmatch(piece):
            try:
                return int(piece) if piece.lstrip("-").isdigit() else Spelled.of(piece)
            except ValueError as error:
                self._fail(str(error))
        if piece in _JSON_WORDS:
            return _JSON_WORDS[piece]
        if piece in _PYTHON_WORDS:
            self._repairs["read Python's words"] = None
            return _PYTHON_WORDS[piece]
        if piece.lower() in _NO_VALUES or not any(letter.isalnum() for letter in piece):
            self._fail(f"`{piece[:40]}` is no value")
        self._repairs["put quotes around bare words"] = None
        return piece

    def _string(self, kind: str, piece: str) -> str:
        closing = _CLOSING[kind]
        if len(piece) < 2 or not piece.endswith(closing):
            self._fail("a text without its end")
        body = piece[1:-1]
        if kind != "double":
            self._repairs["read other quotes as JSON's"] = None
        if kind == "curly" and _compiled(_SEPARATED).search(body):
            self._repairs[_QUOTES_INSIDE] = None
        if kind == "double" and not _compiled(_ODD).search(body):
            return body
        plain = _compiled(_ODD).sub(lambda match: self._escape(match[0]), body)
        try:
            return cast("str", from_json(f'"{plain}"'))
        except ValueError:
            self._fail("a text that JSON cannot hold")

    def _escape(self, piece: str) -> str:
        """An escape or a character of a text's body as JSON has it; an escape that JSON lacks is a plain backslash."""
        if piece[0] != "\\":
            if piece != '"':
                self._repairs["kept a raw line break"] = None
            return '\\"' if piece == '"' else f"\\u{ord(piece):04x}"
        if piece == "\\'":
            return "'"
        if len(piece) == 4:
            return "\\u00" + piece[2:]
        if piece[1:2] in _ESCAPES or len(piece) > 2:
            return piece
        self._repairs["kept a lone backslash"] = None
        return "\\\\" + (piece[1:] if piece[1] >= " " else f"\\u{ord(piece[1]):04x}")

    def _unfinished(self) -> Mended:
        """The text ended before the JSON did. Only brackets are supplied, and only after a value that is surely complete."""
        if not self._open or self._may_go_on or self._open[-1].after != "value":
            self._fail("its end is missing")
        self._repairs[MISSING_END] = None
        while self._open:
            top = self._open.pop()
            self._give(top.items if top.members is None else top.members)
        return Mended(self._value, len(self._text), tuple(self._repairs))

    def _fail(self, message: str) -> NoReturn:
        members = None if self._root is None else self._root.members
        whole = dict(list(members.items())[: self._root.whole]) if members and self._root else {}
        raise NotJson(message, whole)

"""What kind of value an output asks for, read from the words a prompt uses for its type.

The words are those of the adapters (`one of "a", "b"`, `JSON list of text`, `date, or null`) and the
spelling of the language itself (`"a" | "b"`, `list[str]?`), so that a prompt written by hand is understood
too. Reading never fails: words that say nothing known make the shape `text`.
"""

from __future__ import annotations

import json
import re
from typing import Literal

from msgspec import Struct

Kind = Literal[
    "text", "label", "bool", "int", "float", "date", "datetime", "any", "list", "dict", "tuple", "record", "records",
    "optional",
]  # fmt: skip

MAX_DEPTH = 12
MAX_LABELS = 400
MAX_WORDS = 20_000
"""Characters of one type's description that are read."""


class PromptField(Struct, frozen=True):
    name: str
    shape: Shape
    note: str = ""
    """The field's description, on one line."""


class Shape(Struct, frozen=True):
    kind: Kind
    labels: tuple[str | int | float, ...] = ()
    """The allowed values, in declared order, of a `label`: texts or numbers."""
    said: str = ""
    """What the labels mean, as far as it is said behind them."""
    item: Shape | None = None
    """Of a `list` and an `optional`; the values of a `dict`."""
    fields: tuple[PromptField, ...] = ()
    """Of a `record`; of a `tuple` its values, by their index; of `records` each of them by its name."""
    tag: str = ""
    """Of `records`: the field that tells them apart."""


TEXT = Shape("text")

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NEXT_LABEL = re.compile(r'\s*(?:,\s*or\s+|,|\||or\b)\s*(?="(?:[^"\\]|\\.)*"(?!\s*:))')
"""What stands before another label; a text with a colon behind it is the name of a record's next field."""
_BARE_LABELS = re.compile(r"[\w./+&-]+(?:\s*[,|;]\s*(?:or\s+)?[\w./+&-]+)+")
_SCALARS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"true or false|bool(?:ean)?\b", re.IGNORECASE), "bool"),
    (re.compile(r"whole number|int(?:eger)?\b", re.IGNORECASE), "int"),
    (re.compile(r"number\b|float\b|decimal\b", re.IGNORECASE), "float"),
    (re.compile(r"date and time(?:, ISO 8601)?|datetime\b", re.IGNORECASE), "datetime"),
    (re.compile(r"date\b(?:, YYYY-MM-DD)?", re.IGNORECASE), "date"),
    (re.compile(r"any JSON value|any\b", re.IGNORECASE), "any"),
    (re.compile(r"text\b|str(?:ing)?\b|image\b", re.IGNORECASE), "text"),
)
_LIST = re.compile(r"(?:JSON )?(?:list|array) of\s+|list\[", re.IGNORECASE)
_DICT = re.compile(r"JSON object, each value\s+|dict\[\s*\w+\s*,\s*", re.IGNORECASE)
_RECORD = re.compile(r"(?:(\w+) as )?(?:a )?JSON object\s*", re.IGNORECASE)
_ONE_OF = re.compile(r"(?:exactly )?one of:?\s*|literal\[", re.IGNORECASE)
_OR_NULL = re.compile(r"\)?\s*(?:,?\s*or (?:null|none)\b|\?|\|\s*none\b)", re.IGNORECASE)
_NULL = re.compile(r",? or null")
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:\s*[,|]\s*-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)*")
_TUPLE = re.compile(r"JSON list of exactly \d+ values: ", re.IGNORECASE)
_RECORDS = re.compile(r'as its ("(?:[^"\\]|\\.)*") says, ', re.IGNORECASE)
_KEY = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*:\s*')


def read_shape(words: str) -> Shape:
    """The shape that a type's description names."""
    return _Reader(words[:MAX_WORDS]).shape(0)


class _Reader:
    """A cursor over one description; records spelled out once are known by name afterwards."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.at = 0
        self.records: dict[str, Shape] = {}

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.words, self.at)
        if match:
            self.at = match.end()
        return match

    def shape(self, depth: int) -> Shape:
        while self.at < len(self.words) and self.words[self.at] in " \t(":
            self.at += 1
        shape = self.plain(depth)
        while self.take(_OR_NULL):
            if shape.kind != "optional":
                shape = Shape("optional", item=shape)
        return shape

    def plain(self, depth: int) -> Shape:
        if depth > MAX_DEPTH:
            return TEXT
        if self.take(_TUPLE):
            return Shape("tuple", fields=tuple(self.bracketed(", (", depth)))
        if match := self.take(_RECORDS):
            return Shape("records", fields=tuple(self.bracketed(" or (", depth)), tag=_unquoted(match[1]))
        for opening, kind in ((_LIST, "list"), (_DICT, "dict")):
            if opened := self.take(opening):
                # In "list of text, or null" the list may be null, in "list of (text, or null)" its items.
                if "[" in opened[0]:
                    item = self.shape(depth + 1)
                    self.close("]")
                elif self.words.startswith("(", self.at):
                    self.at += 1
                    item = self.plain(depth + 1)
                    item = Shape("optional", item=item) if self.take(_NULL) else item
                    self.close(")")
                else:
                    item = self.plain(depth + 1)
                return Shape("list" if kind == "list" else "dict", item=item)
        if match := self.take(_RECORD):
            return self.record(match[1] or "", depth)
        asks = self.take(_ONE_OF)
        if asks is not None and (match := self.take(_NUMBERS)):
            return Shape("label", labels=tuple(map(_number, re.split(r"[,|]", match[0]))))
        labels, said = self.labels(bare=asks is not None)
        if labels:
            self.close("]")
            return Shape("label", labels=labels, said=said)
        for pattern, kind in _SCALARS:
            if self.take(pattern):
                return Shape(kind)
        return TEXT

    def close(self, bracket: str) -> None:
        if self.words.startswith(bracket, self.at):
            self.at += 1

    def bracketed(self, between: str, depth: int) -> list[PromptField]:
        """Shapes in brackets, one after the other; each has its place, or its record's name, as a name."""
        found: list[PromptField] = []
        self.close("(")
        while len(found) < MAX_LABELS:
            name = re.match(r"\w*", self.words[self.at :])
            shape = self.plain(depth + 1)
            # Null is an alternative within the brackets here, and behind them one of the whole.
            shape = Shape("optional", item=shape) if self.take(_NULL) else shape
            found.append(PromptField(name[0] if shape.kind == "record" and name else str(len(found)), shape))
            self.close(")")
            if not self.words.startswith(between, self.at):
                break
            self.at += len(between)
        return found

    def labels(self, *, bare: bool) -> tuple[tuple[str, ...], str]:
        """The labels, and what is said of them in brackets behind each."""
        found: dict[str, None] = {}
        said: list[str] = []
        while (match := self.take(_QUOTED)) and len(found) < MAX_LABELS:
            label = _unquoted(match[0])
            found.setdefault(label)
            if note := self.note():
                said.append(f"{label}: {note}")
            if not self.take(_NEXT_LABEL):
                break
        if not found and bare and (match := self.take(_BARE_LABELS)):
            parts = (part.strip().removeprefix("or ") for part in re.split(r"[,|;]", match[0]))
            found = dict.fromkeys(part for part in parts if part)
        return tuple(found), "; ".join(said)

    def record(self, name: str, depth: int) -> Shape:
        if not self.words.startswith("{", self.at):
            return self.records.get(name, Shape("record"))
        self.at += 1
        fields: list[PromptField] = []
        while match := self.take(_KEY):
            shape = self.shape(depth + 1)
            fields.append(PromptField(_unquoted(match[1]), shape, self.note()))
            if not self.words.startswith(",", self.at):
                break
            self.at += 1
        self.close("}")
        shape = Shape("record", fields=tuple(fields))
        self.records[name] = shape
        return shape

    def note(self) -> str:
        """A parenthesised remark after a record's field; brackets inside it must pair up."""
        if not self.words.startswith(" (", self.at):
            return ""
        start = self.at + 2
        level = 1
        for at in range(start, len(self.words)):
            level += {"(": 1, ")": -1}.get(self.words[at], 0)
            if level == 0:
                self.at = at + 1
                return self.words[start:at]
        return ""


def _number(text: str) -> int | float:
    text = text.strip()
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _unquoted(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted[1:-1]

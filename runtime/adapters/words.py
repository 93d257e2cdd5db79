"""Types as a prompt shows them: short, because tokens cost money.

A record's fields are spelled out at its first mention and named afterwards, so a prompt is linear in
the size of the records table whatever refers to what.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..schema.program import Record
from ..schema.types import (
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Scalar,
    TupleOf,
    Type,
)

_SCALARS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "date": "date, YYYY-MM-DD",
    "datetime": "date and time, ISO 8601",
    "any": "any JSON value",
    "image": "image",
    "audio": "audio",
    "file": "file",
    "history": "earlier turns",
}

_SEVERAL = {"image": "images", "audio": "recordings", "file": "files"}
"""Lists of what is no JSON."""


def in_words(kind: Type, records: Mapping[str, Record], seen: set[str]) -> str:
    """The type in words; `seen` holds the records already spelled out and is added to."""
    match kind:
        case Scalar(name=name):
            return _SCALARS[name]
        case OneOf(noted=noted):
            return "one of " + ", ".join(_noted(quoted(value), note) for value, note in noted)
        case OneOfNumbers(values=numbers):
            return "one of " + ", ".join(map(str, numbers))
        case OptionalOf(item=item):
            return f"{in_words(item, records, seen)}, or null"
        case ListOf(item=Scalar(name="image" | "audio" | "file" as medium)):
            return _SEVERAL[medium]
        case ListOf(item=item):
            return f"JSON list of {_part(item, records, seen)}"
        case TupleOf(items=items):
            parts = ", ".join(f"({in_words(item, records, seen)})" for item in items)
            return f"JSON list of exactly {len(items)} values: {parts}"
        case OneOfRecords(tag=tag, records=names):
            parts = " or ".join(f"({in_words(RecordRef(name=name), records, seen)})" for name in names)
            return f"as its {quoted(tag)} says, {parts}"
        case DictOf(value=value):
            return f"JSON object, each value {_part(value, records, seen)}"
        case RecordRef(name=name):
            return f"{name} as a JSON object" if name in seen else _spelled(name, records, seen)


def _part(kind: Type, records: Mapping[str, Record], seen: set[str]) -> str:
    """What a list or a dict holds. It is in brackets where it may be null, since the list itself may not."""
    words = in_words(kind, records, seen)
    return f"({words})" if isinstance(kind, OptionalOf) else words


def _spelled(name: str, records: Mapping[str, Record], seen: set[str]) -> str:
    seen.add(name)
    record = records.get(name)
    if record is None:
        return f"{name} as a JSON object"
    parts: list[str] = []
    for field in record.fields:
        part = f"{quoted(field.name)}: {in_words(field.type, records, seen)}"
        parts.append(_noted(part, field.description))
    return f"{name} as a JSON object {{{', '.join(parts)}}}"


def _noted(text: str, note: str) -> str:
    note = " ".join(note.split())
    return f"{text} ({note})" if note else text


def in_plain_words(kind: Type, records: Mapping[str, Record], seen: set[str]) -> str:
    """The type as people say it, where no layout is asked for; `seen` as for `in_words`."""
    match kind:
        case Scalar(name="any"):
            return "anything"
        case OptionalOf(item=item):
            return f"{_bracketed(item, records, seen)}, or nothing"
        case ListOf(item=Scalar(name="image" | "audio" | "file")):
            return in_words(kind, records, seen)
        case ListOf(item=item):
            return f"list of {_bracketed(item, records, seen)}"
        case TupleOf(items=items):
            return f"{len(items)} values: {', '.join(f'({in_plain_words(item, records, seen)})' for item in items)}"
        case OneOfRecords(tag=tag, records=names):
            several = [f"({in_plain_words(RecordRef(name=name), records, seen)})" for name in names]
            return f"as its {tag} says, {' or '.join(several)}"
        case DictOf(value=value):
            return f"names, each with {_bracketed(value, records, seen)}"
        case RecordRef(name=name) if name in records and name not in seen:
            seen.add(name)
            parts: list[str] = []
            for field in records[name].fields:
                optional = isinstance(field.type, OptionalOf)
                words = (in_plain_words if optional else _bracketed)(field.type, records, seen)
                parts.append(_noted(f"{field.name}: {words}", field.description))
            return f"{name} with {'; '.join(parts)}"
        case RecordRef(name=name):
            return name
        case _:
            return in_words(kind, records, seen)


def _bracketed(kind: Type, records: Mapping[str, Record], seen: set[str]) -> str:
    words = in_plain_words(kind, records, seen)
    return f"({words})" if isinstance(kind, OptionalOf | RecordRef) and " " in words else words


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

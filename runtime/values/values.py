"""Values against types: checking JSON values, and reading cells of tables.

Values are plain JSON whatever their type: a date is its ISO text, a record is an object. What a model
wrote is read in `reading`, which is lenient; nothing here is, apart from the two conversions that JSON
forces (`3.0` is a whole number, `3` is a number). Every ValueError says what was expected and what was
given, and where inside a nested value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime

from ..schema.program import Record
from ..schema.types import (
    DictOf,
    JsonValue,
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
from .media import KIND_WORDS, KINDS, known
from .repair import strict_json

MAX_DEPTH = 100
MAX_TURNS = 1_000
"""Of a history."""
_MAX_DIGITS = 300

_EXPECTED = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "date": "a date as YYYY-MM-DD",
    "datetime": "a date and time in ISO 8601",
    "any": "a JSON value",
    "history": "a list of turns, each an object with what was given and answered",
}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def coerce(value: JsonValue, kind: Type, records: Mapping[str, Record]) -> JsonValue:
    """The value as the type has it. Raises ValueError: what was expected, what was given, and where."""
    if type(value) is str and type(kind) is Scalar and kind.name == "str":
        return characters(value)  # what most values are
    return _coerce(value, kind, records, "", 0)


def from_text(text: str, kind: Type, records: Mapping[str, Record]) -> JsonValue:
    """A table's cell as the type has it; an empty cell is None where the type allows None.

    Lists, tuples, dicts and records are JSON in their cell. Raises ValueError as `coerce` does.
    """
    match kind:
        case Scalar(name="str" | "any" | "image" | "audio" | "file"):
            return coerce(text, kind, records)
        case Scalar(name="bool"):
            found = _BOOLEANS.get(text.strip().lower())
            if found is None:
                raise ValueError(mismatch(kind, text))
            return found
        case Scalar(name="int" | "float"):
            return _plain_number(text, kind)
        case OneOfNumbers():
            return coerce(_plain_number(text, kind), kind, records)
        case Scalar(name="date" | "datetime") | OneOf():
            return coerce(text.strip(), kind, records)
        case OptionalOf(item=item):
            return None if not text.strip() else from_text(text, item, records)
        case ListOf() | DictOf() | TupleOf() | RecordRef() | OneOfRecords() | Scalar():
            try:
                value = strict_json(text)
            except ValueError:
                raise ValueError(mismatch(kind, text)) from None
            return coerce(value, kind, records)


def _plain_number(text: str, kind: Scalar | OneOfNumbers) -> JsonValue:
    stripped = text.strip()
    if len(stripped) > _MAX_DIGITS or not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", stripped):
        raise ValueError(mismatch(kind, text))
    whole = kind.whole if isinstance(kind, OneOfNumbers) else kind.name == "int"
    if whole and re.fullmatch(r"[+-]?\d+", stripped):
        return int(stripped)
    number = float(stripped)
    return number if isinstance(kind, OneOfNumbers) else _scalar(number, kind)


def _coerce(value: JsonValue, kind: Type, records: Mapping[str, Record], where: str, depth: int) -> JsonValue:
    if depth > MAX_DEPTH:
        raise ValueError(at(where, f"nested deeper than {MAX_DEPTH} levels"))
    match kind:
        case Scalar():
            try:
                return _scalar(value, kind)
            except ValueError as error:
                raise ValueError(at(where, str(error))) from None
        case OptionalOf(item=item):
            return None if value is None else _coerce(value, item, records, where, depth + 1)
        case OneOf(values=values):
            if isinstance(value, str) and value in values:
                return value
        case OneOfNumbers(values=numbers):
            if isinstance(value, int | float) and not isinstance(value, bool) and value in numbers:
                return numbers[numbers.index(value)]
        case TupleOf(items=items):
            if isinstance(value, list) and len(value) == len(items):
                return [
                    _coerce(element, item, records, f"{where}[{index}]", depth + 1)
                    for index, (element, item) in enumerate(zip(value, items, strict=True))
                ]
        case ListOf(item=item):
            if isinstance(value, list):
                return [
                    _coerce(element, item, records, f"{where}[{index}]", depth + 1)
                    for index, element in enumerate(value)
                ]
        case DictOf(key=key, value=item):
            if isinstance(value, dict):
                return {
                    _key(name, key, records, where): _coerce(
                        element, item, records, inside(where, name), depth + 1
                    )
                    for name, element in value.items()
                }
        case RecordRef(name=name):
            if isinstance(value, dict):
                return _record(value, name, records, where, depth)
        case OneOfRecords(tag=tag):
            if isinstance(value, dict):
                name = meant_record(value.get(tag), kind, records, where, given=tag in value)
                return _record(value, name, records, where, depth)
    raise ValueError(at(where, mismatch(kind, value)))


def _record(
    value: dict[str, JsonValue], name: str, records: Mapping[str, Record], where: str, depth: int
) -> JsonValue:
    record = records.get(name)
    if record is None:
        raise ValueError(at(where, f"there is no record {name}"))
    known = {field.name for field in record.fields}
    for key in value:
        if key not in known:
            raise ValueError(at(where, f"{name} has no field {short(key)}"))
    out: dict[str, JsonValue] = {}
    for field in record.fields:
        if field.name in value:
            out[field.name] = _coerce(
                value[field.name], field.type, records, inside(where, field.name), depth + 1
            )
        elif field.has_default:
            out[field.name] = field.default
        elif isinstance(field.type, OptionalOf):
            out[field.name] = None
        else:
            raise ValueError(at(where, f"{name} lacks the field {field.name}"))
    return out


def meant_record(
    said: JsonValue, kind: OneOfRecords, records: Mapping[str, Record], where: str, *, given: bool
) -> str:
    """The record of a union whose literals have what a value says of itself. Raises ValueError where none has."""
    if not given:
        raise ValueError(at(where, f"lacks the field {kind.tag}, which says what it is"))
    tags: list[str] = []
    for name in kind.records:
        own = tags_of(name, kind.tag, records)
        if said in own:
            return name
        tags += own
    raise ValueError(at(inside(where, kind.tag), mismatch(OneOf(values=tuple(tags)), said)))


def tags_of(name: str, tag: str, records: Mapping[str, Record]) -> tuple[str, ...]:
    """The literals of a record's field; none where it has no such field."""
    record = records.get(name)
    kinds = () if record is None else (field.type for field in record.fields if field.name == tag)
    return next((kind.values for kind in kinds if isinstance(kind, OneOf)), ())


def _key(name: str, kind: Type, records: Mapping[str, Record], where: str) -> str:
    try:
        from_text(name, kind, records)
    except ValueError as error:
        raise ValueError(at(where, f"key {short(name)}: {error}")) from None
    return characters(name)


def _scalar(value: JsonValue, kind: Scalar) -> JsonValue:
    name = kind.name
    match value:
        case bool():
            if name == "bool" or name == "any":
                return value
        case int():
            if name == "int" or name == "any":
                return value
            if name == "float" and abs(value) < 10**_MAX_DIGITS:
                return float(value)
        case float():
            if math.isfinite(value):
                if name == "int" and value.is_integer():
                    return int(value)
                if name == "float" or name == "any":
                    return value
        case str():
            if name in KINDS and known(value, name):
                return value
            if name == "str" or name == "any":
                return characters(value)
            if name == "date" or name == "datetime":
                return _moment(value, name)
        case _:
            if name == "any":
                return _any(value, 0)
            if name == "history":
                return _history(value)
    raise ValueError(mismatch(kind, value))


def _history(value: JsonValue) -> JsonValue:
    """Turns as objects of JSON values; whose fields they are, a signature says."""
    if not isinstance(value, list):
        raise ValueError(mismatch(Scalar(name="history"), value))
    if len(value) > MAX_TURNS:
        raise ValueError(f"expected at most {MAX_TURNS} turns, got {len(value)}")
    for place, turn in enumerate(value, 1):
        if not isinstance(turn, dict) or not turn:
            raise ValueError(f"turn {place}: expected an object of fields, got {short(turn)}")
    return _any(value, 0)


def characters(text: str) -> str:
    """The text with `\ufffd` for each half of a surrogate pair, which is no character: no file and no request can hold
    one, but JSON of models and tools may spell one."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _moment(text: str, name: str) -> str:
    """ISO text in its one spelling."""
    try:
        if name == "date":
            return date.fromisoformat(text).isoformat()
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(mismatch(Scalar(name="date" if name == "date" else "datetime"), text)) from None


def _any(value: JsonValue, depth: int) -> JsonValue:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(mismatch(Scalar(name="float"), value))
    if isinstance(value, str):
        return characters(value)
    if isinstance(value, list):
        return [_any(element, depth + 1) for element in value]
    if isinstance(value, dict):
        return {characters(name): _any(element, depth + 1) for name, element in value.items()}
    return value


def expected(kind: Type) -> str:
    """The type as a message names it: `a whole number`, `one of "a", "b"`."""
    match kind:
        case Scalar(name=name):
            return KIND_WORDS[name] if name in KINDS else _EXPECTED[name]
        case OptionalOf(item=item):
            return f"{expected(item)}, or null"
        case OneOf(values=values):
            return _choice([short(value) for value in values[:8]], len(values))
        case OneOfNumbers(values=numbers):
            return _choice([str(number) for number in numbers[:8]], len(numbers))
        case ListOf():
            return "a JSON list"
        case TupleOf(items=items):
            return f"a JSON list of {len(items)} values"
        case DictOf():
            return "a JSON object"
        case RecordRef(name=name):
            return f"a JSON object for {name}"
        case OneOfRecords(records=names):
            return f"a JSON object for {' or '.join(names[:8])}"


def _choice(shown: list[str], number: int) -> str:
    return f"one of {', '.join(shown)}" + (f", … ({number} in all)" if number > len(shown) else "")


def mismatch(kind: Type, value: JsonValue) -> str:
    return f"expected {expected(kind)}, got {short(value)}"


def short(value: JsonValue) -> str:
    """The value as JSON for a message, cut at 80 characters."""
    if isinstance(value, str):
        value = value[:100]
    elif isinstance(value, list | dict) and len(value) > 20:
        return f"a list of {len(value)}" if isinstance(value, list) else f"an object of {len(value)} members"
    elif isinstance(value, int) and abs(value) >= 10**80:
        return "a very large number"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


def shown(value: JsonValue) -> str:
    """A value as text in a prompt or message: text as it is, everything else as JSON on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def at(where: str, message: str) -> str:
    return f"{where.removeprefix('.')}: {message}" if where else message


def inside(where: str, name: str) -> str:
    return f"{where}.{name[:60]}"

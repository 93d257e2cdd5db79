"""JSON Schema of a signature's outputs, in the subset that strict decoding takes.

That subset wants every property required and no open objects, so a signature with `any`, `dict` or
a record that contains itself has no such schema. Nor has a tuple of several types: the subset knows lists of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..schema.program import FieldSpec, Record
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
from ..values.values import tags_of

_SCALARS: dict[str, str] = {
    "str": "string",
    "date": "string",
    "datetime": "string",
    "image": "string",
    "audio": "string",
    "file": "string",
    "history": "array",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
}
_MAX_PROPERTIES = 200
_MAX_NESTED = 3
"""How many records inside each other are spelled out, in a schema that need not say everything."""


class _Open(Exception):
    """The type has values that a strict schema cannot list."""


def object_schema(fields: Sequence[FieldSpec], records: Mapping[str, Record]) -> dict[str, JsonValue] | None:
    """The schema of one object with these fields, or None where there is none."""
    budget = [_MAX_PROPERTIES]
    try:
        return _object(fields, records, (), budget)
    except _Open:
        return None


def _object(
    fields: Sequence[FieldSpec], records: Mapping[str, Record], inside: tuple[str, ...], budget: list[int]
) -> dict[str, JsonValue]:
    budget[0] -= len(fields)
    if budget[0] < 0:
        raise _Open
    properties: dict[str, JsonValue] = {}
    for field in fields:
        properties[field.name] = _described(_schema(field.type, records, inside, budget), field.description)
    return {
        "type": "object",
        "properties": properties,
        "required": [field.name for field in fields],
        "additionalProperties": False,
    }


def _described(schema: dict[str, JsonValue], text: str) -> dict[str, JsonValue]:
    """The schema with a description, before what it says already of its labels."""
    if text:
        own = schema.get("description")
        schema["description"] = f"{text}\n{own}" if own else text
    return schema


def _labels(kind: OneOf) -> dict[str, JsonValue]:
    said = "\n".join(f"{value}: {' '.join(note.split())}" for value, note in kind.noted if note)
    return _described({"type": "string", "enum": [*kind.values]}, said)


def _numbers(kind: OneOfNumbers) -> dict[str, JsonValue]:
    return {"type": "integer" if kind.whole else "number", "enum": [*kind.values]}


def _tagged(schema: dict[str, JsonValue], name: str, tag: str, records: Mapping[str, Record]) -> JsonValue:
    """The schema of one record of a union, in which a tag of one literal is that constant."""
    own, properties = tags_of(name, tag, records), schema.get("properties")
    if len(own) != 1 or not isinstance(properties, dict):
        return schema
    told: JsonValue = {"type": "string", "const": own[0]}
    return {**schema, "properties": {**properties, tag: told}}


def _schema(
    kind: Type, records: Mapping[str, Record], inside: tuple[str, ...], budget: list[int]
) -> dict[str, JsonValue]:
    match kind:
        case Scalar(name="any") | DictOf():
            raise _Open
        case Scalar(name=name):
            return {"type": _SCALARS[name]}
        case OneOf():
            return _labels(kind)
        case OneOfNumbers():
            return _numbers(kind)
        case TupleOf(items=items):
            first, *others = (_schema(item, records, inside, budget) for item in items)
            if any(other != first for other in others):
                raise _Open
            return {"type": "array", "items": first, "minItems": len(items), "maxItems": len(items)}
        case OneOfRecords(tag=tag, records=names):
            parts = ((name, _schema(RecordRef(name=name), records, inside, budget)) for name in names)
            return {"anyOf": [_tagged(part, name, tag, records) for name, part in parts]}
        case OptionalOf(item=item):
            return {"anyOf": [_schema(item, records, inside, budget), {"type": "null"}]}
        case ListOf(item=item):
            return {"type": "array", "items": _schema(item, records, inside, budget)}
        case RecordRef(name=name):
            record = records.get(name)
            if record is None or name in inside:
                raise _Open
            return _object(record.fields, records, (*inside, name), budget)


def arguments_schema(fields: Sequence[FieldSpec], records: Mapping[str, Record]) -> dict[str, JsonValue]:
    """The schema of a tool's arguments, for models that call it by themselves. It is not a strict one, so every type
    has one, and arguments that may be left out are not required."""
    properties: dict[str, JsonValue] = {}
    for field in fields:
        properties[field.name] = _described(_loose(field.type, records, ()), field.description)
    optional = {one.name for one in fields if one.has_default or isinstance(one.type, OptionalOf)}
    required: list[JsonValue] = [field.name for field in fields if field.name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _loose(kind: Type, records: Mapping[str, Record], inside: tuple[str, ...]) -> dict[str, JsonValue]:
    match kind:
        case Scalar(name="any"):
            return {}
        case Scalar(name=name):
            return {"type": _SCALARS[name]}
        case OneOf():
            return _labels(kind)
        case OneOfNumbers():
            return _numbers(kind)
        case TupleOf(items=items):
            each: list[JsonValue] = [_loose(item, records, inside) for item in items]
            return {"type": "array", "prefixItems": each, "minItems": len(items), "maxItems": len(items)}
        case OneOfRecords(tag=tag, records=names):
            parts = ((name, _loose(RecordRef(name=name), records, inside)) for name in names)
            return {"anyOf": [_tagged(part, name, tag, records) for name, part in parts]}
        case OptionalOf(item=item):
            return {"anyOf": [_loose(item, records, inside), {"type": "null"}]}
        case ListOf(item=item):
            return {"type": "array", "items": _loose(item, records, inside)}
        case DictOf(value=value):
            return {"type": "object", "additionalProperties": _loose(value, records, inside)}
        case RecordRef(name=name):
            record = records.get(name)
            if record is None or len(inside) > _MAX_NESTED or name in inside:
                return {"type": "object"}
            properties: dict[str, JsonValue] = {
                one.name: _loose(one.type, records, (*inside, name)) for one in record.fields
            }
            required: list[JsonValue] = [*properties]
            return {"type": "object", "properties": properties, "required": required}

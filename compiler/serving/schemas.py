"""JSON Schema of what programs take and give, as `runtime.values` checks it, for whoever calls them over a wire.

Other than `runtime.adapters.schema`, which tells models what to write, this says all that is taken and nothing else: records by
reference, so that one may hold itself, and no further members.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from dspec.runtime.adapters.turns import shown, turn_signatures
from dspec.runtime.schema.ensemble import Ensemble, Runnable, programs
from dspec.runtime.schema.program import FieldSpec, Record, Signature
from dspec.runtime.schema.types import (
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
from dspec.runtime.values.values import MAX_TURNS

JsonSchema = dict[str, JsonValue]

_SCALARS: dict[str, JsonSchema] = {
    "str": {"type": "string"},
    "date": {"type": "string", "format": "date", "description": "A date, YYYY-MM-DD."},
    "datetime": {"type": "string", "format": "date-time", "description": "Date and time, ISO 8601."},
    "image": {"type": "string", "description": "An image: its URL, or a data: URL."},
    "audio": {"type": "string", "description": "Audio: its URL, or a data: URL."},
    "file": {"type": "string", "description": "A file: its URL, or a data: URL."},
    "history": {
        "type": "array",
        "description": "Earlier turns, each an object of what was given and answered.",
        "maxItems": MAX_TURNS,
        "items": {"type": "object", "minProperties": 1},
    },
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "any": {},
}


class SchemaWriter:
    """Writes schemas for one program whose records are defined under `prefix`, such as `#/$defs/`."""

    def __init__(self, records: Mapping[str, Record], prefix: str, named: str = "") -> None:
        self._records = records
        self._prefix = prefix
        self._names: dict[str, str] = {}
        for record in records:
            name = made = named + re.sub(r"[^A-Za-z0-9._-]", "_", record)
            number = 1
            while name in self._names.values():
                number += 1
                name = f"{made}_{number}"
            self._names[record] = name
        self.definitions: dict[str, JsonValue] = {}
        """Of the records that were written about, by name."""

    def members(self, fields: Sequence[FieldSpec], *, given: bool) -> JsonSchema:
        """An object with these fields. What is `given` may lack those that have a default; what a program gives has all."""
        properties: dict[str, JsonValue] = {}
        for field in fields:
            schema = self.of(field.type)
            if field.description:
                schema = _described(schema, field.description)
            if given and field.has_default:
                schema["default"] = field.default
            properties[field.name] = schema
        required: list[JsonValue] = [
            field.name
            for field in fields
            if not given or not (field.has_default or isinstance(field.type, OptionalOf))
        ]
        whole: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**whole, "required": required} if required else whole

    def inputs(self, program: Runnable) -> JsonSchema:
        """An object with the program's inputs. Turns of a history have the fields of the modules that are handed it."""
        whole = self.members(program.inputs, given=True)
        properties = cast("dict[str, JsonSchema]", whole["properties"])
        for name, signatures in turn_signatures(programs(program)).items():
            turns = [self._turn(one) for one in signatures]
            history = properties[name]
            if isinstance(either := history.get("anyOf"), list):  # it may be null
                history = cast("JsonSchema", either[0])
            history["items"] = turns[0] if len(turns) == 1 else {"allOf": [*turns]}
        return whole

    def _turn(self, signature: Signature) -> JsonSchema:
        """A turn says something of what was given, and something of what was answered."""
        inputs, outputs = shown(signature), signature.outputs
        properties: dict[str, JsonValue] = {
            field.name: _described(self.of(field.type), field.description) for field in (*outputs, *inputs)
        }
        either: list[JsonValue] = [
            {"anyOf": [{"required": [field.name]} for field in part]} if part else {"not": {}}
            for part in (inputs, outputs)
        ]
        return {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "allOf": cast("JsonValue", either),
        }

    def of(self, kind: Type) -> JsonSchema:
        match kind:
            case Scalar(name=name):
                return dict(_SCALARS[name])
            case OneOf():
                said = "\n".join(f"{value}: {' '.join(note.split())}" for value, note in kind.noted if note)
                return _described({"type": "string", "enum": [*kind.values]}, said)
            case OneOfNumbers():
                return {"type": "integer" if kind.whole else "number", "enum": [*kind.values]}
            case OptionalOf(item=item):
                inner = self.of(item)
                return {"anyOf": [inner, {"type": "null"}]} if inner else {}
            case ListOf(item=item):
                return {"type": "array", "items": self.of(item)}
            case TupleOf(items=items):
                each: list[JsonValue] = [self.of(item) for item in items]
                size = len(items)
                return {
                    "type": "array",
                    "prefixItems": each,
                    "items": False,
                    "minItems": size,
                    "maxItems": size,
                }
            case DictOf(key=key, value=value):
                whole: JsonSchema = {"type": "object", "additionalProperties": self.of(value)}
                return {**whole, "propertyNames": names} if (names := self._keys(key)) else whole
            case RecordRef(name=name):
                return self._reference(name)
            case OneOfRecords(records=names):
                return {"anyOf": [self._reference(name) for name in names]}

    def _reference(self, name: str) -> JsonSchema:
        record, key = self._records.get(name), self._names.get(name, name)
        if record is not None and key not in self.definitions:
            self.definitions[key] = {}  # one that holds itself ends here
            self.definitions[key] = _described(self.members(record.fields, given=True), record.description)
        return {"$ref": f"{self._prefix}{key}"}

    def _keys(self, kind: Type) -> JsonSchema:
        """What the names of a dict's members must be: JSON has them as text, whatever their type."""
        match kind:
            case OneOf(values=values):
                return {"enum": [*values]}
            case OneOfNumbers(values=numbers):
                return {"enum": [str(number) for number in numbers]}
            case Scalar(name="int"):
                return {"pattern": "^[+-]?[0-9]{1,300}$"}
            case _:
                return {}


def _described(schema: JsonSchema, text: str) -> JsonSchema:
    if not text:
        return schema
    own = schema.get("description")
    return {**schema, "description": f"{text}\n{own}" if own else text}


def standing_alone(program: Runnable, *, given: bool) -> JsonSchema:
    """The schema of the program's inputs, which are `given`, or of its outputs, with all that it refers to inside."""
    writer = SchemaWriter(program.records, "#/$defs/")
    schema = writer.inputs(program) if given else writer.members(program.outputs, given=False)
    return {**schema, "$defs": writer.definitions} if writer.definitions else schema


def told_of(program: Runnable) -> str:
    """What a program is for, in its own words: the instruction of the only predictor, or of each."""
    of = program.members[0] if isinstance(program, Ensemble) else program
    texts: Iterable[str] = (predictor.signature.instruction.strip() for predictor in of.predictors.values())
    return "\n\n".join(dict.fromkeys(text for text in texts if text))

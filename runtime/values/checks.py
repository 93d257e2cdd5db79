"""Checks on values: which `assert` and `suggest` do not hold, and what to tell the model.

A check that cannot be computed on the values at hand does not hold either: it was written for values
of another kind than the model gave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from ..errors import EvaluationError
from ..schema.program import Check, FieldSpec, Record
from ..schema.types import DictOf, JsonValue, ListOf, OneOfRecords, OptionalOf, RecordRef, Row, TupleOf, Type
from .interpret import evaluate
from .values import at, inside, shown, tags_of

_MAX_FAILURES = 20


class Failure(Struct, frozen=True):
    """A check that does not hold; `message` says where in a nested value."""

    kind: Literal["assert", "suggest"]
    message: str


def failures(checks: Iterable[Check], scope: Mapping[str, JsonValue], where: str = "") -> list[Failure]:
    """The checks that do not hold in a scope, in their order."""
    found: list[Failure] = []
    for check in checks:
        try:
            if evaluate(check.condition, scope) is True:
                continue
            message = shown(evaluate(check.message, scope))
        except EvaluationError as error:
            message = f"cannot be checked: {error.message}"
        found.append(Failure(check.kind, at(where, message)))
    return found


def record_failures(fields: Sequence[FieldSpec], row: Row, records: Mapping[str, Record]) -> list[Failure]:
    """The records' own checks that do not hold somewhere inside a row, the first few of them."""
    found: list[Failure] = []
    if any(record.checks for record in records.values()):
        for field in fields:
            if field.name in row:
                _visit(row[field.name], field.type, records, field.name, found)
    return found[:_MAX_FAILURES]


def _visit(
    value: JsonValue, kind: Type, records: Mapping[str, Record], where: str, found: list[Failure]
) -> None:
    if len(found) >= _MAX_FAILURES:
        return
    match kind:
        case OptionalOf(item=item):
            _visit(value, item, records, where, found)
        case ListOf(item=item) if isinstance(value, list):
            for index, element in enumerate(value):
                _visit(element, item, records, f"{where}[{index}]", found)
        case TupleOf(items=items) if isinstance(value, list):
            for index, (element, item) in enumerate(zip(value, items, strict=False)):
                _visit(element, item, records, f"{where}[{index}]", found)
        case OneOfRecords(tag=tag, records=names) if isinstance(value, dict):
            name = next((name for name in names if value.get(tag) in tags_of(name, tag, records)), "")
            _visit(value, RecordRef(name=name), records, where, found)
        case DictOf(value=item) if isinstance(value, dict):
            for name, element in value.items():
                _visit(element, item, records, inside(where, name), found)
        case RecordRef(name=name) if isinstance(value, dict) and name in records:
            record = records[name]
            for field in record.fields:
                _visit(value.get(field.name), field.type, records, inside(where, field.name), found)
            found.extend(failures(record.checks, value, where))
        case _:
            pass

"""Fits values to the fields that are to hold them: what was computed, and what an application gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import EvaluationError, InputError
from ..schema.ensemble import Runnable
from ..schema.program import FieldSpec, Record
from ..schema.types import JsonValue, OptionalOf, Row, spell
from ..values.checks import record_failures
from ..values.values import coerce


def fitting(
    fields: Sequence[FieldSpec], row: Mapping[str, JsonValue], records: Mapping[str, Record], who: str
) -> Row:
    """Computed values as the fields have them. Raises EvaluationError."""
    out: Row = {}
    for spec in fields:
        try:
            out[spec.name] = given(spec, row, records)
        except LookupError:
            raise EvaluationError(f"{who}: `{spec.name}` has no value") from None
        except ValueError as error:
            raise EvaluationError(f"{who}: `{spec.name}`: {error}") from None
    return out


def given(spec: FieldSpec, row: Mapping[str, JsonValue], records: Mapping[str, Record]) -> JsonValue:
    """The field's value in a row. Raises KeyError when it is missing, ValueError when it does not fit."""
    if spec.name in row:
        return coerce(row[spec.name], spec.type, records)
    if spec.has_default:
        return spec.default
    if isinstance(spec.type, OptionalOf):
        return None
    raise KeyError(spec.name)


def _takes(program: Runnable) -> str:
    return f"`{program.name}` takes {', '.join(_listed(spec) for spec in program.inputs) or 'no inputs'}"


def check_inputs(program: Runnable, inputs: Row) -> Row:
    """Every input, checked and with defaults filled in. Raises InputError."""
    known = [spec.name for spec in program.inputs]
    for name in inputs:
        if name not in known:
            raise InputError(f"there is no input `{name}`: {_takes(program)}")
    row: Row = {}
    for spec in program.inputs:
        try:
            row[spec.name] = given(spec, inputs, program.records)
        except LookupError:
            raise InputError(f"the input `{spec.name}` is missing: {_takes(program)}") from None
        except ValueError as error:
            raise InputError(f"the input `{spec.name}` does not fit: {error}") from None
    for failure in record_failures(program.inputs, row, program.records):
        if failure.kind == "assert":
            raise InputError(f"the inputs do not hold: {failure.message}")
    return row


def _listed(spec: FieldSpec) -> str:
    return f"{spec.name}: {spell(spec.type)}" + (" (optional)" if _optional(spec) else "")


def _optional(spec: FieldSpec) -> bool:
    return spec.has_default or isinstance(spec.type, OptionalOf)

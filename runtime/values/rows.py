"""Fits computed values to the fields that are to hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import EvaluationError
from ..schema.program import FieldSpec, Record
from ..schema.types import JsonValue, OptionalOf, Row
from .values import coerce


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

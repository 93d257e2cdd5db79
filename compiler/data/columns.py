"""From raw cells to declared types.

What an absent cell means, in one place:

| cell | declared type | value |
| --- | --- | --- |
| not there, or an empty csv cell | has a default | the default |
| not there, or an empty csv cell | `T?` | null |
| empty csv cell | `str` | the empty text |
| not there, or an empty csv cell | any other | the row breaks the type |

A text where a list, a tuple, a dict or a record is declared is JSON, whatever the format; keys that a nested record does
not declare are left out, as columns are that the dataset does not declare.

So every row that is read has a value for every declared column. A column that no row has is
reported as missing even when it is optional, because a misspelt name would read as "all null";
only a default lets a whole column be absent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, cast

from dspec.runtime.schema.program import FieldSpec, Record
from dspec.runtime.schema.types import (
    STR,
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Row,
    TupleOf,
    Type,
)
from dspec.runtime.values import values
from dspec.runtime.values.media import MediumKind, is_history, medium_kind
from dspec.runtime.values.repair import strict_json

from .media import MediaFiles
from .problem import quoted
from .rows import Cells, only_texts
from .tables import RawRow


class BrokenCell(NamedTuple):
    """`given` is the value's text, cut; `shown` how a message quotes it."""

    column: str
    given: str
    shown: str
    reason: str


def typed_row(
    raw: RawRow,
    specs: Collection[FieldSpec],
    records: Mapping[str, Record],
    media: MediaFiles,
    turns: Mapping[str, Mapping[str, Type]],
    *,
    text: bool,
) -> tuple[Row, list[BrokenCell]]:
    """One row's declared columns as typed values, and the cells that break their type. `turns` are the fields of a history's
    turns that are media."""
    row: Row = {}
    broken: list[BrokenCell] = []
    for spec in specs:
        try:
            value = _cell(raw.values, spec, records, media, text=text)
            row[spec.name] = media.in_turns(value, turns[spec.name]) if spec.name in turns else value
        except ValueError as error:
            given = raw.values.get(spec.name)
            shown = quoted(given) if spec.name in raw.values else "no value"
            broken.append(
                BrokenCell(spec.name, given[:80] if isinstance(given, str) else "", shown, str(error))
            )
    return row, broken


_MOST_KNOWN = 10_000
"""Texts of a column whose values are remembered."""


class KnownCells(dict[str, JsonValue]):
    """What texts of a column are as its type has them. Raises ValueError for one that is nothing of that type."""

    def __init__(
        self, spec: FieldSpec, records: Mapping[str, Record], media: MediaFiles, *, text: bool
    ) -> None:
        self.text = text
        self._spec, self._records, self._media = spec, records, media

    def __missing__(self, cell: str) -> JsonValue:
        value = self.typed(cell)
        if len(self) < _MOST_KNOWN:
            self[cell] = value
        return value

    def typed(self, cell: JsonValue) -> JsonValue:
        return _cell({self._spec.name: cell}, self._spec, self._records, self._media, text=self.text)


def is_by_column(spec: FieldSpec, turns: Mapping[str, Mapping[str, Type]]) -> bool:
    """Whether values of this column follow from its cells alone: those of media are looked up."""
    return medium_kind(spec.type) is None and not is_history(spec.type) and spec.name not in turns


def typed_column(
    cells: Sequence[JsonValue] | None, count: int, spec: FieldSpec, known: KnownCells
) -> Cells | None:
    """The values of `count` rows as `typed_row` has them; None where one of them breaks the type. `cells` are None where no
    row has the column."""
    if cells is None:
        if spec.has_default:
            return [spec.default] * count
        return [None] * count if isinstance(spec.type, OptionalOf) else None
    texts = only_texts(cells)
    try:
        if texts and spec.type == STR:
            if known.text and spec.has_default and "" in cells:
                return [cell if cell != "" else spec.default for cell in cells]
            return list(map(values.characters, cast("Sequence[str]", cells)))
        if texts and not _is_nested(spec.type):
            return list(map(known.__getitem__, cast("Sequence[str]", cells)))
        return list(map(known.typed, cells))
    except ValueError:
        return None


def _cell(
    cells: Mapping[str, JsonValue],
    spec: FieldSpec,
    records: Mapping[str, Record],
    media: MediaFiles,
    *,
    text: bool,
) -> JsonValue:
    absent = spec.name not in cells or (text and cells[spec.name] == "")
    if absent and spec.has_default:
        return spec.default
    if absent and isinstance(spec.type, OptionalOf):
        return None
    if spec.name not in cells:
        raise ValueError("the row has no value")
    value = cells[spec.name]
    if (kind := medium_kind(spec.type)) is not None and value not in ("", None):
        return _media(value, spec.type, kind, media)
    nested_text = isinstance(value, str) and _is_nested(spec.type)
    if not text and not nested_text:
        return values.coerce(_known(value, spec.type, records, 0), spec.type, records)
    assert isinstance(value, str)
    if value == "" and spec.type != STR:
        raise ValueError("the cell is empty")
    if nested_text and value.strip():
        try:
            nested = strict_json(value)
        except ValueError:
            return values.from_text(value, spec.type, records)  # it says what is wrong
        return values.coerce(_known(nested, spec.type, records, 0), spec.type, records)
    return values.from_text(value, spec.type, records)


def _media(value: JsonValue, kind: Type, medium: MediumKind, media: MediaFiles) -> JsonValue:
    """A cell of a medium, or of a list of them, which in a text is JSON."""
    if not _is_nested(kind):
        if not isinstance(value, str):
            raise ValueError(values.mismatch(kind, value))
        return media.value(value, medium)
    if isinstance(value, str):
        try:
            value = strict_json(value)
        except ValueError:
            raise ValueError(values.mismatch(kind, value)) from None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(values.mismatch(kind, value))
    return media.value(value, medium)


def _is_nested(kind: Type) -> bool:
    """Whether a text in a cell of this type is JSON: tables of every format have such columns."""
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    return isinstance(inner, ListOf | DictOf | TupleOf | RecordRef | OneOfRecords) or is_history(inner)


def _known(value: JsonValue, kind: Type, records: Mapping[str, Record], depth: int) -> JsonValue:
    """The value without keys that its records do not declare: they are ignored, as undeclared columns are."""
    if depth > values.MAX_DEPTH:
        return value
    match kind, value:
        case OptionalOf(item=item), _:
            return _known(value, item, records, depth)
        case ListOf(item=item), list():
            return [_known(one, item, records, depth + 1) for one in value]
        case TupleOf(items=items), list() if len(items) == len(value):
            return [_known(one, item, records, depth + 1) for one, item in zip(value, items, strict=True)]
        case OneOfRecords(tag=tag, records=names), dict():
            said = value.get(tag)
            name = next((name for name in names if said in values.tags_of(name, tag, records)), "")
            return _known(value, RecordRef(name=name), records, depth)
        case DictOf(value=item), dict():
            return {name: _known(one, item, records, depth + 1) for name, one in value.items()}
        case RecordRef(name=name), dict() if name in records:
            return {
                field.name: _known(value[field.name], field.type, records, depth + 1)
                for field in records[name].fields
                if field.name in value
            }
        case _:
            return value


def misfit(value: JsonValue, kind: Type, records: Mapping[str, Record]) -> str:
    """Why a value cannot be read as one of another type; empty where it can, and for null, which is no value."""
    if value is None:
        return ""
    try:
        values.from_text(value, kind, records) if isinstance(value, str) else values.coerce(
            value, kind, records
        )
    except ValueError as error:
        return str(error)
    return ""


def literals(kind: Type) -> tuple[str, ...]:
    """The values of a union of literals, optional or not; empty for other types."""
    if isinstance(kind, OptionalOf):
        return literals(kind.item)
    return kind.values if isinstance(kind, OneOf) else ()

"""Looking at a data file without declaring anything: its columns, their types, how many rows.

Bounded: a file of up to `WHOLE_BYTES` is read whole; of a larger one the first rows are read and the
rest is only counted, by line ends outside quotes, at disk speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from dspec.runtime.schema.types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    DictOf,
    Frozen,
    JsonValue,
    ListOf,
    OptionalOf,
    Scalar,
    Type,
)
from dspec.runtime.values import values

from .. import ir
from ..project.caches import FolderCache
from . import cache as caching
from .opening import open_inside
from .problem import quoted
from .reading import open_table
from .snapshots import located
from .sources.base import FileSource
from .sources.table import source_of
from .tables import BrokenRow, Table, count_lines

WHOLE_BYTES = 32 << 20
SAMPLE_BYTES = 4 << 20
SAMPLE_ROWS = 10_000
MAX_CHOICES = 50

_TEXT_TYPES = (INT, FLOAT, BOOL, Scalar(name="date"), Scalar(name="datetime"))
"""What a csv column may turn out to be, most particular first; else it is `str`."""


class Column(Frozen, defer_build=True):
    """What a column seems to hold. `missing` counts rows without a value (or an empty csv cell).

    `samples` are the first distinct values as shown; `choices` all distinct texts of a `str` column
    in order of appearance when there are at most MAX_CHOICES and each appears about twice or more:
    then it is probably a union of literals.
    """

    type: Type
    samples: tuple[str, ...]
    missing: int
    choices: tuple[str, ...] = ()


class Probe(Frozen, defer_build=True):
    """`rows` is the number of rows; `exact` False when only a sample of them was read."""

    columns: dict[str, Column]
    rows: int
    exact: bool
    broken: int = 0
    """Rows that could not be read."""


def probe(
    source: ir.DataSource, folder: Path, *, root: Path | None = None, cache: FolderCache | None = None
) -> Probe:
    """Columns, types and row count of a file. Raises DataError when it cannot be read at all.

    `cache` keeps results, by the file's size and time of change; a broken or unwritable one is the
    same as none.
    """
    key = caching.key(source, folder, root, "probe") if cache else None
    if cache and key and (text := cache.recall(key)):
        try:
            return Probe.model_validate_json(text)
        except ValueError:
            pass
    with open_table(source, folder, root) as table:
        result = _look(table)
    if not result.exact:
        result = result.model_copy(update={"rows": count_rows(source, folder, root)})
    if cache and key:
        cache.remember(key, result.model_dump_json())
    return result


def glance(
    source: ir.DataSource, folder: Path, *, root: Path | None = None, rows: int = SAMPLE_ROWS
) -> Probe:
    """The same of the first `rows` alone, which are all that are counted. Raises DataError when it cannot be read."""
    with open_table(source, folder, root) as table:
        return _look(table, most=rows)


def is_sampled(table: Table) -> bool:
    return table.size > WHOLE_BYTES


def _look(table: Table, *, most: int | None = None) -> Probe:
    """Without a number of rows at `most`, a file that is not too large is read to its end."""
    found: dict[str, _Seen] = {name: _Seen(table.text) for name in table.columns or ()}
    rows = broken = 0
    exact = True
    for raw in table.rows:
        if (most is not None or is_sampled(table)) and (
            rows >= (most or SAMPLE_ROWS) or table.consumed() > SAMPLE_BYTES
        ):
            exact = False
            break
        rows += 1
        if isinstance(raw, BrokenRow):
            broken += 1
            continue
        _see(found, raw.values, table.text)
    return Probe(
        columns={name: seen.column(rows - broken) for name, seen in found.items()},
        rows=rows,
        exact=exact,
        broken=broken,
    )


def _see(found: dict[str, _Seen], cells: Mapping[str, JsonValue], text: bool) -> None:
    for name, value in cells.items():
        if name not in found:
            if len(found) >= 200:
                continue
            found[name] = _Seen(text)
        found[name].add(value)


class _Seen(Struct):
    """What one column has held so far."""

    text: bool
    present: int = 0
    left: list[Scalar] = field(default_factory=lambda: list(_TEXT_TYPES))
    type: Type | None = None
    samples: list[str] = field(default_factory=list[str])
    distinct: dict[str, None] = field(default_factory=dict[str, None])

    def add(self, value: JsonValue) -> None:
        if value is None or (self.text and value == ""):
            return
        self.present += 1
        if len(self.samples) < 3 and (shown := quoted(value)) not in self.samples:
            self.samples.append(shown)
        if isinstance(value, str) and len(self.distinct) <= MAX_CHOICES:
            self.distinct[value[:200]] = None
        if not self.text:
            kind = _json_type(value, 3)
            self.type = kind if self.type is None else _merged(self.type, kind)
        elif self.left:
            assert isinstance(value, str)
            self.left = [kind for kind in self.left if _reads_as(value, kind)]

    def column(self, rows: int) -> Column:
        kind = self.type or ANY
        if self.text:
            kind = self.left[0] if self.left and self.present else STR
        few = 0 < len(self.distinct) <= MAX_CHOICES and self.present >= 2 * len(self.distinct)
        missing = rows - self.present
        return Column(
            type=OptionalOf(item=kind) if missing and self.present else kind,
            samples=tuple(self.samples),
            missing=missing,
            choices=tuple(self.distinct) if few and kind == STR else (),
        )


def _reads_as(text: str, kind: Scalar) -> bool:
    try:
        values.from_text(text, kind, {})
    except ValueError:
        return False
    return True


def _json_type(value: JsonValue, depth: int) -> Type:
    match value:
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case str():
            return STR
        case list() if value and depth:
            item = _json_type(value[0], depth - 1)
            for other in value[1:50]:
                item = _merged(item, _json_type(other, depth - 1))
            return ListOf(item=item)
        case list():
            return ListOf(item=ANY)
        case dict():
            return DictOf(key=STR, value=ANY)
        case None:
            return ANY


def _merged(a: Type, b: Type) -> Type:
    if a == b:
        return a
    if a in (INT, FLOAT) and b in (INT, FLOAT):
        return FLOAT
    match a, b:
        case ListOf(item=Scalar(name="any")), ListOf():
            return b
        case ListOf(), ListOf(item=Scalar(name="any")):
            return a
        case ListOf(item=left), ListOf(item=right):
            return ListOf(item=_merged(left, right))
        case _:
            return ANY


def count_rows(source: ir.DataSource, folder: Path, root: Path | None = None) -> int:
    """Rows of a file that is not read, by its line ends."""
    found = source_of(source)
    with open_inside(*located(source, folder, root)) as stream:
        return found.count(stream, source) if isinstance(found, FileSource) else count_lines(stream)

"""Parquet files as raw rows, through polars where it is installed.

Polars gets the open file, never a path: it must not look anywhere else. Only this file knows it.
"""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Protocol, cast

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ..opening import MAX_FILE_BYTES, check_size
from ..polars_package import polars_for
from ..problem import unreadable
from ..tables import MAX_COLUMNS, MAX_DEPTH, MAX_ROWS, Batch, BrokenRow, RawRow, RawRows, Table

_GROUP = 1000
_AT_ONCE = 4_096
_FIRST = 10_000
"""Rows that are read of a file before anybody asks for more of them."""


class _Type(Protocol):
    def is_integer(self) -> bool: ...
    def is_float(self) -> bool: ...


class _Series(Protocol):
    dtype: _Type

    def to_list(self) -> list[JsonValue]: ...
    def is_finite(self) -> _Series: ...
    def all(self) -> bool: ...


class _Frame(Protocol):
    columns: list[str]
    height: int

    def __getitem__(self, name: str) -> _Series: ...
    def slice(self, offset: int, length: int) -> _Frame: ...
    def iter_rows(self, *, named: bool, buffer_size: int) -> Iterator[dict[str, object]]: ...
    def estimated_size(self) -> int: ...
    def item(self) -> int: ...


class _Lazy(Protocol):
    def slice(self, offset: int, length: int) -> _Lazy: ...
    def select(self, what: object) -> _Lazy: ...
    def collect(self) -> _Frame: ...


class _Errors(Protocol):
    PolarsError: type[Exception]
    PanicException: type[BaseException]


class _Polars(Protocol):
    exceptions: _Errors
    String: object
    Boolean: object

    def scan_parquet(self, source: BinaryIO) -> _Lazy: ...
    def len(self) -> object: ...


def parquet_table(stream: BinaryIO, source: ir.DataSource) -> Table:
    """The table in an open parquet file, whose first rows are read. Raises DataError when it, or polars, cannot be used."""
    file = _File(stream, source.path)
    first = file.read(0, _FIRST + 1)
    if len(first.columns) > MAX_COLUMNS:
        raise unreadable(
            f"`{source.path}` has {len(first.columns):,} columns; at most {MAX_COLUMNS:,} can be read"
        )
    each = first.estimated_size() / max(1, first.height)
    # A large table is small on disk where much in it is alike: its size is what its rows take, so that a check
    # looks at the first of them as it does with other files. How much may be read goes by the file.
    size = int(each * file.count()) if first.height > _FIRST else 0
    counted = _Counted(each)
    return Table(
        source.path,
        "row",
        False,
        tuple(first.columns),
        counted.over(file.rows(first)),
        counted.bytes,
        min(size, MAX_FILE_BYTES),
        file.batches,
    )


def parquet_count(stream: BinaryIO, source: ir.DataSource) -> int:
    """The rows of a parquet file, as its footer has them. Raises DataError."""
    return _File(stream, source.path).count()


class _Counted:
    """Counts what rows took that were gone through."""

    def __init__(self, each: float) -> None:
        self._each = each
        self._seen = 0

    def over(self, rows: RawRows) -> RawRows:
        for row in rows:
            self._seen += 1
            yield row

    def bytes(self) -> int:
        return int(self._each * self._seen)


class _File:
    """An open parquet file, read piece by piece. Whatever is wrong with it is a DataError."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        try:
            self._polars = cast("_Polars", polars_for(f"`{name}` is a parquet file, and reading those"))
        except ConfigurationError as error:
            raise unreadable(error.message, error.help) from None
        check_size(stream, name, MAX_FILE_BYTES, "take a sample of it")
        self._stream, self._name = stream, name

    def count(self) -> int:
        return self._collected(lambda lazy: lazy.select(self._polars.len())).item()

    def read(self, offset: int, length: int) -> _Frame:
        return self._collected(lambda lazy: lazy.slice(offset, length))

    def rows(self, first: _Frame) -> RawRows:
        yield from _rows(first, 1)
        if first.height > _FIRST:
            yield from _rows(self.read(first.height, MAX_ROWS + 1 - first.height), first.height + 1)

    def batches(self, most: int) -> Iterator[Batch]:
        frame = self.read(0, most)
        sound = all(map(self._is_plain, map(frame.__getitem__, frame.columns)))
        for start in range(0, frame.height, _AT_ONCE):
            part = frame.slice(start, _AT_ONCE)
            numbers = range(start + 1, start + 1 + part.height)

            def each(part: _Frame = part, numbers: range = numbers) -> list[RawRow | BrokenRow]:
                return list(_rows(part, numbers.start))

            if not sound:
                yield Batch(part.height, each)
                continue

            def column(name: str, part: _Frame = part) -> list[JsonValue]:
                return part[name].to_list()

            yield Batch(part.height, each, numbers, (part.columns,), column)

    def _is_plain(self, series: _Series) -> bool:
        """Whether all values of a column are JSON as they are."""
        polars, kind = self._polars, series.dtype
        if kind.is_float():
            return series.is_finite().all()
        return kind.is_integer() or kind in (polars.String, polars.Boolean)

    def _collected(self, query: Callable[[_Lazy], _Lazy]) -> _Frame:
        polars = self._polars
        try:
            self._stream.seek(0)
            return query(polars.scan_parquet(self._stream)).collect()
        except (
            polars.exceptions.PolarsError,
            polars.exceptions.PanicException,
            OSError,
            ValueError,
        ) as error:
            reason = (str(error).splitlines() or [""])[0][:200]
            raise unreadable(f"`{self._name}` cannot be read as parquet: {reason}") from None


def _rows(frame: _Frame, first: int) -> RawRows:
    for number, cells in enumerate(frame.iter_rows(named=True, buffer_size=_GROUP), first):
        try:
            yield RawRow(number, {name: _plain(cell, MAX_DEPTH) for name, cell in cells.items()})
        except ValueError as error:
            yield BrokenRow(number, str(error))


def _plain(cell: object, depth: int) -> JsonValue:
    """A cell as JSON. Raises ValueError with a reason that fits after "row 7 "."""
    match cell:
        case None | bool() | int() | str():
            return cell
        case float():
            if not math.isfinite(cell):
                raise ValueError(f"holds {cell}, which is not a JSON number")
            return cell
        case decimal.Decimal():
            return float(cell)
        case datetime.date() | datetime.time():  # datetime is a date
            return cell.isoformat()
        case list() | dict() if depth == 0:
            raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
        case list():
            return [_plain(item, depth - 1) for item in cast("Iterable[object]", cell)]
        case dict():
            items = cast("Mapping[str, object]", cell).items()
            return {name: _plain(item, depth - 1) for name, item in items}
        case _:
            raise ValueError(f"holds a value of the kind {type(cell).__name__}, which is not JSON")

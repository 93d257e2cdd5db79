"""Parquet files as raw rows, through polars where it is installed.

Polars gets the open file, never a path: it must not look anywhere else. Only this file knows it.
"""

from __future__ import annotations

import datetime
import decimal
import importlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Protocol, cast

from dspec.runtime.schema.types import JsonValue

from ... import ir
from ..opening import MAX_FILE_BYTES, check_size
from ..problem import unreadable
from ..tables import MAX_COLUMNS, MAX_DEPTH, MAX_ROWS, BrokenRow, RawRow, RawRows, Table

_GROUP = 1000


class _Frame(Protocol):
    columns: list[str]

    def iter_rows(self, *, named: bool, buffer_size: int) -> Iterator[dict[str, object]]: ...


class _Errors(Protocol):
    PolarsError: type[Exception]
    PanicException: type[BaseException]


class _Polars(Protocol):
    exceptions: _Errors

    def read_parquet(self, source: BinaryIO, *, n_rows: int, use_pyarrow: bool) -> _Frame: ...


def parquet_table(stream: BinaryIO, source: ir.DataSource) -> Table:
    """The table in an open parquet file. Raises DataError when it, or polars, cannot be used."""
    name = source.path
    try:
        polars = cast("_Polars", importlib.import_module("polars"))
    except ImportError:
        raise unreadable(
            f"`{name}` is a parquet file, and reading those needs polars", 'pip install "dspc[parquet]"'
        ) from None
    check_size(stream, name, MAX_FILE_BYTES, "take a sample of it")
    try:
        frame = polars.read_parquet(stream, n_rows=MAX_ROWS + 1, use_pyarrow=False)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise unreadable(f"`{name}` cannot be read as parquet: {reason}") from None
    if len(frame.columns) > MAX_COLUMNS:
        raise unreadable(f"`{name}` has {len(frame.columns):,} columns; at most {MAX_COLUMNS:,} can be read")
    # Read whole by now, however it is stored: there is no sample to take, so no size to go by.
    return Table(name, "row", False, tuple(frame.columns), _rows(frame), lambda: 0, 0)


def _rows(frame: _Frame) -> RawRows:
    for number, cells in enumerate(frame.iter_rows(named=True, buffer_size=_GROUP), 1):
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

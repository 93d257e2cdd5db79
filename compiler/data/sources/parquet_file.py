"""parquet: a Parquet table, read through polars where it is installed."""

from __future__ import annotations

from typing import BinaryIO

from ... import ir
from ..tables import Table
from .base import FileSource, SourceParameter


def _read(stream: BinaryIO, source: ir.DataSource) -> Table:
    from .parquet_rows import parquet_table  # few projects have such files

    return parquet_table(stream, source)


def _count(stream: BinaryIO, source: ir.DataSource) -> int:
    from .parquet_rows import parquet_count

    return parquet_count(stream, source)


SOURCE = FileSource(
    name="parquet",
    doc="A Parquet table; reading it needs the `parquet` extra.",
    parameters=(SourceParameter("path", "path", required=True),),
    read=_read,
    count=_count,
)

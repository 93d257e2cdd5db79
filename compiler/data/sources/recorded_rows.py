"""Recorded calls as raw rows.

A row has the call's inputs and outputs by their names; where an input and an output are called alike, it is the input. What
feedback corrected stands in the place of what was answered. Calls of which nothing is known that a row could be made of are left
out: those that failed and were not corrected, and those that were too large to be recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from dspec.runtime.running.recording.reading import NoRecordFile, RecordedCall, RecordedCalls
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...project.reads import looked_at
from ..opening import MAX_FILE_BYTES, PlacedFile, check_size
from ..problem import DataError, listed, quoted, unreadable
from ..tables import BrokenRow, RawRow, RawRows, Table, parse_json

SCORE, COMMENT, ID = "@score", "@comment", "@id"
"""Columns of what is known of a call besides: no input and no output can be called so."""


def recorded_table(stream: PlacedFile, source: ir.DataSource) -> Table:
    """The rows of an open file. Raises DataError where it cannot be used."""
    calls = _opened(stream, source)
    size = stream.seek(0, 2) + _beside(stream.place)
    counted = _Counted()
    return Table(source.path, "row", False, None, _rows(calls, source, counted), counted.bytes, size)


def recorded_count(stream: PlacedFile, source: ir.DataSource) -> int:
    """How many rows there are. Raises DataError."""
    with _opened(stream, source) as calls:
        return sum(1 for _ in _chosen(calls, source))


class _Counted:
    def __init__(self) -> None:
        self._seen = 0

    def add(self, call: RecordedCall) -> None:
        self._seen += len(call.inputs or "") + len(call.outputs or "")

    def bytes(self) -> int:
        return self._seen


def _beside(place: Path) -> int:
    try:
        return Path(f"{place}-wal").stat().st_size
    except OSError:
        return 0


def _opened(stream: PlacedFile, source: ir.DataSource) -> RecordedCalls:
    """The calls, of which those of one program are meant."""
    check_size(
        stream, source.path, MAX_FILE_BYTES, "record with a smaller `max_bytes`, or a `sample` of calls"
    )
    looked_at(Path(f"{stream.place}-wal"))
    try:
        return RecordedCalls(stream.place)
    except NoRecordFile as error:
        raise _unreadable(source, error) from None


def _unreadable(source: ir.DataSource, error: NoRecordFile) -> DataError:
    return unreadable(
        f"`{source.path}` {error}", "such a file is what an application writes: `load(…, record = …)`"
    )


def _chosen(calls: RecordedCalls, source: ir.DataSource) -> Iterator[RecordedCall]:
    """The calls that are rows. Raises DataError."""
    try:
        program = _program(calls, source)
        for call in calls.calls():
            if call.program == program and _is_row(call, source):
                yield call
    except NoRecordFile as error:
        raise _unreadable(source, error) from None


def _program(calls: RecordedCalls, source: ir.DataSource) -> str:
    """Whose calls are meant. Raises DataError, NoRecordFile."""
    named = source.options.get("program")
    programs = calls.programs()
    if isinstance(named, str):
        if programs and named not in programs:
            names = listed([f"`{name[:60]}`" for name in programs])
            raise unreadable(f"`{source.path}` has no calls of `{named[:60]}`; it has those of {names}")
        return named
    if len(programs) > 1:
        told = [f"`{name[:60]}` ({count:,})" for name, count in programs.items()]
        first = quoted(next(iter(programs)))
        raise unreadable(
            f"`{source.path}` has calls of several programs: {listed(told)}",
            f"say which: `program = {first}`",
        )
    return next(iter(programs), "")


def _is_row(call: RecordedCall, source: ir.DataSource) -> bool:
    said = call.said
    if call.inputs is None or (call.outputs is None and not (said and said.outputs)):
        return False
    if said is not None and said.outputs:
        return True
    only = source.options.get("only", "right")
    score = None if said is None else said.score
    least = source.options.get("min_score", 1.0 if only == "right" else 0.0)
    assert isinstance(least, int | float)
    if score is not None and score < least:
        return False
    return only == "all" or (said is not None if only == "feedback" else score is not None)


def _rows(calls: RecordedCalls, source: ir.DataSource, counted: _Counted) -> RawRows:
    with calls:
        for call in _chosen(calls, source):
            counted.add(call)
            try:
                yield RawRow(call.number, _values(call))
            except ValueError as error:
                yield BrokenRow(call.number, f"is no recorded call: {error}")


def _values(call: RecordedCall) -> Mapping[str, JsonValue]:
    """Raises ValueError."""
    said = call.said
    row: dict[str, JsonValue] = {ID: call.id}
    if said is not None:
        row |= {SCORE: said.score, COMMENT: said.comment}
    for text in (call.outputs, *(said.outputs if said else ()), call.inputs):
        if text is not None:
            value = parse_json(text)
            if not isinstance(value, dict):
                raise ValueError("its inputs and outputs are no objects")
            row.update(cast("dict[str, JsonValue]", value))
    return row

"""The file of answers: the rows' own columns, the outputs, and why a row has none, in the rows' order.

It is written beside the journal and renamed over its place once it is whole, so that nobody ever sees half of it. csv and
jsonl are written row by row, Parquet in pieces of some thousand rows, which polars then streams into one file: neither
holds more than a piece.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.compact import compact
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import JsonValue, ListOf, OneOf, OneOfNumbers, OptionalOf, Scalar, Type

from ...data.polars_package import polars_for

_PIECE = 2_000
"""Rows of Parquet that are held at once."""

ERROR = "error"
"""The column that says why a row has no outputs."""


class AnswerColumns(Struct, frozen=True):
    """The columns of the file of answers: those `kept` of the rows, by their names there, and what they are called in the
    answers; the outputs; and the one that says why a row has none."""

    kept: Mapping[str, str]
    outputs: tuple[FieldSpec, ...]
    error: str

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.kept.values(), *(field.name for field in self.outputs), self.error)


def answer_columns(kept: Sequence[str], outputs: Sequence[FieldSpec]) -> AnswerColumns:
    """Names for all columns. Outputs have their own; a column of the rows that is called like one, or like `error`, gives way:
    labels are kept beside answers as `intent_given`."""
    taken = {field.name for field in outputs}
    error = ERROR
    while error in taken:
        error += "_"
    taken.add(error)
    named: dict[str, str] = {}
    for column in kept:
        name = column
        while name in taken:
            name += "_given"
        taken.add(name)
        named[column] = name
    return AnswerColumns(named, tuple(outputs), error)


Answered = Iterable[Sequence[JsonValue]]
"""Values of all columns, a row each."""


class AnswerFormat(Protocol):
    """Writes rows to a file that does not exist yet. Raises OSError, ConfigurationError."""

    def __call__(self, path: Path, columns: AnswerColumns, rows: Answered, source: Path, /) -> None: ...


def _write_csv(path: Path, columns: AnswerColumns, rows: Answered, _: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns.names)
        for row in rows:
            writer.writerow([_cell(value) for value in row])


def _write_jsonl(path: Path, columns: AnswerColumns, rows: Answered, _: Path) -> None:
    names = columns.names
    with path.open("wb") as file:
        for row in rows:
            file.write(compact(dict(zip(names, row, strict=True))) + b"\n")


def _cell(value: JsonValue) -> str:
    """A value as text: what is no text, number or truth is JSON, nothing is empty."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return json.dumps(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def _write_parquet(path: Path, columns: AnswerColumns, rows: Answered, source: Path) -> None:
    polars: Any = polars_or_not()
    kept = _own_types(polars, source)
    shapes: list[tuple[Any, Callable[[JsonValue], object]]] = [
        (kept[name], _as_is) if name in kept else (polars.String, _as_text) for name in columns.kept
    ]
    shapes += [_shape(polars, field.type) for field in columns.outputs]
    shapes.append((polars.String, _as_text))
    schema = {name: shape for name, (shape, _) in zip(columns.names, shapes, strict=True)}
    makers = [make for _, make in shapes]
    folder = path.with_name(f"{path.name}.pieces")
    folder.mkdir(exist_ok=True)
    for stray in folder.iterdir():
        stray.unlink()
    pieces: list[Path] = []
    try:
        for chunk in _chunked(rows):
            made = [[make(value) for make, value in zip(makers, row, strict=True)] for row in chunk]
            frame = polars.DataFrame(made, schema=schema, orient="row")
            pieces.append(folder / f"{len(pieces):08}.parquet")
            frame.write_parquet(pieces[-1])
        if pieces:
            polars.scan_parquet(pieces).sink_parquet(path, maintain_order=True)
        else:
            polars.DataFrame(schema=schema).write_parquet(path)
    except polars.exceptions.PolarsError as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise ConfigurationError(
            f"{path} cannot be written as Parquet: {reason}", help="ask for .jsonl or .csv"
        ) from None
    finally:
        for piece in pieces:
            piece.unlink(missing_ok=True)
        folder.rmdir()


def polars_or_not() -> Any:
    """Polars. Raises ConfigurationError where it is not installed."""
    # It makes buffers for each of its threads, and what is written here keeps no second one busy.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    return polars_for("writing answers as Parquet", otherwise="ask for .jsonl or .csv")


def _chunked(rows: Answered) -> Iterator[list[Sequence[JsonValue]]]:
    chunk: list[Sequence[JsonValue]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _PIECE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _own_types(polars: Any, source: Path) -> dict[str, Any]:
    """The types of the rows' columns that keep theirs: plain ones of a Parquet file. All others are text."""
    if source.suffix.lower() != ".parquet":
        return {}
    with source.open("rb") as file:
        schema = polars.read_parquet_schema(file)
    plain = {polars.String, polars.Boolean, polars.Float32, polars.Float64}
    return {name: kind for name, kind in schema.items() if kind in plain or kind.is_integer()}


def _shape(polars: Any, kind: Type) -> tuple[Any, Callable[[JsonValue], object]]:
    """The column's type in Parquet, and what makes its values. What Parquet has no plain type for is JSON in a text."""
    match kind:
        case OptionalOf(item=item):
            return _shape(polars, item)
        case Scalar(name="int"):
            return polars.Int64, _as_whole
        case Scalar(name="float"):
            return polars.Float64, _as_float
        case Scalar(name="bool"):
            return polars.Boolean, _as_is
        case OneOfNumbers():
            return (polars.Int64, _as_whole) if kind.whole else (polars.Float64, _as_float)
        case ListOf(item=Scalar(name="str" | "date" | "datetime") | OneOf()):
            return polars.List(polars.String), _as_is
        case _:
            return polars.String, _as_text


def _as_is(value: JsonValue) -> object:
    return value


def _as_whole(value: JsonValue) -> object:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ConfigurationError(
            f"{value:,} is too large a number for Parquet", help="ask for .jsonl or .csv"
        )
    return value


def _as_float(value: JsonValue) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_text(value: JsonValue) -> object:
    return None if value is None else _cell(value)


FORMATS: Mapping[str, AnswerFormat] = {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}
"""By how the file's name ends."""


def failures_in(path: Path) -> int | None:
    """How many rows of a file of answers have none; None where it is no such file."""
    kind = path.suffix.removeprefix(".").lower()
    try:
        match kind:
            case "csv":
                with path.open(encoding="utf-8", newline="") as file:
                    rows = csv.DictReader(file)
                    if ERROR not in (rows.fieldnames or ()):
                        return None
                    return sum(bool(row[ERROR]) for row in rows)
            case "jsonl":
                with path.open("rb") as file:
                    return sum(bool(json.loads(line)[ERROR]) for line in file)
            case _:
                polars: Any = polars_or_not()
                with path.open("rb") as file:
                    frame = polars.read_parquet(file, columns=[ERROR])
                return int(frame[ERROR].is_not_null().sum())
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None
    except Exception as error:
        if type(error).__module__.startswith("polars"):
            return None
        raise

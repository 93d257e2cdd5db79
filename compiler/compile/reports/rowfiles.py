"""Rows of evals as a file: CSV, JSON lines, Parquet or a page, by the file's ending.

JSON lines and Parquet hold values as they are. A spreadsheet takes a text that begins like a formula for one, and a row's text
may come from anybody: so in CSV such a text has an apostrophe before it, unless it is a number.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

from msgspec import Struct

from dspec.runtime.errors import InputError
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.types import JsonValue, Row

from ...data.polars_package import polars_for
from .facts import ReportFacts, RowLook, RowTable
from .page import page_of

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class EvalRows(Struct, frozen=True):
    """One eval's rows; `cached` says of each whether its answers were all kept before the eval began."""

    name: str
    table: RowTable
    cached: tuple[bool, ...]


class _Frame(Protocol):
    def write_parquet(self, file: io.BytesIO) -> None: ...


class _Polars(Protocol):
    def DataFrame(self, data: Sequence[Mapping[str, JsonValue]], infer_schema_length: None) -> _Frame: ...  # noqa: N802


def records(evals: Iterable[EvalRows]) -> Iterator[dict[str, JsonValue]]:
    """A record per row, in the evals' order and the rows'. Costs are in USD, None where nobody knows a price."""
    for one in evals:
        for row, cached in zip(one.table.rows, one.cached, strict=True):
            record: dict[str, JsonValue] = {
                "eval": one.name,
                "row": row.example.index + 1,
                "id": row.example.digest[:16],
                "inputs": row.example.inputs,
                "gold": row.example.labels,
                **_side(row.after),
                "cached": cached,
            }
            if one.table.before_name:
                record["baseline"] = _side(row.before)
            yield record


def _side(look: RowLook | None) -> dict[str, JsonValue]:
    if look is None:
        return {"outputs": None, "score": None, "reason": "not known", "failed": None}
    spent = look.spent
    return {
        "outputs": look.outputs,
        "score": look.score,
        "reason": look.reason,
        "failed": look.failed,
        "calls": spent.calls,
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        "cost_usd": spent.known_usd,
    }


def flat(record: Mapping[str, JsonValue], lead: str = "") -> Row:
    """A record as columns: `input.text`, `gold.intent`, `output.intent`, `baseline.score`; lists and objects as JSON."""
    columns: Row = {}
    for name, value in record.items():
        if isinstance(value, dict) and name in ("inputs", "gold", "outputs", "baseline"):
            inner = value if name == "baseline" else {key: _scalar(one) for key, one in value.items()}
            columns |= flat(inner, f"{lead}{name.removesuffix('s')}.")
        elif name != "outputs":
            columns[f"{lead}{name}"] = _scalar(value)
    return columns


def _scalar(value: JsonValue) -> JsonValue:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _csv(evals: Sequence[EvalRows], _: Iterable[LM]) -> bytes:
    rows = [flat(record) for record in records(evals)]
    text = io.StringIO(newline="")
    written = csv.writer(text, lineterminator="\n")
    columns = _columns(rows)
    written.writerow(map(unlike_formula, columns))
    for row in rows:
        written.writerow([_cell(row.get(name)) for name in columns])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: JsonValue) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return unlike_formula(value)
        case _:
            return str(value)


def unlike_formula(text: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _json_lines(evals: Sequence[EvalRows], _: Iterable[LM]) -> bytes:
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records(evals))
    return "".join(lines).encode("utf-8", "replace")


def _parquet(evals: Sequence[EvalRows], _: Iterable[LM]) -> bytes:
    rows = [flat(record) for record in records(evals)]
    columns = _columns(rows)
    texts = {name for name in columns if not _uniform(row.get(name) for row in rows)}
    data = [
        {name: _text(row.get(name)) if name in texts else row.get(name) for name in columns} for row in rows
    ]
    buffer = io.BytesIO()
    _polars().DataFrame(data, infer_schema_length=None).write_parquet(buffer)
    return buffer.getvalue()


def _uniform(values: Iterable[JsonValue]) -> bool:
    """Whether a column has values of one type."""
    kinds = {float if isinstance(value, float) else type(value) for value in values if value is not None}
    return len(kinds) <= 1 or kinds == {int, float}


def _text(value: JsonValue) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _polars() -> _Polars:
    return cast(
        "_Polars", polars_for("writing rows as Parquet", otherwise="name a file that ends in .jsonl or .csv")
    )


def _html(evals: Sequence[EvalRows], lms: Iterable[LM]) -> bytes:
    names = ", ".join(one.name for one in evals)
    tables = tuple(one.table for one in evals)
    return page_of(ReportFacts("eval", f"eval {names}", "row by row", tables=tables), lms)


_FORMATS: dict[str, Callable[[Sequence[EvalRows], Iterable[LM]], bytes]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".html": _html,
}


def check_file(path: Path) -> None:
    """Raises InputError where rows cannot be written to a file of this name: better before an eval than after it."""
    if path.suffix.lower() not in _FORMATS:
        raise InputError(
            f"{path} has no ending that says what it is to hold",
            help=f"name a file that ends in {', '.join(_FORMATS)}",
        )
    if not path.resolve().parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}")
    if path.suffix.lower() == ".parquet":
        _polars()


def content(path: Path, evals: Sequence[EvalRows], lms: Iterable[LM] = ()) -> bytes:
    """The bytes of a file of this name."""
    return _FORMATS[path.suffix.lower()](evals, lms)

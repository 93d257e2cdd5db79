"""Parquet through polars, which is optional."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import pytest
from datasets import dataset, field, source, write

from dspec.compiler.data import DataError, check, load_rows, probe
from dspec.runtime.schema.types import INT, STR, ListOf, Scalar, spell


def test_without_polars_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    write(tmp_path, "rows.parquet", b"PAR1")
    with pytest.raises(DataError, match="reading those needs polars") as caught:
        load_rows(dataset("rows.parquet"), tmp_path)
    assert caught.value.help == 'pip install "dspc[parquet]"'


def test_parquet_rows_are_typed_like_json(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "text": ["a", "b"],
            "n": [1, 2],
            "tags": [["x"], []],
            "on": [datetime.date(2024, 1, 2), datetime.date(2024, 1, 3)],
        }
    )
    frame.write_parquet(tmp_path / "rows.parquet")
    labels = (field("n", INT), field("tags", ListOf(item=STR)), field("on", Scalar(name="date")))
    rows = load_rows(dataset("rows.parquet", *labels), tmp_path)
    assert rows[0].row == {"text": "a", "n": 1, "tags": ["x"], "on": "2024-01-02"}
    found = probe(source("rows.parquet"), tmp_path)
    assert {name: spell(column.type) for name, column in found.columns.items()} == {
        "text": "str",
        "n": "int",
        "tags": "list[str]",
        "on": "str",
    }
    (missing,) = check(dataset("rows.parquet", field("m", INT)), tmp_path).problems
    assert missing.message == "column `m` is not in `rows.parquet`; its columns: `text`, `n`, `tags` and `on`"


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"\xff" * 200 + b"PAR1"])
def test_broken_parquet_is_a_problem(tmp_path: Path, data: bytes) -> None:
    pytest.importorskip("polars")
    write(tmp_path, "rows.parquet", data)
    (problem,) = check(dataset("rows.parquet"), tmp_path).problems
    assert problem.kind == "unreadable"
    assert problem.message.startswith("`rows.parquet` cannot be read as parquet")


def test_cells_that_are_not_json_break_their_row(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"text": ["a", "b", "c"], "x": [1.0, float("nan"), 2.0]})
    frame.write_parquet(tmp_path / "rows.parquet")
    (problem,) = check(dataset("rows.parquet"), tmp_path).problems
    assert problem.message == (
        "1 row of `rows.parquet` cannot be read: row 2 holds nan, which is not a JSON number"
    )

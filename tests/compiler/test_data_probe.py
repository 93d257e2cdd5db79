"""What a data file seems to hold."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from datasets import jsonl, source, write
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.compiler.data import probe
from dspec.compiler.data.probing import count_rows
from dspec.runtime.schema.types import spell


@pytest.mark.parametrize(
    ("cells", "kind", "missing"),
    [
        (["1", "-2"], "int", 0),
        (["1", "2.5"], "float", 0),
        (["true", "no"], "bool", 0),
        (["2024-01-31"], "date", 0),
        (["2024-01-31T10:00:00"], "datetime", 0),
        (["1", "", "3"], "int?", 1),
        (["", ""], "str", 2),
        (["1", "x"], "str", 0),
    ],
)
def test_csv_columns_are_what_all_their_cells_read_as(
    tmp_path: Path, cells: list[str], kind: str, missing: int
) -> None:
    write(tmp_path, "rows.csv", "a,b\n" + "".join(f"{cell},z\n" for cell in cells))
    found = probe(source("rows.csv"), tmp_path)
    assert (spell(found.columns["a"].type), found.columns["a"].missing) == (kind, missing)
    assert (found.rows, found.exact, found.broken) == (len(cells), True, 0)


def test_json_columns_are_what_their_values_have_in_common(tmp_path: Path) -> None:
    first = {"s": "a", "n": 1, "f": 1, "l": ["x"], "d": {"k": 1}, "m": 1, "e": [], "b": True}
    second = {"s": None, "n": 2, "f": 0.5, "l": [], "d": {}, "m": "x", "e": [1, 2.5], "o": "late"}
    write(tmp_path, "rows.jsonl", jsonl(first, second) + "{broken\n")
    found = probe(source("rows.jsonl"), tmp_path)
    assert {name: spell(column.type) for name, column in found.columns.items()} == {
        "s": "str?",
        "n": "int",
        "f": "float",
        "l": "list[str]",
        "d": "dict[str, any]",
        "m": "any",
        "e": "list[float]",
        "b": "bool?",
        "o": "str?",
    }
    assert (found.rows, found.broken) == (3, 1)


def test_few_distinct_texts_are_offered_as_choices(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text,intent\n" + "".join(f"t{i},c{i % 3}\n" for i in range(9)))
    columns = probe(source("rows.csv"), tmp_path).columns
    assert columns["intent"].choices == ("c0", "c1", "c2")
    assert columns["text"].choices == ()
    assert columns["text"].samples == ('"t0"', '"t1"', '"t2"')


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.text(alphabet='ab,"\n\r ', max_size=6), min_size=2, max_size=2), min_size=1, max_size=12
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_counting_line_ends_agrees_with_reading(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], end: str, blank: bool
) -> None:
    folder = tmp_path_factory.mktemp("count")
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *cells])
    write(folder, "rows.csv", text.getvalue() + (end + "a,b" if blank else ""))
    assert count_rows(source("rows.csv"), folder) == probe(source("rows.csv"), folder).rows

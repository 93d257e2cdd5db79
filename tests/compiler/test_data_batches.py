"""Rows by column are what rows one by one are: the same values, numbers, problems, digests, sizes and parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from datasets import INTENT, dataset, defaulted, field, split, write
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dspec.compiler import ir
from dspec.compiler.compile.sizes import bytes_of, bytes_of_turns, sized
from dspec.compiler.data import DataError, Example, Rows, parts, rows_digest
from dspec.compiler.data.checking import duplicates, long_values
from dspec.compiler.data.collecting import Collected, collect
from dspec.compiler.data.media import MediaFiles
from dspec.compiler.data.reading import open_table
from dspec.compiler.data.rows import ColumnarRows, inputs_digests
from dspec.compiler.data.sources import csv_file
from dspec.compiler.data.sources.jsonl_file import _objects  # pyright: ignore[reportPrivateUsage]
from dspec.compiler.data.tables import parse_json
from dspec.runtime.schema.program import FieldSpec, digest
from dspec.runtime.schema.types import ANY, BOOL, FLOAT, INT, STR, ListOf, OneOfNumbers, OptionalOf, Scalar

TYPES = (
    STR,
    INT,
    FLOAT,
    BOOL,
    ANY,
    INTENT,
    Scalar(name="date"),
    OptionalOf(item=INT),
    OptionalOf(item=STR),
    OptionalOf(item=INTENT),
    ListOf(item=STR),
    OneOfNumbers(values=(1, 2, 3)),
)
FREE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
CELL = (
    st.sampled_from(
        [
            "",
            " ",
            "1",
            "1.0",
            "true",
            "other",
            " other ",
            "card_lost",
            "2024-01-02",
            '["a"]',
            "a\nb",
            'say "x"',
            "[[ ## a",
        ]
    )
    | FREE
)
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | CELL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FREE, inner, max_size=3),
    max_leaves=4,
)
SPECS = st.tuples(st.sampled_from(TYPES), st.sampled_from(TYPES), st.booleans()).map(
    lambda drawn: (
        (field("text", drawn[0]),),
        (defaulted("label", drawn[1], None) if drawn[2] else field("label", drawn[1]),),
    )
)
SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(declared: ir.Dataset, folder: Path, *, by_column: bool, most: int = 1_000) -> Collected | list[Any]:
    try:
        with open_table(declared.source, folder, folder) as table:
            assert table.batches is not None
            table = table if by_column else replace(table, batches=None)
            return collect(declared, table, MediaFiles(folder, folder, glancing=True), max_rows=most)
    except DataError as error:
        return list(error.problems)


def same_both_ways(declared: ir.Dataset, folder: Path, most: int = 1_000) -> Collected | list[Any]:
    found, expected = (read(declared, folder, by_column=way, most=most) for way in (True, False))
    assert found == expected
    if isinstance(found, Collected) and isinstance(expected, Collected):
        assert [(one.index, one.number) for one in found.examples] == [
            (one.index, one.number) for one in expected.examples
        ]
        one_by_one = tuple(expected.examples)
        types = [[type(value) for value in row.row.values()] for row in one_by_one]
        assert [[type(value) for value in row.row.values()] for row in found.examples] == types
        assert (
            rows_digest(found.examples)
            == rows_digest(one_by_one)
            == digest([one.digest for one in one_by_one])
        )
        assert list(inputs_digests(found.examples)) == [digest(one.inputs) for one in one_by_one]
        assert long_values(declared, found.examples) == long_values(declared, one_by_one)
        assert_sizes(found.examples)
    return found


def assert_sizes(rows: Rows) -> None:
    for histories in ((), ("text",)):
        found = sized(rows, 2, histories=histories)
        each = [
            {
                name: bytes_of_turns(value) if name in histories else bytes_of(value)
                for name, value in row.row.items()
            }
            for row in rows
        ]
        assert found.count == len(each)
        assert found.ordered == tuple(sorted(each, key=lambda row: -sum(row.values()))[:2])
        for name in each[0] if each else ():
            assert found.longest[name] == max(row[name] for row in each)
            assert found.total[name] == sum(row[name] for row in each)


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


@SOME
@given(
    SPECS,
    st.lists(st.lists(CELL, min_size=1, max_size=3), max_size=12),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.integers(1, 4),
    st.integers(1, 14),
    st.sampled_from(["", '"open', "x" * 40, "\ufeff"]),
)
def test_csv(
    tmp_path: Path,
    specs: tuple[tuple[FieldSpec, ...], tuple[FieldSpec, ...]],
    records: list[list[str]],
    end: str,
    at_once: int,
    most: int,
    rest: str,
) -> None:
    lines = ["text,label", *(",".join(map(quoted, cells)) for cells in records)]
    write(tmp_path, "rows.csv", end.join(lines) + end + rest)
    declared = dataset("rows.csv", *specs[1], inputs=specs[0])
    with (
        patch.object(csv_file, "_AT_ONCE", at_once),
        patch("dspec.compiler.data.opening._BLOCK_BYTES", 3 * at_once + most),
    ):
        same_both_ways(declared, tmp_path, most)
        same_both_ways(declared, tmp_path)


@SOME
@given(
    SPECS,
    st.lists(
        st.fixed_dictionaries({"text": VALUE}, optional={"label": VALUE, "more": VALUE}).map(json.dumps)
        | st.sampled_from(
            ['{"text": "a"} {"text": "b"}', '{"text":', '"a"}', "", " ", "[1]", "nan", '{"text": "\\ud800"}']
        ),
        max_size=12,
    ),
    st.sampled_from(["\n", "\r\n", "\n\n", "\r"]),
    st.integers(1, 14),
    st.integers(8, 200),
)
def test_jsonl(
    tmp_path: Path,
    specs: tuple[tuple[FieldSpec, ...], tuple[FieldSpec, ...]],
    lines: list[str],
    end: str,
    most: int,
    block: int,
) -> None:
    write(tmp_path, "rows.jsonl", end.join(lines))
    declared = dataset("rows.jsonl", *specs[1], inputs=specs[0])
    with patch("dspec.compiler.data.opening._BLOCK_BYTES", block):
        same_both_ways(declared, tmp_path, most)
        same_both_ways(declared, tmp_path)


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
@pytest.mark.parametrize("cut", [b"\xff", "é".encode()[:1], "\ud800".encode("utf-8", "surrogatepass")])
def test_what_is_no_utf_8_is_told_alike(tmp_path: Path, name: str, cut: bytes) -> None:
    line = b"t,l\n" if name == "rows.csv" else b'{"text": "t", "label": "l"}\n'
    head = b"text,label\n" if name == "rows.csv" else b""
    write(tmp_path, name, head + line * 5 + line[:-2] + cut + b"\n" + line)
    found = same_both_ways(dataset(name, field("label")), tmp_path)
    assert isinstance(found, list)
    assert "is not UTF-8: line" in found[0].message


def test_a_csv_error_is_told_where_its_row_starts(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", 'text,label\n"a\nb",c\n\nd,e\n"f"g,h\n')
    found = same_both_ways(dataset("rows.csv", field("label")), tmp_path)
    assert isinstance(found, list)
    assert "the row that starts on line 6" in found[0].message


def test_columns_may_have_other_names_in_the_file(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "a b,label,text\n" + "".join(f"t{i},l,other\n" for i in range(20)))
    write(
        tmp_path, "rows.jsonl", "".join(json.dumps({"a b": f"t{i}", "label": "l"}) + "\n" for i in range(20))
    )
    for name in ("rows.csv", "rows.jsonl"):
        declared = dataset(name, field("label")).model_copy(update={"columns": {"text": "a b"}})
        found = same_both_ways(declared, tmp_path)
        assert isinstance(found, Collected)
        assert [one.inputs["text"] for one in found.examples] == [f"t{i}" for i in range(20)]


CELLS = st.none() | st.sampled_from(["other", "", "1", "a"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    SPECS, st.lists(st.tuples(CELLS, CELLS | st.integers(0, 3) | st.floats()), max_size=8), st.integers(1, 9)
)
def test_parquet(
    tmp_path: Path,
    specs: tuple[tuple[FieldSpec, ...], tuple[FieldSpec, ...]],
    cells: list[tuple[Any, Any]],
    most: int,
) -> None:
    polars = pytest.importorskip("polars")
    numbers = [cell for _, cell in cells if isinstance(cell, float)]
    texts = [str(cell) if cell is not None and not numbers else cell for _, cell in cells]
    labels = [cell if isinstance(cell, float) else None for _, cell in cells] if numbers else texts
    frame = polars.DataFrame({"text": [text for text, _ in cells], "label": labels})
    frame.write_parquet(tmp_path / "rows.parquet")
    declared = dataset("rows.parquet", *specs[1], inputs=specs[0])
    same_both_ways(declared, tmp_path, most)
    same_both_ways(declared, tmp_path)


NUMBERS = [
    "-0",
    "-0.0",
    "1e400",
    "1E5",
    "18446744073709551616",
    "1" * 1001,
    "0.1e-400",
    "01",
    "1.",
    "NaN",
    "1.7976931348623157e308",
]


@settings(max_examples=300, deadline=None)
@given(VALUE.map(json.dumps) | st.sampled_from(NUMBERS) | FREE | FREE.map(lambda text: f'"{text}"'))
@example('"\\ud83d\\ude00"')
@example('"\\ud83d"')
@example("[" * 101 + "]" * 101)
@example("[" * 2_000 + "]" * 2_000)
def test_an_object_is_read_to_the_same_values_or_left_to_whom_refuses_it(text: str) -> None:
    line = f'{{"a": {text}, "b": [{text}]}}'
    found = _objects(line.encode(), first=True)
    try:
        expected = parse_json(line)
    except ValueError:
        assert found is None
        return
    assert found is None or (repr(found) == repr([expected]) and "\n" not in text)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*"abcdefgh", "é"]) | st.integers(0, 2), st.sampled_from(["x", "y"])),
        max_size=30,
    ),
    st.integers(0, 3),
)
def test_parts_and_what_stands_in_several_are_those_of_single_rows(
    drawn: list[tuple[Any, str]], seed: int
) -> None:
    columns = {"text": [text for text, _ in drawn], "intent": [intent for _, intent in drawn]}
    places = range(len(drawn))
    rows = ColumnarRows(("text",), ("intent",), columns, places, [place + 1 for place in places])
    single = tuple(rows)
    declared = dataset(
        "rows.csv", field("intent"), split=split("intent", seed, train="40%", val="30%", test="30%")
    )
    expected, found = (_parted(declared, given) for given in (single, rows))
    assert found == expected
    if isinstance(found, list) or isinstance(expected, list):
        return
    assert duplicates(found) == duplicates(expected)
    by_digest: dict[str, set[str]] = {}
    for name, each in expected.items():
        for row in each:
            by_digest.setdefault(digest(row.inputs), set()).add(name)
    assert sum(problem.count for problem in duplicates(found)) == sum(
        len(names) > 1 for names in by_digest.values()
    )


def _parted(declared: ir.Dataset, rows: Rows) -> dict[str, Rows] | list[Any]:
    try:
        return parts(declared, rows)
    except DataError as error:
        return list(error.problems)


def test_what_only_counts_measures_and_splits_makes_no_row_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    places = range(100)
    texts = [f"t{place}" for place in places]
    rows = ColumnarRows(("text",), ("intent",), {"text": texts, "intent": ["x", "y"] * 50}, places, places)
    declared = dataset("rows.csv", field("intent"), split=split("intent", train="40%", val="60%"))
    made: list[object] = []
    monkeypatch.setattr(
        "dspec.compiler.data.rows.Example", lambda *given: made.append(given) or Example(*given)
    )
    for some in parts(declared, rows).values():
        assert rows_digest(some)
        assert len(list(inputs_digests(some))) == sized(some).count == len(some)
        assert long_values(declared, some) == []
    assert duplicates(parts(declared, rows)) == []
    # one for each part, which says what its inputs are called
    assert len(made) <= 2


def test_a_row_is_one_example_however_often_it_is_asked_for() -> None:
    rows = ColumnarRows(("text",), (), {"text": ["a", "b"]}, [0, 1], [1, 2])
    assert rows[0] is rows[-2] is next(iter(rows)) is rows[:1][0]
    assert list(rows.take([1])) == [rows[1]]
    with pytest.raises(IndexError):
        rows[2]

"""Reading csv, jsonl and json into typed rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import INTENT, dataset, defaulted, field, jsonl, write

from dspec.compiler.data import DataError, Example, load_rows
from dspec.runtime.schema.program import Record, digest
from dspec.runtime.schema.types import BOOL, FLOAT, INT, STR, DictOf, ListOf, OptionalOf, RecordRef, Scalar


def test_csv_rows_are_typed_in_file_order(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", 'text,intent,n,ok\n"a, b",top_up,3,true\n" c ",other,-1,no\n')
    rows = load_rows(
        dataset("rows.csv", field("intent", INTENT), field("n", INT), field("ok", BOOL)), tmp_path
    )
    assert rows == (
        Example(0, {"text": "a, b"}, {"intent": "top_up", "n": 3, "ok": True}),
        Example(1, {"text": " c "}, {"intent": "other", "n": -1, "ok": False}),
    )


def test_an_example_knows_its_row_and_its_digest() -> None:
    example = Example(4, {"text": "a"}, {"intent": "b"})
    assert example.row == {"text": "a", "intent": "b"}
    assert example.digest == digest({"intent": "b", "text": "a"}) == example.digest
    assert example == Example(4, {"text": "a"}, {"intent": "b"})


@pytest.mark.parametrize(
    "text",
    [
        "text,n\r\na,1\r\nb,2\r\n",
        "\ufefftext,n\na,1\n\n\nb,2",
        " text , n\na,1\nb,2\n",
        "n,extra,text\n1,x,a\n2,y,b\n",
    ],
    ids=["crlf", "bom and blank lines", "spaces in the header", "other order and more columns"],
)
def test_csv_dialects_that_are_the_same_rows(tmp_path: Path, text: str) -> None:
    write(tmp_path, "rows.csv", text)
    rows = load_rows(dataset("rows.csv", field("n", INT)), tmp_path)
    assert [example.row for example in rows] == [{"text": "a", "n": 1}, {"text": "b", "n": 2}]


def test_csv_delimiter_and_line_ends_in_quotes(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", 'text;n\n"one\ntwo ""quoted""";1\nx;bad\n')
    with pytest.raises(DataError, match=r"line 4: \"bad\""):
        load_rows(dataset("rows.csv", field("n", INT), delimiter=";"), tmp_path)
    write(tmp_path, "rows.csv", 'text;n\n"one\ntwo ""quoted""";1\n')
    (row,) = load_rows(dataset("rows.csv", field("n", INT), delimiter=";"), tmp_path)
    assert row.row == {"text": 'one\ntwo "quoted"', "n": 1}


@pytest.mark.parametrize(("text", "line"), [("text,n\ra,1\rb,2\r", 1), ("text,n\na,1\nb\rc,2\n", 3)])
def test_a_bare_carriage_return_is_told_in_plain_words(tmp_path: Path, text: str, line: int) -> None:
    write(tmp_path, "rows.csv", text)
    with pytest.raises(
        DataError, match=rf"`rows.csv` .* on line {line} has a carriage return \(\\r\) inside"
    ) as caught:
        load_rows(dataset("rows.csv", field("n", INT)), tmp_path)
    assert "line ends of \\n or \\r\\n" in caught.value.help
    write(tmp_path, "rows.csv", 'text,n\n"b\rc",2\n')
    (row,) = load_rows(dataset("rows.csv", field("n", INT)), tmp_path)
    assert row.row == {"text": "b\rc", "n": 2}


@pytest.mark.parametrize("delimiter", ["", ";;", "\n", '"', 3])
def test_a_delimiter_is_one_character(tmp_path: Path, delimiter: str | int) -> None:
    write(tmp_path, "rows.csv", "text\na\n")
    with pytest.raises(DataError, match="one character"):
        load_rows(dataset("rows.csv", delimiter=delimiter), tmp_path)


def test_what_an_empty_cell_means(tmp_path: Path) -> None:
    labels = (field("note"), field("n", OptionalOf(item=INT)), defaulted("k", INT, 7))
    write(tmp_path, "rows.csv", "text,note,n,k\na,,,\nb,x,1,2\n")
    rows = load_rows(dataset("rows.csv", *labels), tmp_path)
    assert [example.labels for example in rows] == [
        {"note": "", "n": None, "k": 7},
        {"note": "x", "n": 1, "k": 2},
    ]
    write(tmp_path, "rows.csv", "text,n\na,\n")
    with pytest.raises(DataError, match=r"1 row breaks the declared type of `n` \(line 2: \"\"\)") as caught:
        load_rows(dataset("rows.csv", field("n", INT)), tmp_path)
    assert caught.value.help == "`n` is int: the cell is empty"


def test_what_an_absent_key_means(tmp_path: Path) -> None:
    labels = (field("n", OptionalOf(item=INT)), defaulted("k", INT, 7))
    write(tmp_path, "rows.jsonl", jsonl({"text": "a"}, {"text": "b", "n": 1, "k": 2}))
    rows = load_rows(dataset("rows.jsonl", *labels), tmp_path)
    assert [example.labels for example in rows] == [{"n": None, "k": 7}, {"n": 1, "k": 2}]
    write(tmp_path, "rows.jsonl", jsonl({"text": "a", "n": 1}, {"text": "b"}))
    with pytest.raises(DataError, match=r"1 row breaks the declared type of `n` \(line 2: no value\)"):
        load_rows(dataset("rows.jsonl", field("n", INT)), tmp_path)


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_column_that_no_row_has_is_missing_even_if_optional(tmp_path: Path, name: str) -> None:
    write(
        tmp_path, name, "text,intnet\na,b\n" if name.endswith("csv") else jsonl({"text": "a", "intnet": "b"})
    )
    with pytest.raises(DataError) as caught:
        load_rows(dataset(name, field("intent", OptionalOf(item=STR))), tmp_path)
    (problem,) = caught.value.problems
    assert problem.kind == "column_missing"
    assert problem.message == f"column `intent` is not in `{name}`; its columns: `text` and `intnet`"
    assert problem.help == "did you mean `intnet`?"
    assert problem.suggestions == ("intnet",)
    assert load_rows(dataset(name, defaulted("intent", STR, "other")), tmp_path)[0].labels == {
        "intent": "other"
    }


def test_nested_values_in_csv_and_json_are_the_same(tmp_path: Path) -> None:
    line = Record(name="Line", fields=(field("sku"), field("qty", FLOAT)))
    labels = (
        field("tags", ListOf(item=STR)),
        field("lines", ListOf(item=RecordRef(name="Line"))),
        field("by", DictOf(key=STR, value=INT)),
        field("on", Scalar(name="date")),
    )
    expected = {"tags": ["a"], "lines": [{"sku": "s", "qty": 2.0}], "by": {"x": 1}, "on": "2024-02-29"}
    cells = '"[""a""]","[{""sku"": ""s"", ""qty"": 2}]","{""x"": 1}",2024-02-29'
    write(tmp_path, "rows.csv", f"text,tags,lines,by,on\nq,{cells}\n")
    write(tmp_path, "rows.jsonl", jsonl({"text": "q", **expected}))
    write(tmp_path, "rows.json", "[" + jsonl({"text": "q", **expected}) + "]")
    for name in ("rows.csv", "rows.jsonl", "rows.json"):
        declared = dataset(name, *labels).model_copy(update={"records": {"Line": line}})
        assert load_rows(declared, tmp_path)[0].labels == expected


def test_literals_outside_their_union_are_named_with_what_was_meant(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text,intent\n" + "a,card lost\n" + "b,top_up\n" * 2 + "c,topup\nd,x\ne,y\n")
    with pytest.raises(DataError) as caught:
        load_rows(dataset("rows.csv", field("intent", INTENT)), tmp_path)
    (problem,) = caught.value.problems
    assert problem.message == (
        '4 rows break the declared type of `intent` (lines 2: "card lost", 5: "topup", 6: "x" and 1 more)'
    )
    assert problem.help == 'did you mean "card_lost"?'
    assert (problem.count, problem.rows, problem.column) == (4, (2, 5, 6), "intent")


def test_ragged_rows_are_counted_with_their_lines(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text,n\na,1\nb\nc,2,3\nd,4\n")
    with pytest.raises(DataError) as caught:
        load_rows(dataset("rows.csv", field("n", INT)), tmp_path)
    (problem,) = caught.value.problems
    assert problem.kind == "malformed"
    assert problem.rows == (3, 4)
    assert problem.message == (
        "2 rows of `rows.csv` cannot be read: "
        "line 3 has 1 cell where the header names 2 columns (so is line 4)"
    )


def test_bad_jsonl_lines_do_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path, "rows.jsonl", '{"text": "a"}\n\n{"text": \n[1]\n"x"\n{"text": 5}\n')
    with pytest.raises(DataError) as caught:
        load_rows(dataset("rows.jsonl"), tmp_path)
    malformed, typed = caught.value.problems
    assert (malformed.count, malformed.rows) == (3, (3, 4, 5))
    assert malformed.message.startswith("3 rows of `rows.jsonl` cannot be read: line 3 is not JSON: ")
    assert malformed.message.endswith("(so are lines 4 and 5)")
    assert typed.rows == (6,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}', "holds an object, not a list of objects"),
        ("[1, 2", "is not JSON"),
        ("[1, {}]", "1 row of `rows.json` cannot be read: row 1 is a number, not an object"),
        ("[]", "`rows.json` has no rows"),
    ],
)
def test_json_files_are_lists_of_objects(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, "rows.json", text)
    with pytest.raises(DataError) as caught:
        load_rows(dataset("rows.json"), tmp_path)
    assert any(words in problem.message for problem in caught.value.problems)


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_an_empty_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, "")
    with pytest.raises(DataError, match=r"is empty|has no rows"):
        load_rows(dataset(name), tmp_path)


def test_a_header_without_rows_reports_missing_columns_too(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "txt\n")
    with pytest.raises(DataError) as caught:
        load_rows(dataset("rows.csv"), tmp_path)
    assert [problem.kind for problem in caught.value.problems] == ["column_missing", "empty"]


def test_a_header_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text,n,text\na,1,b\n")
    with pytest.raises(DataError, match="names the column `text` twice"):
        load_rows(dataset("rows.csv"), tmp_path)

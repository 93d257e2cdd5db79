"""Data as people have it: names that nobody would write, other separators, rows under a key, JSON in cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dspc import dspc

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.data import load_rows
from dspec.runtime.schema.program import digest

HEAD = "dspec 1\n\n"


def checked(
    folder: Path, name: str, content: str, source: str, columns: str
) -> tuple[list[str], ir.Dataset | None]:
    (folder / "dspec.toml").touch()
    (folder / name).write_text(content, encoding="utf-8")
    path = folder / "main.dspec"
    path.write_text(
        f"{HEAD}record Line {{ field sku: str; field count: int }}\ndataset d {{ source = {source}; {columns} }}\n"
    )
    analysis = analyse(path)
    found = [f"{one.code} {one.message} | {one.help}" for one in analysis.diagnostics]
    return found, analysis.project.datasets["d"] if analysis.project else None


def rows_of(folder: Path, *arguments: str) -> list[dict[str, object]]:
    found, dataset = checked(folder, *arguments)
    assert found == []
    assert dataset is not None
    return [dict(row.row) for row in load_rows(dataset, folder)]


NAMED = 'input text: str = column("Customer Message"); field label: str = column("output.label")'


@pytest.mark.parametrize(
    ("name", "content", "source", "columns", "rows"),
    [
        (
            "d.csv",
            "Customer Message,output.label,a:b\nhello,x,1\n",
            'csv("d.csv")',
            NAMED + '; field n: int = column("a:b")',
            [{"text": "hello", "label": "x", "n": 1}],
        ),
        (
            "d.jsonl",
            '{"Customer Message": "hello", "output.label": "x", "text": "other"}\n',
            'jsonl("d.jsonl")',
            NAMED,
            [{"text": "hello", "label": "x"}],
        ),
        (  # names that trade places
            "d.csv",
            "text,label\na,b\n",
            'csv("d.csv")',
            'input text: str = column("label"); field label: str = column("text")',
            [{"text": "b", "label": "a"}],
        ),
        ("d.csv", "a,x\nb,y\n", 'csv("d.csv", header = "text, label")', "input text: str; field label: str",
         [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]),
        ("d.csv", "text;label\na, b;x\n", 'csv("d.csv", delimiter = ";")', "input text: str; field label: str",
         [{"text": "a, b", "label": "x"}]),
        ("d.json", '{"data": {"examples": [{"text": "a"}]}}', 'json("d.json", under = "data.examples")', "input text: str",
         [{"text": "a"}]),
        ("d.jsonl", json.dumps({"text": "a", "tags": '["x", "y"]', "lines": '[{"sku": "s", "count": 2, "price": 3}]'}),
         'jsonl("d.jsonl")', "input text: str; field tags: list[str]; field lines: list[Line]",
         [{"text": "a", "tags": ["x", "y"], "lines": [{"sku": "s", "count": 2}]}]),
        ("d.jsonl", json.dumps({"text": "a", "line": {"sku": "s", "count": 2, "price": 3}, "tags": None}),
         'jsonl("d.jsonl")', "input text: str; field line: Line; field tags: list[str]?",
         [{"text": "a", "line": {"sku": "s", "count": 2}, "tags": None}]),
        ("d.csv", 'text,line\na,"{""sku"": ""s"", ""count"": 2, ""price"": 3}"\n', 'csv("d.csv")',
         "input text: str; field line: Line?", [{"text": "a", "line": {"sku": "s", "count": 2}}]),
        ("d.jsonl", '{"text": "[1]"}\n', 'jsonl("d.jsonl")', "input text: str", [{"text": "[1]"}]),
    ],
)  # fmt: skip
def test_it_is_read(
    tmp_path: Path, name: str, content: str, source: str, columns: str, rows: list[dict[str, object]]
) -> None:
    assert rows_of(tmp_path, name, content, source, columns) == rows


@pytest.mark.parametrize(
    ("name", "content", "source", "columns", "said"),
    [
        ("d.csv", "Customer Message,label\nhello,x\n", 'csv("d.csv")', "input message: str",
         'write `message: … = column("Customer Message")`'),
        ("d.csv", "Customer Message\nhello\n", 'csv("d.csv")', 'input text: str = column("Customer Mesage")',
         "column `Customer Mesage` is not in `d.csv`"),
        ("d.csv", "text\nhello\n", 'csv("d.csv")', "input text: str = column()", "what the file calls the column `text`"),
        ("d.csv", "text;label\na, b;x\nc;y\n", 'csv("d.csv")', "input text: str; field label: str",
         'say so: `csv("d.csv", delimiter = ";")`'),
        ("d.csv", "text\tlabel\na\tx\n", 'csv("d.csv")', "input text: str; field label: str", 'delimiter = "\\t"'),
        ("d.csv", "text,label\na,x\n", 'csv("d.csv", delimiter = ";")', "input text: str; field label: str",
         'delimiter = ","'),
        ("d.json", '{"examples": [{"text": "a"}]}', 'json("d.json")', "input text: str",
         'rows under the key `examples`: `json("d.json", under = "examples")`'),
        ("d.json", '{"examples": [{"text": "a"}]}', 'json("d.json", under = "rows")', "input text: str",
         "has nothing under `rows`"),
        ("d.json", '{"v": 1, "data": {"examples": [{"text": "a"}]}}', 'json("d.json")', "input text: str",
         'rows under the key `data.examples`: `json("d.json", under = "data.examples")`'),
        ("d.json", '{"v": 1, "data": {"examples": [{"text": "a"}]}}', 'json("d.json", under = "data.exmples")',
         "input text: str", 'has nothing under `data.exmples` | rows under the key `data.examples`'),
        ("d.json", '{"examples": [{"text": "a"}]}', 'json("d.json", path = "examples")', "input text: str",
         "`path` is given twice to `json`"),
        ("d.csv", "hello,cat\nbye,dog\n", 'csv("d.csv")', "input text: str; field label: str",
         'header = "text,label"'),
        ("d.jsonl", '{"text": "a", "line": {"sku": "s"}}\n', 'jsonl("d.jsonl")', "input text: str; field line: Line", "count"),
        ("tickets.csv", "text\na\n", 'csv("data\\tickets.csv")', "input text: str", "paths are written with `/`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_to_write(
    tmp_path: Path, name: str, content: str, source: str, columns: str, said: str
) -> None:
    (found,), _ = checked(tmp_path, name, content, source, columns)
    assert said in found


def test_a_dataset_without_other_names_is_what_it_was() -> None:
    plain = ir.Dataset(name="d", source=ir.DataSource(kind="csv", path="d.csv"), inputs=(), fields=())
    assert "columns" not in plain.model_dump()
    assert digest(plain) != digest(plain.model_copy(update={"columns": {"text": "Text"}}))


def test_rows_in_two_parts_are_named_by_their_lines(tmp_path: Path) -> None:
    text = "text\n" + "".join(f'"row\n{n % 2}"\n' for n in range(10))
    split = "input text: str; split { a = 5; b = 5 }"
    (found,), _ = checked(tmp_path, "d.csv", text, 'csv("d.csv")', split)
    assert found.startswith("DS0406")
    assert "(lines " in found


def test_a_folder_stands_for_the_only_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "main.dspec").write_text(HEAD)
    (tmp_path / ".dspec").mkdir()  # a project's state, which is no source
    assert "main.dspec declares no optimize block" in dspc("compile", ".", cwd=tmp_path).err
    (tmp_path / "other.dspec").write_text(HEAD)
    found = dspc("compile", ".", cwd=tmp_path)
    assert found.code == 2
    assert "several .dspec files: main.dspec, other.dspec" in found.err

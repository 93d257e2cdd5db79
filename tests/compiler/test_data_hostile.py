"""Data files made to hurt: each gives a problem, in bounded time and memory."""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from datasets import dataset, field, source, write

from dspec.compiler.data import DataError, check, load_rows, opening, probe, tables
from dspec.runtime.schema.types import ANY, INT


def refused(folder: Path, path: str = "rows.csv", root: Path | None = None) -> str:
    """The one problem's message; checking, probing and loading agree."""
    declared = dataset(path if path.endswith(("csv", "jsonl", "json")) else "x.csv")
    declared = declared.model_copy(update={"source": declared.source.model_copy(update={"path": path})})
    with pytest.raises(DataError) as caught:
        load_rows(declared, folder, root=root)
    with pytest.raises(DataError) as probed:
        probe(declared.source, folder, root=root)
    (problem,) = check(declared, folder, root=root).problems
    assert problem.kind == ("outside" if "outside the project" in problem.message else "unreadable")
    assert problem.message == caught.value.message == probed.value.message
    return problem.message


def test_a_missing_file_is_named_with_one_that_may_be_meant(tmp_path: Path) -> None:
    write(tmp_path, "Rows.csv", "text\n")
    with pytest.raises(DataError, match="there is no such file") as caught:
        load_rows(dataset("rows.jsonl"), tmp_path)
    assert caught.value.help == "did you mean `Rows.csv`?"
    assert "not a folder" in refused(tmp_path, "Rows.csv/rows.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no fifos here")
def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    assert refused(tmp_path) == "data file `rows.csv` is not a regular file"


def test_folders_devices_and_loops_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()
    assert refused(tmp_path) == "data file `rows.csv` is a folder"
    (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    assert "loop of symbolic links" in refused(tmp_path, "a.csv")
    (tmp_path / "null.csv").symlink_to("/dev/null")
    assert "outside the project" in refused(tmp_path, "null.csv")
    assert "outside the project" in refused(tmp_path, "/dev/zero")
    assert "outside the project" in refused(tmp_path, "C:\\rows.csv")
    assert "NUL" in refused(tmp_path, "a\0b.csv")
    assert "path is empty" in refused(tmp_path, "")


def test_nothing_outside_the_root_is_read_or_told_of(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "sub"
    inner.mkdir(parents=True)
    write(tmp_path, "secret.csv", "text\nx\n")
    write(tmp_path / "project", "rows.csv", "text\na\n")
    assert len(load_rows(dataset("../rows.csv"), inner, root=tmp_path / "project")) == 1
    assert "outside the project" in refused(inner, "../../secret.csv", tmp_path / "project")
    assert "outside the project" in refused(inner, "../../absent.csv", tmp_path / "project")
    assert "outside the project" in refused(inner, "../rows.csv", inner)
    (inner / "link.csv").symlink_to(tmp_path / "secret.csv")
    assert "outside the project" in refused(inner, "link.csv", tmp_path / "project")
    (inner / "near.csv").symlink_to(tmp_path / "project" / "rows.csv")
    assert len(load_rows(dataset("near.csv"), inner, root=tmp_path / "project")) == 1


def test_without_a_root_the_nearest_marked_folder_is_it(tmp_path: Path) -> None:
    inner = tmp_path / "sub"
    inner.mkdir()
    write(tmp_path, "rows.csv", "text\na\n")
    assert "outside the project" in refused(inner, "../rows.csv")
    write(tmp_path, "dspec.toml", "")
    assert len(load_rows(dataset("../rows.csv"), inner)) == 1


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text\n").chmod(0)
    assert "permission denied" in refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("rows.csv", b"text\nab\xffc\n", "`rows.csv` is not UTF-8: line 2, byte 3 is 0xff"),
        ("rows.jsonl", b'{"text": "\xed\xa0\x80"}\n', "line 1, byte 11 is 0xed"),
        ("rows.json", b'[\n{"text": "\xff"}]', "line 2 has the byte 0xff"),
        ("rows.csv", "text\na\n".encode("utf-16"), "is UTF-16, not UTF-8"),
        ("rows.csv", b'text\n"never closed\nb\nc\n', "the row that starts on line 2"),
        ("rows.csv", b'text\n"a"b\n', "the row that starts on line 2"),
        ("rows.csv", b"text,x\ra,b\r", "the row that starts on line 1"),
        ("rows.csv", b"," * 5000 + b"\n", "has 5,001 columns"),
        ("rows.json", b"[" * 100_000, "nested deeper than 100 levels"),
        ("rows.json", b"[1" + b"0" * 5000 + b"]", "a number of 5,001 digits"),
        ("rows.json", b"[1e999]", "a number too large for a float"),
        ("rows.json", b"[NaN]", "NaN is not a number JSON knows"),
    ],
)
def test_broken_files_are_refused_with_the_place(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    write(tmp_path, name, data)
    assert words in refused(tmp_path, name)


def test_bad_values_of_one_line_break_that_line_only(tmp_path: Path) -> None:
    deep = b'{"text": ' + b"[" * 101 + b"]" * 101 + b"}\n"
    bad = [
        deep,
        b'{"text": 1e999}\n',
        b'{"text": "\\ud800"}\n',
        b'{"text": -Infinity}\n',
        b'{"text": 1' + b"0" * 4999 + b"}\n",
    ]
    write(tmp_path, "rows.jsonl", b'{"text": "ok"}\n' + b"".join(bad) + b'{"text": "\\ud83d\\ude00"}\n')
    declared = dataset("rows.jsonl", inputs=(field("text", ANY),))
    (problem,) = check(declared, tmp_path).problems
    assert (problem.kind, problem.count, problem.rows) == ("malformed", 5, (2, 3, 4))


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_line_of_500_mb_costs_a_bounded_part_of_it(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(500 << 20)
    tracemalloc.start()
    try:
        assert refused(tmp_path, name) == f"line 1 of `{name}` is longer than 16 MiB"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * opening.MAX_LINE_BYTES


def test_files_beyond_the_limits_are_refused_with_their_size(tmp_path: Path) -> None:
    with (tmp_path / "rows.json").open("wb") as file:
        file.truncate(opening.MAX_JSON_BYTES + (1 << 20))
    assert refused(tmp_path, "rows.json") == "`rows.json` has 65 MiB; at most 64 can be read"
    with (tmp_path / "rows.jsonl").open("wb") as file:
        file.truncate(opening.MAX_FILE_BYTES + (1 << 20))
    with pytest.raises(DataError, match=r"has 1,025 MiB; at most 1,024 can be read"):
        load_rows(dataset("rows.jsonl"), tmp_path)


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dspec.compiler.data.collecting.MAX_ROWS", 5)
    write(tmp_path, "rows.csv", "text\n" + "a\n" * 6)
    with pytest.raises(DataError, match="more than 5 rows"):
        load_rows(dataset("rows.csv"), tmp_path)


def test_many_broken_rows_are_counted_and_not_kept(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text,n\n" + "a,x\n" * 20_000 + "b\n" * 20_000)
    malformed, typed = check(dataset("rows.csv", field("n", INT)), tmp_path).problems
    assert (malformed.count, typed.count) == (20_000, 20_000)
    assert len(malformed.rows) == len(typed.rows) == len(typed.values) == 3
    assert len(malformed.message) < 200 > len(typed.message)


def test_many_hostile_names_stay_cheap_and_short(tmp_path: Path) -> None:
    keys = ",".join(f'"{"k" * 500}{i}": 1' for i in range(5000))
    write(tmp_path, "rows.jsonl", "{" + keys + "}\n")
    (problem,) = check(dataset("rows.jsonl"), tmp_path).problems
    assert problem.kind == "column_missing"
    assert len(problem.message) < 1500


def test_the_csv_limit_is_only_ever_raised(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text\n" + "x" * 200_000 + "\n")
    assert len(load_rows(dataset("rows.csv"), tmp_path)[0].inputs["text"]) == 200_000  # type: ignore[arg-type]
    assert tables.MAX_CELL == opening.MAX_LINE_BYTES


def test_depth_is_bounded_whatever_the_stack(tmp_path: Path) -> None:
    write(tmp_path, "rows.json", '[{"text": ' + "[" * 98 + "]" * 98 + "}]")
    before = sys.getrecursionlimit()
    declared = dataset("rows.json", inputs=(field("text", ANY),))
    assert len(load_rows(declared, tmp_path)) == 1
    assert sys.getrecursionlimit() == before
    assert probe(source("rows.json"), tmp_path).rows == 1

"""What a check says about a dataset, and where it points."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
from datasets import INTENT, dataset, field, jsonl, rows, split, write

from dspec.compiler.data import DataProblem, FolderCache, Places, check, diagnose, probe, problems
from dspec.compiler.data.checking import duplicates
from dspec.compiler.data.probing import WHOLE_BYTES
from dspec.compiler.project.source import Location, Source
from dspec.runtime.schema.types import INT

CLASSED = field("intent")


def lines(count: int) -> str:
    return "text,intent\n" + "".join(f"t{i},c{i % 3}\n" for i in range(count))


def test_a_sound_dataset_has_no_problems_and_known_sizes(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", lines(30))
    found = check(dataset("rows.csv", CLASSED, split=split("intent", train="20%", val=12)), tmp_path)
    assert (found.problems, found.rows, found.exact) == ((), 30, True)
    assert found.sizes == {"train": 6, "val": 12}


def test_several_mistakes_give_several_problems_in_a_fixed_order(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text,intnet,n\na,b,1\nc\nd,e,x\n")
    declared = dataset("rows.csv", CLASSED, field("n", INT), split=split(train=5))
    found = problems(declared, tmp_path)
    assert [problem.kind for problem in found] == ["malformed", "column_missing", "type_broken", "split"]
    assert found == problems(declared, tmp_path)


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        (split(train=5, val=6), "split"),
        (split("missing", train=5), "stratify_column"),
        (split("intent", train=2, val=2, test=2, dev=2), "stratify_small"),
    ],
)
def test_splits_are_checked_against_the_rows(tmp_path: Path, chosen: object, kind: str) -> None:
    write(tmp_path, "rows.csv", lines(10))
    declared = dataset("rows.csv", CLASSED).model_copy(update={"split": chosen})
    (problem,) = problems(declared, tmp_path)
    assert problem.kind == kind
    assert problem.is_error == (kind != "stratify_small")


def test_small_classes_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text,intent\n" + "".join(f"t{i},top_up\n" for i in range(8)) + "x,rare\n")
    declared = dataset("rows.csv", CLASSED, split=split("intent", train=2, val=2))
    (problem,) = problems(declared, tmp_path)
    assert problem.message == '1 value of `intent` has fewer than 2 rows, one for each part: "rare" has 1'


def test_the_same_input_in_two_parts_is_a_warning_with_examples(tmp_path: Path) -> None:
    write(tmp_path, "rows.csv", "text,intent\n" + "same,a\n" * 6 + "other,b\n")
    (problem,) = problems(dataset("rows.csv", CLASSED, split=split(train=3, val=4)), tmp_path)
    assert problem.kind == "duplicates"
    assert problem.message == '1 identical input appears in both `train` and `val`: "same" (lines 6 and 7)'
    assert (problem.part, problem.others, problem.is_error) == ("train", ("val",), False)


def test_duplicates_are_reported_once_for_all_that_stand_in_the_same_parts() -> None:
    some = rows(5)
    found = duplicates({"a": some[:3], "b": some[1:], "c": (some[0], some[2], some[4])})
    assert [(p.part, p.others, p.count) for p in found] == [
        ("a", ("b",), 1),
        ("a", ("b", "c"), 1),
        ("a", ("c",), 1),
        ("b", ("c",), 1),
    ]
    assert found[1].message == '1 identical input appears in `a`, `b` and `c`: "t2" (rows 3, 3 and 3)'


def test_a_problem_becomes_a_diagnostic_at_the_place_it_concerns() -> None:
    source = Source(Path("/q.dspec"), "q.dspec", 'csv("rows.csv") intnet str split train val stratify')

    def at(word: str) -> Location:
        start = source.text.index(word)
        return Location(source, start, start + len(word))

    places = Places(
        at('csv("rows.csv")'),
        {"intnet": at("intnet")},
        {"intnet": at("str")},
        {"train": at("train"), "val": at("val")},
        at("split"),
        at("stratify"),
    )
    expected = {
        "unreadable": "csv",
        "outside": "csv",
        "malformed": "csv",
        "empty": "csv",
        "column_missing": "intnet",
        "type_broken": "str ",
        "split": "train",
        "stratify_column": "stratify",
        "stratify_small": "stratify",
        "duplicates": "val",
    }
    for kind, word in expected.items():
        problem = DataProblem.model_validate(
            {
                "kind": kind,
                "message": "what",
                "help": "do",
                "column": "intnet",
                "part": "train",
                "others": ("val",),
                "suggestions": ("intent", "in tent"),
            }
        )
        diagnostic = diagnose(problem, places).told()
        assert source.text[diagnostic.primary.location.start :].startswith(word), kind
        assert (diagnostic.severity == "error") == problem.is_error, "the table of codes says the same"
        assert (diagnostic.message, diagnostic.help) == ("what", "do")
        assert [fix.title for fix in diagnostic.fixes] == ["rename to `intent`"] * (kind == "column_missing")
        bare = diagnose(problem, Places(at("csv")))
        assert bare.where == at("csv")


def test_results_are_remembered_until_the_file_or_the_declaration_changes(tmp_path: Path) -> None:
    cache = tmp_path / ".dspec" / "data"
    path = write(tmp_path, "rows.csv", lines(10))
    declared = dataset("rows.csv", CLASSED)
    first = check(declared, tmp_path, cache=FolderCache(cache))
    (entry,) = cache.glob("*.json")
    entry.write_text(first.model_copy(update={"rows": 77}).model_dump_json())
    assert check(declared, tmp_path, cache=FolderCache(cache)).rows == 77, "the entry was read, not the file"
    assert check(dataset("rows.csv", field("intent", INTENT)), tmp_path, cache=FolderCache(cache)).rows == 10
    path.write_text(lines(11))
    assert check(declared, tmp_path, cache=FolderCache(cache)).rows == 11
    assert probe(declared.source, tmp_path, cache=FolderCache(cache)) == probe(
        declared.source, tmp_path, cache=FolderCache(cache)
    )


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b'{"rows": "many"}'])
def test_a_damaged_cache_is_no_cache(tmp_path: Path, damage: bytes) -> None:
    cache = tmp_path / "cache"
    write(tmp_path, "rows.csv", lines(10))
    declared = dataset("rows.csv", CLASSED)
    expected = (
        check(declared, tmp_path, cache=FolderCache(cache)),
        probe(declared.source, tmp_path, cache=FolderCache(cache)),
    )
    for entry in cache.iterdir():
        entry.write_bytes(damage)
    assert (
        check(declared, tmp_path, cache=FolderCache(cache)),
        probe(declared.source, tmp_path, cache=FolderCache(cache)),
    ) == expected


def test_a_cache_that_cannot_be_written_is_no_cache(tmp_path: Path) -> None:
    blocked = write(tmp_path, "cache", "a file, not a folder")
    write(tmp_path, "rows.csv", lines(10))
    assert check(dataset("rows.csv", CLASSED), tmp_path, cache=FolderCache(blocked)).rows == 10


def test_a_large_file_is_sampled_and_counted(tmp_path: Path) -> None:
    line = "x" * 900 + ',"a\nb ""c"""\n'
    count = WHOLE_BYTES // len(line) + 100
    write(tmp_path, "rows.csv", "text,intent\n" + line * count + "\n\nlast,z")
    declared = dataset("rows.csv", CLASSED, split=split(train="50%", val=count))
    found = check(declared, tmp_path)
    assert (found.rows, found.exact) == (count + 1, False)
    assert [problem.kind for problem in found.problems] == ["split"]
    looked = probe(declared.source, tmp_path)
    assert (looked.rows, looked.exact, list(looked.columns)) == (count + 1, False, ["text", "intent"])


@pytest.mark.slow
def test_a_file_of_1_gb_costs_a_sample_and_a_row_count(tmp_path: Path) -> None:
    count = 100_000
    rows = write(tmp_path, "rows.csv", "text,intent\n" + lines(count).partition("\n")[2])
    with rows.open("r+b") as file:
        file.truncate((1 << 30) - 1)  # a hole: no disk, and no line end
    declared = dataset("rows.csv", CLASSED)
    cache = FolderCache(tmp_path / "cache")
    tracemalloc.start()
    began = time.process_time()
    first = check(declared, tmp_path, cache=cache)
    looked, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (first.rows, first.exact) == (count + 1, False)
    assert peak < 48 << 20
    assert looked < 20
    began = time.process_time()
    assert check(declared, tmp_path, cache=cache) == first
    assert time.process_time() - began < 0.1, "told by its size and its time of change, the file is not read"


def test_jsonl_rows_are_counted_like_csv_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dspec.compiler.data.probing.WHOLE_BYTES", 100)
    monkeypatch.setattr("dspec.compiler.data.probing.SAMPLE_ROWS", 5)
    write(tmp_path, "rows.jsonl", jsonl(*({"text": f'"{i}'} for i in range(40))))
    looked = probe(dataset("rows.jsonl").source, tmp_path)
    assert (looked.rows, looked.exact) == (40, False)

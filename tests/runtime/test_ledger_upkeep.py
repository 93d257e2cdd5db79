"""Counting, dropping, carrying over: and files from elsewhere are not believed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.ledger_upkeep import Pruned, add, contents, lines, prune
from dspec.runtime.models.protocol import Answer
from dspec.runtime.schema.usage import Usage

DAY = 86_400


async def filled(path: Path) -> Path:
    with Ledger(path) as ledger:
        for i in range(10):
            answer = Answer(f"answer {i}", Usage(3, 2, i % 2 == 0), 0.5 if i else None)
            await ledger.put(i.to_bytes(32), "a/one" if i < 7 else "b/two", answer)
    return path


async def test_contents(tmp_path: Path) -> None:
    found = contents(await filled(tmp_path / "l.sqlite"))
    assert (found.answers, found.models) == (10, {"a/one": 7, "b/two": 3})
    assert found.bytes > 0
    assert found.oldest is not None
    empty = contents(tmp_path / "other.sqlite")
    assert (empty.answers, empty.oldest, empty.models) == (0, None, {})


async def test_pruning_by_age_model_or_all(tmp_path: Path) -> None:
    path = await filled(tmp_path / "l.sqlite")
    with sqlite3.connect(path) as database:
        database.execute(
            "UPDATE answers SET written = written - ? WHERE key < ?", (40 * DAY, (4).to_bytes(32))
        )
    database.close()
    assert prune(path, older_than_days=90) == Pruned(0)
    assert prune(path, older_than_days=30, model="b/two") == Pruned(0)
    assert prune(path, older_than_days=30) == Pruned(4)
    assert prune(path, model="b/two") == Pruned(3)
    assert prune(path) == Pruned(3)
    assert contents(path).answers == 0


async def test_what_is_exported_is_taken_in_elsewhere_once(tmp_path: Path) -> None:
    path = await filled(tmp_path / "l.sqlite")
    exported = list(lines(path))
    other = tmp_path / "other.sqlite"
    first, again = add(other, exported), add(other, exported)
    assert (first.added, first.known, first.refused) == (10, 0, 0)
    assert (again.added, again.known) == (0, 10)
    assert list(lines(other)) == exported
    with Ledger(path) as one, Ledger(other) as two:
        assert all(one.get(i.to_bytes(32)) == two.get(i.to_bytes(32)) is not None for i in range(10))


async def test_an_answer_that_nobody_could_read_is_not_carried_over(tmp_path: Path) -> None:
    path = await filled(tmp_path / "l.sqlite")
    with Ledger(path) as ledger:
        ledger.begin("attempt")
        ledger.set_aside((3).to_bytes(32))
    assert [json.loads(line)["key"] for line in lines(path)] == [
        i.to_bytes(32).hex() for i in range(10) if i != 3
    ]


async def test_an_answer_that_is_there_stays(tmp_path: Path) -> None:
    path = await filled(tmp_path / "l.sqlite")
    line = json.loads(next(lines(path)))
    line["answer"][0] = "planted"
    assert add(path, [json.dumps(line)]).known == 1
    with Ledger(path) as ledger:
        kept = ledger.get((0).to_bytes(32))
    assert kept is not None
    assert kept.text == "answer 0"


GOOD = {"key": "ab" * 32, "model": "m", "written": 5, "answer": ["text", 1, 2, False, None, "stop"]}


@pytest.mark.parametrize(
    "change",
    [
        {"key": "ab"},
        {"key": "zz" * 32},
        {"key": None},
        {"model": 5},
        {"written": "now"},
        {"written": -1},
        {"answer": None},
        {"answer": ["text"]},
        {"answer": [5, 1, 2, False, None, "stop"]},
        {"answer": ["text", -1, 2, False, None, "stop"]},
        {"answer": ["text", True, 2, False, None, "stop"]},
        {"answer": ["text", 1, 2, 0, None, "stop"]},
        {"answer": ["text", 1, 2, False, "free", "stop"]},
        {"answer": ["text", 1, 2, False, -1.0, "stop"]},
        {"answer": ["text", 1, 2, False, None, None]},
    ],
)
def test_lines_that_hold_no_answer_are_left_out(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    assert add(path, [json.dumps(GOOD | change)]).refused == 1
    assert contents(path).answers == 0
    assert add(path, ["", "\n", "[1]", "{", "[" * 100_000, json.dumps(GOOD)]).refused == 3
    assert contents(path).answers == 1

"""The ledger keeps what it was given, gives back nothing else, and says plainly when it cannot."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.ledger import STEPS, Ledger, unusable
from dspec.runtime.models.protocol import Answer
from dspec.runtime.schema.usage import Usage

ANSWER = Answer("yes", Usage(12, 3), 0.25)
KEY = b"k" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


def tamper(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


answers = st.builds(
    Answer,
    st.text(st.characters(exclude_categories=()), max_size=50),
    st.builds(Usage, st.integers(0, 10**9), st.integers(0, 10**9), st.booleans()),
    st.none() | st.floats(0, 1000),
    st.sampled_from(["stop", "length"]),
)


@given(st.lists(answers, max_size=5))
@settings(max_examples=25, deadline=None)
def test_what_was_put_is_got_from_a_new_opening(
    tmp_path_factory: pytest.TempPathFactory, batch: list[Answer]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"

    async def put_all() -> None:
        with Ledger(path) as ledger:
            await asyncio.gather(*(ledger.put(bytes([i] * 32), "m", a) for i, a in enumerate(batch)))

    asyncio.run(put_all())
    with Ledger(path) as ledger:
        assert [ledger.get(bytes([i] * 32)) for i in range(len(batch))] == batch
        assert ledger.get(b"?" * 32) is None


async def test_the_first_answer_wins(ledger: Ledger) -> None:
    assert await ledger.put(KEY, "m", ANSWER) == ANSWER
    assert await ledger.put(KEY, "m", Answer("no")) == ANSWER
    batch = await asyncio.gather(*(ledger.put(bytes([i % 3] * 32), "m", Answer(str(i))) for i in range(9)))
    assert [answer.text for answer in batch] == ["0", "1", "2"] * 3


async def test_more_answers_at_once_than_one_statement_takes(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.put(i.to_bytes(32), "m", Answer(str(i))) for i in range(1000)))
    assert ledger.count() == 1000
    assert ledger.get((777).to_bytes(32)) == Answer("777")


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE answers SET body = ?", '["no", 12, 3, false, 0.25, "stop"]'),
        ("UPDATE answers SET body = ?", "not json"),
        ("UPDATE answers SET body = ?", b"\xff\xfe"),
        ("UPDATE answers SET body = CAST(? AS TEXT)", b"\xff\xfe"),
        ("UPDATE answers SET body = ?", 7),
        ("UPDATE answers SET seal = ?", b"0" * 32),
        ("UPDATE answers SET key = ?", b"other" * 6 + b"!!"),
    ],
)
async def test_a_changed_row_is_a_miss_and_is_replaced(path: Path, statement: str, value: object) -> None:
    with Ledger(path) as ledger:
        await ledger.put(KEY, "m", ANSWER)
    tamper(path, statement, value)
    with Ledger(path) as ledger:
        assert ledger.get(KEY) is None
        assert ledger.get(b"other" * 6 + b"!!") is None
        assert await ledger.put(KEY, "m", Answer("new")) == Answer("new")
        assert ledger.get(KEY) == Answer("new")


async def test_damaged_rows_are_counted(path: Path) -> None:
    with Ledger(path) as ledger:
        await ledger.put(KEY, "m", ANSWER)
        tamper(path, "UPDATE answers SET seal = ?", b"")
        assert ledger.get(KEY) is None
        assert ledger.damaged == 1


async def test_a_damaged_page_is_a_miss_or_a_clear_error(path: Path) -> None:
    with Ledger(path) as ledger:
        for i in range(200):
            await ledger.put(i.to_bytes(32), "m", Answer(f"answer {i} " * 20))
    content = bytearray(path.read_bytes())
    for start in range(4096 * 2, len(content), 4096):
        content[start : start + 200] = os.urandom(200)
    path.write_bytes(content)
    with Ledger(path) as ledger:
        for i in range(200):
            found = ledger.get(i.to_bytes(32))
            assert found is None or found.text == f"answer {i} " * 20
        assert ledger.damaged > 0


def test_a_file_that_is_not_sqlite(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"not a database at all, but long enough" * 200
    path.parent.mkdir()
    path.write_bytes(content)
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connecting(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connecting)
    with pytest.raises(ConfigurationError, match="not a database") as caught:
        Ledger(path)
    assert "move ledger.sqlite" in caught.value.help
    assert path.read_bytes() == content
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    assert opened


def test_another_programs_database(path: Path) -> None:
    path.parent.mkdir()
    tamper(path, "CREATE TABLE theirs (x)")
    with pytest.raises(ConfigurationError, match="not a ledger"):
        Ledger(path)


def test_a_newer_schema(path: Path) -> None:
    Ledger(path).close()
    tamper(path, f"PRAGMA user_version = {len(STEPS) + 1}")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="newer version") as caught:
        Ledger(path)
    assert "update dspec" in caught.value.help
    assert path.read_bytes() == before


def test_a_state_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigurationError, match="cannot use the ledger") as caught:
        Ledger(tmp_path / "state" / "ledger.sqlite")
    assert "choose another state directory" in caught.value.help


def test_where_the_system_has_no_room_it_is_to_be_made() -> None:
    """SQLite says that the disk is full in words of its own, the system in others."""
    for error in (
        OSError(28, "No space left on device"),
        sqlite3.OperationalError("database or disk is full"),
    ):
        assert unusable(Path("ledger.sqlite"), error).help.startswith("make room on the disk")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="cannot use the ledger"):
        Ledger(tmp_path / "ledger.sqlite")


async def test_a_full_disk_is_an_error_and_what_was_stored_stays(path: Path) -> None:
    with Ledger(path) as ledger:
        await ledger.put(KEY, "m", ANSWER)
        ledger._writer.execute("PRAGMA max_page_count = 1")
        long = Answer("long " * 2000)
        with pytest.raises(ConfigurationError, match="full") as caught:
            await asyncio.gather(*(ledger.put(i.to_bytes(32), "m", long) for i in range(100)))
        assert "make room" in caught.value.help
        assert ledger.get(KEY) == ANSWER


async def test_cancelling_the_wait_does_not_undo_the_write(ledger: Ledger) -> None:
    waiting = asyncio.create_task(ledger.put(KEY, "m", ANSWER))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert await ledger.put(KEY, "m", Answer("later")) == ANSWER


def test_closing_writes_what_is_queued(path: Path) -> None:
    async def hurry() -> None:
        ledger = Ledger(path)
        tasks = [asyncio.create_task(ledger.put(i.to_bytes(32), "m", ANSWER)) for i in range(50)]
        await asyncio.sleep(0)
        ledger.close()
        ledger.close()
        await asyncio.gather(*tasks)

    asyncio.run(hurry())
    with Ledger(path) as ledger:
        assert ledger.count() == 50


def test_opened_by_many_at_once(path: Path) -> None:
    def work(number: int) -> None:
        async def put() -> None:
            with Ledger(path) as ledger:
                for i in range(20):
                    await ledger.put((number * 100 + i).to_bytes(32), "m", ANSWER)

        asyncio.run(put())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Ledger(path) as ledger:
        assert ledger.count() == 120


def test_the_directory_is_private(path: Path, ledger: Ledger) -> None:
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_an_unusable_answer_is_replayed_within_its_attempt_and_asked_again_after_it(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.begin("compile a")
        await ledger.put(KEY, "m", ANSWER)
        ledger.set_aside(KEY)
    with Ledger(path) as ledger:
        assert ledger.get(KEY) is None  # nobody's attempt
        ledger.begin("compile b")
        assert ledger.get(KEY) is None  # another's
        ledger.begin("compile a")
        assert ledger.get(KEY) == ANSWER  # stopped, and run again
        ledger.end()
        ledger.begin("compile a")
        assert ledger.get(KEY) is None
        later = Answer("later")
        assert await ledger.put(KEY, "m", later) == later
        assert await ledger.put(KEY, "m", ANSWER) == later
        assert ledger.get(KEY) == later
        assert (ledger.count(), ledger.damaged) == (1, 0)
    with Ledger(path) as ledger:
        assert ledger.get(KEY) == later  # it was of use


async def test_what_died_before_it_was_noted_is_replayed(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.begin("compile a")
        await ledger.put(KEY, "m", ANSWER)
    with Ledger(path) as ledger:
        ledger.begin("compile a")
        assert ledger.get(KEY) == ANSWER

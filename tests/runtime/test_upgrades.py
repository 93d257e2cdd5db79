"""Files of older versions: brought up to date once, whole or not at all, whoever comes at the same time."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from dspec.runtime.models import ledger as ledger_module
from dspec.runtime.models.ledger import STEPS, Ledger
from dspec.runtime.models.protocol import Answer
from dspec.runtime.models.upgrades import NewerSchema, Step, upgrade

KEY = b"k" * 32


def first(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE things (name TEXT)")
    connection.execute("INSERT INTO things VALUES ('old')")


def second(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 1")


def third(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE things SET size = size + 1")


def failing(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM things")
    raise RuntimeError("in the middle")


def opened(path: Path, steps: Sequence[Step]) -> tuple[int, list[tuple[object, ...]]]:
    """The file's version and rows after it was opened by a program that knows these steps."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        upgrade(connection, steps)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return version, connection.execute("SELECT * FROM things").fetchall()


@pytest.mark.parametrize("known", [1, 2, 3])
def test_a_file_of_any_version_goes_through_the_steps_it_lacks_once(tmp_path: Path, known: int) -> None:
    path, steps = tmp_path / "file", (first, second, third)
    opened(path, steps[:known])
    assert opened(path, steps) == opened(path, steps) == (3, [("old", 2)])


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    opened(path, (first,))
    with pytest.raises(RuntimeError, match="in the middle"):
        opened(path, (first, second, failing))
    assert opened(path, (first,)) == (1, [("old",)])


def test_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    opened(path, (first, second))
    with pytest.raises(NewerSchema):
        opened(path, (first,))
    assert opened(path, (first, second)) == (2, [("old", 1)])


NEXT = """
import sys, time
from pathlib import Path
from dspec.runtime.models import ledger

def slow(connection):
    time.sleep(0.3)
    connection.execute("ALTER TABLE answers ADD COLUMN origin TEXT NOT NULL DEFAULT 'elsewhere'")

ledger.STEPS = (*ledger.STEPS, slow)
print(ledger.Ledger(Path(sys.argv[1])).count())
"""
"""A process of the next version of dspec, whose ledger has one column more."""


async def test_two_processes_of_the_next_version_open_an_older_ledger_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        await ledger.put(KEY, "m", Answer("paid for"))
        # this version still has it open, and goes on with it afterwards
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", NEXT, str(path)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        said = [process.communicate(timeout=30) for process in processes]
        assert [out.strip() for out, _ in said] == ["1"] * 3, said
        assert (await ledger.put(b"l" * 32, "m", Answer("later"))).text == "later"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_module, "STEPS", (*STEPS, lambda connection: None))
        with Ledger(path) as ledger:
            assert ledger.get(KEY) == Answer("paid for")
            assert ledger.get(b"l" * 32) == Answer("later")


def test_a_kill_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    opened(path, (first,))
    code = (
        "import os, signal, sqlite3, sys; from dspec.runtime.models.upgrades import upgrade\n"
        "def die(c):\n"
        "    c.execute('DELETE FROM things'); c.execute('CREATE TABLE half (x)')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "upgrade(sqlite3.connect(sys.argv[1], isolation_level=None), (None, die))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert opened(path, (first, second)) == (2, [("old", 1)])

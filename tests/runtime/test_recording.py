"""Calls that are recorded, and what is said of them: whole, bounded, redacted, by threads, processes and after a kill."""

import asyncio
import json
import logging
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import fields, module, predictor

from dspec import Application, RecordCounts, RecordSettings, load
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.errors import ConfigurationError, InputError
from dspec.runtime.models.background import shutdown
from dspec.runtime.running.recording import recorder as recorders
from dspec.runtime.running.recording.reading import NoRecordFile, RecordedCalls
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.types import BOOL, STR, OneOf

TEAM = OneOf(values=("billing", "delivery"))
ROUTE = predictor(fields(text=STR, email=STR), fields(team=TEAM, urgent=BOOL))
SECRET = "sk-live-0123456789"
SELECT = "SELECT id, program, inputs, outputs, error, trace, usd, calls FROM calls ORDER BY seq"


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


def saved(folder: Path) -> Path:
    path = folder / "route.dspc.json"
    lms = {"mini": LM(name="mini", model="embedded/icl")}
    write_artifact(path, Artifact(name="route", program=module(ROUTE, lms=lms)))
    return path


def opened(folder: Path, **said: Any) -> Application:
    return load(saved(folder), record=RecordSettings(folder / "recorded.sqlite", **said))


def rows(folder: Path, select: str = SELECT) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "recorded.sqlite")) as database:
        return database.execute(select).fetchall()


def asked(p: Application, text: str = "where is my parcel", email: str = "a@b.example") -> Any:
    return p(text=text, email=email)


# What is kept ------------------------------------------------------------------------------------------


def test_a_call_and_what_is_said_of_it(tmp_path: Path) -> None:
    p = opened(tmp_path)
    result = asked(p)
    with pytest.raises(InputError):
        p(text=5, email="x")
    p.feedback(result, score=True, comment="fine")
    p.feedback(result.call_id, outputs={"team": "billing"})
    p.feedback(p.history()[0], outputs={"urgent": True}, score=0.25)
    p.close()
    first, failed = rows(tmp_path)
    assert first[:3] == (result.call_id, "route", '{"text":"where is my parcel","email":"a@b.example"}')
    assert json.loads(first[3]) == result.outputs
    (step,) = json.loads(first[5])
    assert step["exchange"][-1][1] == step["calls"][0]["answer"]
    assert (first[4], first[6], first[7]) == (None, 0.0, 1)
    assert failed[3] is None
    assert failed[4].startswith("InputError: the input `text` does not fit")
    with RecordedCalls(tmp_path / "recorded.sqlite") as calls:
        assert calls.programs() == {"route": 2}
        said = next(calls.calls()).said
    assert said is not None
    assert (said.score, said.comment) == (0.25, "fine")
    assert list(map(json.loads, said.outputs)) == [{"team": "billing"}, {"urgent": True}]
    assert p.recorded == RecordCounts(written=5)
    assert oct((tmp_path / "recorded.sqlite").stat().st_mode)[-3:] == "600"
    assert [path.name for path in tmp_path.glob("recorded.*")] == ["recorded.sqlite"]  # it may be copied now


async def test_every_way_to_call_is_recorded(tmp_path: Path) -> None:
    p = opened(tmp_path)
    given = {"text": "a", "email": "b"}
    await p.acall(**given)
    await p.abatch([given, given])
    await p.astream(**given).result()
    await p.with_lm(temperature=0.1).acall(**given)
    p.close()
    assert len(rows(tmp_path)) == 5


def test_what_is_no_feedback_is_refused(tmp_path: Path) -> None:
    p = opened(tmp_path)
    result = asked(p)
    for arguments, words in (
        ({"call": "x", "score": 1}, "'x' is no id of a call"),
        ({"call": 7, "score": 1}, "7 is no id of a call"),
        ({"call": result, "score": 1.5}, "the score is 1.5, and should be a number from 0 to 1"),
        ({"call": result, "score": float("nan")}, "the score is nan"),
        ({"call": result, "score": "1"}, "the score is '1'"),
        ({"call": result}, "a feedback says something"),
        ({"call": result, "comment": 5}, "the comment is of type int"),
        ({"call": result, "label": "billing"}, "`label` is the one output of a program that has only one"),
        ({"call": result, "outputs": {"team": "sales"}}, "the output `team` does not fit: expected one of"),
        ({"call": result, "outputs": {"taem": "billing"}}, "'taem' is no output of the program"),
        ({"call": result, "outputs": ["billing"]}, "`outputs` is of type list"),
    ):
        with pytest.raises(InputError) as caught:
            p.feedback(**arguments)  # pyright: ignore[reportArgumentType]
        assert caught.value.message.startswith(words)
    silent = load(saved(tmp_path))
    assert silent.recorded == RecordCounts()
    with pytest.raises(ConfigurationError, match="does not record its calls"):
        silent.feedback(result, score=1)


def test_a_label_is_the_one_output(tmp_path: Path) -> None:
    path = tmp_path / "one.dspc.json"
    asked = predictor(fields(text=STR), fields(team=TEAM))
    write_artifact(
        path, Artifact(name="one", program=module(asked, lms={"mini": LM(name="mini", model="embedded/icl")}))
    )
    p = load(path, record=tmp_path / "recorded.sqlite")
    result = p(text="a")
    p.feedback(result, label="delivery")
    with pytest.raises(InputError, match="two ways to say"):
        p.feedback(result, label="delivery", outputs={"team": "billing"})
    p.close()
    assert rows(tmp_path, "SELECT id, outputs FROM feedback") == [(result.call_id, '{"team":"delivery"}')]


# What is not kept --------------------------------------------------------------------------------------


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("recorded.sqlite*"))


def test_names_are_never_written_wherever_they_might_stand(tmp_path: Path) -> None:
    p = opened(tmp_path, redact=["email", "team"])
    result = asked(p, f"my key is lost {SECRET}-not", email=SECRET)
    with pytest.raises(InputError):
        p(text=[SECRET], email=SECRET)
    with pytest.raises(InputError, match="no input `emial`"):
        p(text="a misspelt name", emial=SECRET)
    p.feedback(result, outputs={"team": "billing", "urgent": True})
    p.close()
    first, failed, misspelt = rows(tmp_path)
    assert json.loads(misspelt[2]) == {"text": "a misspelt name"}
    assert json.loads(first[2]) == {"text": f"my key is lost {SECRET}-not"}
    assert json.loads(first[3]) == {"urgent": result.outputs["urgent"]}
    (step,) = json.loads(first[5])
    assert "exchange" not in step
    assert "answer" not in step["calls"][0]
    assert step["calls"][0]["input_tokens"] > 0
    assert failed[4] == "InputError"
    assert rows(tmp_path, "SELECT outputs FROM feedback") == [('{"urgent":true}',)]
    with pytest.raises(ConfigurationError, match="`redact` names `mail`, which is no input or output"):
        opened(tmp_path, redact=["mail"])
    with pytest.raises(ConfigurationError, match="`redact` is one text, not several"):
        opened(tmp_path, redact="email")


def test_a_function_decides_what_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def redact(record: dict[str, Any]) -> dict[str, Any] | None:
        seen.append(threading.current_thread().name)
        if record["kind"] == "feedback":
            return {**record, "comment": "…"}
        if "secret" in record["inputs"]["text"]:
            return None
        if "fails" in record["inputs"]["text"]:
            raise ValueError(SECRET)
        if "odd" in record["inputs"]["text"]:
            return [SECRET]  # pyright: ignore[reportReturnType]
        return {**record, "id": "another", "inputs": {"text": "…"}, "trace": None}

    p = opened(tmp_path, redact=redact)
    for text in ("fine", "secret", "fails", "odd"):
        result = asked(p, f"{text} {SECRET}", SECRET)
    p.feedback(result, comment=SECRET, score=1)
    with caplog.at_level(logging.WARNING, "dspec"):
        p.close()
    (row,) = rows(tmp_path)
    assert row[0] == p.history()[0].id
    assert (row[2], row[5]) == ('{"text":"…"}', None)
    assert rows(tmp_path, "SELECT comment, score FROM feedback") == [("…", 1.0)]
    assert p.recorded == RecordCounts(written=2, withheld=1, lost=2)
    assert SECRET.encode() not in everything(tmp_path)
    assert SECRET not in caplog.text
    assert "`redact` failed: ValueError" in caplog.text
    assert set(seen) == {"dspec-record"}


def test_a_share_is_chosen_by_ids(tmp_path: Path) -> None:
    p = opened(tmp_path, sample=0.5)
    ids = [asked(p, f"a {number}").call_id for number in range(60)]
    for one in ids:
        p.feedback(one, score=1)
    p.close()
    chosen = [one for one in ids if int(one[:8], 16) < 2**31]
    assert 5 < len(chosen) < 55
    assert [row[0] for row in rows(tmp_path)] == chosen
    assert [one for (one,) in rows(tmp_path, "SELECT id FROM feedback")] == chosen
    assert RecordSettings("x", sample=0.0).takes("00000000" * 4) is False
    assert RecordSettings("x").takes("ffffffff" * 4) is True


def test_records_and_the_file_have_bounds(tmp_path: Path) -> None:
    p = opened(tmp_path, max_record_bytes=2_000, max_bytes=70_000, max_rows=40)
    asked(p, "a" * 1_000)
    asked(p, "b" * 3_000)
    p.close()
    first, second = rows(tmp_path)
    assert json.loads(first[2])["text"] == "a" * 1_000
    assert "exchange" not in json.loads(first[5])[0]
    assert second[2] is second[3] is second[5] is None
    assert p.recorded.cut == 2
    with RecordedCalls(tmp_path / "recorded.sqlite") as calls:
        assert [call.inputs is None for call in calls.calls()] == [False, True]
    for number in range(150):
        result = asked(p, f"{number} " + "c" * 700)
        p.feedback(result, comment=f"of {number} " + "d" * 100)
        if number % 50 == 49:
            p.close()
    left = [json.loads(row[2])["text"].split()[0] for row in rows(tmp_path)]
    assert 10 < len(left) <= 40
    assert left == [str(number) for number in range(150 - len(left), 150)]
    assert (tmp_path / "recorded.sqlite").stat().st_size < 200_000
    said = [int(one.split()[1]) for (one,) in rows(tmp_path, "SELECT comment FROM feedback")]
    assert max(said) == 149
    assert len(said) <= len(left) + 1
    with pytest.raises(ConfigurationError, match="`max_bytes` is 1,000, and must be at least"):
        opened(tmp_path, max_bytes=1_000)


def test_feedback_alone_does_not_fill_the_disk(tmp_path: Path) -> None:
    p = opened(tmp_path, max_record_bytes=30_000, max_bytes=70_000)
    for number in range(400):
        p.feedback(f"{number:032x}", comment="d" * 500)
        if number % 100 == 99:
            p.close()
    assert (tmp_path / "recorded.sqlite").stat().st_size < 500_000
    assert p.recorded.lost == 0
    assert rows(tmp_path, "SELECT count(*) FROM feedback")[0][0] < 200


def test_what_the_queue_does_not_take_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "MOST_WAITING", 3)
    monkeypatch.setattr(recorders, "GATHER", 30.0)
    p = opened(tmp_path)
    for number in range(5):
        asked(p, str(number))
    assert p.recorded == RecordCounts(waiting=3, lost=2)
    monkeypatch.setattr(recorders, "MOST_WAITING", 100)
    monkeypatch.setattr(recorders, "MOST_WAITING_BYTES", 10_000)
    asked(p, "x" * 20_000)
    assert p.recorded == RecordCounts(waiting=3, lost=3)
    p.close()
    assert p.recorded == RecordCounts(written=3, lost=3)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8)
)
def test_whatever_is_a_value_has_a_text(value: Any) -> None:
    text = recorders._json({"value": value})
    json.loads(text)
    text.encode()


def test_halves_of_characters_and_large_numbers() -> None:
    assert recorders._json({"a": "\ud83d", "b": 10**30}) == '{"a": "?", "b": 1000000000000000000000000000000}'


# Files that cannot be used -----------------------------------------------------------------------------


def test_a_file_that_cannot_be_used_is_said_at_once(tmp_path: Path) -> None:
    def told(path: Path) -> str:
        with pytest.raises(ConfigurationError) as caught:
            load(saved(tmp_path), record=path)
        assert caught.value.help
        return caught.value.message

    text = tmp_path / "text.sqlite"
    text.write_text("no database at all, and long enough to be looked at" * 20)
    assert "file is not a database" in told(text)
    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as database:
        database.executescript("PRAGMA user_version = 1; CREATE TABLE calls (x);")
    before = foreign.read_bytes()
    assert told(foreign) == f"{foreign} is an SQLite file, but none of recorded calls"
    assert foreign.read_bytes() == before
    cache = tmp_path / "cache.sqlite"
    with load(saved(tmp_path), cache=cache) as p:
        asked(p)
    assert "but none of recorded calls" in told(cache)
    assert "Not a directory" in told(text / "recorded.sqlite")
    newer = tmp_path / "newer.sqlite"
    load(saved(tmp_path), record=newer)
    with closing(sqlite3.connect(newer)) as database:
        database.execute("PRAGMA user_version = 99")
    assert "newer version" in told(newer)
    with pytest.raises(ConfigurationError, match="`record` is of type int, and should be a path"):
        load(saved(tmp_path), record=5)  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_a_file_that_breaks_later_costs_no_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    p = opened(tmp_path)
    asked(p, "before")
    p.close()
    (tmp_path / "recorded.sqlite").write_bytes(b"\0broken" * 2_000)
    with caplog.at_level(logging.WARNING, "dspec"):
        assert asked(p, "while it is broken").call_id
        p.close()
    assert p.recorded.lost == 1
    assert "1 of what was to be recorded is lost so far" in caplog.text
    (tmp_path / "recorded.sqlite").unlink()
    asked(p, "after")
    p.close()
    assert [json.loads(row[2])["text"] for row in rows(tmp_path)] == ["after"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of a process's files")
def test_a_full_disk_costs_no_call(tmp_path: Path) -> None:
    """A file that may not grow stands for the disk."""
    code = f"""
import resource, signal, sys
from dspec import load
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
p = load({str(saved(tmp_path))!r}, record={str(tmp_path / "recorded.sqlite")!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
for number in range(50):
    assert p(text="x" * 2000, email="").call_id
p.close()
print(p.recorded.lost, p.recorded.written, p.recorded.waiting)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lost, written, waiting = map(int, done.stdout.split())
    assert lost > 0
    assert (lost + written, waiting) == (50, 0)
    assert "make room" in done.stderr or "is lost so far" in done.stderr
    assert len(rows(tmp_path)) == written


def test_a_file_that_is_moved_away_is_made_anew(tmp_path: Path) -> None:
    p = opened(tmp_path)
    asked(p, "first")
    while p.recorded.waiting:
        time.sleep(0.01)
    for path in tmp_path.glob("recorded.sqlite*"):
        shutil.move(path, tmp_path / path.name.replace("recorded", "rotated"))
    asked(p, "second")
    p.close()
    assert [json.loads(row[2])["text"] for row in rows(tmp_path)] == ["second"]


# Threads and processes ---------------------------------------------------------------------------------


def test_threads_record_each_call_once(tmp_path: Path) -> None:
    p = opened(tmp_path, trace=False)
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(lambda number: asked(p, f"a {number}").call_id, range(100)))
        list(pool.map(lambda one: p.feedback(one, score=1), ids))
    p.close()
    assert sorted(row[0] for row in rows(tmp_path)) == sorted(ids)
    assert "exchange" not in rows(tmp_path)[0][5]
    assert rows(tmp_path, "SELECT count(DISTINCT id) FROM feedback") == [(100,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_records_its_own_calls_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "GATHER", 1.0)
    p = opened(tmp_path)
    asked(p, "written before")
    while p.recorded.waiting:
        time.sleep(0.01)
    asked(p, "waits while it forks")

    def child() -> None:
        asked(p, "of the child")  # and it ends as workers do, without a close

    context = multiprocessing.get_context("fork")
    children = [context.Process(target=child) for _ in range(2)]
    for one in children:
        one.start()
    for one in children:
        one.join(30)
        assert one.exitcode == 0
    asked(p, "after")
    p.close()
    told = sorted(json.loads(row[2])["text"] for row in rows(tmp_path))
    assert told == ["after", "of the child", "of the child", "waits while it forks", "written before"]
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


_WORKER = """
import sys, time
from dspec import load
p = load(sys.argv[1], record=sys.argv[2])
for number in range(int(sys.argv[3])):
    r = p(text=f"{sys.argv[4]} {number}", email="")
    p.feedback(r, score=1)
    if len(sys.argv) > 5:
        print(time.time(), flush=True)
"""


def started(folder: Path, calls: int, name: str, *more: str) -> subprocess.Popen[str]:
    arguments = [str(saved(folder)), str(folder / "recorded.sqlite"), str(calls), name, *more]
    return subprocess.Popen([sys.executable, "-c", _WORKER, *arguments], stdout=subprocess.PIPE, text=True)


def test_processes_share_a_file_and_write_at_their_end(tmp_path: Path) -> None:
    saved(tmp_path)
    workers = [started(tmp_path, 40, name) for name in "ab"]
    for one in workers:
        one.communicate(timeout=60)
        assert one.returncode == 0
    told = [json.loads(row[2])["text"] for row in rows(tmp_path)]
    assert sorted(told) == sorted(f"{name} {number}" for name in "ab" for number in range(40))
    assert [one for one in told if one[0] == "a"] == [f"a {number}" for number in range(40)]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_loses_no_more_than_its_last_second(tmp_path: Path) -> None:
    process = started(tmp_path, 1_000_000, "k", "told")
    assert process.stdout is not None
    ended = [float(process.stdout.readline())]
    while ended[-1] - ended[0] < 2.5:
        ended.append(float(process.stdout.readline()))
    process.kill()
    killed = time.time()
    rest, _ = process.communicate(timeout=30)
    ended += map(float, rest.split())
    told = rows(tmp_path)
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert [json.loads(row[2])["text"] for row in told] == [f"k {number}" for number in range(len(told))]
    assert len(told) >= sum(at < killed - 1.0 for at in ended) > 0
    with RecordedCalls(tmp_path / "recorded.sqlite") as calls:
        assert sum(1 for _ in calls.calls()) == len(told)


async def test_loops_are_not_held_up_by_a_file_that_is_held(tmp_path: Path) -> None:
    """Another process has the file for itself meanwhile."""
    p = opened(tmp_path)
    await p.acall(text="a", email="")
    while p.recorded.waiting:
        await asyncio.sleep(0.01)
    with closing(sqlite3.connect(tmp_path / "recorded.sqlite", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        for _ in range(20):
            began = time.perf_counter()
            result = await p.acall(text="b", email="")
            p.feedback(result, score=1)
            assert time.perf_counter() - began < 3.0  # SQLite waits for five
        assert p.recorded.waiting > 0
        database.execute("ROLLBACK")
    await asyncio.to_thread(p.close)
    assert p.recorded == RecordCounts(written=41)


# Reading what anybody may have written -----------------------------------------------------------------


def test_files_of_others_are_read_by_nobody(tmp_path: Path) -> None:
    p = opened(tmp_path)
    asked(p)
    p.close()
    good = (tmp_path / "recorded.sqlite").read_bytes()

    def told(*statements: str) -> str:
        path = tmp_path / "wrong.sqlite"
        path.write_bytes(good)
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            for one in statements:
                database.execute(one)
        with pytest.raises(NoRecordFile) as caught, RecordedCalls(path) as calls:
            list(calls.calls())
        return str(caught.value)

    assert told("PRAGMA application_id = 7") == "is an SQLite file, but none of recorded calls"
    assert told("PRAGMA user_version = 9", "ALTER TABLE calls ADD COLUMN more") == (
        "was recorded by a newer version of dspec"
    )
    endless = (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n AS seq, 'a' AS id FROM r"
    )
    assert told("DROP TABLE calls", f"CREATE VIEW calls AS {endless}") == (
        "has other tables than files of recorded calls have"
    )
    (tmp_path / "text").write_text("no database, but long enough to be one" * 9)
    (tmp_path / "empty").touch()
    with pytest.raises(NoRecordFile, match="is no SQLite file"):
        RecordedCalls(tmp_path / "text")
    with pytest.raises(NoRecordFile, match="none of recorded calls"):
        RecordedCalls(tmp_path / "empty")
    with pytest.raises(NoRecordFile, match="cannot be read"):
        RecordedCalls(tmp_path / "none")


@given(st.data())
def test_damage_is_told_or_read_over(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    whole = folder / "recorded.sqlite"
    if not whole.exists():
        folder.mkdir(exist_ok=True)
        p = opened(folder)
        for number in range(30):
            p.feedback(asked(p, f"a {number}"), score=1)
        p.close()
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "wrong.sqlite"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with suppress(NoRecordFile), RecordedCalls(path) as calls:
        calls.programs()
        assert sum(1 for _ in calls.calls()) <= 30 * 512


def test_a_file_is_read_while_it_is_written(tmp_path: Path) -> None:
    p = opened(tmp_path)
    for number in range(3):
        asked(p, str(number))
        while p.recorded.waiting:
            time.sleep(0.01)
        with RecordedCalls(tmp_path / "recorded.sqlite") as calls:
            assert sum(1 for _ in calls.calls()) == number + 1
    p.close()
    before = sorted(path.name for path in tmp_path.iterdir())
    with RecordedCalls(tmp_path / "recorded.sqlite") as calls:
        found = calls.calls()
        assert next(found).number == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == before  # reading leaves nothing
        asked(p, "meanwhile")
        p.close()
        with pytest.raises(NoRecordFile, match="was written to while it was read"):
            list(found)
